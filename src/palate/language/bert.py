"""BERT's forward pass, written out: starts without importing transformers and wastes nothing on the way.

Devlin et al. 2019. Query, key and value are one product, batches of equal lengths need no mask, residuals are added in
place. Same numbers as ``transformers.BertModel`` up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Observe = Callable[[int, str, Tensor], None]


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one transformer layer, in the order they are used; pruned ones have fewer heads and neurons."""

    attention_in: tuple[Tensor, Tensor]
    attention_out: tuple[Tensor, Tensor]
    attention_norm: tuple[Tensor, Tensor]
    feed_in: tuple[Tensor, Tensor]
    feed_out: tuple[Tensor, Tensor]
    feed_norm: tuple[Tensor, Tensor]

    def heads(self, head_size: int) -> int:
        """How many heads of this size attend."""
        return len(self.attention_in[0]) // (3 * head_size)


@dataclass(frozen=True, slots=True)
class Bert:
    """Weights and shape of a BERT; call it with token ids and mask."""

    words: Tensor
    positions: Tensor
    norm: tuple[Tensor, Tensor]
    layers: tuple[Layer, ...]
    head_size: int
    epsilon: float

    def to(self, dtype: torch.dtype) -> Bert:
        """The same weights as other numbers."""

        def pair(weights: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            return weights[0].to(dtype), weights[1].to(dtype)

        layers = (Layer(*(pair(getattr(layer, name)) for name in Layer.__slots__)) for layer in self.layers)
        words, positions = self.words.to(dtype), self.positions.to(dtype)
        return Bert(words, positions, pair(self.norm), tuple(layers), self.head_size, self.epsilon)

    def __call__(self, ids: Tensor, mask: Tensor, observe: Observe | None = None) -> Tensor:
        """Hidden states (b, w, h) of token ids, int64 (b, w), where mask, int64 (b, w), is 1.

        Parameters
        ----------
        observe
            Sees what goes into each product: the layer's number, the name of its weights, and the states (b w, n).
        """
        from torch.nn.functional import embedding, gelu, layer_norm, linear, scaled_dot_product_attention

        batch, width = ids.shape
        size = self.words.shape[1]
        see = observe or _unobserved
        allowed = None if bool(mask.all()) else mask.bool()[:, None, None, :]

        def normed(x: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
            return layer_norm(x, (size,), *weights, eps=self.epsilon)

        state = normed(embedding(ids, self.words).add_(self.positions[:width]), self.norm).view(batch * width, size)
        for number, layer in enumerate(self.layers):
            see(number, "attention_in", state)
            mixed = linear(state, *layer.attention_in).view(batch, width, 3, -1, self.head_size)
            query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
            seen = scaled_dot_product_attention(query, key, value, attn_mask=allowed)
            seen = seen.transpose(1, 2).reshape(batch * width, -1)
            see(number, "attention_out", seen)
            state = normed(linear(seen, *layer.attention_out).add_(state), layer.attention_norm)
            see(number, "feed_in", state)
            inner = gelu(linear(state, *layer.feed_in))
            see(number, "feed_out", inner)
            state = normed(linear(inner, *layer.feed_out).add_(state), layer.feed_norm)
        return state.view(batch, width, size)


def _unobserved(number: int, name: str, states: Tensor) -> None:
    """Nobody looks."""


def is_plain_bert(config: Mapping[str, Any]) -> bool:
    """Whether a ``config.json`` describes what ``Bert`` computes."""
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act", "gelu") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
        and not config.get("quantization_config")
    )


def bert_of(tensors: Mapping[str, Tensor], config: Mapping[str, Any], dtype: torch.dtype) -> Bert:
    """From the tensors of a checkpoint, with or without the prefix ``bert.``.

    Raises
    ------
    KeyError
        A weight is missing.
    """
    import torch

    prefix = "" if "embeddings.word_embeddings.weight" in tensors else "bert."

    def weight(name: str) -> Tensor:
        return tensors[prefix + name].to(dtype)

    def pair(name: str) -> tuple[Tensor, Tensor]:
        return weight(f"{name}.weight"), weight(f"{name}.bias")

    def layer(number: int) -> Layer:
        name = f"encoder.layer.{number}"
        parts = [pair(f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
        return Layer(
            (torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])),
            pair(f"{name}.attention.output.dense"),
            pair(f"{name}.attention.output.LayerNorm"),
            pair(f"{name}.intermediate.dense"),
            pair(f"{name}.output.dense"),
            pair(f"{name}.output.LayerNorm"),
        )

    # Every text is one segment, so its type vector is as good as part of the positions.
    segment = tensors[f"{prefix}embeddings.token_type_embeddings.weight"][0]
    positions = (tensors[f"{prefix}embeddings.position_embeddings.weight"] + segment).to(dtype)
    return Bert(
        weight("embeddings.word_embeddings.weight"),
        positions,
        pair("embeddings.LayerNorm"),
        tuple(layer(number) for number in range(int(config["num_hidden_layers"]))),
        int(config["hidden_size"]) // int(config["num_attention_heads"]),
        float(config.get("layer_norm_eps", 1e-12)),
    )
