"""Answers remembered: nothing is computed twice while nothing has changed.

An engine answers the same question about the same person in the same way until something happens. What happened to
one person forgets that person's answers at once; a changed item or attribute forgets everybody's. What one person does
moves the others' answers a little (what is popular, say): the time to live bounds how late that is noticed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """The latest answers, at most ``size`` of them, none older than ``seconds``. Used from one thread.

    Parameters
    ----------
    clock
        Seconds that never run backwards.
    """

    def __init__(self, size: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._seconds, self._clock = size, seconds, clock
        self._answers: OrderedDict[Hashable, tuple[float, object, T]] = OrderedDict()

    def get(self, key: Hashable, state: object) -> T | None:
        """The answer to a question if it was given in this state of things and not too long ago."""
        found = self._answers.get(key)
        if found is None:
            return None
        given, then, answer = found
        if then != state or self._clock() - given > self._seconds:
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return answer

    def put(self, key: Hashable, state: object, answer: T) -> None:
        """Remember an answer given in this state of things."""
        if not self._size:
            return
        self._answers[key] = (self._clock(), state, answer)
        self._answers.move_to_end(key)
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)

    def __len__(self) -> int:
        return len(self._answers)
