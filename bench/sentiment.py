"""Sentiment of reviews: the lexicon and a taught model on a held-out fifth; Chinese by category, and English.

python bench/sentiment.py ../shared/data --json out/sentiment.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xxhash

from palate.core.artefact import write_text
from palate.language import SentimentModel


def measured(folder: Path) -> dict[str, Any]:
    """Both languages."""
    chinese = pl.read_parquet(folder / "zh-shopping-reviews" / "reviews.parquet").drop_nulls()
    english = pl.read_parquet(folder / "deceptive-opinion" / "reviews.parquet")
    return {
        "zh-shopping-reviews": compared(chinese["review"], chinese["label"] == 1, chinese["cat"]),
        "deceptive-opinion": compared(english["text"], english["polarity"] == "positive", english["hotel"]),
    }


def compared(reviews: pl.Series, content: pl.Series, parts: pl.Series) -> dict[str, Any]:
    """Accuracy, area under the curve and seconds, on reviews whose text hashes into the held-out fifth."""
    texts = [text.replace("\ufeff", "").strip() for text in reviews]
    labels = content.to_numpy()
    # By the text, so that a review that stands there twice is never on both sides.
    held = np.array([xxhash.xxh3_64_intdigest(text.encode()) % 5 == 0 for text in texts])
    started = time.process_time()
    model = SentimentModel().fit([text for text, out in zip(texts, held, strict=True) if not out], labels[~held])
    taught = time.process_time() - started
    asked, answers = [text for text, out in zip(texts, held, strict=True) if out], labels[held]
    started = time.process_time()
    scores = model.score(asked)
    seconds = time.process_time() - started
    lexicon = SentimentModel().score(asked)
    categories = parts.to_numpy()[held]
    return {
        "reviews": {"taught": int((~held).sum()), "asked": int(held.sum())},
        "accuracy": round(float(((scores > 0) == answers).mean()), 4),
        "area_under_curve": round(_area(scores, answers), 4),
        "lexicon_accuracy": round(float(((lexicon > 0) == answers).mean()), 4),
        "lexicon_area": round(_area(lexicon, answers), 4),
        "majority": round(float(max(answers.mean(), 1 - answers.mean())), 4),
        "by_category": {
            str(name): round(float(((scores > 0) == answers)[categories == name].mean()), 4)
            for name in np.unique(categories)
        },
        "seconds_to_teach": round(taught, 1),
        "texts_per_second": round(len(asked) / seconds),
    }


def _area(scores: Any, labels: Any) -> float:
    from scipy.stats import rankdata

    ranks, good = rankdata(scores), int(labels.sum())
    return float((ranks[labels].sum() - good * (good + 1) / 2) / (good * (len(labels) - good)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds zh-shopping-reviews/ and deceptive-opinion/")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    figures = json.dumps(measured(arguments.data), ensure_ascii=False, indent=2)
    print(figures)
    if arguments.json:
        write_text(arguments.json, figures + "\n")


if __name__ == "__main__":
    main()
