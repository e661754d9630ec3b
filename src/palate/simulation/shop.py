"""The demo shop: events, items and users from a seed, with the truth behind them."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field

from palate.core import BoolArray, FloatArray, Settings, artefact
from palate.simulation.assortment import DAY, Assortment, make_assortment
from palate.simulation.browsing import make_shelves, play
from palate.simulation.events import make_events
from palate.simulation.people import People, make_people, make_visits
from palate.simulation.truth import SHAPES, Truth
from palate.simulation.vocabulary import Vocabulary, vocabulary
from palate.simulation.world import World

TRUTH_FOLDER = "truth"
_KIND = "truth"


class ShopSettings(Settings):
    """Size and span of the demo shop.

    Parameters
    ----------
    users, items
        How many.
    days
        How long the shop is watched.
    start
        First moment, seconds since 1970 UTC; 2025-09-01 unless told otherwise.
    visits
        Visits per user, on average.
    new_items
        Share of items that arrive while the shop is watched.
    purchase_bias
        Purchase logit of a viewed item of utility 0.
    discounted
        Share of items that are marked down in any week.
    """

    users: int = Field(default=1500, ge=1, le=100_000)
    items: int = Field(default=800, ge=60, le=2_000)
    days: int = Field(default=426, ge=30, le=3_650)
    start: float = Field(default=1_756_684_800.0, ge=0.0)
    visits: float = Field(default=8.5, gt=1.0, le=60.0)
    new_items: float = Field(default=0.22, ge=0.0, le=0.9)
    purchase_bias: float = -3.9
    discounted: float = Field(default=0.2, ge=0.0, le=1.0)


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop.

    Parameters
    ----------
    events, items, users
        Canonical frames, as ``Dataset.assemble`` and ``Dataset.from_frames`` take them.
    truth
        What is behind them; its rows are the rows of ``users`` and ``items``.
    """

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    truth: Truth


def make_shop(settings: ShopSettings | None = None, seed: int = 0) -> Shop:
    """The shop of a seed; the same seed and settings give the same shop on every machine.

    Each part draws from a stream of its own, so that a change in one leaves the others as they were.
    """
    settings = settings or ShopSettings()
    words = vocabulary()
    goods_rng, people_rng, visits_rng, truth_rng, play_rng, events_rng = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(6)
    )
    start, days = settings.start, settings.days
    goods = make_assortment(words, settings.items, start=start, days=days, new_share=settings.new_items, rng=goods_rng)
    people = make_people(words, settings.users, start, days, people_rng)
    visits = make_visits(words, people, start=start, days=days, mean=settings.visits, rng=visits_rng)
    truth = _truth(words, goods, people, settings, truth_rng)
    world = World(words, goods, people, visits, truth, start + days * DAY)
    looks = play(visits, truth, make_shelves(words, goods.section), play_rng)
    events = make_events(world, looks, events_rng)
    return Shop(events, goods.frame, people.frame, truth)


def write_shop(shop: Shop, folder: str | Path) -> None:
    """Write ``events.parquet``, ``items.parquet``, ``users.parquet`` and the truth (an artefact) into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("items", shop.items), ("users", shop.users), ("events", shop.events)):
        _write_parquet(frame, folder / f"{name}.parquet")
    artefact.write(
        artefact.Artefact(_KIND, {"seasons": list(SHAPES)}, {"truth": shop.truth.arrays()}), folder / TRUTH_FOLDER
    )


def read_truth(folder: str | Path) -> Truth:
    """The truth behind a shop that ``write_shop`` wrote.

    Raises
    ------
    ArtefactError
        There is none, or it is damaged.
    """
    return Truth.restore(artefact.read(Path(folder) / TRUTH_FOLDER, _KIND).arrays["truth"])


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame whole or not at all."""
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        frame.write_parquet(scratch)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _truth(
    words: Vocabulary, goods: Assortment, people: People, settings: ShopSettings, rng: np.random.Generator
) -> Truth:
    usual = np.array([section.price for section in words.sections], dtype=np.float32)
    for position in range(len(usual)):
        inside = goods.section == position
        if inside.any():
            usual[position] = np.exp(np.log(goods.price[inside]).mean())
    return Truth(
        start=np.array([settings.start]),
        lifestyle=people.lifestyle,
        section_taste=people.section_taste,
        user_look=people.look,
        item_look=goods.hidden,
        price_sensitivity=people.price_sensitivity,
        item_section=goods.section,
        item_topic=goods.topic,
        item_topics=goods.topics,
        exposure=rng.normal(0, 1.0, len(goods.price)).astype(np.float32),
        quality=goods.quality,
        list_price=goods.price,
        created=goods.created,
        complements=goods.complements,
        reference_price=usual,
        section_topics=_section_topics(words),
        season_shape=np.array([SHAPES.index(section.season[0]) for section in words.sections], dtype=np.int32),
        season_strength=np.array([section.season[1] for section in words.sections], dtype=np.float32),
        discount=_discounts(len(goods.price), settings, rng),
        bias=np.array([settings.purchase_bias]),
    )


def _section_topics(words: Vocabulary) -> BoolArray:
    speaks = np.zeros((len(words.sections), len(words.topics)), dtype=bool)
    for position, section in enumerate(words.sections):
        speaks[position, [flavour.topic for flavour in section.flavours]] = True
    return speaks


def _discounts(n_items: int, settings: ShopSettings, rng: np.random.Generator) -> FloatArray:
    """Share off each item's list price, week by week, drawn apart from everything else so that its effect is causal."""
    weeks = settings.days // 7 + 1
    marked = rng.random((weeks, n_items)) < settings.discounted
    depth = rng.choice(np.array([0.1, 0.15, 0.2, 0.3, 0.4]), size=(weeks, n_items))
    return np.where(marked, depth, 0.0).astype(np.float32)
