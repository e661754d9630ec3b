"""A BERT in hand: its weights, its tokenizer and what it needs to become a smaller one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xxhash

from palate.core import DataError
from palate.language.registry import model_folder
from palate.language.transformer import (
    Pooling,
    Tokenize,
    TransformerEncoder,
    TransformerSettings,
    batches_by_length,
    has_native_bf16,
    padded,
    pooled,
    pooling_of,
    readable,
    tokenizer_from,
)

if TYPE_CHECKING:
    from torch import Tensor

    from palate.language.bert import Bert, Observe

Form = Literal["fp32", "bf16", "sparse"]


@dataclass(frozen=True)
class Trunk:
    """A sentence encoder of the BERT family, weights as float32.

    Parameters
    ----------
    bert
        Its weights.
    tokenizer
        Its ``tokenizer.json``.
    pooling, languages
        How token vectors become one, and what it reads.
    limit
        The most tokens it takes.
    label
        What names of encoders made from it begin with.
    form
        How its numbers are written to disk: as floats, as the upper half of their bits, or those that are not zero.
    """

    bert: Bert
    tokenizer: str
    pooling: Pooling
    languages: tuple[str, ...]
    limit: int
    label: str
    form: Form = "fp32"

    def written_as(self, form: Form) -> Trunk:
        """The same with its numbers as that form keeps them."""
        import torch

        bert = self.bert if form == "fp32" else self.bert.to(torch.bfloat16).to(torch.float32)
        return replace(self, bert=bert, form=form)

    def tokenize(self) -> Tokenize:
        """Texts to token ids."""
        return tokenizer_from(self.tokenizer, self.limit)

    def encoder(self, settings: TransformerSettings | None = None, label: str | None = None) -> TransformerEncoder:
        """This trunk as an encoder."""
        import torch

        settings = settings or TransformerSettings(max_tokens=self.limit)
        bf16 = settings.precision == "bf16" or (settings.precision == "auto" and has_native_bf16())
        name = f"{label or self.label}-{self.digest}-{self.pooling}-{self.limit}-{'bf16' if bf16 else 'fp32'}"
        bert = self.bert.to(torch.bfloat16 if bf16 else torch.float32)
        width = int(self.bert.words.shape[1])
        return TransformerEncoder(name, width, self.languages, self.pooling, settings, self.tokenize(), bert)

    @property
    def digest(self) -> str:
        """Hash (16 hex digits) of the weights and of the tokenizer."""
        import torch

        digest = xxhash.xxh3_64(self.tokenizer.encode())
        for tensor in tensors_of(self.bert).values():
            digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def read_trunk(name: str, settings: TransformerSettings | None = None) -> Trunk:
    """The trunk of ``minilm`` or of a folder or hub name.

    Raises
    ------
    DataError
        It cannot be had, or it is of a family that is not taken apart here.
    """
    import torch
    from safetensors.torch import load_file

    from palate.language.bert import bert_of, is_plain_bert

    settings = settings or TransformerSettings()
    folder, languages, label = model_folder(name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not is_plain_bert(config) or not (folder / "tokenizer.json").is_file():
        raise DataError(
            f"{name} is a model of the {config.get('model_type', 'unknown')} family. Numbers of eight bits, pruning "
            "and smaller transformers are made from BERT models with a tokenizer.json; the method `static` takes any "
            "encoder."
        )
    try:
        bert = bert_of(load_file(folder / "model.safetensors"), config, torch.float32)
        pooling = pooling_of(folder, config)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{name} cannot be loaded from safetensors: {error}") from None
    limit = min(settings.max_tokens, int(config.get("max_position_embeddings") or settings.max_tokens))
    tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
    return Trunk(bert, tokenizer, pooling, languages, limit, label)


def read(trunk: Trunk, texts: Sequence[str], observe: Observe | None = None, tokens_per_batch: int = 512) -> Tensor:
    """Vectors of the texts that are not blank, float32 (n, h), as the trunk pools them, while somebody looks on."""
    import torch

    _, said = readable(texts, trunk.limit)
    tokens = trunk.tokenize()(said)
    lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
    vectors = torch.zeros(len(said), trunk.bert.words.shape[1])
    with torch.inference_mode():
        for batch in batches_by_length(lengths, tokens_per_batch):
            ids, mask = padded([tokens[i] for i in batch])
            vectors[batch] = pooled(trunk.bert(ids, mask, observe), mask, trunk.pooling)
    return vectors


def tensors_of(bert: Bert) -> dict[str, Tensor]:
    """The weights by name, flat; ``bert_from`` puts them together again."""
    tensors = {"words": bert.words, "positions": bert.positions, "norm.0": bert.norm[0], "norm.1": bert.norm[1]}
    for number, layer in enumerate(bert.layers):
        for name in layer.__slots__:
            for place, tensor in enumerate(getattr(layer, name)):
                tensors[f"layer{number}.{name}.{place}"] = tensor
    return tensors


def bert_from(tensors: Mapping[str, Tensor], head_size: int, epsilon: float) -> Bert:
    """What ``tensors_of`` took apart."""
    from palate.language.bert import Bert, Layer

    def pair(name: str) -> tuple[Tensor, Tensor]:
        return tensors[f"{name}.0"], tensors[f"{name}.1"]

    count = len({name.partition(".")[0] for name in tensors if name.startswith("layer")})
    layers = tuple(Layer(*(pair(f"layer{number}.{name}") for name in Layer.__slots__)) for number in range(count))
    return Bert(tensors["words"], tensors["positions"], pair("norm"), layers, head_size, epsilon)


def manifest_of(trunk: Trunk) -> dict[str, Any]:
    """What a saved encoder's manifest says of its trunk beside the weights."""
    return {
        "pooling": trunk.pooling,
        "languages": list(trunk.languages),
        "limit": trunk.limit,
        "label": trunk.label,
        "head_size": trunk.bert.head_size,
        "epsilon": trunk.bert.epsilon,
    }
