"""The live state: people get their pseudonyms, what happens is written down first and known to the engine next.

The engine knows the people it was trained on by the ids of the training data and everybody else by pseudonym; the log
knows everybody by pseudonym alone. What the log holds is enough to tell a fresh engine what happened since.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from palate.behaviour import Edits
from palate.data.event_log import Entry, EventLog, Row
from palate.data.forgetting import forget, says_forgotten
from palate.data.log_rows import canonical
from palate.pricing.asking import Quote
from palate.ranking.bandit import Choice
from palate.serving.contract import ServedEngine
from palate.serving.schemas import EventRow, ItemRow, UserRow, given

T = TypeVar("T")
_FUTURE_SECONDS = 86_400.0
_REMEMBERED_DESCRIPTIONS = 200_000
_COUNTED_PEOPLE = 1_000_000
_PURSUITS = 4
"""Askers who may wait for a text generator at the same time; others are answered from templates meanwhile."""
_PERSONAL = frozenset({"text", "place", "lat", "lon", "device", "session_id", "basket_id"})

_CORRECTION = {"about": "profile"}
"""What marks a description of a person as their own corrections."""

# Ids must be unique, not secret; asking the system for randomness each time would cost the hot path a system call.
_numbers = random.Random(secrets.randbits(256))  # noqa: S311


def _fresh(letter: str) -> str:
    """An id nobody has used: a letter and 128 random bits."""
    return f"{letter}_{_numbers.getrandbits(128):032x}"


@dataclass(frozen=True, slots=True)
class RowFate:
    """What became of one row: accepted, duplicate or rejected, and why."""

    id: str
    status: str
    reason: str | None = None


class Live:
    """The engine and its log, kept in step.

    Parameters
    ----------
    clock
        Seconds since 1970 UTC; when an event without a time happened.
    """

    def __init__(self, engine: ServedEngine, log: EventLog, clock: Callable[[], float] = time.time) -> None:
        self.engine, self.log, self._clock = engine, log, clock
        # One thread: updates reach the engine in the order of the log, and never hold up the event loop.
        self._updates = ThreadPoolExecutor(1, thread_name_prefix="palate-update")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="palate-answer")
        self._pursuers = ThreadPoolExecutor(_PURSUITS, thread_name_prefix="palate-pursue")
        self._pursuits = 0
        self._described: OrderedDict[str, bytes] = OrderedDict()
        self._epoch = self._under_way = 0
        self._closed = False
        self._happened: OrderedDict[str, int] = OrderedDict()

    def known_as(self, user_id: str) -> str:
        """The name under which the engine knows a person."""
        trained = self.engine.dataset.user_ids
        if user_id in trained:
            return user_id
        pseudonym = self.log.vault.pseudonym(user_id)
        if pseudonym in trained:
            return pseudonym
        # A saved engine knows people by the pseudonyms of the vault it was saved with, perhaps another than the log's.
        other = self.engine.known_as(user_id)
        return other if other in trained else pseudonym

    @property
    def busy(self) -> bool:
        """Whether something works on the engine outside the event loop; asking it now would mean waiting there."""
        return self._under_way > 0

    def state_of(self, name: str | None) -> tuple[int, int]:
        """A value that is another one as soon as the engine knows something new about a person, or about any item."""
        return self._epoch, self._happened.get(name, 0) if name else 0

    def replay(self, rows_at_once: int) -> int:
        """Tell the engine what the log holds; returns how many rows. Due once, before anything is asked."""
        trained = {self.log.vault.pseudonym(name): name for name in self.engine.dataset.user_ids.names}
        # Answers are of use to a bandit alone, and there are many of them.
        rows = self.log.replay(("event", "item", "user", "answer") if self.engine.draws else ("event", "item", "user"))
        total = 0
        while part := list(islice(rows, rows_at_once)):
            total += len(part)
            for sort, run in _runs(part):
                if sort == "event":
                    # An erased person's words are gone; that they clicked is not personal by itself and still counts.
                    self.engine.update(events=[_event_of(row, trained) for row in run])
                elif sort == "item":
                    self.engine.update(items=[row.body for row in run])
                elif sort == "answer":
                    choices = ((row.id, Choice.read(row.body, row.personal)) for row in run)
                    self.engine.recall((name, choice) for name, choice in choices if choice is not None)
                else:
                    told = [row for row in run if not row.erased]
                    self.engine.update(users=[_user_of(row, trained) for row in told if not row.body.get("about")])
                    for row in told:
                        name, edits = trained.get(row.subject, row.subject), Edits.read(row.personal or {})
                        if says_forgotten(row):
                            self.engine.forget(name)
                        elif row.body.get("about") == _CORRECTION["about"]:
                            self.engine.correct(name, lambda _, edits=edits: edits)  # type: ignore[misc]
        return total

    async def take_events(self, rows: Sequence[EventRow]) -> list[RowFate]:
        """Write events down and tell the engine of the new ones; when this returns, the next answer knows them."""
        now = self._clock()
        items, kinds = self.engine.catalogue.ids, self.engine.dataset.kinds
        fates: list[RowFate | None] = [None] * len(rows)
        entries: list[Entry] = []
        updates: list[dict[str, Any]] = []
        places: list[int] = []
        for place, row in enumerate(rows):
            name = row.event_id or _fresh("e")
            reason = None
            if row.item_id is not None and row.item_id not in items:
                reason = f"unknown item {row.item_id!r}; send it to /v1/items first"
            elif row.kind not in kinds:
                reason = f"unknown kind {row.kind!r}; known: {', '.join(kinds.names)}"
            elif row.timestamp is not None and row.timestamp > now + _FUTURE_SECONDS:
                reason = "its time lies more than a day ahead"
            if reason is not None:
                fates[place] = RowFate(name, "rejected", reason)
                continue
            fields = given(row)
            fields.pop("user_id")
            fields.pop("event_id", None)
            fields.setdefault("timestamp", now)
            personal = {key: value for key, value in fields.items() if key in _PERSONAL}
            body = {key: value for key, value in fields.items() if key not in _PERSONAL}
            entries.append(Entry("event", name, self.log.vault.pseudonym(row.user_id), body, personal or None))
            updates.append({**fields, "user_id": self.known_as(row.user_id), "event_id": name})
            places.append(place)
        if entries:
            fresh = await asyncio.wrap_future(self.log.commit(entries))
            reasons: dict[str, str] = {}
            new = [update for update, is_new in zip(updates, fresh, strict=True) if is_new]
            if new:
                refused = await self._update(events=new)
                reasons = {str(new[place]["event_id"]): why for place, why in refused.items() if place >= 0}
                self._moved({str(update["user_id"]) for update in new})
            for place, entry, is_new in zip(places, entries, fresh, strict=True):
                status = "duplicate" if not is_new else "rejected" if entry.id in reasons else "accepted"
                fates[place] = RowFate(entry.id, status, reasons.get(entry.id))
        return [fate for fate in fates if fate is not None]

    async def take_items(self, rows: Sequence[ItemRow]) -> list[RowFate]:
        """Write items down and tell the engine of those that are new or changed."""
        described = [(row.item_id, {**row.properties, **given(row)}) for row in rows]
        return await self._describe("item", described, lambda changed: self._update(items=changed))

    async def take_users(self, rows: Sequence[UserRow]) -> list[RowFate]:
        """Write users' attributes down, sealed, and tell the engine of those that are new or changed."""
        described = [(row.user_id, {**row.attributes, "user_id": self.known_as(row.user_id)}) for row in rows]
        return await self._describe("user", described, lambda changed: self._update(users=changed))

    async def take_corrections(self, user_id: str, change: Callable[[Edits], Edits]) -> Edits:
        """Change what somebody says of their own profile, and write it down, sealed; the next answer follows it."""
        name = self.known_as(user_id)
        edits = await self._outside(self._updates, lambda: self.engine.correct(name, change))
        self._moved([name])
        entry = Entry("user", _fresh("p"), self.log.vault.pseudonym(user_id), _CORRECTION, edits.written())
        await asyncio.wrap_future(self.log.commit([entry]))
        return edits

    async def forget(self, user_id: str) -> bool:
        """Forget somebody, now and at every start to come; True where anything was known of them.

        The log goes first: from then on nothing that comes back can have been sealed before.
        """
        name, person = self.known_as(user_id), self.log.vault.pseudonym(user_id)
        known = await self.elsewhere(lambda: forget(self.log, person, self.engine.knows(name)))
        await self._outside(self._updates, lambda: self.engine.forget(name))
        self._described.pop(f"user:{user_id}", None)
        self._moved([name])
        return known

    def note_answer(
        self,
        answer: Any,
        *,
        user_id: str | None = None,
        scenario: str | None = None,
        personal: dict[str, Any] | None = None,
        quote: Quote | None = None,
        experiment: dict[str, str] | None = None,
    ) -> str:
        """Record an answer as it was given and return its recommendation id.

        Parameters
        ----------
        answer
            What the engine answered.
        personal
            What the question told of the asker; kept only where there is a key to seal it under, that is, a user.
        quote
            The prices that were shown with it; those of the catalogue where None.
        experiment
            Name and arm of the experiment that decided how it was made.
        """
        name = answer.recommendation_id or _fresh("r")
        mixed, context = ({}, {}) if answer.choice is None else answer.choice.written()
        catalogue = self.engine.catalogue
        shown = [item.item for item in answer.items]
        prices = catalogue.prices[catalogue.ids.positions(shown)].tolist()
        body = {
            "model_version": answer.model_version,
            "source": answer.source,
            "degraded": answer.degraded,
            "scenario": scenario,
            "items": shown,
            "positions": list(range(1, len(shown) + 1)),
            # Of the list as it stands. Where no bandit draws, the same question always gets it: 1 for certain.
            "propensities": [1.0 if answer.choice is None else answer.choice.propensity] * len(shown),
            "prices": [None if math.isnan(price) else price for price in prices],
            **({} if quote is None else {"prices": quote.prices(shown), "price_decision": quote.decision_id}),
            **({} if experiment is None else {"experiment": experiment}),
            **mixed,
        }
        if user_id is None:
            self.log.record(Entry("answer", name, "", {**body, **context}))
        else:
            told = {**(personal or {}), **context}
            self.log.record(Entry("answer", name, self.log.vault.pseudonym(user_id), body, told or None))
        return name

    def close(self) -> None:
        """Finish updates under way and write what waits."""
        self._closed = True
        self._updates.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._pursuers.shutdown(wait=True)
        self.log.flush()

    async def elsewhere(self, work: Callable[[], T]) -> T:
        """Do what takes long enough to be felt by others, such as reading words, outside the event loop."""
        return await self._outside(self._readers, work)

    async def apart(self, work: Callable[[bool], T]) -> T:
        """Do what may wait for a text generator; ``work`` learns whether there is room for it, or templates are due."""
        free = self._pursuits < _PURSUITS
        self._pursuits += free
        try:
            if not free:
                return await self.elsewhere(lambda: work(False))
            return await self._outside(self._pursuers, lambda: work(True))
        finally:
            self._pursuits -= free

    def _moved(self, people: Iterable[str]) -> None:
        """Something happened to these people."""
        for name in people:
            self._happened[name] = self._happened.pop(name, 0) + 1
        if len(self._happened) > _COUNTED_PEOPLE:
            # Rather than forget whose count stood where, everybody starts anew.
            self._happened.clear()
            self._epoch += 1

    async def _outside(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:  # what came before the doors shut is still answered
            return work()
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            self._under_way -= 1

    async def _update(self, **changes: Any) -> dict[int, str]:
        """Tell the engine; returns the places of rows it would not take, and why."""
        updated = await self._outside(self._updates, lambda: self.engine.update(**changes))
        return {int(row["line"]) - 1: str(row["reason"]) for row in updated.rejected}

    async def _describe(
        self,
        sort: str,
        described: list[tuple[str, dict[str, Any]]],
        update: Callable[[list[dict[str, Any]]], Awaitable[dict[int, str]]],
    ) -> list[RowFate]:
        """Pass on descriptions that differ from the last one of the same thing, and write down what was taken."""
        fates: list[RowFate] = []
        changed: dict[str, tuple[int, dict[str, Any], bytes]] = {}
        for place, (name, values) in enumerate(described):
            digest = hashlib.sha256(canonical(values)).digest()
            known = changed[name][2] if name in changed else self._described.get(f"{sort}:{name}")
            fates.append(RowFate(name, "duplicate" if known == digest else "accepted"))
            if known != digest:
                before = changed[name][1] if name in changed else {}
                changed[name] = (place, {**before, **values}, digest)
        if not changed:
            return fates
        refused = await update([values for _, values, _ in changed.values()])
        self._epoch += 1
        entries = []
        for row, (name, (place, values, digest)) in enumerate(changed.items()):
            if row in refused:
                fates[place] = RowFate(name, "rejected", refused[row])
                continue
            entries.append(self._description(sort, name, values))
            self._described[f"{sort}:{name}"] = digest
            self._described.move_to_end(f"{sort}:{name}")
            if len(self._described) > _REMEMBERED_DESCRIPTIONS:
                self._described.popitem(last=False)
        await asyncio.wrap_future(self.log.commit(entries))
        return fates

    def _description(self, sort: str, name: str, values: dict[str, Any]) -> Entry:
        if sort == "item":
            return Entry(sort, _fresh("i"), "", values)
        attributes = {key: value for key, value in values.items() if key != "user_id"}
        return Entry(sort, _fresh("u"), self.log.vault.pseudonym(name), {}, attributes or None)


def _runs(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Consecutive rows of the same sort together, so that an item is known before the events about it."""
    run: list[Row] = []
    for row in rows:
        if run and run[-1].sort != row.sort:
            yield run[0].sort, run
            run = []
        run.append(row)
    if run:
        yield run[0].sort, run


def _event_of(row: Row, trained: dict[str, str]) -> dict[str, Any]:
    return {
        **row.body,
        **(row.personal or {}),
        "user_id": trained.get(row.subject, row.subject),
        "event_id": row.id,
    }


def _user_of(row: Row, trained: dict[str, str]) -> dict[str, Any]:
    return {**(row.personal or {}), "user_id": trained.get(row.subject, row.subject)}
