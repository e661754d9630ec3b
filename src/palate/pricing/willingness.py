"""Willingness: how dear a thing somebody would take, read from what they did and what it is, y = M(F(user), G(item)).

Both are texts: behaviour as it is told, items as they are described, completed where their own words are thin. The
regression head of ``palate.language.scorer`` reads them. What it says is an input of prices like any other that comes
from a person (``palate.pricing.inputs``): law, merchant and person can each switch it off, and then nothing is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from palate.core import DataError, Float64Array, FloatArray, IntArray, Settings, UsageError
from palate.core.artefact import write_text
from palate.data import Catalogue, Dataset
from palate.language.scorer import ScorerSettings, TextScorer
from palate.language.verbalise import behaviour_text, item_texts

_SCORER, _SETTINGS = "scorer", "willingness.json"
_LEFT = 0.0
_TAKEN = 0.5
"""What a thing is worth to whom took it at the lowest price of its kind; at the highest it is 1."""


class WillingnessSettings(Settings):
    """How willingness is learnt.

    Parameters
    ----------
    events
        Newest events of somebody that are told.
    lessons
        Purchases learnt from at most.
    left
        Things not taken for every one that was: looked at and left where the data says so, else drawn from what
        somebody never took.
    thin
        Characters under which an item's text is completed, where a completed text was given.
    language
        In which behaviour is told, ``en`` or ``zh``.
    scorer
        The reader of both texts.
    """

    events: Annotated[int, Field(ge=1)] = 12
    lessons: Annotated[int, Field(ge=2)] = 6_000
    left: Annotated[int, Field(ge=0)] = 1
    thin: Annotated[int, Field(ge=0)] = 40
    language: str = "en"
    scorer: ScorerSettings = Field(default_factory=lambda: ScorerSettings(kind="regression"))
    seed: int = 0


@dataclass(frozen=True)
class Lessons:
    """n pairs to learn from.

    Parameters
    ----------
    users, items
        n texts each: what somebody had done until then, what the item is.
    worth
        float64 (n,): 0 for what was left, else 0.5 to 1, by where the price paid lies among the prices paid for things
        of its category.
    rows
        int32 (n,), users of the pairs.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    worth: Float64Array
    rows: IntArray


def lessons(
    dataset: Dataset, settings: WillingnessSettings | None = None, *, completed: Mapping[str, str] | None = None
) -> Lessons:
    """What purchases teach: behaviour as it stood before each, the item, and how dear it was.

    Parameters
    ----------
    completed
        Texts by item id, for items whose own are thin.

    Raises
    ------
    DataError
        Nobody bought anything that has a price after having done something else.
    """
    settings = settings or WillingnessSettings()
    rng = np.random.default_rng([settings.seed, 17])
    events, kinds = dataset.events, dataset.kinds
    user, item = events["user"].to_numpy(), events["item"].to_numpy()
    bought = events["kind"].to_numpy() == kinds.position("purchase")
    prices = dataset.catalogue.prices.astype(np.float64)
    paid = np.where(item >= 0, prices[np.maximum(item, 0)], np.nan)
    if "price" in events.columns:
        own = events["price"].cast(float).fill_null(float("nan")).to_numpy()
        paid = np.where(np.isfinite(own) & (own > 0), own, paid)
    first = dataset.user_offsets[:-1][user]
    usable = np.flatnonzero(bought & (item >= 0) & np.isfinite(paid) & (np.arange(len(user)) > first))
    if len(usable) < 2:
        raise DataError(
            "willingness needs purchases with a price by people who had done something before; there are "
            f"{len(usable)}. Add prices to events or items, or leave willingness off."
        )
    rank = _percentiles(paid[usable], dataset.catalogue.innermost_categories[item[usable]])
    if len(usable) > settings.lessons:
        drawn = np.sort(rng.permutation(len(usable))[: settings.lessons])
        usable, rank = usable[drawn], rank[drawn]
    texts = described(dataset.catalogue, settings, completed=completed)
    told = told_before(dataset, usable, settings)
    taken = {(int(a), int(b)) for a, b in zip(user[bought], item[bought], strict=True)}
    lines = [(told[place], texts[item[row]], _TAKEN + 0.5 * rank[place], user[row]) for place, row in enumerate(usable)]
    for place, row in enumerate(usable):
        seen = item[max(first[row], row - settings.events) : row]
        looked = [
            int(one) for one in dict.fromkeys(seen.tolist()) if one >= 0 and (int(user[row]), int(one)) not in taken
        ]
        while len(looked) < settings.left:
            looked.append(int(rng.integers(dataset.n_items)))
        looked = [one for one in looked[-settings.left :] if settings.left and (int(user[row]), one) not in taken]
        lines.extend((told[place], texts[one], _LEFT, user[row]) for one in looked)
    return Lessons(
        users=tuple(line[0] for line in lines),
        items=tuple(line[1] for line in lines),
        worth=np.array([line[2] for line in lines], dtype=np.float64),
        rows=np.array([line[3] for line in lines], dtype=np.int32),
    )


@dataclass(frozen=True)
class Willingness:
    """A taught reader, and how it is told of people and items.

    Parameters
    ----------
    scorer
        Gives a pair of texts a number: about 0 for what somebody would leave, 0.5 to 1 for what they would take, the
        dearer the higher.
    settings
        It was taught with.
    """

    scorer: TextScorer
    settings: WillingnessSettings

    def of(self, users: Sequence[str], items: Sequence[str]) -> FloatArray:
        """Of n pairs of texts; float32 (n,). Somebody of whom nothing is told gets 0."""
        told = np.array([bool(text) for text in users], dtype=np.bool_)
        if not told.any():
            return np.zeros(len(told), dtype=np.float32)
        said = self.scorer.predict([text or "-" for text in users], items)
        return np.where(told, said, 0.0).astype(np.float32)

    def save(self, folder: str | Path) -> None:
        """Write it into a folder."""
        self.scorer.save(Path(folder) / _SCORER)
        write_text(Path(folder) / _SETTINGS, self.settings.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Willingness:
        """What was saved.

        Raises
        ------
        UsageError, ArtefactError
            There is nothing of the kind, or it is damaged; the message says how to make one.
        """
        said = Path(folder) / _SETTINGS
        if not said.is_file():
            raise UsageError(f"{folder} holds no willingness; teach one: palate willingness SHOP --out {folder}")
        try:
            settings = WillingnessSettings.model_validate_json(said.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{said} says nothing of a willingness: {error}. Teach it again.") from None
        return cls(TextScorer.load(Path(folder) / _SCORER), settings)


def fit_willingness(
    dataset: Dataset, settings: WillingnessSettings | None = None, *, completed: Mapping[str, str] | None = None
) -> tuple[Willingness, Lessons]:
    """The reader taught by ``lessons``, and these."""
    settings = settings or WillingnessSettings()
    if settings.scorer.kind != "regression":
        raise DataError('willingness is a value: its scorer needs kind = "regression".')
    pairs = lessons(dataset, settings, completed=completed)
    return Willingness(TextScorer(settings.scorer).fit(pairs.users, pairs.items, pairs.worth), settings), pairs


def described(
    catalogue: Catalogue, settings: WillingnessSettings | None = None, *, completed: Mapping[str, str] | None = None
) -> list[str]:
    """Texts of all items; the completed one where an item's own is thin, its id where there is none."""
    settings = settings or WillingnessSettings()
    own = item_texts(catalogue)
    written = completed or {}
    return [
        " ".join(filter(None, (text, written.get(name, "")))) or name if len(text) < settings.thin else text
        for text, name in zip(own, catalogue.ids.names, strict=True)
    ]


def told_before(
    dataset: Dataset, rows: np.ndarray[tuple[int], np.dtype[np.int64]], settings: WillingnessSettings | None = None
) -> list[str]:
    """What the user of each event row had done before it, in words; nothing of the row itself nor after it."""
    settings = settings or WillingnessSettings()
    events, titles, kinds = dataset.events, dataset.catalogue.titles, dataset.kinds.names
    user, item, kind = (events[name].to_numpy() for name in ("user", "item", "kind"))
    begin = np.maximum(dataset.user_offsets[:-1][user[rows]], rows - settings.events)
    said = []
    for low, high in zip(begin.tolist(), rows.tolist(), strict=True):
        known = [place for place in range(low, high) if item[place] >= 0]
        said.append(
            behaviour_text(
                [titles[item[place]] for place in known], [kinds[kind[place]] for place in known], settings.language
            )
        )
    return said


def _percentiles(paid: Float64Array, category: IntArray) -> Float64Array:
    """Where each price lies among those of its category, 0 to 1; equal prices share their middle."""
    import polars as pl

    frame = pl.DataFrame({"paid": paid, "category": category})
    rank = pl.col("paid").rank("average").over("category") - 0.5
    return np.asarray(frame.select(rank / pl.len().over("category")).to_series().to_numpy(), dtype=np.float64)
