"""A shop served with what other shops taught: zero-shot against popularity, frozen vectors and words, loo-strict.

    palate pretrain ../shared/data/beauty ../shared/data/phones --out carried
    python bench/transfer.py carried ../shared/data/scientific --json transfer.json

Nothing here is chosen by the shop's answers: network and weighing come from the other shops, frozen vectors and words
have the defaults of the engine. ``--few-shot`` teaches the network further on the shop's training events.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from palate.core.artefact import write_text
from palate.data import Dataset
from palate.evaluation.answers import by_scores
from palate.evaluation.metrics import Yardstick, per_question
from palate.evaluation.protocols import plan
from palate.language import CachedEncoder, VectorCache, load_encoder
from palate.measure import compare, holm, mean_interval
from palate.models.lexical import Lexical
from palate.models.popularity import Popularity
from palate.models.pretrained import Pretrained
from palate.models.semantic import Semantic
from palate.models.transfer import Transferred, TransferSettings

MEASURES = ("ndcg@10", "recall@10")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pretrained", type=Path, help="folder that `palate pretrain` wrote")
    parser.add_argument("folder", type=Path, help="the new shop")
    parser.add_argument("--encoder", default="minilm", help="the one it was pretrained with")
    parser.add_argument("--few-shot", action="store_true", help="teach it further, too")
    parser.add_argument("--json", type=Path, help="write the result here too")
    arguments = parser.parse_args()
    result = run(arguments.pretrained, Dataset.load(arguments.folder), arguments.encoder, few_shot=arguments.few_shot)
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if arguments.json:
        write_text(arguments.json, text)
    return 0


def run(pretrained: Path, dataset: Dataset, encoder_name: str, *, few_shot: bool) -> dict[str, Any]:
    """Figures of each model, and zero-shot against the others."""
    trial = plan(dataset, "loo-strict")
    encoder = CachedEncoder(load_encoder(encoder_name), VectorCache())
    own = TransferSettings(pretrained=str(pretrained), training="zero-shot")
    models: dict[str, Any] = {
        "zero-shot": Transferred(own, encoder),
        "popularity": Popularity(),
        "semantic": Semantic(None, encoder),
        "lexical": Lexical(),
    }
    if few_shot:
        models["few-shot"] = Transferred(own.model_copy(update={"training": "few-shot"}), encoder)
    yardstick = Yardstick(trial.learnt, trial.test.targets, trial.test.users, None)
    tables, seconds = {}, {}
    for name, model in models.items():
        started = time.process_time()
        model.fit(trial.train)
        seconds[name] = time.process_time() - started
        tables[name] = per_question(by_scores(model.score, trial.test, name, lambda _share: None), yardstick)
    figures = {
        name: {measure: _interval(mean_interval(table[measure], trial.test.users)) for measure in MEASURES}
        for name, table in tables.items()
    }
    others = [name for name in models if name != "zero-shot"]
    against = {
        name: compare(tables["zero-shot"]["ndcg@10"], tables[name]["ndcg@10"], trial.test.users)[0] for name in others
    }
    corrected = holm([against[name].p for name in others])
    carried = Pretrained.load(pretrained)
    return {
        "protocol": trial.name,
        "data": dataset.name,
        "queries": len(trial.test),
        "learnt_from": carried.learnt_from,
        "weighing": asdict(carried.weighing),
        "models": figures,
        "zero-shot against": {
            name: {"relative": _interval(against[name].relative), "p_holm": float(p)}
            for name, p in zip(others, np.asarray(corrected), strict=True)
        },
        "fit_cpu_seconds": seconds,
    }


def _interval(interval: Any) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


if __name__ == "__main__":
    raise SystemExit(main())
