"""Everything the demo shop consists of before anything happens in it."""

from __future__ import annotations

from dataclasses import dataclass

from palate.simulation.assortment import Assortment
from palate.simulation.people import People, Visits
from palate.simulation.truth import Truth
from palate.simulation.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class World:
    """Words, goods, people, the moments they visit and the truth about them.

    Parameters
    ----------
    end
        Moment from which on nothing is recorded, seconds since 1970 UTC.
    """

    words: Vocabulary
    goods: Assortment
    people: People
    visits: Visits
    truth: Truth
    end: float
