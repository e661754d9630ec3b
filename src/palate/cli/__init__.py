"""The command line: one file a group of verbs. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 asked for something that makes no sense.

    Parameters
    ----------
    arguments
        Words after ``palate``; those of the process where None.
    """
    from palate.cli.app import app

    app(args=None if arguments is None else list(arguments), prog_name="palate")
