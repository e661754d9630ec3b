"""Is the whole engine better than each of its parts, and by how much for sure?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from palate.core import IntArray
from palate.evaluation.metrics import Columns
from palate.measure import compare, holm

MEASURES = ("ndcg@10", "recall@10", "mrr", "diversity@10", "novelty@10")


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
    records: list[dict[str, Any]] = []
    for measure in MEASURES:
        theirs = np.column_stack([tables[name][measure] for name in others])
        ours = np.repeat(tables[entry][measure][:, None], len(others), axis=1)
        results = compare(ours, theirs, users, seed=seed)
        corrected = holm([result.p for result in results])
        for name, result, p in zip(others, results, corrected, strict=True):
            records.append(
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
            )
    return records


def headline(records: Sequence[Mapping[str, Any]], measure: str = "ndcg@10") -> Mapping[str, Any] | None:
    """The comparison with the best single collaborative model, None where there was none."""
    return next((record for record in records if record["best_single"] and record["measure"] == measure), None)
