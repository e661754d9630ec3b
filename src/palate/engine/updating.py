"""What comes after training: new and changed items, and events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from palate.core import Grows, IntArray, Kinds, PalateError, Scorer
from palate.data import Catalogue, Dataset
from palate.data.validation import Checked, events_frame, items_frame, users_frame
from palate.engine.live import LiveEvent
from palate.engine.shelf import Shelf
from palate.language.completing import COLUMN


@dataclass(frozen=True)
class Changes:
    """What was given, validated as files are; None where nothing was.

    Parameters
    ----------
    events, items, users
        Canonical rows and those refused.
    """

    events: Checked | None
    items: Checked | None
    users: Checked | None

    @classmethod
    def of(cls, events: Any, items: Any, users: Any, kinds: Kinds) -> Changes:
        """Validate everything before anything is taken in.

        Raises
        ------
        DataError
            Something is no table of its kind.
        """
        return cls(
            events_frame(events, kinds) if _given(events) else None,
            items_frame(items) if _given(items) else None,
            users_frame(users) if _given(users) else None,
        )

    @property
    def n_items(self) -> int:
        return 0 if self.items is None else self.items.frame.height

    @property
    def n_users(self) -> int:
        return 0 if self.users is None else self.users.frame.height

    def refusals(self) -> list[dict[str, Any]]:
        """Rows that did not pass: ``line`` (from 1), ``reason``, ``row``."""
        given = (self.items, self.users, self.events)
        return [row for checked in given if checked is not None for row in checked.refusals()]


def with_items(
    shelf: Shelf, frame: pl.DataFrame, resting: Mapping[str, Scorer[Dataset]]
) -> tuple[Shelf, dict[str, Scorer[Dataset]]]:
    """A shelf with new and changed items beside the old one, which goes on as it was.

    Texts of changed items reach the models that read; what the ranker knows of a known item (popularity, price,
    category, brand) stays as it was trained, while rules and filters look at the new catalogue.

    Parameters
    ----------
    frame
        Validated items.
    resting
        Models as they are saved, which are not those of the shelf where those count live events.

    Returns
    -------
    The shelf, and the resting models, with the items.

    Raises
    ------
    PalateError
        A model cannot take them up; nothing changed.
    """
    try:
        catalogue = shelf.catalogue.extended(frame)
        changed = _changed(shelf.catalogue, catalogue, frame)
        pipeline = shelf.pipeline
        sources = {name: _extended(model, catalogue, changed) for name, model in pipeline.sources.items()}
        semantic: Any = sources.get("semantic")
        facts = pipeline.facts.extended(catalogue, None if semantic is None else semantic.item_vectors)
        grown = Shelf.of(catalogue, replace(pipeline, sources=sources, facts=facts), shelf.rules, shelf.judge)
        return grown, {name: _extended(model, catalogue, changed) for name, model in resting.items()}
    except Exception as error:
        raise PalateError(
            f"{frame.height} items could not be taken in ({error}); the engine goes on with the catalogue it had. "
            "Send them again, or train again with them."
        ) from error


def live_events(
    checked: Checked, catalogue: Catalogue, kinds: Kinds, mood: Callable[[Mapping[str, Any]], float]
) -> tuple[dict[str, list[LiveEvent]], int, list[dict[str, Any]]]:
    """Validated events as continuations of histories.

    Parameters
    ----------
    mood
        How content an event was, -1 to 1, NaN where it does not tell.

    Returns
    -------
    Events of interest by user; how many events were understood, those without interest included; the others, as
    mappings with ``line`` (from 1), ``reason`` and ``row``.
    """
    by_user: defaultdict[str, list[LiveEvent]] = defaultdict(list)
    rejected: list[dict[str, Any]] = []
    for place, row in zip(checked.rows.to_list(), checked.frame.iter_rows(named=True), strict=True):
        name = row["item_id"]
        if name is not None and name not in catalogue.ids:
            rejected.append({"line": place + 1, "reason": f"unknown item {name!r}", "row": row})
            continue
        kind = kinds.position(row["kind"])
        weight = float(kinds.weights[kind])
        if name is not None and weight > 0:
            time = float("nan") if row["timestamp"] is None else float(row["timestamp"])
            by_user[row["user_id"]].append(LiveEvent(catalogue.ids.get(name), time, kind, weight, mood(row)))
    return dict(by_user), checked.frame.height - len(rejected), rejected


def reactions(checked: Checked, catalogue: Catalogue) -> list[tuple[str, str]]:
    """Events about known items that react to a list, as pairs of recommendation id and kind."""
    frame = checked.frame
    if "recommendation_id" not in frame.columns:
        return []
    rows = frame.select("recommendation_id", "kind", "item_id").iter_rows()
    return [(name, kind) for name, kind, item in rows if name is not None and item in catalogue.ids]


def _given(rows: Any) -> bool:
    return rows is not None and len(rows) > 0


def _extended(model: Scorer[Dataset], catalogue: Catalogue, changed: IntArray) -> Scorer[Dataset]:
    """A model that serves the new catalogue, beside the old one: ``extend`` puts new arrays in place of old ones."""
    if not isinstance(model, Grows):
        return model
    own: Any = copy(model)
    own.extend(catalogue)
    if len(changed) and hasattr(own, "reread"):
        own.reread(catalogue, changed)
    extended: Scorer[Dataset] = own
    return extended


def _changed(before: Catalogue, after: Catalogue, frame: pl.DataFrame) -> IntArray:
    """Known items whose texts differ now; int32 positions."""
    given = before.ids.positions(frame["item_id"].to_list())
    known = np.unique(given[given >= 0])
    if not len(known):
        return known
    unread = {"item_id", COLUMN, "generated_by"}
    texts = [name for name, dtype in after.frame.schema.items() if dtype == pl.String and name not in unread]
    new = after.frame[known.tolist()].select(texts)
    old = before.frame[known.tolist()].select(
        pl.col(name).cast(pl.String, strict=False)
        if name in before.frame.columns
        else pl.lit(None, dtype=pl.String).alias(name)
        for name in texts
    )
    differs = np.zeros(len(known), dtype=bool)
    for name in texts:
        differs |= new[name].ne_missing(old[name]).to_numpy()
    return known[differs]
