"""Compressed encoders against sentence-transformers' default: texts a second, size, and what the ranking loses.

    python bench/compression.py ../shared/data/beauty --json compression.json

Every encoder reads the same texts in turns with one thread, ``--rounds`` times; rates are of the processor's clock, the
median of the rounds. N@10 is of the semantic model alone under loo-strict, every user's last event. Static tables are
distilled twice: from all texts of the catalogue, and from every second one, so that half of what is ranked was never
seen.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate.core import Float64Array, FloatArray
from palate.core.artefact import write_text
from palate.data import Dataset, Fold, hold_out_last
from palate.language import CachedEncoder, TextEncoder, VectorCache, item_texts, load_encoder
from palate.language.advice import size_of
from palate.language.compression import METHODS, compress, load_compressed, save_compressed
from palate.language.registry import minilm_source
from palate.measure import accuracy, compare
from palate.models.semantic import Semantic

REFERENCE = "sentence-transformers"
PART = 128
FEW = 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds events.parquet (user_id, item_id, position) and items.parquet")
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--methods", default=",".join((*METHODS, "static-half")), help="which ones")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    dataset = Dataset.assemble(
        pl.read_parquet(arguments.folder / "events.parquet"), pl.read_parquet(arguments.folder / "items.parquet")
    )
    texts = item_texts(dataset.catalogue)
    cache = VectorCache()
    teacher = load_encoder("minilm")
    remembering = CachedEncoder(teacher, cache)
    encoders: dict[str, TextEncoder] = {"palate": teacher}
    rows: dict[str, dict[str, Any]] = {"palate": {"bytes": size_of("minilm", teacher)}}
    with tempfile.TemporaryDirectory() as place:
        for method in arguments.methods.split(","):
            name, some = ("static", texts[::2]) if method == "static-half" else (method, texts)
            started = time.process_time()
            made = compress("minilm", name, some, teacher=remembering)
            rows[method] = {
                "bytes": save_compressed(made.what, Path(place) / method),
                "held_out_cosine": None if np.isnan(made.held_out) else made.held_out,
                "seconds_to_make": time.process_time() - started,
            }
            encoders[method] = load_compressed(Path(place) / method)
    for name, rate in rates(encoders, texts, arguments.rounds).items():
        rows.setdefault(name, {})["texts_per_second"] = rate
    fold = hold_out_last(dataset, minimum=3)
    reference = quality(remembering, fold)
    for name, encoder in encoders.items():
        gains = quality(CachedEncoder(encoder, cache), fold)
        change = compare(gains, reference)[0].relative
        rows[name]["ndcg@10"] = float(gains.mean())
        rows[name]["change"] = {"estimate": change.estimate, "low": change.low, "high": change.high}
    for row in rows.values():
        row["speedup"] = row["texts_per_second"] / rows[REFERENCE]["texts_per_second"]
        if "bytes" in row:
            row["size"] = row["bytes"] / rows["palate"]["bytes"]
    text = json.dumps({"data": arguments.folder.name, "texts": len(texts), "encoders": rows}, indent=2)
    sys.stdout.write(text + "\n")
    if arguments.json:
        write_text(arguments.json, text)
    return 0


def rates(encoders: dict[str, TextEncoder], texts: list[str], rounds: int) -> dict[str, float]:
    """Texts a second of each and of sentence-transformers with its defaults, median over rounds in turns."""
    from sentence_transformers import SentenceTransformer

    default = SentenceTransformer(str(minilm_source()), device="cpu")
    runs: dict[str, Callable[[list[str]], FloatArray]] = {
        REFERENCE: lambda part: default.encode(part, normalize_embeddings=True),
        **{name: encoder.encode for name, encoder in encoders.items()},
    }
    chosen = np.random.default_rng(0).permutation(len(texts))[: PART * rounds]
    many = [texts[row] for row in np.random.default_rng(1).permutation(len(texts))[:FEW]]
    for run in runs.values():
        run(many[:16])
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        part = [texts[row] for row in chosen[number * PART : (number + 1) * PART]]
        for name in sorted(runs, reverse=number % 2 == 1):
            read = many if name.startswith("static") else part  # so quick that few texts measure the clock
            started = time.process_time()
            runs[name](read)
            found[name].append(len(read) / (time.process_time() - started))
    return {name: float(np.median(values)) for name, values in found.items()}


def quality(encoder: TextEncoder, fold: Fold) -> Float64Array:
    """N@10 of every question by the semantic model alone."""
    model = Semantic(None, encoder).fit(fold.dataset)
    found = []
    for start in range(0, len(fold), FEW):
        part = fold.take(slice(start, start + FEW))
        found.append(accuracy(model.recommend(part.queries).items, part.targets, (10,))["ndcg@10"])
    return np.concatenate(found)


if __name__ == "__main__":
    sys.exit(main())
