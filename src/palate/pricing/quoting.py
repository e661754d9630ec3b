"""A quote: from a question to prices that are lawful, bounded, disclosed and recorded."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from palate.core import UsageError
from palate.data import Catalogue
from palate.data.event_log import Entry, LogFullError
from palate.data.forgetting import forget, says_forgotten
from palate.pricing.allowing import refusal_of, terms_of
from palate.pricing.asking import Question, Quote
from palate.pricing.beliefs import Believed
from palate.pricing.configuration import PricingSettings
from palate.pricing.deciding import Case, decide_apart
from palate.pricing.decisions import Decision, DecisionLog, Repeated, Rules, dealt_of, repeat, ways_of
from palate.pricing.guardrails import AT_LIST
from palate.pricing.inputs import Asked, Score
from palate.pricing.packs import Packs, packs
from palate.pricing.plans import Adopted, Plan, Plans
from palate.pricing.refusals import Refusals
from palate.pricing.remembering import Quotes
from palate.pricing.shelf import Shelf, rails_of
from palate.pricing.shown import DAY, Shown
from palate.pricing.telling import lines_of, list_lines
from palate.pricing.terms import PricingPolicy
from palate.privacy import Vault

LOG = "prices.sqlite"
_REMEMBERED_DAYS = 30
_RECALLED = 500_000
"""Decisions that are looked through at the start, so that starting takes seconds however long the log is."""


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
        self.settings, self.log, self.refusals = settings, log, refusals
        self.packs = packs_of(settings)
        self._catalogue, self._clock = catalogue, clock
        told = {"score": score, "willingness": willingness}
        self._asks = {source: ask for source, ask in told.items() if ask is not None}
        # Unguessable as a whole is enough: asking the system for each id would cost as much as the price.
        self._numbers = random.Random(secrets.randbits(256) if seed is None else seed)  # noqa: S311
        self._lock = threading.Lock()
        self._shelf = Shelf.of(catalogue(), settings)
        self._shown, self._remembered = Shown(settings.remembered, _REMEMBERED_DAYS), Quotes(settings.remembered_quotes)
        self._plans = Plans(self.packs, versions)
        self._plans.adopt(self._plans.named(Plan(believed, settings)), {})
        self._recall()

    @property
    def shelf(self) -> Shelf:
        """What belongs to the catalogue of now."""
        catalogue = self._catalogue()
        if self._shelf.book.catalogue is not catalogue:
            self._shelf = Shelf.of(catalogue, self.settings)
        return self._shelf

    def change(self, believed: Believed, settings: PricingSettings | None = None) -> None:
        """Price otherwise from the next question on: another policy, other guard-rails, the kill switch."""
        self.go_by(Plan(believed, settings or self.settings))

    def go_by(self, plan: Plan, arms: Mapping[str | None, Plan] | None = None) -> None:
        """Price by this plan from the next question on.

        Parameters
        ----------
        arms
            By ``PriceArm.pricing``, what experiments may deal beside it. An arm that is not among them goes by what is
            in force.
        """
        # Files are read and written before the lock is taken: quotes go on meanwhile.
        in_force = self._plans.named(plan)
        others = {name: self._plans.named(own) for name, own in (arms or {}).items()}
        shelf = self._shelf if plan.settings is self.settings else Shelf.of(self._catalogue(), plan.settings)
        with self._lock:
            self.settings, self._shelf = plan.settings, shelf
            self._plans.adopt(in_force, others)
            self._remembered.clear()

    def may_be_personal(self, question: Question) -> bool:
        """Whether this person's price may differ from that of others at all."""
        pack = self.packs.of(question.jurisdiction or self.settings.jurisdiction)
        return not refusal_of(question, self._refused(question), pack)

    def quote(self, question: Question) -> Quote:
        """Prices for a question.

        The same question gets the same quote, under the same decision, for as long as its prices are held and good.

        Raises
        ------
        UsageError
            The question makes no sense: see ``Question.check``. What is merely unknown is answered at list prices.
        """
        question.check(self.settings.currency)
        refused = self._refused(question)
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

    def forget(self, person: str) -> bool:
        """Forget somebody (a pseudonym): decisions stay, what they rested on cannot be read any more, nothing is held.

        A refusal stays: who is forgotten has not agreed. Returns whether anything was known of them.
        """
        known = forget(self.log.log, person)
        with self._lock:
            self._shown.forget(person)
            self._remembered.clear()
        return known

    @property
    def asks_engine(self) -> bool:
        """Whether personal prices need to know what the engine, or a reader of histories, thinks of somebody."""
        return self.settings.willingness.enabled and any(each.source in self._asks for each in self.settings.inputs)

    @property
    def policy(self) -> PricingPolicy:
        """Who proposes prices where no experiment has a say."""
        return self._plans.in_force.way.policy

    @property
    def model(self) -> str:
        """The version of what it believes."""
        return self._plans.in_force.rules.model

    def repeated(self, decision: Decision) -> tuple[Rules | None, Repeated]:
        """A decision done again by the rules it names and the belief of its time, where both are still here."""
        rules = self._plans.rules_of({decision.rules, *decision.by}, self.log)
        return rules.get(decision.rules), repeat(decision, rules, self._plans.policy_of)

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
        pack = self.packs.of(question.jurisdiction or settings.jurisdiction)
        terms = terms_of(question, refused, pack, shelf, items)
        gathered = inputs.gather(
            items, question.told, pack, allowed=terms.allowed, refusal=terms.refusal, now=now,
            asked=self._asked(question),
        )  # fmt: skip
        arms = terms.arms(question)
        dealt = dealt_of(arms)
        uses = (gathered.features[:, inputs.from_people] != 0).any(axis=1)
        if dealt is not None:
            uses |= dealt
        owners = [question.person if own else "" for own in uses.tolist()]
        allowed = terms.allowed.tolist()
        before = self._shown.before(
            question.items, owners, question.session, allowed=allowed, settings=settings.guard, now=now
        )
        owned = bool(uses.any() or before.personal.any())
        rails = rails_of(book, items, pack, settings.guard, uses=uses, before=before, question=question, now=now)
        case = Case(self._fresh("q"), items, rails, gathered.features, inputs.names, inputs.personal, dealt)
        in_force, ways = self._plans.in_force, [self._plans.of(arm) for arm in arms]
        by = tuple(own.version for own in ways)
        known = {own.version: own.way for own in (in_force, *ways)}
        outcome = decide_apart(case, *ways_of(in_force.version, arms, by, known))
        entered = ((outcome.clips & AT_LIST) == 0) & (uses | before.personal)
        lines = lines_of(
            question, pack, book, items, outcome=outcome, entered=entered, arms=arms, lows=self._shown.lows, now=now
        )
        place = (question.jurisdiction or settings.jurisdiction).upper()
        told = (now, now + settings.valid_seconds, place, pack.id)
        facts = {
            "jurisdiction": place,
            "pack": pack.id,
            "consent": question.consent,
            "refused": terms.refusal,
            "language": question.language,
            "disclosed": [line.disclosure for line in lines],
        }
        decision = Decision(
            case, outcome, question.items, in_force.version, question.person, owned, tuple(entered.tolist()),
            facts, arms=arms, by=by,
        )  # fmt: skip
        if not self._recorded(decision, (in_force, *ways)):
            return Quote("", *told, list_lines(question, book, items), "", True, gathered.left_out)
        # A personal price that its session holds is nobody else's, though nothing personal was told this time.
        owners = [question.person if own else "" for own in (uses | entered).tolist()]
        self._shown.note(
            question.items, items, owners, question.session, prices=outcome.price, personal=entered,
            public=outcome.public, drawn=~np.isnan(outcome.stranger), now=now,
        )  # fmt: skip
        disclosure = " ".join(dict.fromkeys(line.disclosure for line in lines if line.disclosure))
        return Quote(case.id, *told, lines, disclosure, False, gathered.left_out)

    def _asked(self, question: Question) -> Asked:
        """Who knows the asker of a question, to be asked where it is needed."""
        user = question.user
        if user is None:
            return {}
        return {source: partial(ask, user, question.items) for source, ask in self._asks.items()}

    def _refused(self, question: Question) -> bool:
        return question.consent and question.person in self.refusals

    def _recorded(self, decision: Decision, ways: Sequence[Adopted]) -> bool:
        """Whether a decision will be written down; the rules it names go before it."""
        if self.log.log.failure is not None:
            return False
        try:
            for own in self._plans.unwritten(ways, day=int(decision.case.rails.now // DAY)):
                self.log.note_rules(own.rules, decision.case.id)
            self.log.note(decision)
        except LogFullError:
            self._plans.forget_written()
            return False
        return True

    def _recall(self) -> None:
        """Take up what the log says was shown lately, so that a restart moves no price."""
        ids = self._shelf.book.catalogue.ids
        log, since = self.log.log, self._clock() - _REMEMBERED_DAYS * DAY
        for row in log.replay(("price", "user"), after=log.head().seq - _RECALLED, since=since, opened=False):
            if row.sort == "user":
                if says_forgotten(row):
                    self._shown.forget(row.subject)
                continue
            body, items = row.body, row.body["items"]
            owner = row.subject if body["owned"] else ""
            prices = np.array(body["outcome"]["price"], dtype=np.float64)
            personal = np.array(body["personal"], dtype=np.bool_)
            owners = [owner if own else "" for own in np.logical_or(body["uses"], body["personal"]).tolist()]
            now = float(body["now"])
            public = np.array(body["outcome"].get("public", [None] * len(items)), dtype=np.float64)
            drawn = ~np.isnan(np.array(body["outcome"]["stranger"], dtype=np.float64))
            self._shown.note(
                items, ids.positions(items), owners, "", prices=prices, personal=personal, public=public, drawn=drawn,
                now=now,
            )  # fmt: skip

    def _fresh(self, letter: str) -> str:
        """An id nobody has used: a letter and 128 random bits."""
        return f"{letter}_{self._numbers.getrandbits(128):032x}"


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
    path = log_of(settings, folder)
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


def log_of(settings: PricingSettings, folder: Path) -> Path:
    """The file of decisions: the one that the settings name, or ``prices.sqlite`` in the folder."""
    return Path(settings.log) if settings.log else folder / LOG


def learnt_beside(log: Path) -> Path:
    """Where what was learnt of demand is kept."""
    return log.with_suffix(".learnt")


def versions_beside(log: Path) -> Path:
    """Where the versions that priced are kept."""
    return log.with_suffix(".versions")
