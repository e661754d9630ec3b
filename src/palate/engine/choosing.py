"""Which sources can work with the data at hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.behaviour.gazetteer import coordinates
from palate.core import UsageError
from palate.data import Baskets, Dataset
from palate.engine.settings import EngineSettings
from palate.language import TextEncoder
from palate.models.semantic_tuned import taught_by

TEXT_SOURCES = frozenset({"semantic", "lexical"})
"""Sources that learn from the catalogue alone: fitted once, whatever events are held out."""

NEED_TEXT = TEXT_SOURCES | {"semantic_transitions", "semantic_tuned", "transferred", "generative", "next_behaviour"}
"""Sources that have nothing to say where the catalogue has no text."""

SEQUENCES = frozenset({"sequential", "sasrec", "gru4rec", "lstm", "generative", "semantic_tuned"})
"""Sources that learn by gradients what follows what."""

ENOUGH_PAIRS = 500
"""With fewer times that something followed something, networks learn nothing that counts do not know."""


def sources_for(
    dataset: Dataset, settings: EngineSettings, text: bool, masks: bool, notes: list[str]
) -> tuple[str, ...]:
    """Those of the sources named in the settings that can work with this data; ``notes`` gains why others do not.

    Raises
    ------
    UsageError
        None can.
    """
    names = []
    pairs = int((dataset.sequences.lengths - 1).clip(0).sum())
    unsuited: dict[str, Callable[[], bool]] = {
        "interest": lambda: text or not _described(dataset),
        "repeats": lambda: masks,
        "baskets": lambda: not _has_baskets(dataset),
        "knowledge": lambda: not settings.models.knowledge.file,
        "places": lambda: masks or not _mapped(dataset),
    }
    for name in settings.sources:
        if name in NEED_TEXT and not text:
            notes.append(f"{name} is left out: the catalogue has no text")
        elif name in unsuited and unsuited[name]():
            continue
        elif name in SEQUENCES and pairs < ENOUGH_PAIRS:
            notes.append(f"{name} is left out: {pairs} times something followed something is too little to learn from")
        elif name == "ease" and int((dataset.popularity > 0).sum()) > settings.ease_items:
            notes.append(f"ease is left out: more than {settings.ease_items:,} items have events")
        else:
            names.append(name)
    if not names:
        raise UsageError(f"none of the sources {', '.join(settings.sources)} can work with this data")
    return tuple(names)


def _described(dataset: Dataset) -> bool:
    """Whether items have anything but text to tell them apart by."""
    catalogue = dataset.catalogue
    return catalogue.column("category") is not None or not bool(np.isnan(catalogue.prices).all())


def _has_baskets(dataset: Dataset) -> bool:
    """Whether the data says what was taken together, often enough to learn from it."""
    if "basket_id" not in dataset.events.columns:
        return False
    return int((Baskets.of(dataset).contents.lengths > 1).sum()) >= ENOUGH_PAIRS


def _mapped(dataset: Dataset) -> bool:
    """Whether most items have coordinates, and every event a time."""
    lat, lon = coordinates(dataset.catalogue)
    return dataset.has_times and bool(np.isfinite(lat + lon).mean() > 0.5)


def teachable(names: tuple[str, ...], encoder: TextEncoder | None, notes: list[str]) -> tuple[str, ...]:
    """The same names without those that would teach an encoder which cannot be taught."""
    if "semantic_tuned" not in names or taught_by(encoder) is not None:
        return names
    notes.append("semantic_tuned is left out: the encoder is no transformer that can be taught")
    return tuple(name for name in names if name != "semantic_tuned")
