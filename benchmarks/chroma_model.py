"""Puts an equivalent of Chroma's default model where Chroma looks for it, for machines that cannot reach its download.

`python -m benchmarks.chroma_model` writes `~/.cache/chroma/onnx_models/all-MiniLM-L6-v2/onnx`: the same published
weights in a graph with the inputs and the output that Chroma's `ONNXMiniLM_L6_V2` expects, and the tokenizer. It
leaves a folder that is complete alone. ONNX Runtime itself writes the model file, weights included.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ochre.embedding.minilm_graph import ATTENTION_MASK, DIMENSION, INPUT_IDS, Bert
from ochre.embedding.onnx_bytes import Element
from ochre.embedding.safetensors import read_tensors
from ochre.embedding.weights import ModelFiles, obtain

FILES = ("config.json", "model.onnx", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt")
"""What Chroma wants to see; it reads `model.onnx` and `tokenizer.json`."""


def folder() -> Path:
    """Return where Chroma looks."""
    return Path.home() / ".cache" / "chroma" / "onnx_models" / "all-MiniLM-L6-v2" / "onnx"


def provide() -> Path:
    """Write what is missing and return the folder."""
    target = folder()
    if all((target / name).is_file() for name in FILES):
        return target
    target.mkdir(parents=True, exist_ok=True)
    files = obtain()
    _write_model(files, target / "model.onnx")
    tokenizer = files.tokenizer.read_text(encoding="utf-8")
    vocabulary: dict[str, int] = json.loads(tokenizer)["model"]["vocab"]
    marks = {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }
    contents = {
        "tokenizer.json": tokenizer,
        "vocab.txt": "".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.__getitem__)),
        "special_tokens_map.json": json.dumps(marks),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, **marks}),
        "config.json": json.dumps({"model_type": "bert", "hidden_size": DIMENSION, "vocab_size": len(vocabulary)}),
    }
    for name, content in contents.items():
        (target / name).write_text(content, encoding="utf-8", newline="\n")
    return target


def _write_model(files: ModelFiles, path: Path) -> None:
    import onnxruntime

    tensors = read_tensors(files.weights)
    bert = Bert({name: tensor.shape for name, tensor in tensors.items()})
    g = bert.writer
    ids, mask, segments = (
        g.input(name, Element.INT64, ["texts", "tokens"]) for name in (INPUT_IDS, ATTENTION_MASK, "token_type_ids")
    )
    hidden = bert.hidden(ids, g.apply("Cast", mask, to=Element.FLOAT), segments)
    g.apply("Identity", hidden, outputs=["last_hidden_state"])
    g.output("last_hidden_state", Element.FLOAT, ["texts", "tokens", DIMENSION])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensors[name]) for name in g.weights]
    options.add_external_initializers(g.weights, values)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        written = Path(scratch) / path.name
        options.optimized_model_filepath = str(written)
        onnxruntime.InferenceSession(g.to_bytes(), options, providers=["CPUExecutionProvider"])
        written.replace(path)


if __name__ == "__main__":
    print(provide())
