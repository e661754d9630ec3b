"""Who was exposed to what, and when: one row a unit and arm, however often it was shown.

An event log of its own: an exposure's id is experiment, unit and arm, so that showing it again writes nothing, and a
unit that was seen in two arms shows as such. It remembers where people were put, too (sticky buckets).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import polars as pl
from pydantic import Field

from palate.core import Settings
from palate.data.event_log import Entry, EventLog, EventLogSettings, LogFullError
from palate.data.log_table import log_table
from palate.privacy import Vault

FILE = "exposures.sqlite"
_FIELDS = {
    "experiment": ("$.experiment", pl.String),
    "unit": ("$.unit", pl.String),
    "arm": ("$.arm", pl.String),
    "time": ("$.time", pl.Float64),
}


class ExposureSettings(Settings):
    """How much is remembered of exposures.

    Parameters
    ----------
    most_units
        Of one experiment; whoever comes after them takes no part, and how many they were is told.
    max_rows
        Of all experiments together; the oldest go first.
    remembered
        Units whose arm is held in memory; others are looked up.
    """

    most_units: Annotated[int, Field(ge=1)] = 5_000_000
    max_rows: Annotated[int, Field(ge=1)] = 20_000_000
    remembered: Annotated[int, Field(ge=1)] = 200_000


class ExposureLog:
    """Exposures to the experiments of one shop. Safe to use from many threads.

    Parameters
    ----------
    folder
        Made where missing.
    clock
        Seconds since 1970 UTC.
    """

    def __init__(
        self,
        folder: str | Path,
        vault: Vault,
        settings: ExposureSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or ExposureSettings()
        kept = EventLogSettings(max_rows=self.settings.max_rows)
        self.log = EventLog(Path(folder) / FILE, vault, tenant="exposures", settings=kept, clock=clock)
        self._clock = clock
        self.turned_away: dict[str, int] = {}
        self._lock = threading.Lock()
        self._arms: OrderedDict[tuple[str, str], str | None] = OrderedDict()
        self._reader = sqlite3.connect(self.log.path, check_same_thread=False, isolation_level=None, timeout=30)
        self._reader.execute("PRAGMA query_only=ON")
        self._counts = {
            str(name): int(count)
            for name, count in self._reader.execute(
                "SELECT json_extract(body, '$.experiment'), count(*) FROM log WHERE tenant = ? GROUP BY 1",
                (self.log.tenant,),
            )
        }

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.log.close()
        self._reader.close()

    def arm_of(self, experiment: str, unit: str) -> str | None:
        """The arm that a unit was exposed to first; None where it was to none."""
        key = (experiment, unit)
        with self._lock:
            if key in self._arms:
                self._arms.move_to_end(key)
                return self._arms[key]
            found = self._reader.execute(
                # Ids of one unit stand side by side in the index of ids.
                "SELECT json_extract(body, '$.arm') FROM log "
                "WHERE tenant = ? AND sort = 'event' AND id >= ? AND id < ? ORDER BY seq LIMIT 1",
                (self.log.tenant, f"{experiment}/{unit}\x1f", f"{experiment}/{unit}\x20"),
            ).fetchone()
            arm = None if found is None else str(found[0])
            self._remember(key, arm)
            return arm

    def expose(self, experiment: str, unit: str, arm: str, *, subject: str = "", answer: str = "") -> bool:
        """A unit sees an arm. Returns False where there is no room for it; it then takes no part.

        Parameters
        ----------
        unit
            A pseudonym, or an item and its slot.
        subject
            The pseudonym of the person it is about, "" for nobody.
        answer
            The id of the answer it was first seen in.
        """
        before = self.arm_of(experiment, unit)
        if before == arm:
            return True
        with self._lock:
            if before is None and self._counts.get(experiment, 0) >= self.settings.most_units:
                self.turned_away[experiment] = self.turned_away.get(experiment, 0) + 1
                return False
            body = {"experiment": experiment, "unit": unit, "arm": arm, "time": self._clock(), "answer": answer}
            try:
                self.log.record(Entry("event", f"{experiment}/{unit}\x1f{arm}", subject, body))
            except LogFullError:
                self.turned_away[experiment] = self.turned_away.get(experiment, 0) + 1
                return False
            self._counts[experiment] = self._counts.get(experiment, 0) + 1
            self._remember((experiment, unit), before or arm)
            return True

    def count(self, experiment: str) -> int:
        """Exposures to an experiment."""
        return self._counts.get(experiment, 0)

    def table(self, experiment: str) -> pl.DataFrame:
        """``unit``, ``arm`` and ``time`` (seconds since 1970 UTC) of every exposure to an experiment."""
        self.log.flush()
        rows = log_table(self.log, "event", _FIELDS)
        return rows.filter(pl.col("experiment") == experiment).select("unit", "arm", "time")

    def _remember(self, key: tuple[str, str], arm: str | None) -> None:
        self._arms[key] = arm
        self._arms.move_to_end(key)
        while len(self._arms) > self.settings.remembered:
            self._arms.popitem(last=False)
