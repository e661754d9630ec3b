"""Questions that come at the same time are answered together.

While one crowd is being answered the next one gathers; nobody waits for a crowd to grow. Somebody who asks alone is a
crowd of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palate.ranking.mixes import Mix
from palate.serving.live import Live


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody with a plain question, and where the answer is awaited."""

    user: str | None
    manner: tuple[int, float | None, Mix | None]
    """How many items, how diverse, how mixed: only questions alike in this are answered together."""
    answer: asyncio.Future[Any]


class Crowd:
    """Askers of one server. Used from its event loop alone.

    Parameters
    ----------
    most
        Askers answered together.
    """

    def __init__(self, live: Live, most: int = 64) -> None:
        self._live, self._most = live, most
        self._waiting: list[Asker] = []
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, user: str | None, count: int, diversity: float | None, mix: Mix | None = None) -> Any:
        """What the engine recommends."""
        asker = Asker(user, (count, diversity, mix), asyncio.get_running_loop().create_future())
        self._waiting.append(asker)
        if self._answering is None:
            self._answering = asyncio.create_task(self._answer_all())
        return await asker.answer

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                # Whoever's request lies ready in the loop belongs to this crowd.
                await asyncio.sleep(0)
                manner = self._waiting[0].manner
                alike = [asker for asker in self._waiting if asker.manner == manner][: self._most]
                chosen = set(map(id, alike))
                self._waiting = [asker for asker in self._waiting if id(asker) not in chosen]
                await self._answer(alike)
        finally:
            self._answering = None

    async def _answer(self, askers: Sequence[Asker]) -> None:
        engine, (count, diversity, mix) = self._live.engine, askers[0].manner
        users = [asker.user for asker in askers]
        try:
            answers = await self._live.elsewhere(
                lambda: engine.recommend_many(users, count, diversity=diversity, mix=mix)
            )
        except Exception as error:  # each asker is told, by the same path as any other failure
            for asker in askers:
                if not asker.answer.done():
                    asker.answer.set_exception(error)
            return
        for asker, answer in zip(askers, answers, strict=True):
            if not asker.answer.done():  # who went away meanwhile is not waited for
                asker.answer.set_result(answer)
