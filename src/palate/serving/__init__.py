"""HTTP: the application, its door, the live state and the page."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from palate.serving.settings import ServingSettings, hash_api_key, new_api_key

if TYPE_CHECKING:
    from palate.serving.app import create_app
    from palate.serving.server import running, serve

__all__ = ["ServingSettings", "create_app", "hash_api_key", "new_api_key", "running", "serve"]

_HOMES = {"create_app": "app", "running": "server", "serve": "server"}


def __getattr__(name: str) -> Any:
    """The web framework is imported only by whoever serves."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'palate.serving' has no attribute {name!r}")
    return getattr(import_module(f"palate.serving.{home}"), name)
