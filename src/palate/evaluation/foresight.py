"""A prediction report: bodies taught on the earlier part of the data, asked about the later part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.core import DataError
from palate.data import Dataset, time_quantile
from palate.language import TextEncoder
from palate.measure.intervals import Interval
from palate.measure.reporting import prediction_report
from palate.models.foreseeing.certainty import Certainty
from palate.models.foreseeing.occasions import occasions
from palate.models.foreseeing.settings import NextBehaviourSettings
from palate.models.next_behaviour import NextBehaviour

LEAST = 20
"""Occasions of the rarer outcome below which nothing is reported of a kind."""


@dataclass(frozen=True)
class KindReport:
    """How well one kind was foreseen.

    Parameters
    ----------
    body
        What foresaw it.
    occasions, happened
        How many were asked about, and on how many it happened.
    threshold
        From this probability on it counts as said to happen.
    measures
        By name, with intervals of 95 % (bootstrap over people).
    """

    kind: str
    body: str
    occasions: int
    happened: int
    threshold: float
    measures: dict[str, Interval]


def foresight_report(
    dataset: Dataset,
    encoder: TextEncoder,
    settings: NextBehaviourSettings,
    bodies: Sequence[str],
    share: float = 0.2,
) -> tuple[list[KindReport], list[str]]:
    """Reports of every kind and body, and what could not be reported, in words.

    A view is told apart from items drawn evenly, as many as the settings say, by the odds against such a draw.

    Parameters
    ----------
    share
        Share of events, the last in time, that is asked about and not learnt from.

    Raises
    ------
    DataError
        Some events have no time, or nothing can be foreseen.
    """
    if not dataset.has_times:
        raise DataError(
            "a prediction report asks about what came later, so every event needs a time. Give times "
            "(--columns timestamp=...)."
        )
    cut = time_quantile(dataset, 1 - share)
    earlier = dataset.only(dataset.events["time"].to_numpy() <= cut)
    reports, notes = [], dict[str, None]()
    for body in bodies:
        model = NextBehaviour(settings.model_copy(update={"body": body}), encoder).fit(earlier)
        notes.update(dict.fromkeys(model.notes))
        for kind in model.kinds:
            found = occasions(dataset, kind, settings, np.random.default_rng(settings.seed))
            asked = found.take(found.times > cut)
            happened = int(asked.happened.sum())
            if min(happened, len(asked) - happened) < LEAST:
                notes[f"{kind} is not reported: {happened:,} of {len(asked):,} later occasions"] = None
                continue
            own: Certainty = model.certainty(kind)
            probability, _, _ = own.bounds(model.occasion_odds(dataset, asked, kind))
            # The usual share, from what was learnt: likelier than usual counts as said to happen.
            threshold = model.usual(kind)
            measures = prediction_report(asked.happened, probability, asked.users, threshold=threshold)
            reports.append(KindReport(kind, model.body(kind), len(asked), happened, threshold, measures))
    return reports, list(notes)
