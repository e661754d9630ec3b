"""How the server behaves at its door."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

from pydantic import Field, field_validator

from palate.core import Settings


class ServingSettings(Settings):
    """Limits and doors of the HTTP server.

    Parameters
    ----------
    max_body_bytes
        Larger request bodies are refused (413) before they are read to their end.
    api_key_hashes
        SHA-256 (hexadecimal) of the keys that open ``/v1`` and ``/metrics``; empty: no key is asked for. The keys
        themselves are written nowhere; ``new_api_key`` makes one.
    allowed_hosts
        Names a request's Host header may carry; empty: any. A server bound to this machine alone lets only this
        machine's names in, so that a page from elsewhere cannot reach it by renaming its own address (DNS rebinding).
    page
        Serve the page at ``/`` and what it needs.
    sample_users
        How many people the page offers to choose from.
    log_answers
        Record every answer given in the event log.
    remembered_answers, remembered_seconds
        How many answers are kept, and for how long, to be given again while nothing has changed; 0 keeps none.
    experiment_seconds
        Between two turns of the loop over experiments: how late a step taken in another process is noticed.
    replay_rows
        Rows handed to the engine at once when the log is replayed at start.
    """

    max_body_bytes: Annotated[int, Field(ge=1_024)] = 1 << 20
    api_key_hashes: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    page: bool = True
    sample_users: Annotated[int, Field(ge=0, le=100)] = 12
    log_answers: bool = True
    remembered_answers: Annotated[int, Field(ge=0)] = 20_000
    remembered_seconds: Annotated[float, Field(gt=0)] = 300.0
    experiment_seconds: Annotated[float, Field(gt=0)] = 5.0
    replay_rows: Annotated[int, Field(ge=1)] = 20_000

    @field_validator("api_key_hashes")
    @classmethod
    def _hexadecimal(cls, hashes: tuple[str, ...]) -> tuple[str, ...]:
        for value in hashes:
            if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
                raise ValueError("an API key hash is 64 lower-case hex digits (SHA-256); never put the key itself here")
        return hashes


def new_api_key() -> tuple[str, str]:
    """A fresh API key (256 random bits) and the hash to configure. One SHA-256 suffices for a key nobody chose."""
    key = secrets.token_urlsafe(32)
    return key, hash_api_key(key)


def hash_api_key(key: str) -> str:
    """SHA-256 of an API key, hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()
