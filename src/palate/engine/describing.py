"""What an engine says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from palate.behaviour import branch
from palate.language.generation import TemplateGenerator

if TYPE_CHECKING:
    from palate.engine.engine import Engine


def described(engine: Engine) -> dict[str, Any]:
    """What an engine is, for pages and logs."""
    return {
        "version": engine.version,
        "name": engine.dataset.name,
        "users": engine.dataset.n_users,
        "items": len(engine.catalogue),
        "events": engine.dataset.n_events,
        "branch": engine.kind,
        "branch_reason": branch(engine.dataset.catalogue).reason_en,
        **engine.pipeline.describe(),
        **({} if engine.mixing.bandit is None else {"bandit": engine.mixing.bandit.describe()}),
        **({} if (judge := engine.assembled.attractiveness) is None else {"attractiveness": judge.describe()}),
        **({} if engine.shown is None else {"shown": engine.shown.describe()}),
        "masks_seen": engine.masks_seen,
        # Whether a model writes, never which or where: this stands on a page.
        "writer": "template" if isinstance(engine.writer, TemplateGenerator) else "model",
        "notes": list(engine.notes),
        "seconds": {name: round(value, 2) for name, value in engine.timings.items()},
    }
