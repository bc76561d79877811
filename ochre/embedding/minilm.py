"""all-MiniLM-L6-v2 on ONNX Runtime: tokens, batches, vectors.

One model is shared by everything in the process and loaded on first use. Texts are sorted by length and padded only to
the longest of their batch; the vectors are those of any other padding, several times sooner.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ochre.embedding.minilm_graph import ATTENTION_MASK, DIMENSION, EMBEDDINGS, INPUT_IDS, minilm_graph
from ochre.embedding.safetensors import read_tensors
from ochre.embedding.weights import ModelFiles, obtain
from ochre.errors import InvalidArgumentError, InvalidTypeError, ModelUnavailableError

MAX_TOKENS = 256
"""What the model sees of a text, its two marks included; the rest is not seen."""

CPU = ("CPUExecutionProvider",)

_TOKENS_PER_THREAD = 512
"""A batch's size. Measured: 256 to 1,024 tokens a thread make no difference, more is slower (it leaves the cache)."""

_FIRST_WINDOW = 2048
_WINDOW_GROWTH = 8
_BREAK = re.compile(r".*(?=[ \t\n\r!-/:-@\[\\^-`{-~\u4e00-\u9fff])", re.DOTALL)
"""All before the last character that always parts words: BERT splits at white space, ASCII punctuation, ideographs. The
closing bracket is left out, for it may end one of the model's own marks, as in `[SEP]`."""

_ENDLESS_WORD = re.compile(r"([0-9A-Za-z]{200})[0-9A-Za-z]+")
"""A word of more than 100 characters is one unknown token, however long."""


class MiniLM:
    """The model, loaded. Safe for any number of threads.

    Args:
        files: the model's files, checked.
        providers: ONNX Runtime's execution providers, by preference.
    """

    def __init__(self, files: ModelFiles, providers: Sequence[str] = CPU) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        missing = sorted(set(providers) - set(onnxruntime.get_available_providers()))
        if missing:
            raise InvalidArgumentError(
                f"preferred_providers names {missing}, which this ONNX Runtime does not have; it has "
                f"{onnxruntime.get_available_providers()}"
            )
        self._tokenizer = Tokenizer.from_file(str(files.tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        threads = thread_count()
        self._batch_tokens = _TOKENS_PER_THREAD * min(threads, 8)
        tensors = read_tensors(files.weights)
        graph = minilm_graph({name: tensor.shape for name, tensor in tensors.items()})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Threads that spin between runs take the processor from the database and from other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The values are mapped from the file, which may lie in a read-only folder; no copy of it is written.
        self._tensors = {name: tensors[name] for name in graph.weights}
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in self._tensors.values()]
        options.add_external_initializers(graph.weights, values)
        self._session = onnxruntime.InferenceSession(graph.model, options, providers=list(providers))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: any length each; the first 256 tokens count. An empty text has a vector too.

        Returns:
            `(n, 384)` float32, C-contiguous, unit length, in the order of the texts.

        Raises:
            InvalidTypeError: an item is not a string.
            InvalidArgumentError: a text has no UTF-8 form.
        """
        # Two bytes a token: the vocabulary has 30,522 words, and a call may have a million texts.
        tokens = [np.array(self.tokens(_checked(text, index)), np.uint16) for index, text in enumerate(texts)]
        vectors = np.empty((len(tokens), DIMENSION), dtype=np.float32)
        for batch in _batches([len(item) for item in tokens], self._batch_tokens):
            longest = len(tokens[batch[-1]])
            ids = np.zeros((len(batch), longest), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, index in enumerate(batch):
                count = len(tokens[index])
                ids[row, :count] = tokens[index]
                mask[row, :count] = 1
            vectors[batch] = self._session.run([EMBEDDINGS], {INPUT_IDS: ids, ATTENTION_MASK: mask})[0]
        return vectors

    def tokens(self, text: str) -> list[int]:
        """Return the first 256 token ids of a text, marks included, reading no more of a long text than they need.

        A text is cut where words part anyway, so the tokens before the cut are those of the whole. One text at a time:
        the tokenizer's own thread pool does not survive a fork, and takes a hundredth of the model's time without it.
        """
        window = _FIRST_WINDOW
        if len(text) > window:
            while len(text) > window:
                head = _BREAK.match(text[:window])
                ids = self._encode(head.group()) if head else []
                if len(ids) == MAX_TOKENS:
                    return ids
                window *= _WINDOW_GROWTH
            text = _ENDLESS_WORD.sub(r"\1", text)
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids


def _checked(text: Any, index: int) -> str:
    if not isinstance(text, str):
        raise InvalidTypeError(
            f"item {index} of the input is {type(text).__name__}: this model embeds text; pass strings, or an "
            "embedding function for other data"
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgumentError(
                f"item {index} of the input has a lone surrogate at position {error.start}, which has no UTF-8 form: "
                "decode the text with errors='replace', or remove it"
            ) from error
    return text


def _batches(lengths: list[int], tokens: int) -> Iterator[list[int]]:
    """Divide texts into batches of at most `tokens` tokens, padding included (or one text), shortest texts first."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def thread_count() -> int:
    """Return how many threads compute: one for each physical core that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        doubled = Path("/sys/devices/system/cpu/smt/active").read_text(encoding="ascii").strip() == "1"
    except (OSError, ValueError):
        doubled = False
    return max(1, count // 2 if doubled else count)


_lock = threading.Lock()
_models: dict[tuple[int, tuple[str, ...]], MiniLM] = {}
"""Loaded models by process and providers. The threads of a session do not survive a fork, so a child loads its own; the
parent's stays here untouched, for to release it would be to wait for threads that are not there."""


def shared_model(providers: Sequence[str] = CPU) -> MiniLM:
    """Return the process's model, loading it (and fetching its files, the first time of all) if need be.

    Raises:
        ModelUnavailableError: the files or the libraries cannot be had.
        InvalidArgumentError: ONNX Runtime does not have one of the providers.
    """
    key = (os.getpid(), tuple(providers))
    if key not in _models:
        with _lock:
            if key not in _models:
                _models[key] = _load(providers)
    return _models[key]


def _load(providers: Sequence[str]) -> MiniLM:
    absent = [name for name in ("onnxruntime", "tokenizers") if importlib.util.find_spec(name) is None]
    if absent:
        raise ModelUnavailableError(
            f'the default embedding function needs {" and ".join(absent)}: pip install "ochre[minilm]", or pass an '
            "embedding_function (or embeddings) of your own"
        )
    # Checking 91 MB against a hash and importing the libraries take about as long, and do not need each other.
    with ThreadPoolExecutor(1, thread_name_prefix="ochre-model") as pool:
        files = pool.submit(obtain)
        try:
            import onnxruntime  # noqa: F401
            import tokenizers  # noqa: F401
        except ImportError as error:
            raise ModelUnavailableError(
                f"a library of the default embedding function cannot be imported ({error}): install it again with "
                'pip install "ochre[minilm]", or pass an embedding_function (or embeddings) of your own'
            ) from error
        return MiniLM(files.result(), providers)


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()  # a thread of the parent may have held it when the process was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
