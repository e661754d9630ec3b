"""Teaching what attracts: sources fitted on the past are asked about what people looked at after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from palate.core import Queries, Scorer
from palate.core.ids import id_hash
from palate.data import Dataset, time_quantile
from palate.data.splits import asked_from
from palate.ranking.attractiveness import Attractiveness, AttractivenessSettings, judged_by, learn_attractiveness
from palate.ranking.facts import ItemFacts
from palate.ranking.pipeline import Pipeline
from palate.ranking.reactions import Habits, Reactions

Teach = Callable[[Dataset, tuple[str, ...]], Mapping[str, Scorer[Dataset]]]
"""Fits sources, by name, on a dataset."""


def teach_attractiveness(
    dataset: Dataset,
    finished: Pipeline,
    teach: Teach,
    facts_of: Callable[[Dataset], ItemFacts],
    *,
    settings: AttractivenessSettings,
    seed: int,
    notes: list[str],
    progress: Callable[[float], None],
) -> Attractiveness | None:
    """What judges generated items; None where the data does not teach it, and ``notes`` say why.

    The cut is one in time. Everybody's last events would not do: people who take something leave more events behind,
    so that looks at what was not taken crowd the end of a history, whatever the true share is.

    Parameters
    ----------
    finished
        The engine's own ranking, whose sources it will ask.
    facts_of
        Gives the facts of another dataset as the ranking's own are made.
    """
    if not settings.learn:
        return None
    if not dataset.has_times:
        notes.append("nothing judges how attractive items are: events have no times, so nothing lies after anything")
        return None
    moment = time_quantile(dataset, 1 - settings.held)
    times = dataset.events["time"].to_numpy()
    everything = Reactions.of(dataset)
    held = everything.take(times[everything.rows] > moment)
    likes = int(held.liked.sum())
    if min(likes, len(held) - likes) < settings.least:
        notes.append(f"nothing judges how attractive items are: {likes} of {len(held)} late reactions are likes")
        return None
    drawn = np.random.default_rng([seed, id_hash("reactions") % 2**32])
    held = held.take(np.sort(drawn.permutation(len(held))[: settings.reactions]))
    past = dataset.only(times <= moment)
    names = tuple(judged_by(finished).sources)
    facts = facts_of(past)
    earlier = judged_by(replace(finished, sources=teach(past, names), facts=facts))
    groups = facts.categories[:, 0]
    queries = Queries(held.histories(dataset), mask_seen=False, when=times[held.rows])
    judge = learn_attractiveness(
        earlier,
        Habits.of(Reactions.of(past), groups, settings.strength),
        asked_from(dataset, queries, held.rows),
        held.items,
        liked=held.liked,
        users=held.users,
        order=held.order,
        settings=settings,
        seed=seed,
        progress=progress,
    )
    notes.append(f"attractiveness: {held.liked.mean():.1%} of {len(held):,} looks were likes; {judge.calibrator.kind}")
    # What it judges by is counted over everything, once it is taught.
    return replace(judge, habits=Habits.of(everything, groups, settings.strength))
