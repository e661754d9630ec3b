"""Demand that goes on learning: asks from the log of decisions, sales from the event log, joined when old enough.

A turn reads on where the last one stopped, and where it stopped is written down with what was learnt: nothing counts
twice, nothing is kept in memory, and a server that starts again goes on. Whatever is believed then is a version of its
own, so that decisions of every time can be done again by the belief of theirs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

import numpy as np
import polars as pl

from palate.core import Float64Array, FloatArray
from palate.data.event_log import EventLog, Row
from palate.data.log_table import log_table
from palate.pricing.beliefs import first_demand, prune, read_demand, write_demand
from palate.pricing.configuration import PricingSettings
from palate.pricing.decisions import Decision, DecisionLog
from palate.pricing.demand import LogitDemand

_HOUR = 3_600.0
_ROWS_A_TURN = 4
_PRUNED_EVERY = 100
"""Turns that learnt something between two looks for versions that no decision names any more."""

_SOLD = {
    "kind": ("$.kind", pl.String),
    "item": ("$.item_id", pl.String),
    "timestamp": ("$.timestamp", pl.Float64),
    "answer": ("$.recommendation_id", pl.String),
}
_logger = logging.getLogger("palate.pricing")


@dataclass(frozen=True)
class Asks:
    """n prices that were asked, and what became of them.

    Parameters
    ----------
    features
        float32 (n, f), as the decisions saw them.
    relative
        float64 (n,), shares of the list price.
    bought
        float32 (n,), 0 or 1.
    """

    features: FloatArray
    relative: Float64Array
    bought: FloatArray


class Learner:
    """Learns demand from what a shop decided and sold. Used by one thread at a time.

    Parameters
    ----------
    log
        Of decisions.
    events
        The event log, which holds what was bought.
    folder
        Where what was learnt is kept.
    versions
        Where each belief that ever priced is kept; those that no decision names any more go.
    told
        Hears of each new belief, before the next turn.
    clock
        Seconds since 1970 UTC.

    Raises
    ------
    ArtefactError
        What was learnt before is damaged.
    """

    def __init__(
        self,
        settings: PricingSettings,
        log: DecisionLog,
        events: EventLog,
        *,
        folder: Path,
        versions: Path,
        told: Callable[[LogitDemand], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._log, self._events = settings, log, events
        self._folder, self._versions, self._told, self._clock = folder, versions, told, clock
        before, self._seq = learnt_before(settings, folder)
        self._demand = first_demand(settings) if before is None else before
        self._turns = 0

    @property
    def seconds(self) -> float:
        """Between two turns."""
        return self._settings.learning.seconds

    def turn(self) -> int:
        """Learn from what is old enough by now; returns how many asks."""
        settings = self._settings.learning
        horizon = self._clock() - settings.window_hours * _HOUR
        self._log.log.flush()
        new = takewhile(lambda row: row.time <= horizon, self._log.log.replay(("price",), after=self._seq))
        rows = list(_gently(islice(new, settings.most)))
        if not rows:
            return 0
        asked = _lines(rows, self._demand.names)
        self._events.flush()
        asks = outcomes(asked, self._sales(rows[0].time), settings.window_hours * _HOUR)
        self._seq = rows[-1].seq
        if asks is None:
            _logger.info(
                "%d prices were asked and nothing was bought at all; demand learns nothing from that", len(rows)
            )
        else:
            self._demand = self._demand.learn(asks.features, asks.relative, asks.bought)
        write_demand(self._folder, self._demand, seq=self._seq)
        if asks is None:
            return 0
        self._told(self._demand)
        self._turns += 1
        if self._turns % _PRUNED_EVERY == 0:
            prune(self._versions, {rules.model for rules in self._log.rules().values()})
        return len(asks.bought)

    def _sales(self, since: float) -> pl.DataFrame:
        """``person``, ``item``, ``time``, ``answer`` of what was bought since a time."""
        rows = log_table(self._events, "event", _SOLD, since=since)
        bought = rows.filter(pl.col("kind") == self._settings.learning.kind, pl.col("item").is_not_null())
        when = pl.coalesce("timestamp", "written").alias("time")
        return bought.select(pl.col("subject").alias("person"), "item", when, "answer")


def learnt_before(settings: PricingSettings, folder: Path) -> tuple[LogitDemand | None, int]:
    """What was learnt of these inputs, None where nothing was, and up to which row of the decisions.

    Raises
    ------
    ArtefactError
        It is damaged.
    """
    found, manifest = read_demand(folder)
    if found is None or found.names != tuple(each.name for each in settings.inputs):
        return None, 0
    return found, int(manifest.get("seq", 0))


def outcomes(asked: pl.DataFrame, sales: pl.DataFrame, window: float) -> Asks | None:
    """What became of prices that were asked; None where nothing was bought at all, which says that sales are not told.

    A sale belongs to the decision it names, else to the latest ask of the same thing by the same person within the
    window. Of asks that led to nothing only the latest of a person and a thing counts: who looks three times has
    decided once.

    Parameters
    ----------
    asked
        ``decision``, ``person``, ``item``, ``time``, ``relative``, ``features``.
    sales
        ``person``, ``item``, ``time``, ``answer``.
    window
        Seconds.
    """
    if not sales.height or not asked.height:
        return None
    asked = asked.sort("time", maintain_order=True).with_row_index("row")
    named = sales.join(
        asked.select("row", "item", "decision"), left_on=["answer", "item"], right_on=["decision", "item"]
    )
    others = sales.filter(~pl.col("answer").is_in(asked["decision"].implode()).fill_null(False)).sort("time")
    latest = others.join_asof(
        asked.select("row", "person", "item", "time"),
        on="time",
        by=["person", "item"],
        strategy="backward",
        tolerance=window,
        check_sortedness=False,
    ).drop_nulls("row")
    bought = pl.concat([named["row"], latest["row"]]).unique()
    told = asked.with_columns(bought=pl.col("row").is_in(bought.implode()))
    last = pl.col("row") == pl.col("row").max().over("person", "item")
    told = told.filter(pl.col("bought") | last)
    width = len(told["features"][0])
    features = told["features"].explode().to_numpy().reshape(-1, width) if width else np.zeros((told.height, 0))
    return Asks(
        features.astype(np.float32),
        told["relative"].to_numpy().astype(np.float64),
        told["bought"].to_numpy().astype(np.float32),
    )


def _lines(rows: list[Row], names: tuple[str, ...]) -> pl.DataFrame:
    """The prices of decisions over these inputs that somebody named was asked.

    Whether somebody unnamed bought is not known, and what rested on erased data is gone.
    """
    told: dict[str, list[object]] = {name: [] for name in _ASKED}
    for row in _gently(rows):
        decision = Decision.read(row)
        if decision.erased or not row.subject or decision.case.names != names:
            continue
        relative = decision.outcome.price / decision.case.rails.list_price
        for place in np.flatnonzero(np.isfinite(relative)).tolist():
            values = (row.id, row.subject, decision.items[place], row.time, relative[place])
            for name, value in zip(_ASKED, (*values, decision.case.features[place].tolist()), strict=True):
                told[name].append(value)
    return pl.DataFrame(told, schema=_ASKED)


_ASKED: dict[str, pl.DataType | type[pl.DataType]] = {
    "decision": pl.String,
    "person": pl.String,
    "item": pl.String,
    "time": pl.Float64,
    "relative": pl.Float64,
    "features": pl.List(pl.Float32),
}


def _gently(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows, with the interpreter's lock offered to whoever answers questions meanwhile."""
    for place, row in enumerate(rows):
        if place % _ROWS_A_TURN == 0:
            time.sleep(0)
        yield row
