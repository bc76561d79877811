"""The graph of all-MiniLM-L6-v2: BERT (Devlin et al., 2018) with 6 layers, then mean pooling and unit length.

Written with ONNX's standard operators only; ONNX Runtime fuses them as it sees fit. Its own fused attention was
measured about a tenth faster with the same vectors, which does not pay for depending on operators outside the
standard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ochre.embedding.onnx_bytes import Element, GraphWriter

LAYERS = 6
HEADS = 12
DIMENSION = 384
HEAD_DIMENSION = DIMENSION // HEADS
EPSILON = 1e-12
"""Of layer normalisation, and the least length a vector is divided by."""

LEAST_TOKENS = 1e-9
"""The least number of tokens a sum is divided by."""

MASKED = -10_000.0
"""Added to the score of a padding token: its weight after softmax is zero in float32."""

INPUT_IDS, ATTENTION_MASK, EMBEDDINGS = "input_ids", "attention_mask", "embeddings"


@dataclass(frozen=True)
class Graph:
    """A model without its weights, and the names of the weights that a session has to be given."""

    model: bytes
    weights: list[str]


def minilm_graph(shapes: Mapping[str, Sequence[int]]) -> Graph:
    """Build the graph.

    Args:
        shapes: of the weights, by their names in the published file.

    Returns:
        A graph that maps `input_ids` and `attention_mask`, both `(n, tokens)` int64, to `embeddings`, `(n, 384)`
        float32 of unit length: sum(mask x hidden) / max(sum(mask), 1e-9), divided by max(its length, 1e-12).
    """
    bert = Bert(shapes)
    g = bert.writer
    ids = g.input(INPUT_IDS, Element.INT64, ["texts", "tokens"])
    mask = g.apply("Cast", g.input(ATTENTION_MASK, Element.INT64, ["texts", "tokens"]), to=Element.FLOAT)
    bert.pool(bert.hidden(ids, mask), mask)
    g.output(EMBEDDINGS, Element.FLOAT, ["texts", DIMENSION])
    return Graph(g.to_bytes(), g.weights)


class Bert:
    """Writes the parts of the model; each method takes and returns names of values.

    Args:
        shapes: of the weights, by name.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]]) -> None:
        self.writer = GraphWriter("all-MiniLM-L6-v2")
        self._shapes = shapes

    def hidden(self, ids: str, mask: str, segments: str | None = None) -> str:
        """Return the last hidden states, `(texts, tokens, 384)`.

        Args:
            ids: of the tokens, `(texts, tokens)` int64.
            mask: 1 for a token, 0 for padding, `(texts, tokens)` float32.
            segments: of the tokens, as `ids`; None: all in the first, as sentences always are.
        """
        g = self.writer
        hidden = self._embed(ids, segments)
        padding = g.apply("Mul", g.apply("Sub", g.constant(1.0), mask), g.constant(MASKED))
        padding = g.apply("Unsqueeze", padding, g.constant([1, 2]))
        for layer in range(LAYERS):
            hidden = self._layer(hidden, padding, f"encoder.layer.{layer}.")
        return hidden

    def pool(self, hidden: str, mask: str) -> None:
        """Write the mean over the tokens, divided by its length, as the value `embeddings`."""
        g = self.writer
        total = g.apply("MatMul", g.apply("Unsqueeze", mask, g.constant([1])), hidden)
        total = g.apply("Squeeze", total, g.constant([1]))
        tokens = g.apply("ReduceSum", mask, g.constant([1]), keepdims=1)
        mean = g.apply("Div", total, g.apply("Max", tokens, g.constant(LEAST_TOKENS)))
        length = g.apply("ReduceL2", mean, g.constant([1]), keepdims=1)
        g.apply("Div", mean, g.apply("Max", length, g.constant(EPSILON)), outputs=[EMBEDDINGS])

    def _weight(self, name: str) -> str:
        return self.writer.weight(name, self._shapes[name])

    def _embed(self, ids: str, segments: str | None) -> str:
        """Sum the embeddings of word, position and segment, and normalise."""
        g = self.writer
        count = g.apply("Shape", ids, start=1, end=2)
        positions = g.apply("Slice", self._weight("embeddings.position_embeddings.weight"), g.constant([0]), count)
        words = g.apply("Gather", self._weight("embeddings.word_embeddings.weight"), ids)
        kinds = self._weight("embeddings.token_type_embeddings.weight")
        if segments is None:
            kind = g.apply("Slice", kinds, g.constant([0]), g.constant([1]))
        else:
            kind = g.apply("Gather", kinds, segments)
        return self._normalise(g.apply("Add", words, g.apply("Add", positions, kind)), "embeddings.LayerNorm")

    def _layer(self, hidden: str, padding: str, prefix: str) -> str:
        g = self.writer
        context = self._attend(hidden, padding, prefix + "attention.self.")
        output = prefix + "attention.output."
        mixed = g.apply("Add", self._dense(context, output + "dense"), hidden)
        mixed = self._normalise(mixed, output + "LayerNorm")
        wide = g.apply("Gelu", self._dense(mixed, prefix + "intermediate.dense"))
        output = prefix + "output."
        return self._normalise(g.apply("Add", self._dense(wide, output + "dense"), mixed), output + "LayerNorm")

    def _attend(self, hidden: str, padding: str, prefix: str) -> str:
        """Softmax(q k^T / sqrt(32) + padding) v, 12 heads side by side; q, k and v come from one multiplication."""
        g = self.writer
        parts = [prefix + part for part in ("query", "key", "value")]
        weights = g.apply("Concat", *(self._transposed(part) for part in parts), axis=1)
        biases = g.apply("Concat", *(self._weight(part + ".bias") for part in parts), axis=0)
        joined = g.apply("Add", g.apply("MatMul", hidden, weights), biases)
        joined = g.apply("Reshape", joined, g.constant([0, 0, 3, HEADS, HEAD_DIMENSION]))
        names = [prefix + part for part in ("q", "k", "v")]
        g.apply("Split", joined, outputs=names, axis=2, num_outputs=3)
        query, key, value = (g.apply("Squeeze", name, g.constant([2])) for name in names)
        query = g.apply("Transpose", query, perm=[0, 2, 1, 3])
        key = g.apply("Transpose", key, perm=[0, 2, 3, 1])
        value = g.apply("Transpose", value, perm=[0, 2, 1, 3])
        scores = g.apply("Mul", g.apply("MatMul", query, key), g.constant(HEAD_DIMENSION**-0.5))
        weighted = g.apply("MatMul", g.apply("Softmax", g.apply("Add", scores, padding), axis=-1), value)
        return g.apply("Reshape", g.apply("Transpose", weighted, perm=[0, 2, 1, 3]), g.constant([0, 0, DIMENSION]))

    def _dense(self, value: str, name: str) -> str:
        product = self.writer.apply("MatMul", value, self._transposed(name))
        return self.writer.apply("Add", product, self._weight(name + ".bias"))

    def _transposed(self, name: str) -> str:
        # The file keeps (out, in). ONNX Runtime does this once, when the session is made.
        return self.writer.apply("Transpose", self._weight(name + ".weight"), perm=[1, 0])

    def _normalise(self, value: str, name: str) -> str:
        scale, bias = self._weight(name + ".weight"), self._weight(name + ".bias")
        return self.writer.apply("LayerNormalization", value, scale, bias, epsilon=EPSILON)
