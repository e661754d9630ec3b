"""Where palate keeps what it can make again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where caches are kept: ``PALATE_CACHE``, else the platform's place for caches."""
    named = os.environ.get("PALATE_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "palate" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "palate"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palate"
