"""What can be said of an encoder without measuring it: size, languages, what it was taught, how it splits texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palate.core.artefact import MANIFEST
from palate.language.compression.table import units
from palate.language.detect import detect_language
from palate.language.encoder import TextEncoder
from palate.language.lexical import LexicalEncoder
from palate.language.registry import model_folder
from palate.language.terms import terms

_SAMPLE = 500

TASKS = ("sentences", "distilled", "masked", "next", "counted", "unknown")
"""Sentence likeness; the vectors of another encoder; masked words; the next word; no network at all; not said."""


@dataclass(frozen=True)
class EncoderFacts:
    """An encoder, on some texts.

    Parameters
    ----------
    bytes
        Of its files, or of its arrays where it has none.
    task
        What it was taught, one of ``TASKS``.
    languages
        Codes it reads; ``("*",)`` for any, as far as it says.
    reads
        Share of the texts in a language it reads.
    pieces
        Tokens a word of these texts is split into on average: near 1, it was taught in this domain's words; NaN where
        it has no tokenizer.
    unknown
        Share of tokens (of terms, for the lexical encoder) it knows nothing of; NaN where that cannot be told.
    """

    name: str
    bytes: int
    task: str
    languages: tuple[str, ...]
    reads: float
    pieces: float
    unknown: float


def encoder_facts(name: str, encoder: TextEncoder, texts: Sequence[str]) -> EncoderFacts:
    """What can be told of an encoder without asking it to encode.

    Parameters
    ----------
    name
        ``minilm``, ``lexical``, a folder or a hub name.
    encoder
        What ``load_encoder`` gives for it.
    texts
        The catalogue's own; a sample spread evenly is looked at.
    """
    sample = [text for text in texts[:: max(1, len(texts) // _SAMPLE)] if text and not text.isspace()]
    languages = encoder.languages
    read = sum("*" in languages or detect_language(text) in languages for text in sample)
    pieces, unknown = _splits(encoder, sample)
    task = _task(name, encoder)
    return EncoderFacts(name, size_of(name, encoder), task, languages, read / max(len(sample), 1), pieces, unknown)


def size_of(name: str, encoder: TextEncoder) -> int:
    """Bytes of weights and tokenizer on disk; of the arrays, for an encoder fitted on the catalogue."""
    if isinstance(encoder, LexicalEncoder):
        return sum(array.nbytes for array in encoder.arrays().values())
    folder = Path(name).expanduser()
    if (folder / MANIFEST).is_file():
        return sum(path.stat().st_size for path in folder.iterdir())
    folder = model_folder(name)[0]
    return sum(path.stat().st_size for path in (*folder.glob("*.safetensors"), *folder.glob("tokenizer.json")))


def _task(name: str, encoder: TextEncoder) -> str:
    if isinstance(encoder, LexicalEncoder):
        return "counted"
    folder = Path(name).expanduser()
    if (folder / MANIFEST).is_file():
        return "distilled"
    folder = model_folder(name)[0]
    if (folder / "modules.json").is_file():
        return "sentences"
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shapes = " ".join(config.get("architectures") or ())
    if "MaskedLM" in shapes or "PreTraining" in shapes:
        return "masked"
    return "next" if "CausalLM" in shapes or "LMHead" in shapes else "unknown"


def _splits(encoder: TextEncoder, texts: Sequence[str]) -> tuple[float, float]:
    """Tokens a word and the share unknown."""
    nothing = float("nan")
    if isinstance(encoder, LexicalEncoder):
        found = [term for text in texts for term in terms(text)]
        return nothing, sum(encoder.column(term) is None for term in found) / max(len(found), 1)
    tokenize = getattr(encoder, "tokenize", None) or getattr(encoder, "_tokenize", None)
    if tokenize is None:
        return nothing, nothing
    # Two tokens frame a text in most families; an unknown word is one token of its own, met by asking for one.
    empty, strange = tokenize([""])[0], tokenize(["\U00012000"])[0]
    unknown = [token for token in strange if token not in empty]
    ids = [token for text in tokenize(list(texts)) for token in text[1 : len(text) - 1]]
    words = sum(len(units(text)) for text in texts)
    return len(ids) / max(words, 1), sum(token in unknown for token in ids) / max(len(ids), 1)
