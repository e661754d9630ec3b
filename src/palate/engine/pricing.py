"""An engine that prices: its catalogue, its score, and the believed demand behind a quoter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from palate.data import Catalogue
from palate.pricing.beliefs import believed
from palate.pricing.configuration import PricingSettings
from palate.pricing.inputs import Score
from palate.pricing.learning import learnt_before
from palate.pricing.quoting import Quoter, learnt_beside, log_of, opened
from palate.pricing.willingness import Willingness, described
from palate.privacy import Vault


class Priced(Protocol):
    """What a quoter needs of an engine."""

    @property
    def catalogue(self) -> Catalogue: ...

    def recommend(self, user: str | None = None, k: int = 10, *, candidates: Sequence[str] | None = None) -> Any: ...

    def behaviour(self, user: str, events: int, language: str = "en") -> str: ...


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
    belief, use = believed(settings, demand), settings.willingness
    reader = Willingness.load(use.reader) if use.enabled and use.reader else None
    willing = None if reader is None else willingness_of(engine, reader)
    return opened(
        lambda: engine.catalogue, settings, belief, vault, folder,
        score=score_of(engine), willingness=willing, clock=clock,
    )  # fmt: skip


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


def willingness_of(engine: Priced, reader: Willingness) -> Score:
    """How dear a thing of each kind a user would take, by what this engine knows of them; 0 where that is nothing."""
    read: tuple[Catalogue, list[str]] | None = None

    def told(user: str, items: Sequence[str]) -> list[float]:
        nonlocal read
        catalogue = engine.catalogue
        if read is None or read[0] is not catalogue:
            read = catalogue, described(catalogue, reader.settings)
        behaviour = engine.behaviour(user, reader.settings.events, reader.settings.language)
        positions = catalogue.ids.positions(items)
        known = positions >= 0
        answer = np.zeros(len(items))
        if known.any():
            own = [read[1][position] for position in positions[known].tolist()]
            answer[known] = reader.of([behaviour] * len(own), own)
        return [float(value) for value in answer]

    return told
