"""An engine that prices: its catalogue, its score, and the believed demand behind a quoter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from palate.data import Catalogue
from palate.pricing.beliefs import believed
from palate.pricing.configuration import PricingSettings
from palate.pricing.inputs import Score
from palate.pricing.learning import learnt_before
from palate.pricing.quoting import Quoter, learnt_beside, log_of, opened
from palate.privacy import Vault


class Priced(Protocol):
    """What a quoter needs of an engine."""

    @property
    def catalogue(self) -> Catalogue: ...

    def recommend(self, user: str | None = None, k: int = 10, *, candidates: Sequence[str] | None = None) -> Any: ...


def quoter_of(
    engine: Priced,
    settings: PricingSettings,
    vault: Vault,
    folder: Path,
    *,
    clock: Callable[[], float] = time.time,
) -> Quoter:
    """Who quotes prices of this engine's items; close it when done.

    Parameters
    ----------
    folder
        Where decisions are logged, and what was believed is kept for doing them again.

    Raises
    ------
    UsageError, DataError, ArtefactError
        Prices are off, or a file cannot be used; the message says which.
    """
    demand, _ = learnt_before(settings, learnt_beside(log_of(settings, folder)))
    belief = believed(settings, demand)
    return opened(lambda: engine.catalogue, settings, belief, vault, folder, score=score_of(engine), clock=clock)


def score_of(engine: Priced) -> Score:
    """How well items suit a user by this engine, 0 where it does not say."""

    def score(user: str, items: Sequence[str]) -> list[float]:
        known = [item for item in items if item in engine.catalogue.ids]
        if not known:
            return [0.0] * len(items)
        answer = engine.recommend(user, len(known), candidates=known)
        scores = {each.item: float(each.score) for each in answer.items}
        return [scores.get(item, 0.0) for item in items]

    return score
