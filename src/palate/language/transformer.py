"""Pretrained transformers as text encoders: sorted by length, without padding to speak of, bf16 where it is native."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from palate.core import DataError, FloatArray, IntArray, Settings, UsageError
from palate.core.artefact import file_sha256
from palate.language.encoder import unit_rows

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "cls", "last"]
Forward = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Token ids and mask, both int64 (b, w), to hidden states (b, w, h)."""

_CHARACTERS_PER_TOKEN = 24
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "1_Pooling/*")
_DECODERS = (
    "gpt",
    "llama",
    "qwen",
    "mistral",
    "mixtral",
    "gemma",
    "phi",
    "opt",
    "bloom",
    "falcon",
    "mpt",
    "olmo",
    "xlnet",
)
"""Families whose last token alone has read the whole text. XLNet puts its summary token ``<cls>`` last too."""


class TransformerSettings(Settings):
    """How texts go through a transformer.

    Parameters
    ----------
    max_tokens
        A text's tokens beyond this are not read. Titles with their category have some 30.
    tokens_per_batch
        Tokens that go through the network at once; few enough to stay in the processor's cache.
    precision
        ``auto`` is bf16 where the processor multiplies it natively.
    """

    max_tokens: int = 128
    tokens_per_batch: int = 512
    precision: Literal["auto", "bf16", "fp32"] = "auto"


@dataclass(frozen=True)
class TransformerEncoder:
    """A pretrained transformer with pooling. Made by ``load_transformer``."""

    name: str
    dimension: int
    languages: tuple[str, ...]
    pooling: Pooling
    settings: TransformerSettings
    tokenize: Callable[[list[str]], list[list[int]]] = field(repr=False)
    forward: Forward = field(repr=False)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors of n texts, float32 (n, dimension); zeros for blank texts."""
        import torch

        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        limit = self.settings.max_tokens * _CHARACTERS_PER_TOKEN
        rows = [row for row, text in enumerate(texts) if text and not text.isspace()]
        if not rows:
            return out
        tokens = self.tokenize([texts[row][:limit] for row in rows])
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        with torch.inference_mode():
            for batch in batches_by_length(lengths, self.settings.tokens_per_batch):
                hidden, mask = self._hidden([tokens[i] for i in batch], int(lengths[batch].max()))
                out[[rows[i] for i in batch]] = pool(hidden, mask, self.pooling).float().numpy()
        return unit_rows(out)

    def _hidden(self, tokens: list[list[int]], width: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        ids = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros((len(tokens), width), dtype=np.int64)
        for row, of_text in enumerate(tokens):
            ids[row, : len(of_text)] = of_text
            mask[row, : len(of_text)] = 1
        return self.forward(torch.from_numpy(ids), torch.from_numpy(mask)), torch.from_numpy(mask)


def batches_by_length(lengths: IntArray, tokens_per_batch: int) -> list[np.ndarray]:
    """Rows (of texts with at least one token) in batches of like length, longest first."""
    order = np.argsort(-lengths, kind="stable")
    order = order[: int((lengths > 0).sum())]
    parts = []
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // int(lengths[order[start]]))
        parts.append(order[start : start + size])
        start += size
    return parts


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector a text from the hidden states of its tokens; padding stands on the right."""
    import torch

    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden)), mask.sum(1) - 1]
    weights = mask.to(torch.float32)
    return torch.bmm(weights[:, None, :], hidden.float())[:, 0] / weights.sum(1, keepdim=True)


def has_native_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices itself; elsewhere bf16 is slower than fp32."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def load_transformer(
    source: str | Path,
    settings: TransformerSettings | None = None,
    languages: tuple[str, ...] = ("*",),
    label: str | None = None,
) -> TransformerEncoder:
    """A sentence-transformers or transformers model from a folder, or by its name on the hub.

    Parameters
    ----------
    source
        A folder with ``config.json`` and safetensors weights, or a name such as ``"BAAI/bge-small-zh-v1.5"``.

    languages
        Codes of the languages it reads.
    label
        What its name begins with; the last part of ``source`` where None.

    Raises
    ------
    DataError
        It is no such model, or cannot be had.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.utils import logging

    settings = settings or TransformerSettings()
    folder = _folder_of(source)
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{source} is not a model that can be loaded from safetensors: {reason}") from None
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and has_native_bf16())
    model = model.to(torch.bfloat16 if bf16 else torch.float32).eval()
    longest = min(settings.max_tokens, getattr(config, "max_position_embeddings", None) or settings.max_tokens)

    def tokenize(texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer(texts, truncation=True, max_length=longest, padding=False)["input_ids"]
        return ids

    def forward(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden

    weights = "".join(file_sha256(path) for path in sorted(folder.glob("*.safetensors")))
    pooling = pooling_of(folder, config)
    name = _name(label or str(source), weights, pooling, longest, "bf16" if bf16 else "fp32")
    return TransformerEncoder(name, int(config.hidden_size), languages, pooling, settings, tokenize, forward)


def pooling_of(folder: Path, config: Any) -> Pooling:
    """How a model's token vectors become one: as its sentence-transformers files say, else as its family needs."""
    path = folder / "1_Pooling" / "config.json"
    if path.is_file():
        modes = json.loads(path.read_text(encoding="utf-8"))
        if modes.get("pooling_mode_cls_token"):
            return "cls"
        if modes.get("pooling_mode_lasttoken"):
            return "last"
        return "mean"
    family = str(config.model_type).lower()
    return "last" if family.startswith(_DECODERS) else "mean"


def _name(source: str, weights: str, pooling: Pooling, longest: int, precision: str) -> str:
    import xxhash

    return f"{Path(source).name}-{xxhash.xxh3_64_hexdigest(weights.encode())}-{pooling}-{longest}-{precision}"


def _folder_of(source: str | Path) -> Path:
    """The folder of a model, fetched from the hub where the source is no folder."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise DataError(f"{folder} is not a model: it has no config.json")
        if not any(folder.glob("*.safetensors")):
            raise DataError(f"{folder} has no *.safetensors; weights in other formats can run code and are not loaded")
        return folder
    if str(source).count("/") > 1 or str(source).startswith((".", "/", "~")):
        raise UsageError(f"there is no model folder {source}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                str(source), allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "1_Pooling/*"]
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"the model {source} is neither a folder here nor to be had from the hub ({reason}). "
            'Name a folder with its files, or use "minilm" or "lexical".'
        ) from None
