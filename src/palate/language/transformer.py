"""Pretrained transformers as text encoders: sorted by length, without padding to speak of, bf16 where it is native."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xxhash

from palate.core import DataError, FloatArray, Int64Array, IntArray, Settings
from palate.core.artefact import file_sha256
from palate.language.encoder import unit_rows

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Pooling = Literal["mean", "cls", "last"]
Tokenize = Callable[[list[str]], list[list[int]]]
Forward = Callable[["Tensor", "Tensor"], "Tensor"]
"""Token ids and mask, both int64 (b, w), to hidden states (b, w, h)."""

Head = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""Pooled states (n, h), token ids and mask, both int64 (n, w), to vectors (n, d)."""

_CHARACTERS_PER_TOKEN = 24
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "1_Pooling/*")
_READS_FORWARD = (
    "bloom",
    "falcon",
    "gemma",
    "gpt",
    "llama",
    "mistral",
    "mixtral",
    "olmo",
    "opt",
    "phi",
    "qwen",
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
    """A pretrained transformer with pooling. Made by ``load_transformer``.

    Parameters
    ----------
    head
        Makes the vectors of pooled states (n, h), token ids and mask, both (n, w); None: the states are the vectors.
    shaped
        Whether the vectors were taught on a catalogue, so that the spread of their directions means something.
    """

    name: str
    dimension: int
    languages: tuple[str, ...]
    pooling: Pooling
    settings: TransformerSettings
    tokenize: Tokenize = field(repr=False)
    forward: Forward = field(repr=False)
    head: Head | None = field(default=None, repr=False)
    shaped: bool = False

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors of n texts, float32 (n, dimension); zeros for blank texts."""
        import torch

        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        rows, said = readable(texts, self.settings.max_tokens)
        if not said:
            return vectors
        tokens = self.tokenize(said)
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        with torch.inference_mode():
            for batch in batches_by_length(lengths, self.settings.tokens_per_batch):
                ids, mask = padded([tokens[i] for i in batch])
                states = pooled(self.forward(ids, mask), mask, self.pooling)
                vectors[rows[batch]] = (states if self.head is None else self.head(states, ids, mask)).numpy()
        return unit_rows(vectors)


def readable(texts: Sequence[str], max_tokens: int) -> tuple[Int64Array, list[str]]:
    """Rows of the texts that are not blank, and these texts as a tokenizer takes them, cut to what can be read."""
    limit = max_tokens * _CHARACTERS_PER_TOKEN
    rows = np.array([row for row, text in enumerate(texts) if text and not text.isspace()], dtype=np.int64)
    # Half a surrogate pair, as broken scraping leaves it, is no text to a tokenizer.
    return rows, [texts[row][:limit].encode("utf-8", "replace").decode("utf-8") for row in rows]


def batches_by_length(lengths: IntArray, tokens_per_batch: int) -> list[Int64Array]:
    """Rows with at least one token, in batches of like length, longest first."""
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths > 0)]
    batches = []
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // int(lengths[order[start]]))
        batches.append(order[start : start + size])
        start += size
    return batches


def padded(tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids padded on the right, and the mask of what is no padding; int64 (b, w) both."""
    import torch

    ids, mask = padded_arrays(tokens)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def padded_arrays(tokens: Sequence[Sequence[int]]) -> tuple[Int64Array, Int64Array]:
    """The same without torch."""
    width = max(len(ids) for ids in tokens)
    ids = np.zeros((len(tokens), width), dtype=np.int64)
    mask = np.zeros((len(tokens), width), dtype=np.int64)
    for row, of_text in enumerate(tokens):
        ids[row, : len(of_text)] = of_text
        mask[row, : len(of_text)] = 1
    return ids, mask


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One float32 vector a text from the hidden states of its tokens."""
    import torch

    if pooling == "cls":
        return hidden[:, 0].float()
    if pooling == "last":
        return hidden[torch.arange(len(hidden)), mask.sum(1) - 1].float()
    weights = mask.float()
    return torch.bmm(weights[:, None, :], hidden.float())[:, 0] / weights.sum(1, keepdim=True)


def has_native_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices itself; elsewhere bf16 is slower than fp32."""
    import torch

    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in tests)


def load_transformer(
    source: str | Path,
    settings: TransformerSettings | None = None,
    languages: tuple[str, ...] = ("*",),
    label: str | None = None,
    sha256: str | None = None,
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
    sha256
        What the SHA-256 of ``model.safetensors`` must be; not checked where None.

    Raises
    ------
    DataError
        It is no such model, it cannot be had, or its weights are not the ones they should be.
    """
    import torch

    settings = settings or TransformerSettings()
    folder = folder_of(source)
    hashes = {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))}
    if sha256 is not None and hashes.get("model.safetensors") != sha256:
        raise DataError(
            f"{folder / 'model.safetensors'} is not {label or source}: its SHA-256 is "
            f"{hashes.get('model.safetensors')}, not {sha256}. It was not loaded. Install it again."
        )
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and has_native_bf16())
    dtype = torch.bfloat16 if bf16 else torch.float32
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        limit = min(settings.max_tokens, config.get("max_position_embeddings") or settings.max_tokens)
        load = _load_bert if _is_written_out(folder, config) else _load_any
        tokenize, forward, dimension = load(folder, config, dtype, limit)
        pooling = pooling_of(folder, config)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{source} is not a model that can be loaded from safetensors: {reason}") from None
    digest = xxhash.xxh3_64_hexdigest("".join(hashes.values()).encode())
    name = f"{label or Path(source).name}-{digest}-{pooling}-{limit}-{'bf16' if bf16 else 'fp32'}"
    return TransformerEncoder(name, dimension, languages, pooling, settings, tokenize, forward)


def pooling_of(folder: Path, config: Mapping[str, Any]) -> Pooling:
    """How a model's token vectors become one: as its sentence-transformers files say, else as its family needs."""
    path = folder / "1_Pooling" / "config.json"
    if path.is_file():
        modes = json.loads(path.read_text(encoding="utf-8"))
        wanted = [name for name, on in modes.items() if name.startswith("pooling_mode_") and on is True]
        known: dict[str, Pooling] = {
            "pooling_mode_mean_tokens": "mean",
            "pooling_mode_cls_token": "cls",
            "pooling_mode_lasttoken": "last",
        }
        if len(wanted) != 1 or wanted[0] not in known:
            raise ValueError(f"{path} asks for {' + '.join(wanted) or 'no pooling'}; known: {', '.join(known)}")
        return known[wanted[0]]
    return "last" if str(config.get("model_type", "")).lower().startswith(_READS_FORWARD) else "mean"


def _is_written_out(folder: Path, config: Mapping[str, Any]) -> bool:
    from palate.language.bert import is_plain_bert

    files = ("tokenizer.json", "model.safetensors")
    return is_plain_bert(config) and all((folder / name).is_file() for name in files)


def _load_bert(
    folder: Path, config: Mapping[str, Any], dtype: torch.dtype, limit: int
) -> tuple[Tokenize, Forward, int]:
    from safetensors.torch import load_file

    from palate.language.bert import bert_of

    bert = bert_of(load_file(folder / "model.safetensors"), config, dtype)
    return tokenizer_of(folder, limit), bert, int(config["hidden_size"])


def _load_any(folder: Path, config: Mapping[str, Any], dtype: torch.dtype, limit: int) -> tuple[Tokenize, Forward, int]:
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=False, dtype=dtype).eval()

    def forward(ids: Tensor, mask: Tensor) -> Tensor:
        hidden: Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden

    return tokenizer_of(folder, limit), forward, int(model.config.hidden_size)


def tokenizer_of(folder: Path, limit: int) -> Tokenize:
    """The tokenizer as its own file has it; only older models without that file need transformers to build it."""
    if (folder / "tokenizer.json").is_file():
        return tokenizer_from((folder / "tokenizer.json").read_text(encoding="utf-8"), limit)
    from transformers import AutoTokenizer

    built = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)

    def tokenize(texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = built(texts, truncation=True, max_length=limit, padding=False)["input_ids"]
        return ids

    return tokenize


def tokenizer_from(description: str, limit: int) -> Tokenize:
    """A tokenizer from the text of its ``tokenizer.json``, which gives at most ``limit`` tokens."""
    from tokenizers import Tokenizer

    fast = Tokenizer.from_str(description)
    fast.enable_truncation(limit)
    fast.no_padding()
    return lambda texts: [encoding.ids for encoding in fast.encode_batch(texts)]


def folder_of(source: str | Path) -> Path:
    """The folder of a model, fetched from the hub where the source is no folder."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise DataError(f"{folder} is not a model: it has no config.json")
        if not any(folder.glob("*.safetensors")):
            raise DataError(f"{folder} has no *.safetensors; weights in other formats can run code and are not loaded")
        return folder
    if isinstance(source, Path) or source.count("/") > 1 or source.startswith((".", "/", "~")):
        raise DataError(f"there is no model folder {source}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=list(_FILES)))
    except (OSError, ValueError) as error:  # every error of the hub's own is one of these
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"the model {source} is neither a folder here nor to be had from the hub ({reason}). "
            'Name a folder with its files, or use "minilm" or "lexical".'
        ) from None
