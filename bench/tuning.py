"""A language model that was taught a shop against the one that was not: the semantic model alone, and the whole engine.

    python bench/tuning.py ../shared/data/scientific --out out/tuned --json tuning.json

Protocol `loo-strict`. The encoder learns from the protocol's training part alone, without everybody's newest event in
it, which decides when to end; validation and test are never looked at. Frozen and tuned answer the same questions in
one run. `--engine fast` fits the engine of a preset with either too. `--speed` times steps in fp32 and bf16, in turns.

    python bench/tuning.py ../shared/data/scientific --kinds --out out/kinds --json kinds.json

holds the ways to let a trunk learn against each other on few lessons: the same pairs of one item and the next, the same
steps, a linear head alone on top; N@10 of the semantic model on the test questions, processor seconds, weights taught.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from palate.core import Float64Array
from palate.core.artefact import write_text
from palate.core.space import changed
from palate.data import Dataset, Fold
from palate.evaluation.protocols import Trial, plan
from palate.language import CachedEncoder, TextEncoder, VectorCache, load_encoder
from palate.language.tuning.settings import AdaptSettings
from palate.language.tuning.shop import adapt
from palate.measure import compare, mean_interval
from palate.models.semantic import Semantic


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="where the tuned encoder goes")
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of AdaptSettings")
    parser.add_argument("--engine", metavar="PRESET", help="fit this preset with either encoder too")
    parser.add_argument("--ready", action="store_true", help="measure the encoder that is there already")
    parser.add_argument("--speed", action="store_true", help="time steps in fp32 and bf16 instead")
    parser.add_argument("--kinds", action="store_true", help="every method on few lessons, side by side, instead")
    parser.add_argument("--pairs", type=int, default=1500, help="lessons of --kinds")
    parser.add_argument("--steps", type=int, default=200, help="steps of --kinds, about")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    settings = AdaptSettings()
    for given in arguments.set:
        name, _, value = given.partition("=")
        settings = changed(settings, {name: value})
    trial = plan(Dataset.load(arguments.folder), "loo-strict")
    if arguments.speed:
        result = speed(trial.train, settings)
    elif arguments.kinds:
        result = kinds(trial, settings, arguments.out, arguments.pairs, arguments.steps)
    else:
        result = measured(trial, settings, arguments.out, arguments.ready, arguments.engine)
    text = json.dumps({"data": arguments.folder.name, "protocol": "loo-strict", **result}, indent=2)
    sys.stdout.write(text + "\n")
    if arguments.json:
        write_text(arguments.json, text)
    return 0


def measured(trial: Trial, settings: AdaptSettings, out: Path, ready: bool, preset: str | None) -> dict[str, Any]:
    """Taught, and measured beside the frozen one."""
    result: dict[str, Any] = {"settings": settings.model_dump(mode="json")}
    if not ready:
        started, spent = time.perf_counter(), time.process_time()
        adapted = adapt(trial.train, settings, heard)
        result["seconds"] = {"wall": time.perf_counter() - started, "processor": time.process_time() - spent}
        result["inner"] = {"before": adapted.before, "after": adapted.after, "epochs": adapted.course.history}
        adapted.save(out)
    encoders: dict[str, TextEncoder] = {
        "frozen": CachedEncoder(load_encoder(settings.model), VectorCache()),
        "tuned": load_encoder(str(out)),
    }
    models = {name: Semantic(None, encoder).fit(trial.train) for name, encoder in encoders.items()}
    for part, fold in (("validation", trial.validation), ("test", trial.test)):
        if fold is not None:
            result[part] = beside({name: gains(model, fold) for name, model in models.items()})
    if preset is not None:
        result["engine"] = engines(trial, settings.model, out, preset)
    return result


def heard(what: str, share: float) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{share:.0%} {what}\n")


def gains(model: Any, fold: Fold) -> Float64Array:
    """N@10 of each question, one target each."""
    lists = model.recommend(fold.queries).items
    hit = lists == fold.targets.values[:, None]
    return np.asarray((hit / np.log2(np.arange(lists.shape[1]) + 2.0)).sum(axis=1))


def beside(each: dict[str, Float64Array]) -> dict[str, Any]:
    """Means with intervals, and the paired difference."""
    found: dict[str, Any] = {}
    for name, values in each.items():
        interval = mean_interval(values)
        found[name] = {"ndcg@10": float(values.mean()), "low": interval.low, "high": interval.high}
    frozen, tuned = each["frozen"], each["tuned"]
    compared = compare(tuned[:, None], frozen[:, None])[0]
    found["gain"] = {
        "estimate": compared.relative.estimate,
        "low": compared.relative.low,
        "high": compared.relative.high,
    }
    found["p"] = compared.p
    return found


def engines(trial: Trial, model: str, out: Path, preset: str) -> dict[str, Any]:
    """The whole engine with either encoder, on the test questions."""
    from palate.engine import Engine
    from palate.engine.settings import EngineSettings

    each = {}
    for name, encoder in (("frozen", model), ("tuned", str(out))):
        settings = changed(EngineSettings.preset(preset), {"encoder.encoder": encoder})
        engine = Engine.fit(trial.train, preset=preset, settings=settings, validation=trial.validation)
        lists = engine.rank(trial.test.queries).items[:, :10]
        hit = lists == trial.test.targets.values[:, None]
        each[name] = np.asarray((hit / np.log2(np.arange(lists.shape[1]) + 2.0)).sum(axis=1))
    return {"preset": preset, **beside(each)}


def kinds(trial: Trial, settings: AdaptSettings, out: Path, pairs: int, steps: int) -> dict[str, Any]:
    """Every way to let the trunk learn, by the same lessons, for as many steps."""
    from palate.language import item_texts
    from palate.language.tuning.contrast import Contrast, Lessons
    from palate.language.tuning.corpus import Corpus
    from palate.language.tuning.objective import teach
    from palate.language.tuning.saving import save_encoder
    from palate.language.tuning.settings import PACE
    from palate.language.tuning.trunk import open_trunk
    from palate.language.tuning.vectors import Vectors

    batch = 32
    plain = {"vectors.words": False, "vectors.texts": False, "vectors.kept": 0.0, "contrast.others": 0}
    course = {"course.batch": batch, "course.epochs": max(1, round(steps * batch / pairs))}
    everything = Lessons.of_histories(trial.train.sequences, window=1)
    drawn = np.random.default_rng(settings.course.seed).permutation(len(everything))[:pairs]
    lessons, texts = everything.take(np.sort(drawn)), item_texts(trial.train.catalogue)
    untaught = CachedEncoder(load_encoder(settings.model), VectorCache())
    gained = {"untaught": gains(Semantic(None, untaught).fit(trial.train), trial.test)}
    found: dict[str, Any] = {"untaught": {"ndcg@10": float(gained["untaught"].mean())}}
    for method in PACE:
        own = changed(settings, {**plain, **course, "trunk.method": method})
        trunk = open_trunk(own.model, own.trunk)
        corpus = Corpus(trunk, texts)
        objective = Contrast(corpus, Vectors.begin(corpus, own.vectors), lessons, settings=own.contrast)
        started = time.process_time()
        taught = teach(trunk, objective, own.course, resumable=False, progress=heard)
        spent = time.process_time() - started
        save_encoder(trunk, objective.vectors, out / method)
        gained[method] = gains(Semantic(None, load_encoder(str(out / method))).fit(trial.train), trial.test)
        change = compare(gained[method], gained["untaught"])[0].relative
        found[method] = {
            "ndcg@10": float(gained[method].mean()),
            "gain": {"estimate": change.estimate, "low": change.low, "high": change.high},
            "processor_seconds": spent,
            "epochs": taught.epoch,
            "weights_of_the_trunk": sum(value.numel() for value in trunk.learnt().values()),
            "weights_of_the_head": sum(value.numel() for value in objective.parameters() if value.requires_grad),
        }
    return {"lessons": len(lessons), "batch": batch, "kinds": found}


def speed(train: Dataset, settings: AdaptSettings, steps: int = 6) -> dict[str, Any]:
    """Seconds a contrastive step, fp32 and bf16 in turns, by method."""
    import torch

    from palate.language import item_texts
    from palate.language.tuning.contrast import Contrast
    from palate.language.tuning.corpus import Corpus
    from palate.language.tuning.shop import lessons_of
    from palate.language.tuning.trunk import open_trunk
    from palate.language.tuning.vectors import Vectors

    found: dict[str, Any] = {}
    texts = item_texts(train.catalogue)
    for method in ("lora", "full"):
        spent = {"fp32": [0.0] * 0, "bf16": [0.0] * 0}
        objectives = {}
        for precision in spent:
            own = changed(settings, {"trunk.method": method, "trunk.precision": precision, "contrast.others": 0})
            trunk = open_trunk(own.model, own.trunk)
            corpus = Corpus(trunk, texts)
            vectors = Vectors(trunk.size, trunk.vocabulary, trunk.size, np.empty(0, np.int64))
            known, _ = lessons_of(train.sequences, own)
            objectives[precision] = (trunk, Contrast(corpus, vectors, known, None, settings=own.contrast))
        rng = np.random.default_rng(0)
        for number in range(steps):
            rows = rng.permutation(1000)[:64]
            for precision in sorted(spent, reverse=number % 2 == 1):
                trunk, objective = objectives[precision]
                trunk.train()
                started = time.process_time()
                objective.loss(rows, torch.Generator().manual_seed(0)).backward()  # type: ignore[no-untyped-call]
                spent[precision].append(time.process_time() - started)
        seconds = {precision: float(np.median(times[1:])) for precision, times in spent.items()}
        found[method] = {"seconds": seconds, "times": seconds["fp32"] / seconds["bf16"]}
    return {"step": found}


if __name__ == "__main__":
    sys.exit(main())
