"""A quote: from a question to prices that are lawful, bounded, disclosed and recorded."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from palate.core import BoolArray, IntArray, UsageError
from palate.data import Catalogue
from palate.data.event_log import Entry, LogFullError
from palate.pricing.asking import Question, Quote
from palate.pricing.beliefs import Believed, Earlier, earlier, keep
from palate.pricing.book import PriceBook
from palate.pricing.configuration import PricingSettings
from palate.pricing.deciding import Case, decide
from palate.pricing.decisions import Decision, DecisionLog, Repeated, Rules, repeat
from palate.pricing.guardrails import AT_LIST, GuardSettings, Rails
from palate.pricing.inputs import Asked, Inputs, Score, banned
from palate.pricing.packs import Pack, Packs, packs
from palate.pricing.refusals import Refusals
from palate.pricing.remembering import Quotes
from palate.pricing.shown import DAY, Before, Shown
from palate.pricing.telling import lines_of, list_lines
from palate.privacy import Vault

LOG = "prices.sqlite"
_REMEMBERED_DAYS = 30
_RECALLED = 500_000
"""Decisions that are looked through at the start, so that starting takes seconds however long the log is."""

_RULES_EVERY = 50_000
"""Decisions after which the rules are written again, so that retention never parts the two."""


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
    believed
        Who proposes, and by what; ``change`` puts others in their place.
    versions
        A folder where each version is kept for doing its decisions again; None: only those of now can be.
    log
        Where decisions are written; without one nothing but list prices is quoted.
    score, willingness
        How well items suit a user, and how dear a thing they would take, for inputs of these sources.
    clock
        Seconds since 1970 UTC.
    seed
        Of decisions' ids, and so of whatever a policy draws; None: from the system. Only studies that have to come out
        the same again give one: such ids can be guessed.
    """

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        settings: PricingSettings,
        believed: Believed,
        log: DecisionLog,
        refusals: Refusals,
        *,
        versions: Path | None = None,
        score: Score | None = None,
        willingness: Score | None = None,
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
    ) -> None:
        open_or_off(settings)
        self.settings, self.log, self.refusals, self._versions = settings, log, refusals, versions
        self._believe(believed)
        self.packs = packs_of(settings)
        self._catalogue, self._clock = catalogue, clock
        told = {"score": score, "willingness": willingness}
        self._asks = {source: ask for source, ask in told.items() if ask is not None}
        # Unguessable as a whole is enough: asking the system for each id would cost as much as the price.
        self._numbers = random.Random(secrets.randbits(256) if seed is None else seed)  # noqa: S311
        self._lock = threading.Lock()
        self._shelf = self._stocked(catalogue())
        self._shown, self._remembered = Shown(settings.remembered, _REMEMBERED_DAYS), Quotes(settings.remembered_quotes)
        self._known_rules: dict[str, Rules] = {}
        self._written_on, self._since_written = -1, 0
        self._take_rules()
        self._recall()

    @property
    def shelf(self) -> Shelf:
        """What belongs to the catalogue of now."""
        catalogue = self._catalogue()
        if self._shelf.book.catalogue is not catalogue:
            self._shelf = self._stocked(catalogue)
        return self._shelf

    def change(self, believed: Believed, settings: PricingSettings | None = None) -> None:
        """Price otherwise from the next question on: another policy, other guard-rails, the kill switch."""
        with self._lock:
            self._believe(believed)
            if settings is not None:
                self.settings = settings
                self._shelf = self._stocked(self._catalogue())
            self._take_rules()

    def quote(self, question: Question) -> Quote:
        """Prices for a question.

        The same question gets the same quote, under the same decision, for as long as its prices are held and good.

        Raises
        ------
        UsageError
            The question makes no sense: see ``Question.check``. What is merely unknown is answered at list prices.
        """
        question.check(self.settings.currency)
        refused = question.consent and question.person in self.refusals
        with self._lock:
            now, catalogue = self._clock(), self._catalogue()
            key = (question.key, refused)
            known = self._remembered.get(key, catalogue, now)
            if known is None:
                known = self._quote(question, refused, now)
                self._remembered.put(key, catalogue, known, self._kept_for(question))
            return known

    def refuse(self, person: str, refused: bool = True) -> None:
        """Somebody refuses personal prices from now on, or no longer does. Both are in the log."""
        self.refusals.set(person, refused, self._clock())
        self.log.log.record(Entry("user", self._fresh("o"), person, {"about": "prices", "refused": refused}))

    @property
    def asks_engine(self) -> bool:
        """Whether personal prices need to know what the engine, or a reader of histories, thinks of somebody."""
        return self.settings.willingness.enabled and any(each.source in self._asks for each in self.settings.inputs)

    def repeated(self, decision: Decision) -> tuple[Rules | None, Repeated]:
        """A decision done again by the rules it names and the belief of its time, where both are still here."""
        if decision.rules not in self._known_rules:
            self._known_rules.update(self.log.rules())
        then = self._known_rules.get(decision.rules)
        policy = None
        if then is not None:
            policy = self.policy if then.model == self.model else self._earlier(then.model)
        return then, repeat(decision, then, policy)

    def close(self) -> None:
        """Write what waits and let go of the files."""
        self.log.close()
        self.refusals.close()

    def _kept_for(self, question: Question) -> float:
        """Seconds for which a quote is given again."""
        guard = self.settings.guard
        hold = max(guard.cool_down_seconds, guard.session_seconds if question.session else 0.0)
        return min(hold, self.settings.valid_seconds)

    def _quote(self, question: Question, refused: bool, now: float) -> Quote:
        shelf, settings = self.shelf, self.settings
        book, inputs = shelf.book, shelf.inputs
        items = book.catalogue.ids.positions(question.items)
        terms = self._terms(question, refused, shelf, items)
        gathered = inputs.gather(
            items, question.told, terms.pack, allowed=terms.allowed, refusal=terms.refusal, now=now,
            asked=self._asked(question),
        )  # fmt: skip
        uses = (gathered.features[:, inputs.from_people] != 0).any(axis=1)
        owners = [question.person if own else "" for own in uses.tolist()]
        allowed = terms.allowed.tolist()
        before = self._shown.before(
            question.items, owners, question.session, allowed=allowed, settings=settings.guard, now=now
        )
        owned = bool(uses.any() or before.personal.any())
        rails = _rails(book, items, terms.pack, settings.guard, uses=uses, before=before, question=question, now=now)
        case = Case(self._fresh("q"), items, rails, gathered.features, inputs.names, inputs.personal)
        outcome = decide(case, self.policy, settings.guard, settings.rungs)
        entered = ((outcome.clips & AT_LIST) == 0) & (uses | before.personal)
        lines = lines_of(
            question, terms.pack, book, items, outcome=outcome, entered=entered, lows=self._shown.lows, now=now
        )
        place = (question.jurisdiction or settings.jurisdiction).upper()
        told = (now, now + settings.valid_seconds, place, terms.pack.id)
        facts = {
            "jurisdiction": place,
            "pack": terms.pack.id,
            "consent": question.consent,
            "refused": terms.refusal,
            "language": question.language,
            "disclosed": [line.disclosure for line in lines],
        }
        version, personal = self._version, tuple(entered.tolist())
        if not self._recorded(
            Decision(case, outcome, question.items, version, question.person, owned, personal, facts)
        ):
            return Quote("", *told, list_lines(question, book, items), "", True, gathered.left_out)
        self._shown.note(
            question.items, items, owners, question.session, prices=outcome.price, personal=entered, now=now
        )
        disclosure = " ".join(dict.fromkeys(line.disclosure for line in lines if line.disclosure))
        return Quote(case.id, *told, lines, disclosure, False, gathered.left_out)

    def _asked(self, question: Question) -> Asked:
        """Who knows the asker of a question, to be asked where it is needed."""
        user = question.user
        if user is None:
            return {}
        return {source: partial(ask, user, question.items) for source, ask in self._asks.items()}

    def _terms(self, question: Question, refused: bool, shelf: Shelf, items: IntArray) -> _Terms:
        """Whether personal inputs may enter, item by item, and why not."""
        pack = self.packs.of(question.jurisdiction or self.settings.jurisdiction)
        refusal = ""
        if not question.person:
            refusal = "nobody is named whose key could seal it"
        elif not question.consent:
            refusal = "no consent"
        elif pack.personal == "never":
            refusal = f"not allowed by the pack {pack.id!r}"
        elif refused:
            refusal = "this person refused personal prices"
        if refusal:
            return _Terms(pack, refusal, np.zeros(len(items), dtype=np.bool_))
        if not pack.banned:
            return _Terms(pack, "", items >= 0)
        off = shelf.banned.get(pack.id)
        if off is None:
            off = shelf.banned[pack.id] = banned(shelf.book.catalogue, pack)
        return _Terms(pack, "", (items >= 0) & ~off[items])

    def _recorded(self, decision: Decision) -> bool:
        """Whether a decision will be written down; the rules it names go before it."""
        if self.log.log.failure is not None:
            return False
        try:
            day = int(decision.case.rails.now // DAY)
            if self._written_on != day or self._since_written >= _RULES_EVERY:
                self.log.note_rules(self._rules, decision.case.id)
                self._written_on, self._since_written = day, 0
            self.log.note(decision)
        except LogFullError:
            return False
        self._since_written += 1
        return True

    def _recall(self) -> None:
        """Take up what the log says was shown lately, so that a restart moves no price."""
        ids = self._shelf.book.catalogue.ids
        log, since = self.log.log, self._clock() - _REMEMBERED_DAYS * DAY
        for row in log.replay(("price",), after=log.head().seq - _RECALLED, since=since, opened=False):
            body, items = row.body, row.body["items"]
            owner = row.subject if body["owned"] else ""
            prices = np.array(body["outcome"]["price"], dtype=np.float64)
            personal = np.array(body["personal"], dtype=np.bool_)
            owners = [owner if own else "" for own in body["uses"]]
            now = float(body["now"])
            self._shown.note(items, ids.positions(items), owners, "", prices=prices, personal=personal, now=now)

    def _fresh(self, letter: str) -> str:
        """An id nobody has used: a letter and 128 random bits."""
        return f"{letter}_{self._numbers.getrandbits(128):032x}"

    def _believe(self, believed: Believed) -> None:
        self.policy, self.model = believed.policy, believed.version
        self._earlier: Earlier = lambda version: None
        if self._versions is not None:
            keep(believed, self._versions)
            self._earlier = earlier(self._versions)

    def _take_rules(self) -> None:
        """From now on prices are made by the rules of now; the next decision writes them down before itself."""
        self._rules = Rules(
            self.settings.guard,
            self.settings.rungs,
            self.policy.name,
            self.model,
            self.settings.model_dump(mode="json"),
            {name: pack.model_dump(mode="json") for name, pack in self.packs.by_id.items()},
        )
        self._version, self._written_on, self._since_written = self._rules.version, -1, 0
        self._known_rules[self._version] = self._rules
        self._remembered.clear()

    def _stocked(self, catalogue: Catalogue) -> Shelf:
        book = PriceBook.of(catalogue, self.settings.currency, self.settings.prices)
        return Shelf(book, Inputs(self.settings, book), {})


def opened(
    catalogue: Callable[[], Catalogue],
    settings: PricingSettings,
    believed: Believed,
    vault: Vault,
    folder: Path,
    *,
    score: Score | None = None,
    willingness: Score | None = None,
    clock: Callable[[], float] = time.time,
    seed: int | None = None,
) -> Quoter:
    """A quoter with its files: ``prices.sqlite`` (or ``settings.log``); beside it who refused, and each version.

    Raises
    ------
    UsageError, DataError, ArtefactError
        Prices are off, or a file cannot be used; the message says which.
    """
    path = Path(settings.log) if settings.log else folder / LOG
    kept = max(settings.keep_days, *(pack.keep_days for pack in packs_of(settings).by_id.values()))
    log = DecisionLog(path, vault, keep_days=kept, max_decisions=settings.max_decisions, clock=clock)
    try:
        refusals = Refusals(path.with_suffix(".refused.sqlite"))
        versions = versions_beside(path)
        return Quoter(
            catalogue, settings, believed, log, refusals, versions=versions,
            score=score, willingness=willingness, clock=clock, seed=seed,
        )  # fmt: skip
    except BaseException:
        log.close()
        raise


def open_or_off(settings: PricingSettings | None) -> None:
    """Refuse to price where prices are off.

    Raises
    ------
    UsageError
        They are; the message says how to switch them on.
    """
    if settings is None or not settings.enabled:
        raise UsageError("prices are off here; set enabled = true under [pricing] in palate.toml.")


def packs_of(settings: PricingSettings) -> Packs:
    """The policy packs of a shop: those that come with palate, and its own."""
    return packs(Path(settings.packs) if settings.packs else None)


def versions_beside(log: Path) -> Path:
    """Where the versions that priced are kept."""
    return log.with_suffix(".versions")


def _rails(
    book: PriceBook,
    items: IntArray,
    pack: Pack,
    guard: GuardSettings,
    *,
    uses: BoolArray,
    before: Before,
    question: Question,
    now: float,
) -> Rails:
    """Between what these prices lie; ``uses`` bool (n,), whether personal inputs enter."""
    known = items >= 0
    # Personal inputs never raise a price above the list price, wherever that may be done.
    highest = np.where(uses, 1.0, np.nan if pack.above_list == "public" else 1.0)
    parity = np.where(uses, guard.segments.get(question.segment, guard.parity), guard.parity)
    same = np.where(known, book.same_currency[items], True) if len(book.list_price) else ~known
    return Rails(
        book.at(book.list_price, items), book.at(book.cost, items), book.at(book.floor, items),
        book.at(book.ceiling, items), highest, parity, before.price, before.at, before.hold, known, same, now,
    )  # fmt: skip
