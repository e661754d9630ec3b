"""What may enter a price: personal inputs, and experiments that deal prices to people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.core import BoolArray, IntArray
from palate.pricing.asking import PriceArm, Question
from palate.pricing.packs import Pack
from palate.pricing.shelf import Shelf


@dataclass(frozen=True)
class Terms:
    """What holds for one question.

    Parameters
    ----------
    refusal
        Why nothing personal may enter, "" where it may.
    allowed
        bool (n,), whether something personal may enter the price of each item.
    """

    refusal: str
    allowed: BoolArray

    def arms(self, question: Question) -> tuple[PriceArm | None, ...]:
        """Where experiments put these items.

        What keeps personal data out of a price keeps out who was dealt to which arm: nobody is asked another price than
        the next person where that may not be.
        """
        return tuple(
            None if arm is not None and arm.of_person and not may else arm
            for arm, may in zip(question.arms, self.allowed.tolist(), strict=bool(question.arms))
        )


def refusal_of(question: Question, refused: bool, pack: Pack) -> str:
    """Why nothing personal may enter these prices, "" where it may."""
    if not question.person:
        return "nobody is named whose key could seal it"
    if not question.consent:
        return "no consent"
    if pack.personal == "never":
        return f"not allowed by the pack {pack.id!r}"
    return "this person refused personal prices" if refused else ""


def terms_of(question: Question, refused: bool, pack: Pack, shelf: Shelf, items: IntArray) -> Terms:
    """Whether something personal may enter, item by item (int32 (n,)), and why not."""
    refusal = refusal_of(question, refused, pack)
    if refusal:
        return Terms(refusal, np.zeros(len(items), dtype=np.bool_))
    if not pack.banned:
        return Terms("", items >= 0)
    return Terms("", (items >= 0) & ~shelf.off_limits(pack)[items])
