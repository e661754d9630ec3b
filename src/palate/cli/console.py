"""What a person sees: tables and progress. What a program sees: JSON, alone on standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

STDOUT = "-"

Report: TypeAlias = Callable[[str, float], None]
"""Hears of progress: a step's name, and the fraction of it that is done."""


def output() -> Console:
    """Standard output for people; wide enough for a table where it is not a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def messages() -> Console:
    """Standard error: progress and asides, never results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def progress(quiet: bool = False) -> Iterator[Report]:
    """A bar with the time left, on a terminal only, gone when done.

    Yields
    ------
    A function of the step's name and the fraction of it that is done, 0 to 1.
    """
    console = messages()
    if quiet or not console.is_terminal:
        yield lambda step, fraction: None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def update(step: str, fraction: float) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=1.0)
            bars.update(tasks[step], completed=min(max(fraction, 0.0), 1.0))

        yield update


def write_json(value: Any, target: str = STDOUT) -> None:
    """JSON to a file, whole or not at all, or to standard output for "-"."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_plain, allow_nan=False)
    if target == STDOUT:
        print(text)
        return
    from palate.core.artefact import write_text

    write_text(Path(target), text + "\n")


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """Print a table; the first ``left`` columns are words, the others numbers."""
    from rich import box
    from rich.table import Table

    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(head):
        grid.add_column(name, justify="left" if position < left else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(_safe(cell) for cell in row))
    output().print(grid)


def say(text: str) -> None:
    """A line of the result, as it stands: square brackets in a title are no markup."""
    output().print(text, markup=False, soft_wrap=True)


def aside(text: str) -> None:
    """A line beside the result, on standard error."""
    messages().print(text, markup=False, soft_wrap=True)


def language_here() -> Literal["en", "zh"]:
    """The language of the terminal: "zh" where its locale is Chinese, else "en"."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def _safe(cell: str) -> str:
    from rich.markup import escape

    return escape(cell)


def _plain(value: Any) -> Any:
    """NumPy's numbers, tuples' cousins and paths, as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)
