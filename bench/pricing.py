"""Price policies against markets whose demand is known: share of the clairvoyant's revenue, regret, satisfaction.

python bench/pricing.py --json out/pricing.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palate.core.artefact import write_text
from palate.experiments.races import RaceSettings, race
from palate.pricing.demand import DemandSettings
from palate.pricing.settings import ObjectiveSettings, PolicySettings
from palate.simulation.market_settings import MARKETS

STEP = 50
"""Visitors between two looks at what was sold; more often changes little and takes longer."""

POLICIES: Mapping[str, PolicySettings] = {
    "greedy": PolicySettings(kind="greedy"),
    "thompson": PolicySettings(kind="thompson"),
    "ucb": PolicySettings(kind="ucb"),
}
WARY: Mapping[str, PolicySettings] = {"ucb-ends": PolicySettings(kind="ucb", ends=1.0)}
KIND: Mapping[str, PolicySettings] = {
    "ucb-kind": PolicySettings(kind="ucb", objective=ObjectiveSettings(satisfaction=0.2)),
}


@dataclass(frozen=True)
class Row:
    """A row of the table: a market, who races there, and over how many visits what was learnt fades."""

    market: str
    policies: Mapping[str, PolicySettings]
    memory: float | None = None


ROWS: Mapping[str, Row] = {
    "plain": Row("plain", {**POLICIES, **WARY}),
    "varied": Row("varied", {**POLICIES, **WARY}),
    "shifting": Row("shifting", POLICIES, memory=5_000.0),
    "diverse": Row("diverse", {**POLICIES, **KIND}),
    "rivals": Row("rivals", {"ucb": POLICIES["ucb"]}),
    "strategic": Row("strategic", {"ucb": POLICIES["ucb"]}),
    "unhappy": Row("unhappy", {"ucb": POLICIES["ucb"], **KIND}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help=f"rows, with commas: {', '.join(ROWS)}")
    parser.add_argument("--policies", default="", help="names of policies, with commas; all of a row where not given")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--first", type=int, default=0, help="the first seed; settings were chosen on seeds from 1000 on"
    )
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--informed", action="store_true", help="race also whoever learns for nothing, as a bound")
    parser.add_argument("--demand", default="{}", help="what is believed beforehand, as JSON; see DemandSettings")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    wanted = [part for part in arguments.only.split(",") if part] or list(ROWS)
    named = [part for part in arguments.policies.split(",") if part]
    for row_name in wanted:
        row, began = ROWS[row_name], time.process_time()
        races = race(
            MARKETS[row.market].model_copy(update={"rounds": arguments.rounds}),
            {name: policy for name, policy in row.policies.items() if not named or name in named},
            seeds=range(arguments.first, arguments.first + arguments.seeds),
            demand=DemandSettings.model_validate({"memory": row.memory, **json.loads(arguments.demand)}),
            race_settings=RaceSettings(step=STEP, informed=arguments.informed),
        )
        seconds = round(time.process_time() - began, 1)
        figures[row_name] = {"processor_seconds": seconds, "races": [one.as_json() for one in races]}
        for one in figures[row_name]["races"]:
            told = {key: round(value, 4) if isinstance(value, float) else value for key, value in one.items()}
            told.pop("regret")
            print(row_name, json.dumps(told), flush=True)
        if arguments.json:
            write_text(arguments.json, json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
