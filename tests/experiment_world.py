"""A shop whose people answer to arms as told: real logs and a real journal, and a clock that stands until moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from palate.data.event_log import Entry, EventLog
from palate.experiments.assignment import Allocation, deal
from palate.experiments.definition import Experiment, Parameters, Policy, told_experiment
from palate.experiments.exposures import ExposureLog, ExposureSettings
from palate.experiments.loop import Loop
from palate.experiments.store import DAY, Experiments
from palate.privacy import Vault

START = 1_800_000_000.0


def declared(name: str = "novel", **changes: Any) -> Experiment:
    """Lists as they are against novel ones, judged by conversion with satisfaction as a guard-rail."""
    plan = {
        "planned_units": 2_000,
        "metrics": ["conversion", {"name": "satisfaction", "role": "guard-rail", "margin": 0.05}],
        **changes.pop("plan", {}),
    }
    novel = {"name": "novel", "parameters": {"mix": {"objectives": {"accuracy": 0.8, "novelty": 0.2}}}}
    return told_experiment({"name": name, "arms": [{"name": "today"}, novel], "plan": plan, **changes}, "test")


class Served:
    """Something that serves, and remembers what it was told."""

    def __init__(self) -> None:
        self.policies: list[Policy] = []
        self.refusal = ""

    def refuses(self, parameters: Parameters) -> str:
        return self.refusal

    def apply(self, policy: Policy) -> None:
        self.policies.append(policy)


class World:
    """A folder of experiments, and people who come."""

    def __init__(self, folder: Path, settings: ExposureSettings | None = None) -> None:
        self.now = START
        self.vault = Vault(folder / "vault.sqlite")
        self.events = EventLog(folder / "events.sqlite", self.vault, clock=self.clock)
        self.store = Experiments(folder / "experiments", self.vault, clock=self.clock)
        self.exposures = ExposureLog(folder / "experiments", self.vault, settings, clock=self.clock)
        self.served = Served()
        self.loop = Loop(self.store, self.exposures, self.events, self.served)
        self._people = 0

    def clock(self) -> float:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += days * DAY

    def people_come(
        self,
        name: str,
        n: int,
        buys: Mapping[str, float],
        content: Mapping[str, float],
        *,
        seed: int = 0,
        allocation: Allocation | None = None,
    ) -> None:
        """n new people, each exposed to their arm, who buy and rate as it makes them; chance and mean by arm."""
        generator = np.random.default_rng(seed)
        allocation = allocation or self.store.of(name).experiment.allocation()
        entries = []
        for number in range(self._people, self._people + n):
            dealt = deal(allocation, {"user": f"u{number}"})
            assert dealt is not None
            arm, unit = allocation.arms[dealt.arm], f"p_{number}"
            assert self.exposures.expose(name, unit, arm, subject=unit)
            rating = float(np.clip(np.round(generator.normal(content[arm], 0.7)), 1, 5))
            told = [{"kind": "rating", "value": rating}]
            if generator.random() < buys[arm]:
                told.append({"kind": "purchase", "price": 10.0})
            for row, own in enumerate(told):
                body = {"item_id": "i1", "timestamp": self.now + 60.0, **own}
                entries.append(Entry("event", f"e{number}-{row}", unit, body))
        self._people += n
        self.events.commit(entries).result()

    def close(self) -> None:
        self.exposures.close()
        self.store.close()
        self.events.close()
        self.vault.close()


@contextmanager
def world(folder: Path, settings: ExposureSettings | None = None) -> Iterator[World]:
    """A world, closed at the end."""
    own = World(folder, settings)
    try:
        yield own
    finally:
        own.close()
