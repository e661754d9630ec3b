"""A quote: from a question to prices that are lawful, bounded, disclosed and recorded."""

from __future__ import annotations

import math
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from palate.core import BoolArray, Float64Array, IntArray, UsageError
from palate.data import Catalogue
from palate.data.event_log import Entry, LogFullError
from palate.pricing.asking import Line, Question, Quote
from palate.pricing.book import PriceBook
from palate.pricing.deciding import Case, Outcome, decide
from palate.pricing.decisions import Decision, DecisionLog, Rules
from palate.pricing.guardrails import AT_LIST, Rails, names_of
from palate.pricing.inputs import Inputs, Score, banned
from palate.pricing.packs import Pack, Packs, packs
from palate.pricing.refusals import Refusals
from palate.pricing.settings import PricingSettings
from palate.pricing.shown import DAY, Last, LastShown, Lows
from palate.pricing.terms import PricingPolicy
from palate.privacy import Vault

_REMEMBERED_DAYS = 30
_RULES_EVERY = 50_000
"""Decisions after which the rules are written again, so that retention never parts the two."""

# Ids must be unguessable together, not one by one: seeded once from the system, as asking it each time is slow.
_numbers = random.Random(secrets.randbits(256))  # noqa: S311


@dataclass(frozen=True)
class Shelf:
    """What belongs to one catalogue: its book, its inputs, its banned categories by pack."""

    book: PriceBook
    inputs: Inputs
    banned: dict[str, BoolArray]


@dataclass(frozen=True)
class _Terms:
    """What holds for one question."""

    pack: Pack
    refusal: str
    """Why nothing personal may enter, "" where it may."""
    allowed: BoolArray


class Quoter:
    """Quotes prices, safe to use from many threads.

    Parameters
    ----------
    catalogue
        Asked for before each quote: a changed one gets a new price book.
    policy, model
        Who proposes, and the version of what it believes; ``change`` puts others in their place.
    log
        Where decisions are written; without one nothing but list prices is quoted.
    score
        How well items suit a user, for inputs of the source ``score``.
    clock
        Seconds since 1970 UTC.
    """

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        settings: PricingSettings,
        policy: PricingPolicy,
        model: str,
        log: DecisionLog,
        refusals: Refusals,
        *,
        score: Score | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not settings.enabled:
            raise UsageError("prices are off here; set enabled = true under [pricing] in palate.toml.")
        self.settings, self.policy, self.model, self.log, self.refusals = settings, policy, model, log, refusals
        self.packs: Packs = packs(Path(settings.packs) if settings.packs else None)
        self._catalogue, self._score, self._clock = catalogue, score, clock
        self._lock = threading.Lock()
        self._shelf = self._stocked(catalogue())
        self._shown, self._lows = LastShown(settings.remembered), Lows(_REMEMBERED_DAYS)
        self._rules, self._marked, self._since_rules = self._current_rules(), "", 0
        self._recall()

    @property
    def shelf(self) -> Shelf:
        """What belongs to the catalogue of now."""
        catalogue = self._catalogue()
        if self._shelf.book.catalogue is not catalogue:
            self._shelf = self._stocked(catalogue)
        return self._shelf

    def change(self, policy: PricingPolicy, model: str, settings: PricingSettings | None = None) -> None:
        """Price otherwise from the next question on: another policy, other guard-rails, the kill switch."""
        with self._lock:
            self.policy, self.model, self.settings = policy, model, settings or self.settings
            self._rules, self._marked = self._current_rules(), ""
            if settings is not None:
                self._shelf = self._stocked(self._catalogue())

    def quote(self, question: Question) -> Quote:
        """Prices for a question.

        Raises
        ------
        UsageError
            The question makes no sense: see ``Question.check``. What is merely unknown is answered at list prices.
        """
        question.check(self.settings.currency)
        with self._lock:
            return self._quote(question)

    def refuse(self, person: str, refused: bool = True) -> None:
        """Somebody refuses personal prices from now on, or no longer does. Both are in the log."""
        self.refusals.set(person, refused, self._clock())
        name = f"o_{_numbers.getrandbits(128):032x}"
        self.log.log.record(Entry("user", name, person, {"about": "prices", "refused": refused}))

    def close(self) -> None:
        """Write what waits and let go of the files."""
        self.log.close()
        self.refusals.close()

    def _quote(self, question: Question) -> Quote:
        now, shelf, settings = self._clock(), self.shelf, self.settings
        book = shelf.book
        items = book.catalogue.ids.positions(question.items)
        terms = self._terms(question, shelf, items)
        score = self._score
        gathered = shelf.inputs.gather(
            items,
            question.told,
            terms.pack,
            terms.allowed,
            terms.refusal,
            now,
            None if score is None or question.user is None else lambda: score(question.user or "", question.items),
        )
        names, personal = shelf.inputs.names, shelf.inputs.personal
        uses = (gathered.features[:, np.array(personal, dtype=np.bool_)] != 0).any(axis=1)
        owner = question.person if uses.any() else ""
        shown, was_personal = self._before(question, owner, bool(not terms.refusal), now)
        rails = _rails(book, items, terms.pack, settings, uses, shown, question.segment if owner else "", now)
        case = Case(f"q_{_numbers.getrandbits(128):032x}", items, rails, gathered.features, names, personal)
        outcome = decide(case, self.policy, settings.guard, settings.rungs)
        entered = ((outcome.clips & AT_LIST) == 0) & (uses | was_personal)
        lines = self._lines(question, terms.pack, book, items, outcome, entered, now)
        place = (question.jurisdiction or settings.jurisdiction).upper()
        facts = {
            "jurisdiction": place,
            "pack": terms.pack.id,
            "consent": question.consent,
            "refused": terms.refusal,
            "language": question.language,
            "disclosed": [line.disclosure for line in lines],
        }
        decision = Decision(
            case, outcome, question.items, self._rules.version, question.person, bool(owner or was_personal.any()),
            tuple(entered.tolist()), facts,
        )  # fmt: skip
        if not self._recorded(decision):
            return self._listed(question, terms.pack, book, items, now)
        self._remember(question, owner, items, outcome, entered, now)
        return Quote(
            case.id, now, now + settings.valid_seconds, place, terms.pack.id, lines,
            " ".join(dict.fromkeys(line.disclosure for line in lines if line.disclosure)), False, gathered.left_out,
        )  # fmt: skip

    def _terms(self, question: Question, shelf: Shelf, items: IntArray) -> _Terms:
        """Whether personal inputs may enter, item by item, and why not."""
        pack = self.packs.of(question.jurisdiction or self.settings.jurisdiction)
        refusal = ""
        if not question.person:
            refusal = "nobody is named whose key could seal it"
        elif not question.consent:
            refusal = "no consent"
        elif pack.personal == "never":
            refusal = f"not allowed by the pack {pack.id!r}"
        elif question.person in self.refusals:
            refusal = "this person refused personal prices"
        if refusal:
            return _Terms(pack, refusal, np.zeros(len(items), dtype=np.bool_))
        if not pack.banned:
            return _Terms(pack, "", items >= 0)
        off = shelf.banned.get(pack.id)
        if off is None:
            off = shelf.banned[pack.id] = banned(shelf.book.catalogue, pack)
        return _Terms(pack, "", (items >= 0) & ~off[items])

    def _before(
        self, question: Question, owner: str, permitted: bool, now: float
    ) -> tuple[tuple[Float64Array, Float64Array, Float64Array], BoolArray]:
        """The prices shown last, when, and for how long they are held; and whether they were personal."""
        guard = self.settings.guard
        rows = []
        for item in question.items:
            last, hold = None, guard.cool_down_seconds
            if question.session:
                last = self._shown.get(f"session {question.session}", item)
                if last is not None and now - last.at < guard.session_seconds and (permitted or not last.personal):
                    hold = guard.session_seconds
                else:
                    last = None
            last = last or self._shown.get(owner, item)
            if last is not None and last.personal and not permitted:
                last = None
            rows.append((np.nan, np.nan, hold, False) if last is None else (last.price, last.at, hold, last.personal))
        price, at, held, personal = np.array(rows, dtype=np.float64).T.copy()
        return (price, at, held), personal != 0

    def _lines(
        self,
        question: Question,
        pack: Pack,
        book: PriceBook,
        items: IntArray,
        outcome: Outcome,
        entered: BoolArray,
        now: float,
    ) -> tuple[Line, ...]:
        listed = np.where(items >= 0, book.list_price[items], np.nan) if len(book.list_price) else outcome.price
        before = self._lows.lowest(items, now, pack.lowest_days) if pack.lowest_days else np.full(len(items), np.nan)
        discounted = (outcome.price < listed) & (pack.lowest_days > 0)
        lowest = np.where(discounted, np.fmin(before, listed), np.nan)
        columns = (outcome.price, listed, outcome.low, outcome.high, lowest, entered, discounted, outcome.clips, items)
        lines = []
        for item, price, list_price, low, high, before_now, personal, cut, clips, position in zip(
            question.items, *(column.tolist() for column in columns), strict=True
        ):
            currency = book.currency[position] if position >= 0 else self.settings.currency
            if math.isnan(price):
                lines.append(Line(item, None, None, None, None, currency, False, "", None, names_of(clips)))
                continue
            disclosure = pack.disclosure.of(personal, price != list_price, question.language)
            lowest_before = before_now if cut else None
            clipped = names_of(clips)
            lines.append(
                Line(item, price, list_price, low, high, currency, personal, disclosure, lowest_before, clipped)
            )
        return tuple(lines)

    def _recorded(self, decision: Decision) -> bool:
        """Whether a decision will be written down; the rules it names go before it."""
        if self.log.log.failure is not None:
            return False
        try:
            day = str(int(decision.case.rails.now // DAY))
            if self._marked != day or self._since_rules >= _RULES_EVERY:
                self.log.note_rules(self._rules, f"{decision.case.id}")
                self._marked, self._since_rules = day, 0
            self.log.note(decision)
        except LogFullError:
            return False
        self._since_rules += 1
        return True

    def _listed(self, question: Question, pack: Pack, book: PriceBook, items: IntArray, now: float) -> Quote:
        """List prices, where nothing else could be recorded."""
        lines = []
        for item, position in zip(question.items, items.tolist(), strict=True):
            listed = float(book.list_price[position]) if position >= 0 else float("nan")
            price = listed if 0 < listed <= 1e9 else None
            currency = book.currency[position] if position >= 0 else self.settings.currency
            lines.append(Line(item, price, price, price, price, currency, False, "", None, ("unknown",)))
        place = (question.jurisdiction or self.settings.jurisdiction).upper()
        return Quote("", now, now + self.settings.valid_seconds, place, pack.id, tuple(lines), "", True, {})

    def _remember(
        self, question: Question, owner: str, items: IntArray, outcome: Outcome, entered: BoolArray, now: float
    ) -> None:
        """Keep what was shown; a held price keeps its time, unless the clock went back."""
        known = np.isfinite(outcome.price)
        everybody = known & ~entered & (items >= 0)
        self._lows.note(items[everybody], outcome.price[everybody], now)
        for item, price, personal, sure in zip(
            question.items, outcome.price.tolist(), entered.tolist(), known.tolist(), strict=True
        ):
            if not sure:
                continue
            for whose in (owner, f"session {question.session}" if question.session else owner):
                before = self._shown.get(whose, item)
                same = before is not None and before.price == price and before.at <= now
                at = before.at if same and before is not None else now
                self._shown.put(whose, item, Last(price, at, personal))

    def _recall(self) -> None:
        """Take up what the log says was shown lately, so that a restart moves no price."""
        ids = self._shelf.book.catalogue.ids
        for row in self.log.log.replay(("price",), since=self._clock() - _REMEMBERED_DAYS * DAY):
            body: Mapping[str, Any] = row.body
            prices: Sequence[float | None] = body["outcome"]["price"]
            owner = row.subject if body["owned"] else ""
            when = float(body["now"])
            for item, price, personal in zip(body["items"], prices, body["personal"], strict=True):
                if price is None:
                    continue
                before = self._shown.get(owner, item)
                at = before.at if before is not None and before.price == price else when
                self._shown.put(owner, item, Last(price, at, personal))
                position = ids.get(item)
                if not personal and position >= 0:
                    self._lows.note(np.array([position], dtype=np.int32), np.array([price]), when)

    def _current_rules(self) -> Rules:
        return Rules(
            self.settings.guard,
            self.settings.rungs,
            self.policy.name,
            self.model,
            self.settings.model_dump(mode="json"),
            {name: pack.model_dump(mode="json") for name, pack in self.packs.by_id.items()},
        )

    def _stocked(self, catalogue: Catalogue) -> Shelf:
        book = PriceBook.of(catalogue, self.settings.currency, self.settings.prices)
        return Shelf(book, Inputs(self.settings, book), {})


def opened(
    catalogue: Callable[[], Catalogue],
    settings: PricingSettings,
    policy: PricingPolicy,
    model: str,
    vault: Vault,
    folder: Path,
    *,
    score: Score | None = None,
    clock: Callable[[], float] = time.time,
) -> Quoter:
    """A quoter with its files: ``prices.sqlite`` (or ``settings.log``) and, beside it, who refused.

    Raises
    ------
    UsageError, DataError, ArtefactError
        Prices are off, or a file cannot be used; the message says which.
    """
    path = Path(settings.log) if settings.log else folder / "prices.sqlite"
    kept = max(settings.keep_days, *(pack.keep_days for pack in packs().by_id.values()))
    log = DecisionLog(path, vault, keep_days=kept, max_decisions=settings.max_decisions, clock=clock)
    try:
        refusals = Refusals(path.with_suffix(".refused.sqlite"))
        return Quoter(catalogue, settings, policy, model, log, refusals, score=score, clock=clock)
    except BaseException:
        log.close()
        raise


def _rails(
    book: PriceBook,
    items: IntArray,
    pack: Pack,
    settings: PricingSettings,
    uses: BoolArray,
    shown: tuple[Float64Array, Float64Array, Float64Array],
    segment: str,
    now: float,
) -> Rails:
    guard = settings.guard
    known = items >= 0

    def of(values: Float64Array) -> Float64Array:
        return np.where(known, values[items], np.nan) if len(values) else np.full(len(items), np.nan)

    # Personal inputs never raise a price above the list price, wherever that may be done.
    highest = np.where(uses, 1.0, np.nan if pack.above_list == "public" else 1.0)
    parity = np.full(len(items), guard.segments.get(segment, guard.parity))
    same = np.where(known, book.same_currency[items], True) if len(book.list_price) else known
    return Rails(
        of(book.list_price), of(book.cost), of(book.floor), of(book.ceiling), highest, parity, *shown, known, same, now
    )
