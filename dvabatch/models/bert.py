"""Encoders of transformer blocks over tokens (Devlin et al., "BERT", 2018)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from dvabatch.models.builder import GraphBuilder
from dvabatch.models.errors import ModelError

_SEQUENCE_AXIS = "S"
_POSITIONS = 512
_SEGMENTS = 2
_EPSILON = 1e-12

# Added to the scores of masked tokens: their share of attention is exactly 0 in fp32 and fp16, and a row that is masked
# whole still gives numbers, which an infinity would not.
_MASKED = -10000.0

# As in resnet.py, and so that attention, a mean over tokens, does not make the tokens of a random network alike.
_BRANCH_GAIN = 0.2


@dataclass(frozen=True, slots=True)
class Bert:
    """Blocks, width of a token, attention heads, entries of the vocabulary."""

    name: str
    blocks: int
    hidden: int
    heads: int
    vocabulary: int

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(f"{self.name} has {self.hidden} channels for {self.heads} heads: give a multiple")

    def __call__(self, input_shape: Sequence[int], seed: int) -> onnx.ModelProto:
        """The network for rows of `input_shape` (longest sequence,), which is how many positions it knows.

        It takes "input_ids" and "attention_mask" (N, S), both int64, ids from 0 up to the vocabulary and 1 where a
        token counts, 0 where it pads; S is free up to the longest. It gives "output" (N, hidden), float32: the first
        token, pooled. All tokens are of the first segment. Fewer positions than the published 512 are the first of
        them, and all other weights the same.
        """
        if len(input_shape) != 1 or input_shape[0] > _POSITIONS:
            raise ModelError(
                f"{self.name} takes rows of shape (longest sequence,), got {tuple(input_shape)}: "
                f"leave the batch axis out and give one length from 1 to {_POSITIONS}"
            )
        g = GraphBuilder(self.name, seed=seed)
        ids = g.input("input_ids", (_SEQUENCE_AXIS,), element=TensorProto.INT64)
        mask = g.input("attention_mask", (_SEQUENCE_AXIS,), element=TensorProto.INT64)
        x = self._embedded(g, ids, input_shape[0])
        penalty = _penalty(g, mask)
        for index in range(self.blocks):
            x = self._attended(g, x, penalty, f"block{index}.attention")
            x = self._fed_forward(g, x, f"block{index}.feed_forward")
        first = g.constant("first", np.array(0, np.int64))
        x = g.node("Gather", [x, first], "pooler.first", axis=1)
        x = g.node("Tanh", [g.linear(x, "pooler.linear", (self.hidden, self.hidden))], "pooler.tanh")
        g.output(x, "output", (self.hidden,))
        return g.model()

    def _embedded(self, g: GraphBuilder, ids: str, longest: int) -> str:
        """The sum of a token's, its position's and the first segment's vector."""
        words = g.normal("embeddings.words", (self.vocabulary, self.hidden), std=1.0)
        positions = g.normal("embeddings.positions", (_POSITIONS, self.hidden), std=0.5, keep=longest)
        segments = g.normal("embeddings.segments", (_SEGMENTS, self.hidden), std=0.1)
        x = g.node("Gather", [words, ids], "embeddings.word", axis=0)
        # Not Shape's own start and end: older engines do not know them.
        zero, one = (g.constant(f"embeddings.{axis}", np.array([axis], np.int64)) for axis in (0, 1))
        length = g.node("Gather", [g.node("Shape", [ids], "embeddings.shape"), one], "embeddings.length", axis=0)
        x = g.add(x, g.node("Slice", [positions, zero, length, zero], "embeddings.position"), "embeddings.placed")
        segment = g.constant("embeddings.first", np.array(0, np.int64))
        x = g.add(x, g.node("Gather", [segments, segment], "embeddings.segment", axis=0), "embeddings.sum")
        return g.layer_norm(x, "embeddings.norm", self.hidden, epsilon=_EPSILON)

    def _attended(self, g: GraphBuilder, x: str, penalty: str, name: str) -> str:
        """Attention of all heads, added to its input and normalised: (N, S, hidden) to the same."""
        square = (self.hidden, self.hidden)
        query = self._by_head(g, g.token_linear(x, f"{name}.query", square), f"{name}.query", [0, 2, 1, 3])
        key = self._by_head(g, g.token_linear(x, f"{name}.key", square), f"{name}.key", [0, 2, 3, 1])
        value = self._by_head(g, g.token_linear(x, f"{name}.value", square), f"{name}.value", [0, 2, 1, 3])
        scale = g.constant(f"{name}.scale", np.array(1 / math.sqrt(self.hidden // self.heads), np.float32))
        scores = g.node("Mul", [g.node("MatMul", [query, key], f"{name}.products"), scale], f"{name}.scores")
        shares = g.node("Softmax", [g.add(scores, penalty, f"{name}.masked")], f"{name}.softmax", axis=-1)
        y = g.node("MatMul", [shares, value], f"{name}.means")
        y = g.node("Transpose", [y], f"{name}.transpose", perm=[0, 2, 1, 3])
        shape = g.constant(f"{name}.shape", np.array([0, 0, self.hidden], np.int64))
        y = g.node("Reshape", [y, shape], f"{name}.joined")
        y = g.token_linear(y, f"{name}.output", square, gain=_BRANCH_GAIN)
        return g.layer_norm(g.add(y, x, f"{name}.add"), f"{name}.norm", self.hidden, epsilon=_EPSILON)

    def _by_head(self, g: GraphBuilder, x: str, name: str, order: list[int]) -> str:
        """(N, S, hidden) as (N, S, heads, hidden / heads), its axes then in `order`."""
        shape = g.constant(f"{name}.shape", np.array([0, 0, self.heads, self.hidden // self.heads], np.int64))
        return g.node("Transpose", [g.node("Reshape", [x, shape], f"{name}.split")], f"{name}.heads", perm=order)

    def _fed_forward(self, g: GraphBuilder, x: str, name: str) -> str:
        """Two layers with GELU between, four times as wide inside, added to their input and normalised."""
        inner = 4 * self.hidden
        y = _gelu(g, g.token_linear(x, f"{name}.inner", (self.hidden, inner)), f"{name}.gelu")
        y = g.token_linear(y, f"{name}.outer", (inner, self.hidden), gain=_BRANCH_GAIN)
        return g.layer_norm(g.add(y, x, f"{name}.add"), f"{name}.norm", self.hidden, epsilon=_EPSILON)


def _penalty(g: GraphBuilder, mask: str) -> str:
    """(N, S) of ones and zeros to (N, 1, 1, S) of zeros and large negative numbers."""
    axes = g.constant("mask.axes", np.array([1, 2], np.int64))
    x = g.node("Unsqueeze", [mask, axes], "mask.unsqueeze")
    x = g.node("Cast", [x], "mask.float", to=TensorProto.FLOAT)
    x = g.node("Sub", [g.constant("mask.one", np.array(1.0, np.float32)), x], "mask.inverse")
    return g.node("Mul", [x, g.constant("mask.lowest", np.array(_MASKED, np.float32))], "mask.penalty")


def _gelu(g: GraphBuilder, x: str, name: str) -> str:
    """x * (1 + erf(x / sqrt 2)) / 2, in operators of opset 17."""
    root = g.constant(f"{name}.root", np.array(math.sqrt(2.0), np.float32))
    y = g.node("Erf", [g.node("Div", [x, root], f"{name}.scaled")], f"{name}.erf")
    y = g.add(y, g.constant(f"{name}.one", np.array(1.0, np.float32)), f"{name}.shifted")
    half = g.constant(f"{name}.half", np.array(0.5, np.float32))
    return g.node("Mul", [g.node("Mul", [x, y], f"{name}.product"), half], name)
