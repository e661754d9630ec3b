"""Is the whole engine better than each of its parts, and by how much for sure?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from palate.core import IntArray
from palate.evaluation.metrics import Columns
from palate.measure import compare, holm

MEASURES = ("ndcg@10", "recall@10", "hit@1", "mrr", "diversity@10", "novelty@10")


def comparisons(
    tables: Mapping[str, Columns], entry: str, best_single: str | None, users: IntArray, seed: int = 0
) -> list[dict[str, Any]]:
    """Paired comparison of one model with every other.

    The p of each measure is corrected for the number of models it is compared with (Holm).

    Returns
    -------
    A record for each other model and measure: ``model, baseline, best_single, measure, difference, ci95, relative,
    relative_ci95, p, p_holm``.
    """
    others = [name for name in tables if name != entry]
    if entry not in tables or not others:
        return []
    pairs = [(measure, name) for measure in MEASURES for name in others]
    ours = np.column_stack([tables[entry][measure] for measure, _ in pairs])
    theirs = np.column_stack([tables[name][measure] for measure, name in pairs])
    results = compare(ours, theirs, users, seed=seed)
    p_values = np.array([result.p for result in results]).reshape(len(MEASURES), -1)
    corrected = np.apply_along_axis(holm, 1, p_values)
    return [
        {
            "model": entry,
            "baseline": name,
            "best_single": name == best_single,
            "measure": measure,
            "difference": result.difference.estimate,
            "ci95": [result.difference.low, result.difference.high],
            "relative": result.relative.estimate,
            "relative_ci95": [result.relative.low, result.relative.high],
            "p": result.p,
            "p_holm": float(p),
        }
        for (measure, name), result, p in zip(pairs, results, corrected.ravel(), strict=True)
    ]


def headline(records: Sequence[Mapping[str, Any]], measure: str = "ndcg@10") -> Mapping[str, Any] | None:
    """The comparison with the best single collaborative model, None where there was none."""
    return next((record for record in records if record["best_single"] and record["measure"] == measure), None)
