"""Somebody is forgotten in a log that keeps its rows: their key is destroyed, and a row tells whoever reads again."""

from __future__ import annotations

import secrets

from palate.data.event_log import Entry, EventLog, Row

_ABOUT = {"about": "forgotten"}


def forget(log: EventLog, person: str, known: bool = False) -> bool:
    """Write down that somebody is to be forgotten, then destroy their key.

    What was sealed for them is noise from then on, in every copy of the log; its rows and its chain stay, and whoever
    reads them again learns from the new row to keep nothing that came before.

    Parameters
    ----------
    person
        A pseudonym.
    known
        Somebody else knows them. Of whom nobody knows anything, nothing is written.

    Returns
    -------
    Whether anything was known of them: by somebody else, by a key, or by a row.
    """
    log.flush()  # what waits would be sealed under a key that nobody asked to destroy
    known = known or person in log.vault or next(log.events_of(person), None) is not None
    if known:
        log.commit([Entry("user", f"f_{secrets.token_hex(16)}", person, dict(_ABOUT))]).result()
        log.vault.erase(person)
    return known


def says_forgotten(row: Row) -> bool:
    """Whether a row says that its subject is to be forgotten."""
    return row.sort == "user" and row.body.get("about") == _ABOUT["about"]
