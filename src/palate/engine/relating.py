"""What goes with an item and what could stand in its place, with the evidence in words."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from palate.core import Queries, UsageError
from palate.data import Dataset
from palate.engine.answers import Reason, Recommendation
from palate.engine.shelf import Shelf
from palate.ranking.relations import Company, Related, Relation, Relations, RelationSettings


class Relating:
    """Complements and substitutes of whatever shelf is asked about.

    Parameters
    ----------
    dataset
        What is counted, at the first need.
    """

    def __init__(self, dataset: Dataset, settings: RelationSettings | None = None) -> None:
        self._dataset, self._settings = dataset, settings or RelationSettings()
        self._last: tuple[Shelf, Relations] | None = None

    def related(
        self, shelf: Shelf, item: int, queries: Queries, relation: str, language: str
    ) -> tuple[Recommendation, ...]:
        """The complements or the substitutes of one item under the shop's rules, each with its reason.

        Parameters
        ----------
        queries
            One question whose history is the item.

        Raises
        ------
        UsageError
            There is no such relation.
        """
        kind = _relation(relation)
        known = self._relations(shelf).of_item(item, kind)
        rankings = shelf.listed(queries, known.score[None, :], kind)
        return tuple(
            Recommendation(
                shelf.catalogue.ids[other],
                float(rankings.scores[0, rank]),
                (kind,),
                (_reason(known, kind, other, language),),
                shelf.catalogue.properties(other),
            )
            for rank, other in enumerate(rankings.row(0).tolist())
        )

    def _relations(self, shelf: Shelf) -> Relations:
        """Of a shelf; made again when another takes its place."""
        if self._last is None or self._last[0] is not shelf:
            vectors = shelf.pipeline.facts.vectors
            self._last = shelf, Relations.of(self._company, shelf.catalogue, vectors, self._settings)
        return self._last[1]

    @cached_property
    def _company(self) -> Company:
        return Company.of(self._dataset, self._settings)


def _relation(name: str) -> Relation:
    match name:
        case "complement" | "substitute":
            return name
    raise UsageError(f"kind {name!r}: similar items are of kind any, complement or substitute.")


def _reason(known: Related, relation: Relation, other: int, language: str) -> Reason:
    together, after, beside = (int(people[other]) for people in (known.together, known.after, known.beside))
    chinese, lift = language == "zh", float(known.lift[other])
    if relation == "complement":
        said = _witnesses(together, after, beside, chinese)
        times = f"，是偶然情况的 {lift:.1f} 倍" if chinese else f", {lift:.1f} times as often as by chance"
        return Reason(relation, said + times, float(np.clip(1 - 1 / max(lift, 1.0), 0, 1)))
    text = "同类商品" if chinese else "The same kind of thing"
    if beside:
        text += f"：{beside} 人比较后未同购" if chinese else f": {_people(beside)} looked at both without taking both"
    if together:
        text += f"，{together} 人同购" if chinese else f", {_people(together)} took both"
    return Reason(relation, text, float(beside / (beside + together + 1)))


def _witnesses(together: int, after: int, beside: int, chinese: bool) -> str:
    told = [
        (together, f"{together} 人一次同购", f"{_people(together)} took both on one visit"),
        (after, f"{after} 人随后选择", f"{_people(after)} came to it after taking this"),
        (beside, f"{beside} 人一并浏览", f"{_people(beside)} looked at both on one visit"),
    ]
    parts = [zh if chinese else en for count, zh, en in told if count]
    return ("，" if chinese else ", ").join(parts)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
