"""What a setting or a source changes: the same engine taught several ways, asked the same questions, paired.

Every source is fitted once and shared; rankers are taught for each arm, once a seed. The first arm is what the others
are compared with. A setting of an arm is written ``name=value``, a source more ``sources=+name``::

    python bench/paired.py ../shared/data/beauty --preset balanced --arm plain --arm taught sources=+semantic_tuned
    python bench/paired.py demo/shop --arm plain --arm foreseen sources=+next_behaviour --json out/next_behaviour.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from palate.core import Float64Array, Scorer
from palate.core.artefact import write_text
from palate.core.space import changed
from palate.data import Dataset
from palate.engine import Engine
from palate.engine.assembly import assemble, fit_model, reader
from palate.engine.settings import PRESETS, EngineSettings
from palate.evaluation.answers import by_lists
from palate.evaluation.protocols import plan
from palate.measure import accuracy, compare

MEASURES = ("ndcg@10", "recall@10")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arm", action="append", nargs="+", required=True, metavar=("NAME", "SETTING"))
    parser.add_argument("--preset", choices=list(PRESETS), default="fast")
    parser.add_argument("--sources", nargs="+", help="of every arm, in place of the preset's")
    parser.add_argument("--protocol", choices=["loo-strict", "temporal"], default="loo-strict")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--validation", action="store_true", help="measure on validation questions, not on the test")
    parser.add_argument("--timed", action="store_true", help="only events whose time is known")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    dataset = Dataset.load(options.folder)
    if options.timed:
        dataset = dataset.only(~np.isnan(dataset.events["time"].to_numpy()))
    base = EngineSettings.preset(options.preset)
    if options.sources:
        base = base.model_copy(update={"sources": tuple(options.sources)})
    arms = {name: told(base, own) for name, *own in options.arm}
    found = {
        "data": options.folder.name,
        "preset": options.preset,
        "sources": list(base.sources),
        **measured(dataset, arms, options.protocol, options.seeds, on_validation=options.validation),
    }
    print(json.dumps(found, indent=1))
    if options.json is not None:
        write_text(options.json, json.dumps(found, indent=1))


def told(base: EngineSettings, own: Sequence[str]) -> EngineSettings:
    """The settings of an arm."""
    settings = base
    for one in own:
        name, _, text = one.partition("=")
        if name == "sources":
            added = text.removeprefix("+")
            settings = settings.model_copy(update={"sources": (*settings.sources, added)})
        else:
            settings = changed(settings, {name: json.loads(text)})
    return settings


def measured(
    data: Dataset, arms: Mapping[str, EngineSettings], protocol: str, seeds: Sequence[int], *, on_validation: bool
) -> dict[str, Any]:
    """N@10 and R@10 of each arm, means over seeds, its paired difference to the first, and seconds."""
    trial = plan(data, protocol)
    asked = trial.validation if on_validation else trial.test
    assert asked is not None
    encoder = reader(trial.train, next(iter(arms.values())), [])
    fitted: dict[tuple[str, str, str], Scorer[Dataset]] = {}
    of_source: dict[str, float] = {}

    def fit(name: str, settings: EngineSettings, encoder: Any, dataset: Dataset, **going_on: Any) -> Scorer[Dataset]:
        key = name, getattr(settings.models, name).model_dump_json(), dataset.fingerprint
        if key not in fitted:
            started = perf_counter()
            fitted[key] = fit_model(name, settings, encoder, dataset, **going_on)
            of_source[name] = of_source.get(name, 0.0) + perf_counter() - started
        return fitted[key]

    columns: dict[str, list[Mapping[str, Float64Array]]] = {name: [] for name in arms}
    seconds = dict.fromkeys(arms, 0.0)
    importance: dict[str, Any] = {}
    for seed in seeds:
        for name, settings in arms.items():
            before = sum(of_source.values())
            started = perf_counter()
            assembled = assemble(
                trial.train,
                settings,
                seed=seed,
                encoder=encoder,
                fit=fit,
                inner=trial.inner,
                validation=None if on_validation else trial.validation,
            )
            seconds[name] += perf_counter() - started - (sum(of_source.values()) - before)
            answers = by_lists(Engine(trial.train, settings, assembled).rank, asked, name)
            columns[name].append(accuracy(answers.items, asked.targets))
            importance[name] = {
                feature: round(own["share"], 4) for feature, own in assembled.pipeline.describe()["importance"].items()
            }
    first = next(iter(arms))
    found: dict[str, Any] = {
        "protocol": trial.name,
        "seeds": list(seeds),
        "questions": "validation" if on_validation else "test",
        "queries": len(asked),
        "seconds_of_sources": {name: round(own, 1) for name, own in of_source.items()},
        "arms": {},
    }
    for name in arms:
        means = {measure: np.mean([own[measure] for own in columns[name]], axis=0) for measure in MEASURES}
        entry: dict[str, Any] = {"seconds_without_sources": round(seconds[name] / len(seeds), 1)}
        for measure in MEASURES:
            entry[measure] = float(means[measure].mean())
            if name != first:
                before_it = np.mean([own[measure] for own in columns[first]], axis=0)
                outcome = compare(means[measure], before_it, asked.users, seed=0)[0]
                relative = outcome.relative
                entry[f"{measure} against {first}"] = [relative.estimate, relative.low, relative.high, outcome.p]
        entry["importance"] = importance[name]
        found["arms"][name] = entry
    return found


if __name__ == "__main__":
    main()
