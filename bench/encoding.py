"""Encoding of item texts against sentence-transformers' default, same texts, same run.

    python bench/encoding.py ../shared/data/beauty --json encoding.json

Both encode the same texts in turns (a part each, so that a noisy machine treats them alike); times are wall-clock sums.
The semantic check ranks the whole catalogue by cosine to the mean of the history's vectors (weights 0.6^age, seen items
masked) for each user's last event.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate.core import FloatArray
from palate.core.artefact import write_text
from palate.data import Dataset, Fold, hold_out_last
from palate.language import item_texts, load_encoder, principal
from palate.language.registry import minilm_source

PART = 1024
DECAY = 0.6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds events.parquet (user_id, item_id, position) and items.parquet")
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--limit", type=int, help="encode only this many texts, drawn by seed, and skip the ranking")
    arguments = parser.parse_args()
    dataset = Dataset.assemble(
        pl.read_parquet(arguments.folder / "events.parquet"), pl.read_parquet(arguments.folder / "items.parquet")
    )
    texts = item_texts(dataset.catalogue)
    if arguments.limit:
        chosen = np.random.default_rng(0).permutation(len(texts))[: arguments.limit]
        texts = [texts[row] for row in chosen]
    result = encode_both(texts)
    ours, theirs = result.pop("vectors")
    result["cosine"] = {
        "mean": float((ours * theirs).sum(axis=1).mean()),
        "least": float((ours * theirs).sum(axis=1).min()),
    }
    if not arguments.limit:
        fold = hold_out_last(dataset)
        result["ndcg@10"] = {"palate": ndcg(fold, ours), "sentence-transformers": ndcg(fold, theirs)}
        result["ndcg@10"]["ratio"] = result["ndcg@10"]["palate"] / result["ndcg@10"]["sentence-transformers"]
        result["single_query"] = {
            str(dimension): one_query(fold, ours, dimension) for dimension in (ours.shape[1], 256, 192, 128, 64)
        }
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if arguments.json:
        write_text(arguments.json, text)
    return 0


def encode_both(texts: list[str]) -> dict[str, Any]:
    """Seconds of both over the same parts, in turns, and their vectors."""
    from sentence_transformers import SentenceTransformer

    started = time.perf_counter()
    encoder = load_encoder("minilm")
    loaded = time.perf_counter() - started
    reference = SentenceTransformer(str(minilm_source()), device="cpu")
    runs: dict[str, Callable[[list[str]], FloatArray]] = {
        "palate": encoder.encode,
        "sentence-transformers": lambda part: reference.encode(part, normalize_embeddings=True),
    }
    for run in runs.values():
        run(texts[:64])
    seconds = dict.fromkeys(runs, 0.0)
    vectors: dict[str, list[FloatArray]] = {name: [] for name in runs}
    for number, start in enumerate(range(0, len(texts), PART)):
        for name in sorted(runs, reverse=number % 2 == 1):
            started = time.perf_counter()
            vectors[name].append(runs[name](texts[start : start + PART]))
            seconds[name] += time.perf_counter() - started
    return {
        "texts": len(texts),
        "encoder": encoder.name,
        "load_seconds": loaded,
        "texts_per_second": {name: len(texts) / spent for name, spent in seconds.items()},
        "speedup": seconds["sentence-transformers"] / seconds["palate"],
        "vectors": [np.concatenate(vectors[name]) for name in runs],
    }


def ndcg(fold: Fold, vectors: FloatArray, basis: FloatArray | None = None) -> float:
    """N@10 of the cosine to the mean of the history, one target a question."""
    history = fold.queries.history
    full = vectors if basis is None else vectors @ basis
    users = history.matrix(len(full), (DECAY**history.ages).astype(np.float32)) @ full
    gain = 0.0
    for start in range(0, len(fold), PART):
        part = fold.take(slice(start, start + PART))
        scores = users[start : start + PART] @ full.T
        scores[part.queries.history.rows, part.queries.history.items] = -np.inf
        reached = scores[np.arange(len(part)), part.targets.values]
        rank = (scores > reached[:, None]).sum(axis=1)
        gain += float((1 / np.log2(rank[rank < 10] + 2)).sum())
    return gain / len(fold)


def one_query(fold: Fold, vectors: FloatArray, dimension: int) -> dict[str, float]:
    """Milliseconds of one question against every item in the leading directions, and N@10 there."""
    short, basis = principal(vectors, dimension)
    columns = np.ascontiguousarray(short.T)
    times = []
    for row in range(200):
        started = time.perf_counter()
        _ = short[row] @ columns
        times.append(time.perf_counter() - started)
    return {"milliseconds": float(np.median(times)) * 1000, "ndcg@10": ndcg(fold, vectors, basis)}


if __name__ == "__main__":
    sys.exit(main())
