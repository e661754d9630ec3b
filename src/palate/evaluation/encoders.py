"""Encoders side by side on one's own data: size, speed, and how well what reads alike foretells what comes next."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from palate.core import Float64Array, FloatArray, Settings, UsageError
from palate.data import Dataset, Fold, hold_out_last
from palate.language import CachedEncoder, TextEncoder, VectorCache, item_texts, unit_rows
from palate.measure import Interval, accuracy, compare
from palate.models.semantic import Semantic

Progress = Callable[[str, float], None]

_QUESTIONS_AT_ONCE = 1024
_WARM = 16


class ProbeSettings(Settings):
    """Of the comparison of encoders.

    Parameters
    ----------
    questions
        Users whose last event is asked for, drawn by seed; 0 asks all.
    timed_texts
        Texts that every encoder reads for the clock, in parts, in turns.
    parts
        How often the encoders take turns.
    single_texts
        Texts encoded alone, for latency.
    threads
        Of the processor, for every encoder.
    """

    questions: int = 2000
    timed_texts: int = 512
    parts: int = 4
    single_texts: int = 100
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Contestant:
    """An encoder to be measured: what to call it, itself, and the bytes it takes."""

    label: str
    encoder: TextEncoder
    bytes: int


@dataclass(frozen=True)
class Probe:
    """An encoder as measured.

    Parameters
    ----------
    texts_per_second
        By the processor's clock, which a busy machine does not stop; median of the turns.
    p50, p99
        Milliseconds of one text alone, by the wall's clock.
    agreement
        Correlation of its cosines between pairs of texts with those of the first contestant.
    cosine
        Mean cosine of its vectors with the first contestant's; NaN where they differ in length.
    ndcg
        Of each question, N@10 of the semantic model; float64 (n,).
    """

    label: str
    name: str
    bytes: int
    dimension: int
    texts_per_second: float
    p50: float
    p99: float
    agreement: float
    cosine: float
    ndcg: Float64Array

    @property
    def quality(self) -> float:
        """Mean N@10."""
        return float(self.ndcg.mean())

    def as_json(self) -> dict[str, object]:
        """Plain numbers, None where one is not known."""
        return {
            "encoder": self.label,
            "name": self.name,
            "bytes": self.bytes,
            "dimension": self.dimension,
            "texts_per_second": self.texts_per_second,
            "milliseconds": {"p50": self.p50, "p99": self.p99},
            "agreement": None if math.isnan(self.agreement) else self.agreement,
            "cosine": None if math.isnan(self.cosine) else self.cosine,
            "ndcg@10": self.quality,
        }


def inner_questions(dataset: Dataset, settings: ProbeSettings | None = None) -> Fold:
    """The last event of a sample of users as questions, over what lies before it.

    Raises
    ------
    UsageError
        The catalogue has no text, or nobody has two events.
    """
    settings = settings or ProbeSettings()
    if not dataset.catalogue.has_text:
        raise UsageError("the items have neither titles nor descriptions, so there is nothing for an encoder to read.")
    fold = hold_out_last(dataset, minimum=3)
    fold = fold if len(fold) else hold_out_last(dataset)
    if not len(fold):
        raise UsageError("nobody has two events, so there is no next item to foretell; the probe needs some who have.")
    if not settings.questions or len(fold) <= settings.questions:
        return fold
    rows = np.random.default_rng(settings.seed).choice(len(fold), settings.questions, replace=False)
    return fold.take(np.sort(rows).astype(np.int32))


def probe_encoders(
    contestants: Sequence[Contestant],
    fold: Fold,
    settings: ProbeSettings | None = None,
    *,
    cache: VectorCache | None = None,
    progress: Progress | None = None,
) -> list[Probe]:
    """Measure encoders on the same texts and questions, in turns; the first is what the others are compared with.

    Parameters
    ----------
    cache
        Where vectors of the catalogue are remembered; the clock never looks there.
    """
    settings = settings or ProbeSettings()
    tell = progress or (lambda _what, _share: None)
    texts = item_texts(fold.dataset.catalogue)
    said = [text for text in dict.fromkeys(texts) if text and not text.isspace()]
    sample = [said[i] for i in np.random.default_rng(settings.seed).permutation(len(said))[: settings.timed_texts]]
    with _threads(settings.threads):
        tell("clock", 0.0)
        rates = _rates(contestants, sample, settings.parts)
        latencies = {one.label: _latencies(one.encoder, sample[: settings.single_texts]) for one in contestants}
        vectors: dict[str, FloatArray] = {}
        ndcg: dict[str, Float64Array] = {}
        for number, one in enumerate(contestants):
            tell(one.label, 0.2 + 0.8 * number / len(contestants))
            ndcg[one.label] = _quality(CachedEncoder(one.encoder, cache), fold)
            vectors[one.label] = one.encoder.encode(sample)
    tell("done", 1.0)
    first = vectors[contestants[0].label]
    return [
        Probe(
            one.label,
            one.encoder.name,
            one.bytes,
            one.encoder.dimension,
            rates[one.label],
            *latencies[one.label],
            _agreement(first, vectors[one.label]),
            _cosine(first, vectors[one.label]),
            ndcg[one.label],
        )
        for one in contestants
    ]


def within(probes: Sequence[Probe], floor: float) -> Probe:
    """The quickest of those that keep at least the share ``floor`` of the first one's N@10.

    The first is always among them.
    """
    least = floor * probes[0].quality
    return max((probe for probe in probes if probe.quality >= least), key=lambda probe: probe.texts_per_second)


def change(probe: Probe, first: Probe, seed: int = 0) -> Interval | None:
    """The relative difference in N@10 to the first, with its paired 95 % interval; None where the first has none."""
    return compare(probe.ndcg, first.ndcg, seed=seed)[0].relative if first.quality else None


def recommended(probes: Sequence[Probe], seed: int = 0) -> tuple[Probe, list[Probe]]:
    """The quickest encoder that is not measurably worse than the best, and those that are not.

    Not measurably worse: the 95 % interval of the paired difference in N@10 holds zero.
    """
    best = max(probes, key=lambda probe: probe.quality)
    even = [probe for probe in probes if probe is best or _even(probe, best, seed)]
    return max(even, key=lambda probe: probe.texts_per_second), even


def _even(probe: Probe, best: Probe, seed: int) -> bool:
    return compare(probe.ndcg, best.ndcg, seed=seed)[0].difference.high >= 0


def _rates(contestants: Sequence[Contestant], texts: Sequence[str], parts: int) -> Mapping[str, float]:
    """Texts a second of each, median over parts that all read in turns."""
    size = max(1, len(texts) // parts)
    rates: dict[str, list[float]] = {one.label: [] for one in contestants}
    for one in contestants:
        one.encoder.encode(texts[:_WARM])
    for number in range(parts):
        part = texts[number * size : (number + 1) * size]
        for one in list(contestants)[:: 1 if number % 2 else -1]:
            repeats, started = 0, time.process_time()
            # A table of vectors is through a part before the clock ticks twice.
            while not repeats or time.process_time() - started < 0.05:
                one.encoder.encode(part)
                repeats += 1
            rates[one.label].append(len(part) * repeats / (time.process_time() - started))
    return {label: float(np.median(found)) for label, found in rates.items()}


def _latencies(encoder: TextEncoder, texts: Sequence[str]) -> tuple[float, float]:
    times = []
    for text in texts:
        started = time.perf_counter()
        encoder.encode([text])
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times)), float(np.quantile(times, 0.99))


def _quality(encoder: TextEncoder, fold: Fold) -> Float64Array:
    """N@10 of every question by the semantic model alone; float64 (n,)."""
    model = Semantic(None, encoder).fit(fold.dataset)
    found = []
    for start in range(0, len(fold), _QUESTIONS_AT_ONCE):
        part = fold.take(slice(start, start + _QUESTIONS_AT_ONCE))
        items = model.recommend(part.queries).items
        found.append(accuracy(items, part.targets, (10,))["ndcg@10"])
    return np.concatenate(found)


def _cosine(first: FloatArray, second: FloatArray) -> float:
    if first.shape != second.shape:
        return float("nan")
    return float((first * second).sum(axis=1).mean())


def _agreement(first: FloatArray, second: FloatArray) -> float:
    """Correlation of cosines over all pairs of texts."""
    pairs = np.triu_indices(len(first), 1)
    one, other = (unit_rows(vectors) @ unit_rows(vectors).T for vectors in (first, second))
    if not len(pairs[0]) or not one[pairs].std() or not other[pairs].std():
        return float("nan")
    return float(np.corrcoef(one[pairs], other[pairs])[0, 1])


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads for arithmetic, torch's among it, for a while."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        torch.set_num_threads(before)
