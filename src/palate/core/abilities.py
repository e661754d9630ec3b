"""What a recommender declares it can do; the conformance suite holds it to that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Abilities:
    """Declared abilities of a recommender.

    Parameters
    ----------
    unseen_users
        Answers a history of somebody who was not in training with more than popularity.
    unseen_items
        Scores items that have no training event (from their text or properties).
    uses_text
        Reads item texts, or free text in the query.
    uses_time
        The answer depends on when things happened, beyond their order.
    personal
        The answer depends on the history at all.
    """

    unseen_users: bool = True
    unseen_items: bool = False
    uses_text: bool = False
    uses_time: bool = False
    personal: bool = True
