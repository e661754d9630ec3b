"""What an evaluation found, as a value, as JSON and as a page."""

from __future__ import annotations

import json
import math
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palate.core.artefact import write_text
from palate.evaluation.comparison import headline


@dataclass(frozen=True)
class Evaluation:
    """Figures of one protocol on one dataset.

    Parameters
    ----------
    protocol
        The label of every figure here.
    models
        Figures by model; the fused engine is ``palate``. ``ci95`` holds 95 % bootstrap intervals over users.
    seconds
        Wall time of ``load``, ``encode``, ``fit`` and ``rank``.
    best_single
        The best single collaborative model, by validation where there is one; None where none was asked.
    comparisons
        Paired comparisons of ``palate``, or else of the model named first, with the others, see
        ``palate.evaluation.comparison``.
    slices
        Figures for parts of the questions, see ``palate.evaluation.slices``.
    validation
        N@10 of each single model on (a sample of) the validation questions.
    tuning
        What was tried for each tuned model and what was chosen.
    pareto
        Accuracy weighed against other objectives, see ``palate.evaluation.pareto``; empty where that was not asked.
    cold
        Items held out of every fit, see ``palate.evaluation.cold``; empty where that was not asked.
    rules
        What goes with what in the baskets learnt from, see ``Rules.records``; empty where the data has no baskets.
    importance
        What the ranker of ``palate`` looks at, see ``Ranker.importance``; empty where it has none.
    geography
        Where the items asked for and learnt from lie, see ``palate.evaluation.maps``; empty without coordinates.
    """

    protocol: str
    preset: str
    seed: int
    dataset: Mapping[str, int]
    queries: int
    models: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]
    peak_rss_mb: float
    name: str = "data"
    seen: str = "mask"
    best_single: str | None = None
    comparisons: Sequence[Mapping[str, Any]] = ()
    slices: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
    tuning: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    rank_seconds: Mapping[str, float] = field(default_factory=dict)
    diversity: str = "category"
    pareto: Mapping[str, Any] = field(default_factory=dict)
    cold: Mapping[str, Any] = field(default_factory=dict)
    rules: Sequence[Mapping[str, Any]] = ()
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    geography: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values; a number that JSON does not have (infinity) becomes null."""
        values: dict[str, Any] = plain(
            {
                "protocol": self.protocol,
                "preset": self.preset,
                "seed": self.seed,
                "dataset": self.dataset,
                "queries": self.queries,
                "models": self.models,
                "seconds": self.seconds,
                "peak_rss_mb": self.peak_rss_mb,
                "data": self.name,
                "seen": self.seen,
                "best_single": self.best_single,
                "comparisons": self.comparisons,
                "slices": self.slices,
                "validation": self.validation,
                "tuning": self.tuning,
                "rank_seconds": self.rank_seconds,
                "diversity": self.diversity,
                "pareto": self.pareto,
                "cold": self.cold,
                "rules": self.rules,
                "importance": self.importance,
                "geography": self.geography,
                "notes": self.notes,
            }
        )
        return values

    @property
    def headline(self) -> Mapping[str, Any] | None:
        """Paired comparison of N@10 with the best single collaborative model."""
        return headline(self.comparisons)

    def write_json(self, path: str | Path) -> None:
        """Write the JSON, whole or not at all."""
        write_text(Path(path), json.dumps(self.as_json(), ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def write_html(self, path: str | Path, language: str = "en") -> None:
        """Write a page that needs nothing else: no network, no other file.

        Parameters
        ----------
        language
            ``"en"`` or ``"zh"``.
        """
        from palate.evaluation.report import page

        write_text(Path(path), page(self, language))


def peak_rss_mb() -> float:
    """The most memory this process has held so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0) if sys.platform == "darwin" else peak / 1024.0


def plain(value: Any) -> Any:
    """Values as JSON has them; infinity and what is no number become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int) or value is None:
        return value
    return [plain(entry) for entry in value]
