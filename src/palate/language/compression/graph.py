"""BERT as an ONNX graph, written node by node: no exporter, no tracing, fused operators from the start.

Where ONNX Runtime has an operator of its own (domain ``com.microsoft``) it is used: normalisation with its residual,
attention over a mask, products in eight bits. Pooling and scaling to length 1 are part of the graph, so only vectors
leave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.core import FloatArray

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

    from palate.language.bert import Bert, Layer
    from palate.language.transformer import Pooling

OPSET = 17
IR_VERSION = 8
_FUSED = "com.microsoft"


@dataclass(frozen=True)
class Rounding:
    """How products are taken in eight bits.

    Parameters
    ----------
    smooth
        Divisors of what goes into a product, by its name (``layer0.feed_out``); its weights are multiplied by them.
    spans
        Lowest and highest value, after that, of what goes into a product, fixed beforehand; found in every batch where
        there is none.
    """

    smooth: Mapping[str, FloatArray] = field(default_factory=dict)
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def eight_bits(matrix: FloatArray, axis: int) -> tuple[np.ndarray[Any, np.dtype[np.int8]], FloatArray]:
    """A matrix as int8 and the scales of its columns (``axis`` 0) or rows (1), float32."""
    scale = np.maximum(np.abs(matrix).max(axis=axis), 1e-12) / 127
    return np.round(matrix / np.expand_dims(scale, axis)).astype(np.int8), scale.astype(np.float32)


@dataclass
class _Graph:
    """Nodes and weights as they are added."""

    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)

    def weight(self, name: str, value: Tensor | np.ndarray[Any, Any]) -> str:
        from onnx import numpy_helper

        array = value if isinstance(value, np.ndarray) else value.float().numpy()
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def linear(self, name: str, state: str, weights: tuple[Tensor, Tensor], rounding: Rounding | None) -> str:
        """A product with its bias; in eight bits where there is a rounding."""
        matrix, bias = weights[0].numpy().T, self.weight(f"{name}.bias", weights[1])
        if rounding is None:
            product = self.node("MatMul", [state, self.weight(f"{name}.weight", matrix)], f"{name}.product")
            return self.node("Add", [product, bias], f"{name}.sum")
        smooth = rounding.smooth.get(name)
        if smooth is not None:
            matrix = matrix * smooth[:, None]
            state = self.node("Mul", [state, self.weight(f"{name}.smooth", 1 / smooth)], f"{name}.smoothed")
        rounded, scale = eight_bits(matrix, axis=0)
        inputs = [self.weight(f"{name}.weight", rounded), self.weight(f"{name}.scale", scale)]
        span = rounding.spans.get(name)
        if span is None:
            return self.node("DynamicQuantizeMatMul", [state, *inputs, "", bias], f"{name}.sum", _FUSED)
        step = np.float32(max(span[1] - span[0], 1e-6) / 255)
        zero = self.weight(f"{name}.zero", np.array(round(-span[0] / float(step)), dtype=np.uint8))
        steps = self.weight(f"{name}.step", np.array(step, dtype=np.float32))
        state = self.node("QuantizeLinear", [state, steps, zero], f"{name}.rounded")
        inputs = [state, inputs[0], steps, inputs[1], zero, "", bias]
        return self.node("MatMulIntegerToFloat", inputs, f"{name}.sum", _FUSED)


def bert_graph(bert: Bert, pooling: Pooling, rounding: Rounding | None = None) -> ModelProto:
    """A graph from ``ids`` and ``mask``, int64 (b, w), to ``vectors``, float32 (b, h), rows of length 1.

    Parameters
    ----------
    rounding
        How products are taken in eight bits; None leaves all numbers as floats.
    """
    from onnx import TensorProto, helper

    graph = _Graph()
    state = _embedded(graph, bert, rounding)
    mask = graph.node("Cast", ["mask"], "mask_int", to=TensorProto.INT32)
    for number, layer in enumerate(bert.layers):

        def product(part: str, state: str, number: int = number, layer: Layer = layer) -> str:
            return graph.linear(f"layer{number}.{part}", state, getattr(layer, part), rounding)

        parts = [f"layer{number}.{part}" for part in ("query", "key", "value")]
        split = helper.make_node("Split", [product("attention_in", state)], parts, name=f"layer{number}.split", axis=-1)
        graph.nodes.append(split)
        heads = layer.heads(bert.head_size)
        seen = graph.node("MultiHeadAttention", [*parts, "", mask], f"layer{number}.seen", _FUSED, num_heads=heads)
        name = f"layer{number}.attention_norm"
        state = _normed(graph, name, product("attention_out", seen), state, layer.attention_norm, epsilon=bert.epsilon)
        inner = graph.node("Gelu", [product("feed_in", state)], f"layer{number}.inner", _FUSED)
        name = f"layer{number}.feed_norm"
        state = _normed(graph, name, product("feed_out", inner), state, layer.feed_norm, epsilon=bert.epsilon)
    _pooled(graph, state, pooling)
    integers = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in ("ids", "mask")]
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", bert.words.shape[1]])
    whole = helper.make_graph(graph.nodes, "encoder", integers, [vectors], graph.weights)
    model = helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(_FUSED, 1)], producer_name="palate"
    )
    model.ir_version = IR_VERSION
    return model


def _embedded(graph: _Graph, bert: Bert, rounding: Rounding | None) -> str:
    """Words and positions, added and normalised."""
    from onnx import TensorProto

    if rounding is None:
        words = graph.node("Gather", [graph.weight("words", bert.words), "ids"], "words_of")
    else:
        rounded, steps = eight_bits(bert.words.numpy(), axis=1)
        bytes_of = graph.node("Gather", [graph.weight("words", rounded), "ids"], "bytes_of")
        scales = graph.node("Gather", [graph.weight("words.scale", steps[:, None]), "ids"], "scales_of")
        words = graph.node("Mul", [graph.node("Cast", [bytes_of], "rows_of", to=TensorProto.FLOAT), scales], "words_of")
    first = graph.weight("first_axis", _axis(0))
    ends = [graph.weight("width_from", _axis(1)), graph.weight("width_to", _axis(2))]
    width = graph.node("Slice", [graph.node("Shape", ["ids"], "shape"), *ends, first], "width")
    placed = graph.node("Slice", [graph.weight("positions", bert.positions), first, width, first], "positions_of")
    summed = graph.node("Add", [words, placed], "embedded")
    scale, shift = (
        graph.weight(f"norm.{name}", part) for name, part in zip(("scale", "shift"), bert.norm, strict=True)
    )
    return graph.node("LayerNormalization", [summed, scale, shift], "state", axis=-1, epsilon=bert.epsilon)


def _normed(
    graph: _Graph, name: str, product: str, state: str, weights: tuple[Tensor, Tensor], *, epsilon: float
) -> str:
    """Product and residual added and normalised, one operator."""
    scale, shift = graph.weight(f"{name}.scale", weights[0]), graph.weight(f"{name}.shift", weights[1])
    return graph.node("SkipLayerNormalization", [product, state, scale, shift], name, _FUSED, epsilon=epsilon)


def _pooled(graph: _Graph, state: str, pooling: Pooling) -> str:
    """One vector a text, of length 1; the sum over tokens does for their mean."""
    from onnx import TensorProto

    tokens = graph.weight("token_axis", _axis(1))
    if pooling == "mean":
        kept = graph.node("Cast", ["mask"], "mask_float", to=TensorProto.FLOAT)
        row = graph.node("Unsqueeze", [kept, tokens], "mask_row")
        chosen = graph.node("MatMul", [row, state], "summed")
    else:
        chosen = graph.node("Gather", [state, graph.weight("first_token", _axis(0))], "first", axis=1)
    single = graph.node("Squeeze", [chosen, tokens], "single")
    return graph.node("LpNormalization", [single], "vectors", axis=-1, p=2)


def _axis(number: int) -> np.ndarray[Any, Any]:
    return np.array([number], dtype=np.int64)
