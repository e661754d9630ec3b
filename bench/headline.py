"""The headline: palate's strategy against the best single collaborative model, several gains at once.

For each data set the engine is fitted once with its defaults, the best single collaborative model is tuned, and the
weighting of objectives whose smallest gain is the largest share of its goal is chosen on validation questions. Its
lists and the single model's then answer the test once. Every goal of a data set is a check of its own, all of them of
one and the same lists. Distances between items: share of categories not in common, and cosine distance of the frozen
language model's vectors. The demo shop knows how content people truly are with what a list shows::

    python bench/headline.py ../shared/data --preset fast

What is fitted is kept in a folder, and so is the outcome of every study: a second run goes on where the first stopped,
and prints at once what is known. Remove the folder to measure again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from palate.core import Float64Array, FloatArray, IntArray
from palate.core.artefact import MANIFEST, Artefact, read, write, write_text
from palate.data import Dataset, Fold
from palate.engine import Engine
from palate.engine.settings import PRESETS
from palate.evaluation.answers import Answers, by_scores
from palate.evaluation.contenders import SINGLE, gather
from palate.evaluation.goals import choose_weighting, weightings
from palate.evaluation.metrics import LIST, Columns, Yardstick, of_the_run, per_question
from palate.evaluation.pareto import lists_of
from palate.evaluation.protocols import Trial, plan
from palate.evaluation.running import best_single
from palate.evaluation.tuning import MEASURE
from palate.language.verbalise import item_texts
from palate.measure import compare, list_ranks, reciprocal
from palate.simulation import ShopSettings, Truth, make_shop, write_shop

ACCURACY, CATEGORY, VECTOR = f"ndcg@{LIST}", f"diversity_category@{LIST}", f"diversity_vector@{LIST}"
SATISFACTION = f"satisfaction@{LIST}"


QUESTIONS = 6_000
"""Validation questions that weights are chosen by, drawn by seed where there are more."""


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


@dataclass(frozen=True)
class Run:
    """What one run of this script was told."""

    folders: Path
    preset: str
    seed: int
    kept: Path
    cells: Path | None

    def folder(self, study: Study) -> Path:
        return self.kept / f"{study.name}.{study.protocol}.{self.preset}.{self.seed}"


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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path)
    parser.add_argument("--preset", choices=list(PRESETS), default="balanced")
    parser.add_argument("--only", nargs="+", choices=[study.name for study in STUDIES])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("out/headline"), help="engines, single models, outcomes")
    parser.add_argument("--cells", type=Path, help="what bench/results.py kept: single models tuned there stay so")
    options = parser.parse_args()
    run = Run(options.folders, options.preset, options.seed, options.kept, options.cells)
    checks = []
    for study in STUDIES:
        if options.only is not None and study.name not in options.only:
            continue
        outcome = run.folder(study) / "outcome.json"
        if not outcome.is_file():
            write_text(outcome, json.dumps(measured(study, run), indent=1))
        found = json.loads(outcome.read_text(encoding="utf-8"))
        show(study, found)
        checks += found["checks"]
    passed = sum(check["passed"] for check in checks)
    print(f"headline: {passed} passed, {len(checks) - passed} failed")


def measured(study: Study, run: Run) -> dict[str, Any]:
    """Fit, choose on validation, answer the test once."""
    started = perf_counter()
    dataset, content = loaded(study, run)
    trial = plan(dataset, study.protocol)
    assert trial.validation is not None
    engine = engine_of(trial, run, run.folder(study) / "engine")
    single = single_of(trial, engine, run, run.folder(study) / "single", tuned_before(study, run.cells))
    print(f"{study.name}: engine and single model at hand after {perf_counter() - started:.0f} s", file=sys.stderr)
    ground = Ground(dataset, trial.learnt, read_plainly(engine, dataset), content)
    asked, theirs = drawn(trial.validation, single.validation, run.seed)
    reference = ground.columns(theirs, asked)
    goals = {name: goal for name, goal in study.goals.items() if name in reference}
    chosen, tried = choose_weighting(
        engine,
        asked,
        lambda lists: ground.columns(lists, asked),
        reference=reference,
        goals=goals,
        points=weightings(content=bool(len(engine.pipeline.facts.contentment))),
    )
    ours = lists_of(engine, trial.test, [chosen.objectives], None)[0]
    left, right = ground.columns(ours, trial.test), ground.columns(single.test, trial.test)
    checks = []
    for name, goal in goals.items():
        outcome = compare(left[name], right[name], trial.test.users, seed=run.seed)[0].relative
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
        "single": single.name,
        "settings": single.settings,
        "weights": chosen.objectives.described(),
        "on_validation": dict(chosen.gains),
        "accuracy_alone": tried[0].gains[ACCURACY],
        "tried": [{"weights": own.objectives.described(), **own.gains} for own in tried],
        "checks": checks,
        "coverage": {
            "single": of_the_run(answers(single.test), dataset.n_items)[f"coverage@{LIST}"],
            "palate": of_the_run(answers(ours), dataset.n_items)[f"coverage@{LIST}"],
        },
        "queries": len(trial.test),
        "seconds": round(perf_counter() - started),
    }


def drawn(fold: Fold, lists: IntArray, seed: int) -> tuple[Fold, IntArray]:
    """Questions that weights are chosen by, with the single model's lists."""
    if len(fold) <= QUESTIONS:
        return fold, lists
    rows = np.sort(np.random.default_rng(seed).permutation(len(fold))[:QUESTIONS]).astype(np.int32)
    return fold.take(rows), lists[rows]


def engine_of(trial: Trial, run: Run, folder: Path) -> Engine:
    """The engine taught as the protocol allows, kept in a folder."""
    if not (folder / MANIFEST).is_file():
        told: dict[str, Any] = {"validation": trial.validation, "inner": trial.inner}
        Engine.fit(trial.train, preset=run.preset, seed=run.seed, **told).save(folder)
    return Engine.load(folder)


@dataclass(frozen=True)
class Single:
    """The best single collaborative model: its name, its settings, its lists int32 (n, 10)."""

    name: str
    settings: Mapping[str, Any]
    validation: IntArray
    test: IntArray


def single_of(
    trial: Trial, engine: Engine, run: Run, folder: Path, known: tuple[str, Mapping[str, Any]] | None
) -> Single:
    """The best single model by validation, each tuned, or one that is known already; its lists kept in a folder."""
    if not (folder / MANIFEST).is_file():
        if known is not None:
            name, told = known
            plain = SINGLE[name]().settings
            model = SINGLE[name](type(plain).model_validate(told)).fit(trial.train)
        else:
            contenders = gather(
                trial,
                None,
                preset=run.preset,
                seed=run.seed,
                tuned=True,
                fit_engine=lambda *_, **__: engine,
                classes=SINGLE,
            )
            best, _ = best_single(contenders, {})
            assert best is not None
            name, model = best, contenders.singles[best]
        assert trial.validation is not None
        lists = {
            part: by_scores(model.score, fold, name).items[:, :LIST]
            for part, fold in (("validation", trial.validation), ("test", trial.test))
        }
        write(
            Artefact("single", {"name": name, "settings": model.settings.model_dump(mode="json")}, {"lists": lists}),
            folder,
        )
    kept = read(folder, "single")
    told, answered = kept.manifest, kept.arrays["lists"]
    return Single(told["name"], told["settings"], answered["validation"], answered["test"])


def tuned_before(study: Study, cells: Path | None) -> tuple[str, Mapping[str, Any]] | None:
    """Name and settings of the best single model of all cells of the same data and protocol; None: no such cell."""
    found: list[tuple[float, str, Mapping[str, Any]]] = []
    for path in sorted(cells.glob(f"{study.name}.{study.protocol}.*.json")) if cells is not None else ():
        result = json.loads(path.read_text(encoding="utf-8")).get("result") or {}
        name = str(result.get("best_single"))
        found += [(float(entry[MEASURE]), name, entry["settings"]) for entry in result.get("tuning", {}).get(name, ())]
    if not found:
        return None
    _, name, settings = max(found, key=lambda entry: entry[0])
    return name, settings


def loaded(study: Study, run: Run) -> tuple[Dataset, Contentment | None]:
    """The data, and the truth where it is known."""
    if not study.demo:
        return Dataset.load(run.folders / study.name), None
    shop = make_shop(ShopSettings(), run.seed)
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
        f"  on validation {', '.join(f'{name} {gain:+.1%}' for name, gain in found['on_validation'].items())}; "
        f"with accuracy alone {found['accuracy_alone']:+.1%}\n"
        f"  coverage@{LIST} {cover['single']:.3f} -> {cover['palate']:.3f}; {found['queries']:,} questions, "
        f"{found['seconds']} s"
    )


if __name__ == "__main__":
    main()
