"""Search over places in Beijing: questions with hand-written answers, N@10 of each way to search.

python bench/chinese_search.py ../shared/data --json out/chinese_search.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate.core.artefact import write_text
from palate.data import Dataset
from palate.language import LexicalEncoder, SearchSettings, TextSearch, item_texts
from palate.models.lexical import Lexical, LexicalSettings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def measured(folder: Path) -> dict[str, Any]:
    """N@10 by words and by meaning, together, and without the list of related words; then question by question."""
    from tests.beijing import catalogue_of, ndcg, places, questions, relevant

    rows = places(folder / "zh-beijing")
    catalogue = catalogue_of(rows)
    asked = questions()
    answers = np.array([relevant(question, rows, catalogue) for question in asked])
    texts, queries = item_texts(catalogue), [question["text"] for question in asked]
    started = time.process_time()
    encoder = LexicalEncoder().fit(texts)
    names = catalogue.titles
    search = TextSearch(encoder=encoder).fit(texts, names)
    seconds = time.process_time() - started
    some = pl.DataFrame({"user_id": ["nobody"], "item_id": names[:1], "position": [0]})
    data = Dataset.assemble(some, catalogue.frame)
    sources = {
        wishes: Lexical(LexicalSettings.model_validate({"wishes": wishes})).fit(data) for wishes in ("names", "texts")
    }
    ways = {
        "the source lexical, wishes by names": sources["names"].match(queries),
        "the source lexical, wishes by texts": sources["texts"].match(queries),
        "meaning alone (the lexical encoder)": encoder.encode(queries) @ encoder.encode(texts).T,
        "words alone": TextSearch(SearchSettings(related=0)).fit(texts, names).scores(queries),
        "words and related words": TextSearch().fit(texts, names).scores(queries),
        "words and meaning": TextSearch(SearchSettings(related=0), encoder).fit(texts, names).scores(queries),
        "all": search.scores(queries),
    }
    each = ndcg(ways["all"], answers)
    late = np.array([question.get("late", False) for question in asked])
    return {
        "ndcg@10": {name: round(float(ndcg(scores, answers)[~late].mean()), 4) for name, scores in ways.items()},
        "ndcg@10, twenty questions written after the list of related words": {
            name: round(float(ndcg(scores, answers)[late].mean()), 4) for name, scores in ways.items()
        },
        "seconds_to_read": round(seconds, 1),
        "questions": {query: round(float(value), 3) for query, value in zip(queries, each, strict=True)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds zh-beijing/")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    figures = json.dumps(measured(arguments.data), ensure_ascii=False, indent=2)
    print(figures)
    if arguments.json:
        write_text(arguments.json, figures + "\n")


if __name__ == "__main__":
    main()
