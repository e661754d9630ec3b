"""The ways to make an encoder smaller, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from palate.core import DataError, Settings, UsageError
from palate.language.compression.pruning import PruningSettings, prune, prune_by_magnitude
from palate.language.compression.quantised import QuantisedSettings, quantise
from palate.language.compression.saved import Compressed
from palate.language.compression.static import StaticSettings, distil_static
from palate.language.compression.student import StudentSettings, distil_student
from palate.language.compression.table import pieces_of
from palate.language.compression.trunk import Trunk, read_trunk
from palate.language.encoder import TextEncoder
from palate.language.registry import load_encoder

METHODS = ("bf16", "int8", "int8-static", "magnitude", "pruned", "student", "static")

Progress = Callable[[str, float], None]


class CompressionSettings(Settings):
    """Of every method."""

    quantised: QuantisedSettings = QuantisedSettings()
    pruning: PruningSettings = PruningSettings()
    student: StudentSettings = StudentSettings()
    static: StaticSettings = StaticSettings()


@dataclass(frozen=True)
class Made:
    """What a method made.

    Parameters
    ----------
    held_out
        Mean cosine to the teacher on texts that nothing was learnt from; NaN where the method learns from none, or had
        too few.
    """

    method: str
    what: Compressed
    held_out: float = float("nan")

    def encoder(self) -> TextEncoder:
        """What it made, as an encoder."""
        return self.what.encoder() if isinstance(self.what, Trunk) else self.what


def compress(
    name: str,
    method: str,
    texts: Sequence[str],
    settings: CompressionSettings | None = None,
    *,
    teacher: TextEncoder | None = None,
    progress: Progress | None = None,
) -> Made:
    """An encoder made smaller.

    Parameters
    ----------
    name
        ``minilm``, a folder or a hub name.
    method
        One of ``METHODS``.
    texts
        The catalogue's own.
    teacher
        The encoder of that name where it is at hand (one that remembers vectors, say); loaded where None.

    Raises
    ------
    UsageError
        There is no such method.
    DataError
        The encoder cannot be had, its family is not one the method takes apart, or there is no text.
    """
    settings = settings or CompressionSettings()
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}; there are {', '.join(METHODS)}")
    if method == "static":
        pieces, label = _pieces(name)
        teacher = teacher or load_encoder(name, texts)
        found = distil_static(
            teacher, texts, settings.static, vocabulary=pieces, label=f"{label}-static", progress=progress
        )
        return Made(method, found.encoder, found.held_out)
    trunk = read_trunk(name)
    match method:
        case "int8" | "int8-static":
            scales = "static" if method == "int8-static" else "dynamic"
            return Made(method, quantise(trunk, texts, settings.quantised.model_copy(update={"scales": scales})))
        case "magnitude":
            return Made(method, prune_by_magnitude(trunk, settings.pruning))
        case "pruned":
            return Made(method, prune(trunk, texts, settings.pruning))
        case "student":
            taught = distil_student(trunk, texts, settings.student, progress)
            return Made(method, taught.trunk, taught.held_out)
    return Made(method, trunk.written_as("bf16"))


def _pieces(name: str) -> tuple[list[str], str]:
    """The words of a tokenizer where it is WordPiece, and what to call what is made."""
    try:
        trunk = read_trunk(name)
    except DataError:
        return [], name.rstrip("/").rpartition("/")[2]
    return pieces_of(trunk.tokenizer), trunk.label
