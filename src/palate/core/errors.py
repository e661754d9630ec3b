"""What can go wrong, as one small tree.

PalateError
├── UsageError        the caller asked for something that makes no sense (exit code 2, HTTP 422)
│   └── UnknownIdError    an id that nobody has ever mentioned (HTTP 404)
├── DataError         what was given cannot be used: the message says what, where and how to mend it
├── ArtefactError     an engine folder is damaged, foreign or of another version
└── NotFittedError    asked before taught
"""

from __future__ import annotations


class PalateError(Exception):
    """Base of every error palate raises on purpose."""


class UsageError(PalateError):
    """The request contradicts itself or the data."""


class UnknownIdError(UsageError):
    """An item or user id that is not known here."""


class DataError(PalateError):
    """The data cannot be used as it stands. Nothing was imported."""


class ArtefactError(PalateError):
    """A saved engine is damaged, foreign or written by another format."""


class NotFittedError(PalateError):
    """A model was asked before it was fitted."""
