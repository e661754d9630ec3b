"""What to ask a newcomer about, under the shop's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from palate.core import Histories, Queries, Ragged, UsageError, widened
from palate.data import Dataset
from palate.data.filters import matches
from palate.engine.answers import Question, Recommendation
from palate.engine.shelf import Shelf
from palate.models.elicitation import ElicitationSettings, TasteClasses


class Asking:
    """Questions about whatever shelf stands.

    Parameters
    ----------
    dataset
        Whom classes of taste are learnt from, at the first need.
    """

    def __init__(self, dataset: Dataset, settings: ElicitationSettings) -> None:
        self._dataset, self._settings = dataset, settings

    def questions(
        self, shelf: Shelf, answers: Sequence[tuple[int, bool]], n: int, conditions: Mapping[str, Any] | None
    ) -> tuple[Question, ...]:
        """The next n questions; see ``Engine.ask``. Items that came since training have no answers to learn from."""
        if n < 1:
            raise UsageError(f"n = {n}: at least one question must be asked for")
        classes = self._classes
        may = np.zeros(len(shelf.catalogue), dtype=bool)
        may[: classes.n_items] = self._dataset.popularity[: classes.n_items] > 0
        if shelf.may is not None:
            may &= shelf.may
        if conditions:
            may &= matches(shelf.catalogue, conditions)
        beliefs = classes.after(answers)
        asked = classes.ask(list(answers), n, may, self._settings.shortlist)
        chances = (beliefs @ classes.knows(np.array(asked, dtype=np.int32)))[0] if asked else ()
        return tuple(
            Question(shelf.catalogue.ids[item], shelf.catalogue.titles[item], float(chance))
            for item, chance in zip(asked, chances, strict=True)
        )

    def recommended(self, shelf: Shelf, answers: Sequence[tuple[int, bool]], k: int) -> tuple[Recommendation, ...]:
        """What somebody who answered so will probably want, under the shop's rules; nothing that was asked about."""
        classes = self._classes
        scores = widened(classes.expected(classes.after(answers)), len(shelf.catalogue))
        asked = np.array([item for item, _ in answers], dtype=np.int32)
        queries = Queries(Histories.empty(1), k=k, excludes=Ragged.of([asked]))
        rankings = shelf.listed(queries, scores, "answers")
        return tuple(
            Recommendation(
                shelf.catalogue.ids[item],
                float(rankings.scores[0, rank]),
                ("answers",),
                (),
                shelf.catalogue.properties(item),
            )
            for rank, item in enumerate(rankings.row(0).tolist())
        )

    @cached_property
    def _classes(self) -> TasteClasses:
        return TasteClasses.of(self._dataset, self._settings)
