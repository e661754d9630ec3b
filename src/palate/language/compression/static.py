"""A table of vectors in place of a network: a text is the sum of what its words say.

After model2vec (Tulkens & van Dongen 2024): the teacher reads each word alone, and frequent words weigh less (smooth
inverse frequency, Arora et al. 2017). What words alone cannot say is then learnt from the catalogue's own texts: a
ridge regression moves the vectors, and those of neighbouring words as pairs, to where their sums are the teacher's.
Both steps are linear, so there is nothing to tune but how far vectors may move; texts held out decide that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import DataError, FloatArray, Settings
from palate.language.compression.table import PIECE, StaticEncoder, units
from palate.language.encoder import TextEncoder, unit_rows

Progress = Callable[[str, float], None]

_HELD_OUT = 0.1
_FEW = 50
"""Texts below which none are held out, and vectors are moved least."""


class StaticSettings(Settings):
    """Of static encoders.

    Parameters
    ----------
    dimension
        Leading directions of the teacher that are kept.
    max_words, max_pairs
        The most frequent words, and pairs of neighbouring words, with a vector of their own.
    min_pairs
        Texts a pair stands in at least.
    frequency
        Of a word at which it weighs half; ``a`` of smooth inverse frequency.
    stiffness
        How much it costs to move a vector from where the teacher put it; the best of these on held-out texts is taken.
    steps
        Of conjugate gradients.
    """

    dimension: int = Field(default=256, ge=1)
    max_words: int = Field(default=50_000, ge=1)
    max_pairs: int = Field(default=50_000, ge=0)
    min_pairs: int = Field(default=2, ge=1)
    frequency: float = Field(default=1e-3, gt=0)
    stiffness: tuple[float, ...] = (0.1, 0.03, 0.01)
    steps: int = Field(default=30, ge=1)
    seed: int = 0


@dataclass(frozen=True)
class Distilled:
    """A static encoder and how near it came.

    Parameters
    ----------
    held_out
        Mean cosine to the teacher of texts that nothing was learnt from; NaN where there were too few to hold out.
    stiffness
        What was chosen.
    """

    encoder: StaticEncoder
    held_out: float
    stiffness: float


def distil_static(
    teacher: TextEncoder,
    texts: Sequence[str],
    settings: StaticSettings | None = None,
    *,
    vocabulary: Iterable[str] = (),
    label: str = "static",
    progress: Progress | None = None,
) -> Distilled:
    """A static encoder taught by another.

    Parameters
    ----------
    texts
        The catalogue's own, from which words and pairs are taken and on which the vectors are fitted.
    vocabulary
        Words and continuations (``##ing``) that get a vector although no text has them: a tokenizer's.
    progress
        Hears what goes on and the share of it that is done.

    Raises
    ------
    DataError
        No text says anything.
    """
    settings = settings or StaticSettings()
    tell = progress or (lambda _what, _share: None)
    said = list(dict.fromkeys(text for text in texts if text and not text.isspace()))
    if not said:
        raise DataError("there is no text to learn a static encoder from")
    tell("the teacher reads the texts", 0.0)
    goals = teacher.encode(said)
    names = _vocabulary(said, vocabulary, settings)
    singles = [name for name in names if " " not in name]
    tell("the teacher reads the words", 0.3)
    alone = teacher.encode([name.removeprefix(PIECE) for name in singles])
    basis = _basis(goals, settings.dimension)
    start = np.zeros((len(names), basis.shape[1]), dtype=np.float32)
    start[: len(singles)] = alone @ basis
    blank = StaticEncoder.of(names, start, teacher.languages, label)
    counts, weights = _weights(blank, said, settings.frequency)
    design = _design(counts, weights)
    goals = goals @ basis
    tell("vectors move to where their sums are the teacher's", 0.6)
    chosen, held_out = _choose(design, goals, start, settings)
    moved = start + _moved(design, goals - design @ start, chosen, settings.steps)
    tell("done", 1.0)
    table = moved * weights[:, None]
    return Distilled(StaticEncoder.of(names, table, teacher.languages, label), held_out, chosen)


def _vocabulary(texts: Sequence[str], others: Iterable[str], settings: StaticSettings) -> list[str]:
    """Words of the texts, the most frequent first, then others not among them, then pairs."""
    words: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for text in texts:
        found = units(text)
        words.update(set(found))
        pairs.update({f"{first} {second}" for first, second in pairwise(found)})
    kept = [word for word, _ in _top(words, settings.max_words, 1)]
    letters = {letter for word in kept for letter in word}
    own = dict.fromkeys(kept)
    own.update(dict.fromkeys(name for name in others if name and " " not in name))
    own.update(dict.fromkeys(sorted(letters)))
    own.update(dict.fromkeys(sorted(PIECE + letter for letter in letters)))
    return [*own, *(pair for pair, _ in _top(pairs, settings.max_pairs, settings.min_pairs))]


def _top(counts: Counter[str], most: int, least: int) -> list[tuple[str, int]]:
    kept = [(name, count) for name, count in counts.items() if count >= least]
    return sorted(kept, key=lambda entry: (-entry[1], entry[0]))[:most]


def _basis(vectors: FloatArray, dimension: int) -> FloatArray:
    """Directions in which the teacher's vectors of the texts keep most of their inner products."""
    from palate.language.index import principal

    return principal(vectors, dimension)[1]


def _weights(encoder: StaticEncoder, texts: Sequence[str], frequency: float) -> tuple[sparse.csr_matrix, FloatArray]:
    """How often each text has each row of the table, and what a row weighs, ``a / (a + p)``."""
    counts = encoder.rows(texts)
    total = np.asarray(counts.sum(axis=0)).ravel()
    share = total / max(float(total.sum()), 1.0)
    return counts, (frequency / (frequency + share)).astype(np.float32)


def _design(counts: sparse.csr_matrix, weights: FloatArray) -> sparse.csr_matrix:
    """Weighted counts, each text's summing to 1."""
    weighted = counts.multiply(weights[None, :]).tocsr().astype(np.float32)
    total = np.asarray(weighted.sum(axis=1)).ravel()
    return sparse.diags(1 / np.maximum(total, 1e-12)).dot(weighted).tocsr().astype(np.float32)


def _choose(
    design: sparse.csr_matrix, goals: FloatArray, start: FloatArray, settings: StaticSettings
) -> tuple[float, float]:
    """The stiffness under which texts that were held out come nearest, and how near; by centred cosine."""
    n = design.shape[0]
    if n < _FEW:
        return max(settings.stiffness), float("nan")
    order = np.random.default_rng(settings.seed).permutation(n)
    out, kept = np.sort(order[: int(n * _HELD_OUT)]), np.sort(order[int(n * _HELD_OUT) :])
    mean = goals[kept].mean(axis=0)
    aims = unit_rows(goals[out] - mean)
    left = goals[kept] - design[kept] @ start
    found: list[tuple[float, float, float]] = []
    for stiffness in settings.stiffness:
        guess = unit_rows(design[out] @ (start + _moved(design[kept], left, stiffness, settings.steps)))
        apart = float((unit_rows(guess - mean) * aims).sum(axis=1).mean())
        found.append((apart, stiffness, float((guess * unit_rows(goals[out])).sum(axis=1).mean())))
    _, chosen, cosine = max(found)
    return chosen, cosine


def _moved(design: sparse.csr_matrix, left: FloatArray, stiffness: float, steps: int) -> FloatArray:
    """Ridge regression of what is left on the design, all directions at once, by conjugate gradients.

    Rare words stand in few texts, so their rows are scaled by the diagonal (Jacobi's preconditioner).
    """
    across = design.T.tocsr()
    scale = 1 / (np.asarray(design.multiply(design).sum(axis=0)).ravel() + stiffness).astype(np.float32)[:, None]
    moved = np.zeros((design.shape[1], left.shape[1]), dtype=np.float32)
    rest = across @ left
    along = scale * rest
    step = along.copy()
    power = (rest * along).sum(axis=0)
    for _ in range(steps):
        image = across @ (design @ step) + np.float32(stiffness) * step
        length = power / np.maximum((step * image).sum(axis=0), 1e-30)
        moved += length * step
        rest -= length * image
        along = scale * rest
        after = (rest * along).sum(axis=0)
        step = along + (after / np.maximum(power, 1e-30)) * step
        power = after
    return moved
