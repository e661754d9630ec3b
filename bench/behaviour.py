"""What people do next in the demo shop, foreseen by every body, beside the shop's own probabilities.

    python bench/behaviour.py [--users 1500] [--items 800] [--visits 8.5] [--seed 0] [--bodies linear,forest,trees,...]
    python bench/behaviour.py --json out/behaviour.json

Taught on what happened in the first three quarters of time, asked on the last. Three oracles are given for a purchase
after a look: the shop's own probability; that probability averaged over the one taste that no text mentions and no
event tells directly (how somebody likes an item's looks); and that probability where this taste is inferred from what
the person did before by somebody who knows the looks of all items, and everything else. The last is more than a log of
this length can teach anybody, whatever reads it. For views the oracle is the shop's probability of the first look of a
visit. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from palate.core import BoolArray, Float64Array, IntArray, Queries
from palate.core.artefact import write_text
from palate.data import Dataset
from palate.language import CachedEncoder, VectorCache, load_encoder
from palate.measure.prediction import auc, log_loss
from palate.measure.reporting import difference, prediction_report
from palate.models import BY_NAME
from palate.models.foreseeing.occasions import Occasions, occasions
from palate.models.foreseeing.settings import BODIES, KINDS, NextBehaviourSettings
from palate.models.next_behaviour import NextBehaviour
from palate.simulation import Shop, ShopSettings, make_shop

TAUGHT = 0.75
"""Share of events, the first in time, that are learnt from."""

VIEWS = 400
"""First looks asked about all items."""


BESIDE = ("popularity", "item_knn", "ease", "transitions")
"""Recommenders whose order of the first looks is given for comparison."""


def positions(shop: Shop, dataset: Dataset) -> tuple[IntArray, IntArray]:
    """Rows of the truth of a dataset's users and items."""
    people = {name: row for row, name in enumerate(shop.users["user_id"])}
    goods = {name: row for row, name in enumerate(shop.items["item_id"])}
    return (
        np.array([people[name] for name in dataset.user_ids.names], dtype=np.int32),
        np.array([goods[name] for name in dataset.item_ids.names], dtype=np.int32),
    )


def without_looks(shop: Shop, users: IntArray, items: IntArray, when: Float64Array) -> Float64Array:
    """The purchase probability, averaged over how people like looks (a normal taste in each direction)."""
    spread = shop.truth.user_look.std() * np.linalg.norm(shop.truth.item_look[items], axis=1)
    return over_looks(shop, users, items, when, middle=np.zeros(len(users)), spread=spread)


def inferred_looks(
    shop: Shop, dataset: Dataset, asked: Occasions, *, people: IntArray, goods: IntArray, seconds: float = 0.7
) -> Float64Array:
    """The purchase probability where how people like looks is inferred from the items they looked at before, and for
    how long; all else is known, the looks of all items among it.

    A normal approximation at no liking (Laplace): each first look at an item is a choice among its section, weighed as
    shoppers weigh it, and its log seconds are off by a normal error.

    Parameters
    ----------
    seconds
        Standard deviation of that error.
    """
    truth, events = shop.truth, dataset.events
    looks = events.filter((pl.col("kind") == dataset.kinds.position("view")) & (pl.col("item") >= 0)).sort("time")
    looks = looks.unique(["user", "item"], keep="first", maintain_order=True).sort("user", "time")
    user, time = looks["user"].to_numpy().astype(np.int64), looks["time"].to_numpy()
    item = goods[looks["item"].to_numpy()]
    section, n = truth.item_section, len(truth.item_section)
    counts = np.bincount(item, minlength=n) + 1.0
    share = counts / np.bincount(section, counts)[section]
    look = truth.item_look.astype(np.float64)
    usual = np.stack([np.bincount(section, share * column) for column in look.T], axis=1)
    apart = look - usual[section]
    spread = np.einsum("s,sh,sk->shk", share, apart, apart)
    shelf = np.stack([np.bincount(section, part) for part in spread.reshape(n, -1).T], axis=1)
    logs = np.log1p(looks["dwell"].to_numpy().astype(np.float64))
    stayed = logs - (np.bincount(item, logs, n) / np.maximum(np.bincount(item, minlength=n), 1))[item]
    choice, dwell = 0.9 * 0.8, 0.3 * 0.8
    slope = choice * apart[item] + (dwell / seconds**2) * stayed[:, None] * look[item]
    own = np.einsum("nh,nk->nhk", look[item], look[item]).reshape(len(item), -1)
    curve = choice**2 * shelf[section[item]] + (dwell / seconds) ** 2 * own
    until = np.searchsorted(user * 1e11 + time, asked.users * 1e11 + asked.times)
    begin = np.searchsorted(user, asked.users)
    told, known = (np.concatenate([np.zeros((1, part.shape[1])), np.cumsum(part, axis=0)]) for part in (slope, curve))
    width = look.shape[1]
    precision = (known[until] - known[begin]).reshape(-1, width, width) + np.eye(width) / truth.user_look.var()
    covariance = np.linalg.inv(precision)
    liking = np.einsum("nhk,nk->nh", covariance, told[until] - told[begin])
    mine = goods[asked.items]
    unsure = np.sqrt(np.einsum("nh,nhk,nk->n", look[mine], covariance, look[mine]))
    middle = np.einsum("nh,nh->n", liking, look[mine])
    return over_looks(shop, people[asked.users], mine, asked.times, middle=middle, spread=unsure)


def over_looks(
    shop: Shop, users: IntArray, items: IntArray, when: Float64Array, *, middle: Float64Array, spread: Float64Array
) -> Float64Array:
    """The purchase probability averaged over a normal liking of the items' looks, (n,) each."""
    truth = shop.truth
    own = np.einsum("nh,nh->n", truth.user_look[users], truth.item_look[items])
    rest = truth.bias[0] + truth.utility(users, items, when) - 0.8 * own
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    odds = rest[:, None] + 0.8 * (middle[:, None] + spread[:, None] * nodes)
    return np.asarray((0.5 * (1 + np.tanh(0.5 * odds))) @ weights / weights.sum())


def later(found: Occasions, cut: float) -> Occasions:
    return found.take(np.isfinite(found.times) & (found.times > cut))


def of_purchases(
    dataset: Dataset, model: NextBehaviour, asked: Occasions, *, truth: Float64Array, informed: Float64Array
) -> dict[str, Any]:
    """How well purchases after looks were foreseen, beside both oracles."""
    odds = model.occasion_odds(dataset, asked, "purchase")
    probability, low, high = model.certainty("purchase").bounds(odds)
    figures = prediction_report(asked.happened, probability, asked.users, threshold=float(asked.happened.mean()))
    gap, gap_informed = (
        difference(auc, asked.happened, probability, oracle, asked.users, samples=100) for oracle in (truth, informed)
    )
    return {
        **{name: asdict(value) for name, value in figures.items()},
        "auc_less_oracle": asdict(gap),
        "auc_less_oracle_without_looks": asdict(gap_informed),
        "rmse_of_true_probability": float(np.sqrt(((probability - truth) ** 2).mean())),
        "calibration_against_truth": calibration(probability, truth),
        "interval_width": float((high - low).mean()),
        "calibrated_by": model.calibration("purchase"),
    }


def calibration(probability: Float64Array, truth: Float64Array, bins: int = 10) -> float:
    """Expected calibration error against true probabilities rather than outcomes, over bins of equal count."""
    parts = np.array_split(np.argsort(probability, kind="stable"), bins)
    return float(sum(abs(probability[part].mean() - truth[part].mean()) * len(part) for part in parts) / len(truth))


def of_kind(dataset: Dataset, model: NextBehaviour, asked: Occasions, kind: str) -> dict[str, Any]:
    """The report of a kind of which the shop has no single true probability."""
    probability, _, _ = model.certainty(kind).bounds(model.occasion_odds(dataset, asked, kind))
    figures = prediction_report(asked.happened, probability, asked.users, threshold=float(asked.happened.mean()))
    return {"occasions": len(asked), **{name: asdict(value) for name, value in figures.items()}}


def first_looks(dataset: Dataset, asked: Occasions, seed: int) -> Occasions:
    """First looks of visits, some of them drawn."""
    starts = dataset.sequences.indptr[:-1][asked.users]
    before = dataset.sequences.times[np.maximum(asked.stops - 1, 0)]
    first = asked.happened & ((asked.stops == starts) | (asked.times - before > 3600.0))
    rows = np.flatnonzero(first)
    return asked.take(np.random.default_rng(seed).permutation(rows)[:VIEWS])


def of_views(dataset: Dataset, model: Any, asked: Occasions, truth: Float64Array) -> dict[str, Any]:
    """How well the first look of a visit was foreseen among all items, beside the oracle."""
    histories, row = asked.known(dataset, 64)
    queries = Queries(histories.take(row), when=asked.times, mask_seen=False)
    came = np.zeros(truth.shape, dtype=bool)
    came[np.arange(len(asked)), asked.items] = True
    groups = np.repeat(asked.users, truth.shape[1])
    if isinstance(model, NextBehaviour):
        every = np.tile(np.arange(truth.shape[1], dtype=np.int32), (len(asked), 1))
        scores = model.probability(queries, every, "view").probability
    else:
        scores = model.score(queries).astype(np.float64)
    told: dict[str, Any] = {
        "auc": auc(came, _ranked(scores)),
        "oracle_auc": auc(came, _ranked(truth)),
        "auc_less_oracle": asdict(
            difference(auc, came.ravel(), _ranked(scores).ravel(), _ranked(truth).ravel(), groups, samples=20)
        ),
        "mrr": _mrr(scores, asked.items),
        "oracle_mrr": _mrr(truth, asked.items),
    }
    if isinstance(model, NextBehaviour):
        told["calibration_against_truth"] = calibration(scores.ravel(), truth.ravel())
        told["log_loss"] = float(-np.log(scores[came]).mean())
        told["oracle_log_loss"] = float(-np.log(np.maximum(truth[came], 1e-12)).mean())
    return told


def _ranked(scores: Float64Array) -> Float64Array:
    """Ranks within each question, so that the figure is about whom among items, not about questions."""
    return np.asarray(np.argsort(np.argsort(scores, axis=1), axis=1) / scores.shape[1])


def _mrr(scores: Float64Array, answers: IntArray) -> float:
    own = scores[np.arange(len(scores)), answers]
    return float((1.0 / (1 + (scores > own[:, None]).sum(axis=1))).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--items", type=int, default=800)
    parser.add_argument("--visits", type=float, default=8.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bodies", default=",".join((*BODIES, "auto")))
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--examples", type=int, help="occasions of a kind learnt from at most, where time is short")
    parser.add_argument("--epochs", type=int, help="of networks at most")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    shop = make_shop(ShopSettings(users=given.users, items=given.items, visits=given.visits), given.seed)
    dataset = Dataset.assemble(shop.events, shop.items, shop.users)
    times = dataset.events["time"].to_numpy()
    cut = float(np.quantile(times, TAUGHT, method="lower"))
    learnt: BoolArray = times <= cut
    earlier = dataset.only(learnt)
    encoder = CachedEncoder(load_encoder(given.encoder), VectorCache())
    people, goods = positions(shop, dataset)

    bounds = {name: value for name in ("examples", "epochs") if (value := getattr(given, name)) is not None}
    settings = NextBehaviourSettings(seed=given.seed, **bounds)
    rng = np.random.default_rng(given.seed)
    asked = {kind: later(occasions(dataset, kind, settings, rng), cut) for kind in KINDS}
    bought = asked["purchase"]
    where = people[bought.users], goods[bought.items], bought.times
    truth, informed = shop.truth.purchase_probability(*where), without_looks(shop, *where)
    looks = first_looks(dataset, asked["view"], given.seed)
    look_truth = shop.truth.look_probability(people[looks.users], looks.times)[:, goods]
    found: dict[str, Any] = {
        "users": given.users,
        "items": given.items,
        "visits": given.visits,
        "seed": given.seed,
        "bounds": bounds,
        "occasions": {kind: len(own) for kind, own in asked.items()},
        "bought": float(bought.happened.mean()),
        "oracle": {
            "auc": auc(bought.happened, truth),
            "log_loss": log_loss(bought.happened, truth),
            "auc_without_looks": auc(bought.happened, informed),
            "auc_inferring_looks": auc(
                bought.happened, inferred_looks(shop, dataset, bought, people=people, goods=goods)
            ),
        },
        "beside": {name: of_views(dataset, BY_NAME[name]().fit(earlier), looks, look_truth) for name in BESIDE},
        "bodies": {},
    }
    for body in given.bodies.split(","):
        begun = perf_counter()
        model = NextBehaviour(settings.model_copy(update={"body": body}), encoder).fit(earlier)
        seconds = perf_counter() - begun
        own: dict[str, Any] = {"seconds": seconds, "body": {kind: model.body(kind) for kind in model.kinds}}
        own["purchase"] = of_purchases(dataset, model, bought, truth=truth, informed=informed)
        own |= {kind: of_kind(dataset, model, asked[kind], kind) for kind in ("click", "rating")}
        own["view"] = of_views(dataset, model, looks, look_truth)
        found["bodies"][body] = own
    text = json.dumps(found, indent=1)
    print(text)
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        write_text(given.json, text + "\n")


if __name__ == "__main__":
    main()
