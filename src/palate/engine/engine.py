"""The engine: everything fitted, one object, one way to ask."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from palate.core import Histories, Queries, clock
from palate.data import Dataset, Fold
from palate.engine import explaining, storage
from palate.engine.answering import Telling, alike, answered, drawn
from palate.engine.answers import Answer, Explanation, Question, Recommendation
from palate.engine.asking import Asking
from palate.engine.assembly import Assembled, Inner, Progress, assemble, silent
from palate.engine.describing import described
from palate.engine.listing import listed, taught_by_lists
from palate.engine.living import Living
from palate.engine.mixing import check_mix, check_mixes
from palate.engine.questions import Told, check_language, question
from palate.engine.relating import Relating
from palate.engine.settings import EngineSettings
from palate.engine.shelf import Shelf
from palate.engine.strategy import pursue
from palate.language.terms import is_cjk
from palate.ranking.mixes import Mix
from palate.ranking.pipeline import BATCH
from palate.ranking.shown import ShownRanker


class Engine(Living):
    """A fitted recommendation engine. Made by ``Engine.fit`` or ``Engine.load``, never by its constructor."""

    def __init__(
        self, dataset: Dataset, settings: EngineSettings, assembled: Assembled, shown: ShownRanker | None = None
    ) -> None:
        super().__init__(dataset, settings, assembled)
        self.shown = shown
        self._relating, self._asking = Relating(dataset), Asking(dataset, settings.questions)

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
        return cls(dataset, chosen, *taught_by_lists(dataset, chosen, assembled, seed))

    def refit(self, dataset: Dataset, progress: Progress | None = None) -> Engine:
        """The same settings, the number of trees included, taught on other data of the same catalogue."""
        own, ranker = self.assembled, self.pipeline.ranker
        assembled = assemble(
            dataset,
            self.settings,
            seed=own.seed,
            progress=progress or silent,
            inner=own.inner,
            growth=None if ranker is None else ranker.growth,
            encoder=own.encoder,
        )
        return Engine(dataset, self.settings, *taught_by_lists(dataset, self.settings, assembled, own.seed))

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
        as_shown: bool = False,
        prices: Sequence[float | None] | None = None,
        context: Mapping[str, Any] | None = None,
        diversity: float | None = None,
        objectives: Mapping[str, float] | None = None,
        mix: Mix | None = None,
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
        as_shown
            The candidates stand in the order in which the asker sees them: they are ranked by how likely each is to be
            chosen from this list, where the engine has learnt that from lists, and scores are probabilities.
        prices
            What each candidate costs the asker, None where the catalogue says it.
        context
            ``when`` (seconds), ``lat`` and ``lon``, ``place`` (as events name it), ``device``, ``session`` (newest
            events that belong to the visit).
        diversity
            0 to 1; the engine's setting where None.
        objectives
            Weights of ``accuracy``, ``diversity``, ``novelty`` and ``margin`` in place of the engine's; 1 for accuracy
            and 0 for the others where not named. With these or a diversity no bandit chooses.
        mix
            The way to make the list where neither is said; see ``check_mix``.
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
            weights = (
                None if objectives is None else self.mixing.told(shelf.catalogue, objectives, shelf.pipeline.facts)
            )
            queries = question(
                shelf.catalogue,
                self._history(shelf, user, history),
                k=k,
                mask_seen=self.masks_seen,
                text=text,
                conditions=filter,
                exclude=exclude,
                candidates=candidates,
                as_shown=as_shown,
                prices=prices,
                context=context,
            )
            queries = self._corrected(shelf, queries, [user if history is None else None])
            telling = Telling(self.version, started, language if explain else None)
            if as_shown and self.shown is not None and not text.strip():
                return listed(shelf, self.shown, queries, telling)
            if self.draws and diversity is None and weights is None and mix is None:
                return drawn(shelf, queries, self.mixing, [recommendation_id], telling)[0]
            return answered(shelf, queries, self.mixing.manner(diversity, weights, mix), telling)[0]

    def recommend_many(
        self, users: Sequence[str | None], k: int = 10, *, diversity: float | None = None, mix: Mix | None = None
    ) -> list[Answer]:
        """What ``recommend`` answers to each of these users (None: nobody in particular), worked out together.

        Several times faster than one by one: the catalogue is read once for all of them.
        """
        telling = Telling(self.version, time.perf_counter())
        with self._answering:
            shelf, found = self._shelf, list[Answer]()
            for start in range(0, len(users), BATCH):
                own = [self._history(shelf, user, None) for user in users[start : start + BATCH]]
                when = np.full(len(own), clock.now())
                queries = Queries(Histories.concatenate(own), k=k, mask_seen=self.masks_seen, when=when)
                queries = self._corrected(shelf, queries, users[start : start + BATCH])
                if self.draws and diversity is None and mix is None:
                    found += drawn(shelf, queries, self.mixing, [None] * len(own), telling)
                else:
                    found += answered(shelf, queries, self.mixing.manner(diversity, mix=mix), telling)
            return found

    def pursue(
        self,
        user: str | None = None,
        k: int = 10,
        *,
        history: Told | None = None,
        strategy: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        generate: bool = True,
        explain: bool = False,
        language: str = "en",
    ) -> Answer:
        """A list by way of wishes that ``writer`` writes, filtered by what attracts; see ``engine.strategy``."""
        with self._answering:
            shelf, own = self._shelf, self._history(self._shelf, user, history)
        return pursue(
            self,
            shelf,
            own,
            k,
            lock=self._answering,
            strategy=strategy,
            context=context,
            generate=generate,
            explain=explain,
            language=language,
        )

    def warm(self) -> None:
        """Load what is loaded at the first need, by asking as people will: afterwards nobody is the first to wait."""
        someone = next(iter(self.dataset.user_ids.names), None)
        # Objectives are said so that no bandit takes this for a list that somebody saw.
        self.recommend(someone, explain=True, objectives={})
        if self.kind == "text":
            chinese = any(is_cjk(name) for name in (*self.catalogue.strings("title_zh"), *self.catalogue.titles))
            for wish in ("something for a friend", "送给朋友的礼物")[: 1 + chinese]:
                self.recommend(someone, text=wish, explain=True, objectives={})

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

    def ask(
        self,
        n: int = 1,
        *,
        answered: Mapping[str, bool] | None = None,
        user: str | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the field's word
    ) -> tuple[Question, ...]:
        """The items to ask a newcomer about next, whose answers will say most about what to recommend.

        ``recommend_to_newcomer`` makes use of yes and no alike; ``recommend`` takes those answered with yes as history.

        Parameters
        ----------
        n
            How many. One at a time makes the most of every answer.
        answered
            Item: whether it is known and liked, of every question so far.
        user
            Somebody the engine knows a little: what they had counts as answered with yes.
        filter
            Properties that what is asked about must have.

        Raises
        ------
        UnknownIdError
            An answered item is not in the catalogue.
        UsageError
            ``n`` is below 1, or a condition makes no sense.
        """
        with self._answering:
            shelf = self._shelf
            return self._asking.questions(shelf, self._answers(shelf, answered, user), n, filter)

    def recommend_to_newcomer(
        self, answered: Mapping[str, bool], k: int = 10, *, user: str | None = None
    ) -> tuple[Recommendation, ...]:
        """Items for somebody of whom little more is known than answers to questions, noes among them.

        Raises
        ------
        UnknownIdError
            An answered item is not in the catalogue.
        UsageError
            ``k`` is below 1.
        """
        with self._answering:
            shelf = self._shelf
            return self._asking.recommended(shelf, self._answers(shelf, answered, user), k)

    def explain(
        self,
        item: str,
        user: str | None = None,
        *,
        history: Told | None = None,
        text: str = "",
        context: Mapping[str, Any] | None = None,
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
            queries = question(shelf.catalogue, own, k=1, mask_seen=masks, text=text, context=context)
            queries = self._corrected(shelf, queries, [user if history is None else None], keep=position)
            if shelf.may is None or shelf.may[position]:
                queries = shelf.ruled(queries)
            return explaining.explain(shelf.pipeline, shelf.catalogue, queries, position, language)

    def without_places(self) -> Engine:
        """This engine with no place kept for items that nobody chose yet; itself where it keeps none."""
        pipeline = self.pipeline
        if not pipeline.fresh.places(pipeline.facts.fresh):
            return self
        plain = replace(pipeline, fresh=pipeline.fresh.model_copy(update={"every": 0}))
        return Engine(self.dataset, self.settings, replace(self.assembled, pipeline=plain), self.shown)

    def check_mix(self, mix: Mix) -> None:
        """Refuse, as ``UsageError``, a mix that lists of this engine cannot be made by."""
        check_mix(self.catalogue, self.pipeline, mix)

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

    def _answers(self, shelf: Shelf, answered: Mapping[str, bool] | None, user: str | None) -> list[tuple[int, bool]]:
        """Answers in positions; what somebody had counts as answered with yes."""
        had = () if user is None else np.unique(self._history(shelf, user, None).items).tolist()
        told_now = {shelf.catalogue.ids.position(item): bool(liked) for item, liked in (answered or {}).items()}
        return list({**dict.fromkeys(had, True), **told_now}.items())
