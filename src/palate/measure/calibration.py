"""Whether a predicted probability means what it says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from palate.core import Float64Array, Int64Array


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of equal width; bins without predictions are left out.

    Parameters
    ----------
    predicted
        float64 (b,), mean probability of each bin.
    observed
        float64 (b,), share of positives.
    counts
        int64 (b,).
    """

    predicted: Float64Array
    observed: Float64Array
    counts: Int64Array

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of observed from predicted, weighted by count (Naeini et al. 2015)."""
        return float((np.abs(self.observed - self.predicted) * self.counts).sum() / self.counts.sum())


def reliability(truth: ArrayLike, probability: ArrayLike, bins: int = 10) -> Reliability:
    """The reliability table.

    Parameters
    ----------
    truth
        (n,), 0 or 1.
    probability
        (n,), 0 to 1.
    """
    y, p = np.asarray(truth, dtype=np.float64).ravel(), np.asarray(probability, dtype=np.float64).ravel()
    if len(y) != len(p) or not len(y):
        raise ValueError(f"{len(y)} true values for {len(p)} predictions; both need the same length, at least 1")
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    filled = counts > 0
    sums_p, sums_y = np.bincount(place, weights=p, minlength=bins), np.bincount(place, weights=y, minlength=bins)
    return Reliability(
        sums_p[filled] / counts[filled], sums_y[filled] / counts[filled], counts[filled].astype(np.int64)
    )


def expected_calibration_error(truth: ArrayLike, probability: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error over bins of equal width."""
    return reliability(truth, probability, bins).expected_calibration_error
