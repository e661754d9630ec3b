"""BERT as an ONNX graph, written node by node: no exporter, no tracing, fused operators from the start.

Where ONNX Runtime has an operator of its own (domain ``com.microsoft``) it is used: normalisation with its residual,
GELU with its bias, attention over a mask. Pooling and scaling to length 1 are part of the graph, so only vectors leave it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

    from palate.language.bert import Bert
    from palate.language.transformer import Pooling

OPSET = 17
IR_VERSION = 8
_FUSED = "com.microsoft"


@dataclass
class _Graph:
    """Nodes and weights as they are added."""

    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)

    def weight(self, name: str, value: Tensor | np.ndarray[Any, Any]) -> str:
        from onnx import numpy_helper

        array = np.asarray(value) if isinstance(value, np.ndarray) else value.float().numpy()
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def linear(self, name: str, state: str, weights: tuple[Tensor, Tensor]) -> tuple[str, str]:
        """The product without its bias, and the name of the bias: the operator behind takes it in."""
        product = self.node("MatMul", [state, self.weight(f"{name}.weight", weights[0].T)], f"{name}.product")
        return product, self.weight(f"{name}.bias", weights[1])


def bert_graph(bert: Bert, pooling: Pooling) -> ModelProto:
    """A graph from ``ids`` and ``mask``, int64 (b, w), to ``vectors``, float32 (b, h), rows of length 1."""
    from onnx import TensorProto, helper

    graph = _Graph()
    state = _embedded(graph, bert)
    mask = graph.node("Cast", ["mask"], "mask_int", to=TensorProto.INT32)
    for number, layer in enumerate(bert.layers):
        name = f"layer{number}"
        heads = layer.heads(bert.head_size)
        product, bias = graph.linear(f"{name}.attention_in", state, layer.attention_in)
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        graph.nodes.append(helper.make_node("Split", [product], parts, name=f"{name}.split", axis=-1))
        seen = graph.node("MultiHeadAttention", [*parts, bias, mask], f"{name}.seen", _FUSED, num_heads=heads)
        product, bias = graph.linear(f"{name}.attention_out", seen, layer.attention_out)
        state = _normed(graph, f"{name}.attention_norm", product, state, bias, layer.attention_norm, bert.epsilon)
        product, bias = graph.linear(f"{name}.feed_in", state, layer.feed_in)
        inner = graph.node("BiasGelu", [product, bias], f"{name}.inner", _FUSED)
        product, bias = graph.linear(f"{name}.feed_out", inner, layer.feed_out)
        state = _normed(graph, f"{name}.feed_norm", product, state, bias, layer.feed_norm, bert.epsilon)
    _pooled(graph, state, pooling)
    integers = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in ("ids", "mask")]
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", bert.words.shape[1]])
    whole = helper.make_graph(graph.nodes, "encoder", integers, [vectors], graph.weights)
    model = helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(_FUSED, 1)], producer_name="palate"
    )
    model.ir_version = IR_VERSION
    return model


def _embedded(graph: _Graph, bert: Bert) -> str:
    """Words and positions, added and normalised."""
    words = graph.node("Gather", [graph.weight("words", bert.words), "ids"], "words_of")
    first = graph.weight("first_axis", _axis(0))
    ends = [graph.weight("width_from", _axis(1)), graph.weight("width_to", _axis(2))]
    width = graph.node("Slice", [graph.node("Shape", ["ids"], "shape"), *ends, first], "width")
    placed = graph.node("Slice", [graph.weight("positions", bert.positions), first, width, first], "positions_of")
    summed = graph.node("Add", [words, placed], "embedded")
    scale, shift = (graph.weight(f"norm.{name}", part) for name, part in zip(("scale", "shift"), bert.norm, strict=True))
    return graph.node("LayerNormalization", [summed, scale, shift], "state", axis=-1, epsilon=bert.epsilon)


def _normed(
    graph: _Graph, name: str, product: str, state: str, bias: str, weights: tuple[Tensor, Tensor], epsilon: float
) -> str:
    """Product, bias and residual added and normalised, one operator."""
    scale, shift = graph.weight(f"{name}.scale", weights[0]), graph.weight(f"{name}.shift", weights[1])
    return graph.node("SkipLayerNormalization", [product, state, scale, shift, bias], name, _FUSED, epsilon=epsilon)


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
