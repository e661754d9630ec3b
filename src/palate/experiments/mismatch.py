"""Sample-ratio mismatch: whether the arms have the units they should have, asked before anything is shown.

Arms are drawn by known shares, so counts that do not fit them mean that units got lost or were counted twice, and such
losses are seldom alike in all arms: whatever is compared then is no experiment any more. The test may be read every day
(Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022): under the shares its evidence
is a martingale, exactly and from the first unit on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from palate.core import Float64Array, UsageError

PLANNED_WEIGHT = 0.9
"""Weight of the part of the mixture that is sharpest at the planned end; the rest finds gross mismatches early."""

COARSE = (1e2, 1e3, 1e4)
"""Concentrations of the other parts: mismatches that a hundred, a thousand or ten thousand units tell."""

_SHARE_OF_PLAN = 1.0 / 8.0
"""Concentration of the first part as a share of the planned units, the inverse of ``scale`` of confidence sequences."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What the counts say.

    Parameters
    ----------
    counts
        Units by arm.
    expected
        Units by arm that the shares let expect.
    p
        That may be read at every look; the gate goes by it.
    p_once
        Of the chi-squared test, right for a single look.
    """

    counts: Mapping[str, int]
    expected: Mapping[str, float]
    p: float
    p_once: float

    def found(self, alpha: float) -> bool:
        """Whether the arms' sizes are not what they should be."""
        return self.p <= alpha


def mismatch(counts: Mapping[str, int], shares: Mapping[str, float], planned_units: int) -> Mismatch:
    """Compare units by arm with the shares they were drawn by.

    Parameters
    ----------
    shares
        Of each arm, above 0; they need not add up to 1.
    planned_units
        Of all arms together; the test is sharpest there.

    Raises
    ------
    UsageError
        Arms and shares do not have the same names, a share is not above 0, or there is only one arm.
    """
    if set(counts) != set(shares):
        raise UsageError(
            f"units of the arms {', '.join(sorted(counts)) or '(none)'}, shares of {', '.join(sorted(shares))}: "
            "name every arm with its share"
        )
    if len(shares) < 2 or min(shares.values()) <= 0:
        raise UsageError("an experiment has two arms at least, each with a share above 0")
    arms = list(shares)
    odds = np.array([shares[arm] for arm in arms], dtype=np.float64)
    odds /= odds.sum()
    observed = np.array([counts[arm] for arm in arms], dtype=np.float64)
    n = float(observed.sum())
    expected = odds * n
    once = float(stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(arms) - 1)) if n else 1.0
    return Mismatch(
        dict(counts),
        dict(zip(arms, expected.tolist(), strict=True)),
        float(any_time_p(observed[None, :], odds, planned_units)[0]),
        once,
    )


def any_time_p(counts: Float64Array, odds: Float64Array, planned_units: int) -> Float64Array:
    """p of n sets of counts (n, arms) against odds (arms,) that add up to 1; float64 (n,)."""
    parts = [max(planned_units * _SHARE_OF_PLAN, 1.0), *COARSE]
    weights = [PLANNED_WEIGHT, *([(1.0 - PLANNED_WEIGHT) / len(COARSE)] * len(COARSE))]
    evidence = [np.log(weight) + _evidence(counts, odds, part) for weight, part in zip(weights, parts, strict=True)]
    return np.asarray(np.exp(-np.maximum(np.logaddexp.reduce(evidence), 0.0)))


def _evidence(counts: Float64Array, odds: Float64Array, concentration: float) -> Float64Array:
    """Logarithm of the Bayes factor of Dirichlet-spread shares against the exact ones."""
    prior = concentration * odds
    return np.asarray(
        special.gammaln(concentration)
        - special.gammaln(concentration + counts.sum(axis=1))
        + (special.gammaln(prior + counts) - special.gammaln(prior) - counts * np.log(odds)).sum(axis=1)
    )
