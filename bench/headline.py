"""The headline: palate's strategy against the best single collaborative model, several gains at once.

For each data set the engine is fitted once with its defaults, the best single collaborative model is tuned, and the
weighting of objectives whose smallest gain is the largest share of its goal is chosen on validation questions. Its
lists and the single model's then answer the test once. Every goal of a data set is a check of its own, all of them of
one and the same lists. Distances between items: share of categories not in common, and cosine distance of the frozen
language model's vectors. The demo shop knows how content people truly are with what a list shows::

    python bench/headline.py ../shared/data --preset fast --json out/headline.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from palate.core import Float64Array, FloatArray, IntArray
from palate.core.artefact import write_text
from palate.data import Dataset, Fold
from palate.engine import Engine
from palate.engine.settings import PRESETS
from palate.evaluation.answers import Answers, by_scores
from palate.evaluation.contenders import SINGLE, gather
from palate.evaluation.goals import choose_weighting
from palate.evaluation.metrics import LIST, Columns, Yardstick, of_the_run, per_question
from palate.evaluation.pareto import lists_of
from palate.evaluation.protocols import plan
from palate.evaluation.running import best_single
from palate.language.verbalise import item_texts
from palate.measure import compare, list_ranks, reciprocal
from palate.simulation import ShopSettings, Truth, make_shop, write_shop

ACCURACY, CATEGORY, VECTOR = f"ndcg@{LIST}", f"diversity_category@{LIST}", f"diversity_vector@{LIST}"
SATISFACTION = f"satisfaction@{LIST}"


@dataclass(frozen=True)
class Study:
    """A data set, the protocol it is asked under, and the relative gains asked for."""

    name: str
    protocol: str
    goals: Mapping[str, float]
    why: str
    demo: bool = False


_BOTH = {ACCURACY: 0.20, CATEGORY: 0.20, VECTOR: 0.20}
STUDIES = (
    Study("beauty", "loo-strict", _BOTH, "headline"),
    Study("scientific", "loo-strict", _BOTH, "headline"),
    Study("phones", "temporal", _BOTH, "headline, a later time"),
    Study("demo", "loo-strict", {**_BOTH, ACCURACY: 0.15, SATISFACTION: 0.10}, "headline, known truth", demo=True),
    Study("ml-100k", "temporal", {**_BOTH, ACCURACY: 0.15}, "another domain, a later time"),
)


@dataclass
class Contentment:
    """How content people truly are with the items of a list, at their prices; the demo shop's own truth."""

    truth: Truth
    users: IntArray
    items: IntArray

    @classmethod
    def of(cls, truth: Truth, dataset: Dataset, users: Any, items: Any) -> Contentment:
        rows = {name: row for row, name in enumerate(users["user_id"].to_list())}
        places = {name: row for row, name in enumerate(items["item_id"].to_list())}
        return cls(
            truth,
            np.array([rows[name] for name in dataset.user_ids.names], dtype=np.int32),
            np.array([places[name] for name in dataset.item_ids.names], dtype=np.int32),
        )

    def __call__(self, lists: IntArray, users: IntArray) -> Float64Array:
        content = self.truth.satisfaction(self.users[users][:, None], self.items[np.maximum(lists, 0)])
        return np.asarray(np.where(lists >= 0, content, 0).sum(axis=1) / np.maximum((lists >= 0).sum(axis=1), 1))


@dataclass
class Ground:
    """What lists of one study are measured with."""

    dataset: Dataset
    learnt: Dataset
    vectors: FloatArray | None
    content: Contentment | None = None

    def columns(self, lists: IntArray, fold: Fold) -> Columns:
        answers = Answers(lists, reciprocal(list_ranks(lists, fold.targets)))
        found = per_question(answers, Yardstick(self.learnt, fold.targets, fold.users, self.vectors))
        return found if self.content is None else {**found, SATISFACTION: self.content(lists, fold.users)}

    def means(self, lists: IntArray, fold: Fold) -> dict[str, float]:
        return {name: float(column.mean()) for name, column in self.columns(lists, fold).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path)
    parser.add_argument("--preset", choices=list(PRESETS), default="balanced")
    parser.add_argument("--only", nargs="+", choices=[study.name for study in STUDIES])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="kept after every study; what it holds is not measured again")
    options = parser.parse_args()
    done: dict[str, Any] = {}
    if options.json is not None and options.json.is_file():
        done = json.loads(options.json.read_text(encoding="utf-8"))
    for study in STUDIES:
        key = f"{study.name}.{study.protocol}.{options.preset}.{options.seed}"
        if options.only is not None and study.name not in options.only:
            continue
        if key not in done:
            done[key] = measured(study, options.folders, options.preset, options.seed)
            if options.json is not None:
                write_text(options.json, json.dumps(done, indent=1))
        show(study, done[key])
    checks = [check for found in done.values() for check in found["checks"]]
    passed = sum(check["passed"] for check in checks)
    print(f"headline: {passed} passed, {len(checks) - passed} failed")


def measured(study: Study, folders: Path, preset: str, seed: int) -> dict[str, Any]:
    """Fit, choose on validation, answer the test once."""
    started = perf_counter()
    dataset, content = loaded(study, folders, seed)
    trial = plan(dataset, study.protocol)
    assert trial.validation is not None
    contenders = gather(trial, None, tuned=True, preset=preset, seed=seed, classes=SINGLE, fit_engine=Engine.fit)
    engine: Any = contenders.engine
    ground = Ground(dataset, trial.learnt, read_plainly(engine, dataset), content)
    best, _ = best_single(contenders, {})
    assert best is not None
    single = contenders.singles[best].score

    def lists_by_single(fold: Fold) -> IntArray:
        return by_scores(single, fold, best).items[:, :LIST]

    reference = ground.means(lists_by_single(trial.validation), trial.validation)
    goals = {name: goal for name, goal in study.goals.items() if name in reference}
    validation = trial.validation
    chosen = choose_weighting(
        engine, validation, lambda lists: ground.means(lists, validation), reference=reference, goals=goals
    )
    theirs = lists_by_single(trial.test)
    ours = lists_of(engine, trial.test, [chosen.objectives], None)[0]
    left, right = ground.columns(ours, trial.test), ground.columns(theirs, trial.test)
    checks = []
    for name, goal in goals.items():
        outcome = compare(left[name], right[name], trial.test.users, seed=seed)[0].relative
        checks.append(
            {
                "measure": name,
                "single": float(right[name].mean()),
                "palate": float(left[name].mean()),
                "gain": outcome.estimate,
                "ci95": [outcome.low, outcome.high],
                "goal": goal,
                "passed": outcome.estimate >= goal,
            }
        )
    return {
        "why": study.why,
        "single": best,
        "weights": chosen.objectives.described(),
        "on_validation": dict(chosen.gains),
        "checks": checks,
        "coverage": {
            "single": of_the_run(answers(theirs), dataset.n_items)[f"coverage@{LIST}"],
            "palate": of_the_run(answers(ours), dataset.n_items)[f"coverage@{LIST}"],
        },
        "queries": len(trial.test),
        "seconds": round(perf_counter() - started),
    }


def loaded(study: Study, folders: Path, seed: int) -> tuple[Dataset, Contentment | None]:
    """The data, and the truth where it is known."""
    if not study.demo:
        return Dataset.load(folders / study.name), None
    shop = make_shop(ShopSettings(), seed)
    with TemporaryDirectory() as folder:
        write_shop(shop, Path(folder))
        dataset = Dataset.load(Path(folder))
    return dataset, Contentment.of(shop.truth, dataset, shop.users, shop.items)


def read_plainly(engine: Any, dataset: Dataset) -> FloatArray | None:
    """What the frozen language model makes of the items' texts; None where there are none."""
    encoder = engine.assembled.encoder
    return None if encoder is None else encoder.encode(item_texts(dataset.catalogue))


def answers(lists: IntArray) -> Answers:
    return Answers(lists, np.zeros(len(lists)))


def show(study: Study, found: Mapping[str, Any]) -> None:
    """A study in a few lines."""
    print(f"\n{study.name}, {study.protocol} ({found['why']}), against {found['single']}; weights {found['weights']}")
    for check in found["checks"]:
        low, high = check["ci95"]
        verdict = "passed" if check["passed"] else "failed"
        print(
            f"  {check['measure']:24} {check['single']:.4f} -> {check['palate']:.4f}  {check['gain']:+.1%} "
            f"({low:+.1%} to {high:+.1%}), goal {check['goal']:+.0%}: {verdict}"
        )
    cover = found["coverage"]
    print(
        f"  coverage@{LIST} {cover['single']:.3f} -> {cover['palate']:.3f}; {found['queries']:,} questions, "
        f"{found['seconds']} s"
    )


if __name__ == "__main__":
    main()
