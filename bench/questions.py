"""Newcomers after a few questions: active choice against asking for what is popular, full ranking, N@10.

    python bench/questions.py movielens ../shared/data/ml-1m --json questions.json
    python bench/questions.py demo --json questions.json

The items are dealt into two halves by seed: questions are asked about one half, and what is recommended and what is
relevant lies in the other, so that an item found by a question is no item lost to the list. With ``--whole`` all items
may be asked about and recommended, those answered with yes apart, which are known and relevant no more. A fifth of the
people are held out of every fit. Both ways of asking get the same recommender (``TasteClasses.expected``, which makes
use of yes and no); an item is answered with yes only where it stands in the newcomer's history, or, in the demo shop,
where the truth behind it has the newcomer like it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from palate.core import BoolArray, Float64Array, Histories, IntArray, Queries, Ragged, top_k
from palate.core.artefact import write_text
from palate.data import Dataset
from palate.measure import compare, mean_interval
from palate.measure.ranking import accuracy
from palate.models.elicitation import ElicitationSettings, TasteClasses
from palate.simulation import ShopSettings, make_shop

STEPS = (0, 3, 5, 10)
HELD_OUT = 0.2
LIKED = 0.05
"""Share of the demo shop's items that somebody likes: those the truth says they most want."""


@dataclass(frozen=True)
class Newcomers:
    """People to ask.

    Parameters
    ----------
    likes
        bool (n, n_items), what each would answer with yes, and would be glad to be shown.
    askable
        bool (n_items,), what may be asked about.
    offered
        bool (n_items,), what may be recommended, what was answered with yes apart.
    """

    likes: BoolArray
    askable: BoolArray
    offered: BoolArray

    @classmethod
    def dealt(cls, likes: BoolArray, whole: bool, rng: np.random.Generator) -> Newcomers:
        """In two halves, or about the whole catalogue."""
        half, both = rng.random(likes.shape[1]) < 0.5, np.full(likes.shape[1], whole)
        return cls(likes, np.logical_or(half, both), np.logical_or(~half, both))

    def take(self, rows: IntArray) -> Newcomers:
        return Newcomers(self.likes[rows], self.askable, self.offered)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("movielens", "demo"))
    parser.add_argument("folder", type=Path, nargs="?", help="of MovieLens 1M")
    parser.add_argument("--people", type=int, default=1000, help="newcomers asked at most")
    parser.add_argument("--whole", action="store_true", help="ask about, and recommend from, the whole catalogue")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the result here too")
    arguments = parser.parse_args()
    seed, whole = arguments.seed, arguments.whole
    demo = arguments.what == "demo"
    dataset, newcomers = shop(seed, whole) if demo else movielens(arguments.folder, seed, whole)
    result = {"data": arguments.what, "seed": seed, "whole": whole, **run(dataset, newcomers, arguments.people)}
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if arguments.json:
        write_text(arguments.json, text)
    return 0


def movielens(folder: Path, seed: int, whole: bool) -> tuple[Dataset, Newcomers]:
    """Newcomers are people held out, who like what they have rated."""
    dataset = Dataset.load(folder)
    rng = np.random.default_rng(seed)
    held = rng.random(dataset.n_users) < HELD_OUT
    learnt = dataset.only(~held[dataset.events["user"].to_numpy()])
    likes = dataset.matrix()[np.flatnonzero(held)].toarray() > 0
    return learnt, Newcomers.dealt(likes, whole, rng)


def shop(seed: int, whole: bool) -> tuple[Dataset, Newcomers]:
    """Newcomers are people held out of the demo shop, whose wants its truth tells."""
    made = make_shop(ShopSettings(), seed=seed)
    dataset = Dataset.from_frames(made.events, made.items, made.users, name="demo")
    rng = np.random.default_rng(seed)
    held = rng.random(dataset.n_users) < HELD_OUT
    learnt = dataset.only(~held[dataset.events["user"].to_numpy()])
    rows = np.array([int(dataset.user_ids[user].lstrip("u")) - 1 for user in np.flatnonzero(held).tolist()])
    when = np.full(len(rows), float(np.nanmax(dataset.events["time"].to_numpy())))
    items = np.arange(dataset.n_items)
    wants = made.truth.look_probability(rows, when) * made.truth.purchase_probability(
        rows[:, None], items[None, :], when[:, None]
    )
    place = dataset.item_ids.positions(made.items["item_id"].to_list())
    likes = np.zeros(wants.shape, dtype=bool)
    best = np.argsort(-wants, axis=1)[:, : int(LIKED * dataset.n_items)]
    likes[np.arange(len(rows))[:, None], place[best]] = True
    return learnt, Newcomers.dealt(likes, whole, rng)


def run(dataset: Dataset, newcomers: Newcomers, people: int) -> dict[str, Any]:
    """N@10 after each number of questions, both ways, and how they compare."""
    relevant = newcomers.likes & newcomers.offered
    rows = np.flatnonzero(relevant.any(axis=1))[:people].astype(np.int32)
    newcomers = newcomers.take(rows)
    classes = TasteClasses.of(dataset, ElicitationSettings())
    asked = {
        "popular": popular_first(dataset, newcomers, max(STEPS)),
        "active": actively(classes, newcomers, max(STEPS)),
    }
    found: dict[str, Any] = {"newcomers": len(rows), "items": dataset.n_items, "steps": {}}
    for step in STEPS:
        own = {name: quality(classes, newcomers, items[:, :step]) for name, items in asked.items()}
        yes = {
            name: float(np.take_along_axis(newcomers.likes, items[:, :step], axis=1).sum(axis=1).mean()) if step else 0
            for name, items in asked.items()
        }
        against = compare(own["active"], own["popular"])[0]
        found["steps"][str(step)] = {
            **{name: vars_of(mean_interval(values)) for name, values in own.items()},
            "yes": yes,
            "relative": vars_of(against.relative),
            "p": against.p,
        }
    return found


def popular_first(dataset: Dataset, newcomers: Newcomers, n: int) -> IntArray:
    """The same most popular items for everybody; int32 (people, n)."""
    order = np.argsort(np.where(newcomers.askable, -dataset.popularity, 1), kind="stable")[:n]
    return np.tile(order.astype(np.int32), (len(newcomers.likes), 1))


def actively(classes: TasteClasses, newcomers: Newcomers, n: int) -> IntArray:
    """What each is asked, one after the other, in the light of the answers; int32 (people, n)."""
    people = len(newcomers.likes)
    beliefs, asked = classes.nobody(people), np.zeros((people, n), dtype=np.int32)
    may = np.tile(newcomers.askable, (people, 1))
    every = np.arange(people)
    for step in range(n):
        # People who answered alike stand where the others do: each state is thought through once.
        patterns = np.concatenate([asked[:, :step], newcomers.likes[every[:, None], asked[:, :step]]], axis=1)
        _, first, place = np.unique(patterns, axis=0, return_index=True, return_inverse=True)
        asked[:, step] = classes.next_question(beliefs[first], may[first])[place.reshape(-1)]
        liked = newcomers.likes[every, asked[:, step]]
        beliefs = classes.told(beliefs, asked[:, step], liked)
        may[every, asked[:, step]] = False
    return asked


def quality(classes: TasteClasses, newcomers: Newcomers, asked: IntArray) -> Float64Array:
    """N@10 of each newcomer among the items that may be recommended, from what these questions were answered."""
    beliefs, every = classes.nobody(len(newcomers.likes)), np.arange(len(newcomers.likes))
    for items in asked.T:
        beliefs = classes.told(beliefs, items, newcomers.likes[every, items])
    scores = classes.expected(beliefs)
    known = np.zeros(newcomers.likes.shape, dtype=bool)
    known[every[:, None], asked] = True
    known &= newcomers.likes
    scores[known | ~newcomers.offered] = -np.inf
    relevant = sparse.csr_matrix(newcomers.likes & newcomers.offered & ~known)
    targets = Ragged(relevant.indptr.astype(np.int64), relevant.indices.astype(np.int32))
    rankings = top_k(scores, Queries(Histories.empty(len(scores)), k=10), "answers")
    return accuracy(rankings.items, targets, (10,))["ndcg@10"]


def vars_of(interval: Any) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


if __name__ == "__main__":
    raise SystemExit(main())
