"""Written descriptions for an engine's items: shown, marked, and read by no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palate.language.completing import Completed, CompletingSettings, complete

if TYPE_CHECKING:
    from palate.engine.engine import Engine


def complete_descriptions(engine: Engine, settings: CompletingSettings | None = None) -> Completed:
    """Have the engine's writer describe items that say little, and take that into the catalogue.

    It stands in ``description_generated`` beside ``generated`` (true) and ``generated_by``. What the merchant wrote
    stays as it is, and what is recommended does not change: no model and no encoder reads what was written.
    """
    completed = complete(engine.catalogue, engine.writer, settings)
    if completed.frame.height:
        engine.update(items=completed.frame)
    return completed
