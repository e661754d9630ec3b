"""The engine: everything fitted, one object, one way to ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from palate.behaviour import Edits
from palate.core import Histories, Queries
from palate.data import Dataset, Fold
from palate.engine import explaining, storage
from palate.engine.answering import Telling, alike, answered, drawn
from palate.engine.answers import Answer, Explanation, Updated
from palate.engine.assembly import Assembled, Inner, Progress, assemble, silent
from palate.engine.counting import Counting
from palate.engine.describing import described
from palate.engine.live import LiveHistories
from palate.engine.mixing import check_mixes
from palate.engine.portraits import Portrait, Portraits
from palate.engine.positions import Positions
from palate.engine.questions import Told, check_language, question, told
from palate.engine.relating import Relating
from palate.engine.settings import EngineSettings
from palate.engine.shelf import Shelf
from palate.engine.updating import Changes, live_events, reactions, with_items
from palate.ranking.bandit import Choice
from palate.ranking.pipeline import BATCH


class Engine(Positions):
    """A fitted recommendation engine. Made by ``Engine.fit`` or ``Engine.load``, never by its constructor."""

    def __init__(self, dataset: Dataset, settings: EngineSettings, assembled: Assembled) -> None:
        super().__init__(dataset, settings, assembled)
        self._answering, self._changing = threading.RLock(), threading.Lock()
        self._live, self._relating = LiveHistories(dataset, settings.history), Relating(dataset)
        self._portraits = Portraits(dataset)
        self.counting = Counting(assembled.pipeline.sources, settings.counting)

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        preset: str = "balanced",
        settings: EngineSettings | None = None,
        seed: int = 0,
        validation: Fold | None = None,
        learn_validation: bool = False,
        inner: Inner = "last",
        progress: Progress | None = None,
    ) -> Self:
        """Teach an engine.

        Parameters
        ----------
        preset
            ``fast``: counts, factors, frozen text, learned ranker; ``balanced``: sequences beside them; ``thorough``:
            larger and longer. Ignored where ``settings`` are given.
        seed
            Of everything drawn by chance.
        validation
            Questions over this dataset that only select and stop; the engine holds out its own where None.
        learn_validation
            Let the ranker learn from the validation questions too, once they have decided its size.
        inner
            What the ranker learns from: everybody's ``last`` event, the last tenth of ``time``, or items held out of
            that tenth's ``baskets``.

        Raises
        ------
        DataError, UsageError
            The data or the settings do not allow it; the message says why.
        """
        chosen = settings or EngineSettings.preset(preset)
        chosen = chosen.model_copy(update={"models": chosen.models.seeded(seed)})
        check_mixes(dataset.catalogue, chosen)
        assembled = assemble(
            dataset,
            chosen,
            seed=seed,
            progress=progress or silent,
            validation=validation,
            learn_validation=learn_validation,
            inner=inner,
        )
        return cls(dataset, chosen, assembled)

    def refit(self, dataset: Dataset, progress: Progress | None = None) -> Engine:
        """The same settings, the number of trees included, taught on other data of the same catalogue."""
        own, ranker = self.assembled, self.pipeline.ranker
        assembled = assemble(
            dataset,
            self.settings,
            seed=own.seed,
            progress=progress or silent,
            inner=own.inner,
            trees=None if ranker is None else ranker.trees,
            encoder=own.encoder,
        )
        return Engine(dataset, self.settings, assembled)

    def recommend(
        self,
        user: str | None = None,
        k: int = 10,
        *,
        history: Told | None = None,
        text: str = "",
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the field's word
        exclude: Sequence[str] = (),
        candidates: Sequence[str] | None = None,
        context: Mapping[str, Any] | None = None,
        diversity: float | None = None,
        objectives: Mapping[str, float] | None = None,
        scenario: str | None = None,
        explain: bool = False,
        language: str = "en",
        recommendation_id: str | None = None,
    ) -> Answer:
        """Items for somebody: a known user, a history, a wish in words, or any of them together.

        Parameters
        ----------
        history
            Ids of items, oldest first, or mappings with ``item_id`` and ``timestamp``; replaces the stored one.
        text
            A wish or a behaviour in words, English or Chinese.
        filter
            Properties items must have, e.g. ``{"category": "Books", "price": {"lte": 20}}``.
        context
            ``when`` (seconds), ``lat`` and ``lon``, ``device``, ``session`` (newest events that belong to the visit).
        diversity
            0 to 1; the engine's setting where None.
        objectives
            Weights of ``accuracy``, ``diversity``, ``novelty`` and ``margin`` in place of the engine's; 1 for accuracy
            and 0 for the others where not named. With these or a diversity no bandit chooses.
        scenario
            A name kept in the log.
        language
            ``en`` or ``zh``, of the reasons.
        recommendation_id
            What reactions will name where a bandit chooses, and the seed of its choice; a fresh one where None.

        Raises
        ------
        UnknownIdError
            An item of the history or of the candidates is not in the catalogue.
        UsageError
            Something else makes no sense; the message says what.
        """
        started = time.perf_counter()
        check_language(language)
        with self._answering:
            shelf = self._shelf
            weights = None if objectives is None else self.mixing.told(shelf.catalogue, objectives)
            queries = question(
                shelf.catalogue,
                self._history(shelf, user, history),
                k=k,
                mask_seen=self.masks_seen,
                text=text,
                conditions=filter,
                exclude=exclude,
                candidates=candidates,
                context=context,
            )
            queries = self._corrected(shelf, queries, [user if history is None else None])
            telling = Telling(self.version, started, language if explain else None)
            if self.draws and diversity is None and weights is None:
                return drawn(shelf, queries, self.mixing, [recommendation_id], telling)[0]
            return answered(shelf, queries, self.mixing.manner(diversity, weights), telling)[0]

    def recommend_many(
        self, users: Sequence[str | None], k: int = 10, *, diversity: float | None = None
    ) -> list[Answer]:
        """What ``recommend`` answers to each of these users (None: nobody in particular), worked out together.

        Several times faster than one by one: the catalogue is read once for all of them.
        """
        telling = Telling(self.version, time.perf_counter())
        with self._answering:
            shelf, found = self._shelf, list[Answer]()
            for start in range(0, len(users), BATCH):
                own = [self._history(shelf, user, None) for user in users[start : start + BATCH]]
                when = np.full(len(own), time.time())
                queries = Queries(Histories.concatenate(own), k=k, mask_seen=self.masks_seen, when=when)
                queries = self._corrected(shelf, queries, users[start : start + BATCH])
                if self.draws and diversity is None:
                    found += drawn(shelf, queries, self.mixing, [None] * len(own), telling)
                else:
                    found += answered(shelf, queries, self.mixing.manner(diversity), telling)
            return found

    def warm(self) -> None:
        """Load what is loaded at the first need, by asking as people will: afterwards nobody is the first to wait."""
        someone = next(iter(self.dataset.user_ids.names), None)
        # Objectives are said so that no bandit takes this for a list that somebody saw.
        self.recommend(someone, explain=True, objectives={})
        if self.kind == "text":
            self.recommend(someone, text="something for a friend", explain=True, objectives={})

    def similar(self, item: str, k: int = 10, *, kind: str = "any", language: str = "en") -> Answer:
        """Items most like one item, by what is chosen with it and by what it says; or what goes with it, or instead.

        Parameters
        ----------
        kind
            ``any`` likeness; only a ``complement``, which people take with it; only a ``substitute``, which could stand
            in its place. The latter two come with reasons, and may be fewer than k: nothing is listed without evidence.
        language
            ``en`` or ``zh``, of the reasons.

        Raises
        ------
        UnknownIdError
            The item is not in the catalogue.
        UsageError
            There is no such kind or language.
        """
        telling = Telling(self.version, time.perf_counter(), language)
        check_language(language)
        with self._answering:
            return alike(self._shelf, self._relating, item, k=k, kind=kind, telling=telling)

    def explain(
        self,
        item: str,
        user: str | None = None,
        *,
        history: Told | None = None,
        text: str = "",
        language: str = "en",
    ) -> Explanation:
        """Why an item gets its score for somebody, among the candidates of the same question to ``recommend``.

        Raises
        ------
        UnknownIdError
            An item is not in the catalogue.
        """
        check_language(language)
        with self._answering:
            shelf = self._shelf
            position = shelf.catalogue.ids.position(item)
            own = self._history(shelf, user, history)
            masks = self.masks_seen and position not in own.items
            queries = question(shelf.catalogue, own, k=1, mask_seen=masks, text=text)
            queries = self._corrected(shelf, queries, [user if history is None else None], keep=position)
            if shelf.may is None or shelf.may[position]:
                queries = shelf.ruled(queries)
            return explaining.explain(shelf.pipeline, shelf.catalogue, queries, position, language)

    def portrait(self, user: str, language: str = "en") -> Portrait:
        """What is known of somebody, and how they corrected it; ``UnknownIdError`` where nobody has heard of them."""
        check_language(language)
        with self._answering:
            return self._portraits.of(self._shelf, self.known_as(user), self._live, language)

    def correct(self, user: str, change: Callable[[Edits], Edits]) -> Edits:
        """Take in how somebody corrects their profile; the next answer follows it. It lives in memory: keep a log."""
        with self._answering:
            return self._portraits.correct(self.known_as(user), change)

    def update(self, events: Any = None, items: Any = None, users: Any = None) -> Updated:
        """Take in what happened and what is new; the next answer knows it.

        New items with text are recommendable at once, changed texts are read again. Events of people nobody has seen
        begin a history. Rows that do not pass validation are left out and reported; nothing else is lost. Attributes of
        users are validated and counted but not kept: no model reads them, and what is not kept cannot leak. All but
        items lives in memory and not in a saved engine: replay the event log or train again.

        Parameters
        ----------
        events, items, users
            Lists of mappings, or frames, with canonical columns.

        Raises
        ------
        DataError
            What was given is no table of events, items or users; nothing was taken in.
        PalateError
            The items could not be taken in; the engine goes on with the catalogue it had.
        """
        changes = Changes.of(events, items, users, self.dataset.kinds)
        rejected, taken = changes.refusals(), 0
        with self._changing:
            if changes.items is not None and changes.n_items:
                # Read beside the answers, which meanwhile come from the old shelf.
                grown = with_items(self._shelf, changes.items.frame, self.counting.resting)
                self._shelf, self.counting.resting = grown
            if changes.events is not None:
                said, mood = changes.events, self._portraits.mood
                by_user, taken, unknown = live_events(said, self.catalogue, self.dataset.kinds, mood)
                rejected += unknown
                with self._answering:
                    for user, own in by_user.items():
                        name = self.known_as(user)
                        self.counting.note(self._live.of(name), own)
                        self._live.add(name, own)
                        self._portraits.happened(self._shelf, name, own)
                    self.mixing.react(reactions(changes.events, self.catalogue))
            self._shelf = self.counting.counted(self._shelf)
        return Updated(taken, changes.n_items, changes.n_users, tuple(rejected))

    def without_places(self) -> Engine:
        """This engine with no place kept for items that nobody chose yet; itself where it keeps none."""
        pipeline = self.pipeline
        if not pipeline.fresh.places(pipeline.facts.fresh):
            return self
        plain = replace(pipeline, fresh=pipeline.fresh.model_copy(update={"every": 0}))
        return Engine(self.dataset, self.settings, replace(self.assembled, pipeline=plain))

    def describe(self) -> dict[str, Any]:
        """What this engine is, for pages and logs."""
        return described(self)

    def save(self, folder: str | Path) -> None:
        """Write the engine as a directory, whole or not at all; users are stored under pseudonyms."""
        storage.save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Engine:
        """Read an engine that ``save`` wrote.

        Raises
        ------
        ArtefactError
            The folder is damaged, foreign or of another format; the message says which.
        """
        return storage.load(Path(folder))

    def known_as(self, user: str) -> str:
        """The id under which this engine knows a user: a loaded engine knows pseudonyms only."""
        if self._live.known(user):
            return user
        other = storage.pseudonym(user)
        return other if other is not None and self._live.known(other) else user

    def recall(self, shown: Iterable[tuple[str, Choice]]) -> None:
        """Tell the bandit which lists a log says were shown, by recommendation id."""
        with self._answering:
            self.mixing.recall(shown)

    def _history(self, shelf: Shelf, user: str | None, history: Told | None) -> Histories:
        """What is known of an asker; one row."""
        if history is not None:
            return told(shelf.catalogue, history)
        return Histories.empty(1) if user is None else self._live.of(self.known_as(user))

    def _corrected(self, shelf: Shelf, queries: Queries, users: Sequence[str | None], keep: int = -1) -> Queries:
        """The questions as their askers corrected their profiles; nobody's correct a told history."""
        return self._portraits.corrected(shelf, queries, [user and self.known_as(user) for user in users], keep)
