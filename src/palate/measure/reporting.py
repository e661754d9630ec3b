"""A prediction report: every figure of predicted probabilities, with an interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from palate.core import Float64Array, IntArray
from palate.measure.calibration import expected_calibration_error
from palate.measure.intervals import LEVEL, Interval, bounds
from palate.measure.prediction import auc, decisions, log_loss

RESAMPLES = 200

MEASURES = ("accuracy", "precision", "recall", "f1", "auc", "log_loss", "calibration_error")


def prediction_report(
    truth: ArrayLike,
    probability: ArrayLike,
    groups: IntArray,
    *,
    threshold: float = 0.5,
    samples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """The measures by name, with bootstrap intervals over groups.

    Parameters
    ----------
    truth
        (n,), 0 or 1; both must be there.
    probability
        (n,), 0 to 1.
    groups
        int32 (n,), the user of each; users are resampled whole.
    threshold
        From here on something is said to happen: for accuracy, precision, recall and F1.

    Raises
    ------
    ValueError
        Only one outcome is there.
    """
    y, p = np.asarray(truth, dtype=np.float64).ravel(), np.asarray(probability, dtype=np.float64).ravel()
    own = _figures(y, p, threshold)
    rows = resampled(np.asarray(groups), samples, seed)
    drawn = [_figures(y[part], p[part], threshold) for part in rows if 0 < y[part].sum() < len(part)]
    low, high = bounds(np.stack(drawn), level) if drawn else (own, own)
    return {name: Interval(float(own[i]), float(low[i]), float(high[i])) for i, name in enumerate(MEASURES)}


def difference(
    measure: Callable[[Float64Array, Float64Array], float],
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: IntArray,
    *,
    samples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """A measure of the first probabilities less that of the second, on the same occasions; resampled together."""
    y, a, b = (np.asarray(values, dtype=np.float64).ravel() for values in (truth, first, second))
    rows = [part for part in resampled(np.asarray(groups), samples, seed) if 0 < y[part].sum() < len(part)]
    drawn = np.array([[measure(y[part], a[part]) - measure(y[part], b[part])] for part in rows])
    low, high = bounds(drawn, level)
    return Interval(measure(y, a) - measure(y, b), float(low[0]), float(high[0]))


def resampled(groups: IntArray, samples: int, seed: int) -> list[IntArray]:
    """Rows of each replicate: as many groups as there are, drawn with replacement, each whole."""
    _, place = np.unique(groups, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(int(place.max(initial=-1)) + 2))
    rng = np.random.default_rng(seed)
    n, answer = len(starts) - 1, []
    for _ in range(samples):
        drawn = rng.integers(0, n, n)
        lengths = starts[drawn + 1] - starts[drawn]
        first = np.repeat(starts[drawn] - np.cumsum(lengths) + lengths, lengths)
        answer.append(order[first + np.arange(lengths.sum())])
    return answer


def _figures(truth: Float64Array, probability: Float64Array, threshold: float) -> Float64Array:
    said = decisions(truth, probability, threshold)
    return np.array(
        [
            said.accuracy,
            said.precision,
            said.recall,
            said.f1,
            auc(truth, probability),
            log_loss(truth, probability),
            expected_calibration_error(truth, probability),
        ]
    )
