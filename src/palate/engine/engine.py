"""The engine: everything fitted, one object, one way to ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import xxhash

from palate.core import Histories, Queries, Rankings, Scorer, UsageError
from palate.core.arrays import FloatArray
from palate.data import Catalogue, Dataset, Fold
from palate.data.validation import events_frame, items_frame, users_frame
from palate.engine import explaining
from palate.engine.answers import Answer, Explanation, Updated
from palate.engine.asking import Wishes, check_language, question, told_history
from palate.engine.assembly import Assembled, Clock, Progress, assemble
from palate.engine.live import LiveHistories, read_events
from palate.engine.settings import EngineSettings
from palate.ranking.pipeline import DiversitySettings, Pipeline
from palate.ranking.rules import allowed, boosts, kept_to_quotas, quota_codes, without


class Engine:
    """A fitted recommendation engine. Made by ``Engine.fit`` or ``Engine.load``, never by its constructor."""

    def __init__(
        self,
        dataset: Dataset,
        settings: EngineSettings,
        assembled: Assembled,
        *,
        seed: int = 0,
        inner: Literal["last", "time"] = "last",
        timings: Mapping[str, float] | None = None,
    ) -> None:
        self.dataset = dataset
        self.catalogue: Catalogue = dataset.catalogue
        self.settings = settings
        self.timings: dict[str, float] = dict(timings or {})
        self.notes = assembled.notes
        self._assembled = assembled
        self._seed, self._inner = seed, inner
        self._pipeline = assembled.pipeline
        self._lock = threading.RLock()
        self._live = LiveHistories(dataset, settings.history)
        self._apply_rules()
        digest = xxhash.xxh3_64(f"{dataset.fingerprint}{settings.model_dump_json()}{seed}".encode())
        self.version = digest.hexdigest()[:12]

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        preset: str = "fast",
        settings: EngineSettings | None = None,
        seed: int = 0,
        validation: Fold | None = None,
        learn_validation: bool = False,
        inner: Literal["last", "time"] = "last",
        progress: Progress | None = None,
    ) -> Self:
        """Teach an engine.

        Parameters
        ----------
        preset
            ``fast``: counts, factors, frozen text, learned ranker. Ignored where ``settings`` are given.
        seed
            Of everything drawn by chance.
        validation
            Questions over this dataset that only select and stop; the engine holds out its own where None.
        learn_validation
            Let the ranker learn from the validation questions too, once they have decided its size.
        inner
            What the ranker learns from: everybody's ``last`` event, or the last tenth of ``time``.

        Raises
        ------
        DataError, UsageError
            The data or the settings do not allow it; the message says why.
        """
        chosen = settings or EngineSettings.preset(preset)
        clock = Clock()
        assembled = assemble(
            dataset,
            chosen,
            seed=seed,
            clock=clock,
            progress=progress or (lambda _stage, _share: None),
            validation=validation,
            learn_validation=learn_validation,
            inner=inner,
        )
        return cls(dataset, chosen, assembled, seed=seed, inner=inner, timings=clock.seconds)

    def refit(self, dataset: Dataset, progress: Progress | None = None) -> Engine:
        """The same settings, the number of trees included, taught on other data of the same catalogue."""
        clock = Clock()
        ranker = self._pipeline.ranker
        assembled = assemble(
            dataset,
            self.settings,
            seed=self._seed,
            clock=clock,
            progress=progress or (lambda _stage, _share: None),
            inner=self._inner,
            trees=None if ranker is None else ranker.trees,
            encoder=self._assembled.encoder,
        )
        return Engine(dataset, self.settings, assembled, seed=self._seed, inner=self._inner, timings=clock.seconds)

    @property
    def sources(self) -> Mapping[str, Scorer[Dataset]]:
        """The fitted models by name."""
        return self._pipeline.sources

    @property
    def pipeline(self) -> Pipeline:
        """The fitted ranking."""
        return self._pipeline

    @property
    def kind(self) -> Literal["text", "features"]:
        """Which branch the data took: texts through the language model, or engineered features."""
        return "text" if self._assembled.encoder is not None else "features"

    @property
    def masks_seen(self) -> bool:
        """Whether items the asker had are left out of answers."""
        return self._assembled.masks_seen

    def rank(self, queries: Queries) -> Rankings:
        """Answer n questions in positions: the one path, for tests and for the web alike."""
        return self._rank(queries, self.settings.diversity)

    def score(self, queries: Queries) -> FloatArray:
        """Scores that order the full catalogue as ``rank`` does; float32 (n, n_items)."""
        return self._pipeline.score(self._ruled(queries))

    def recommend(
        self,
        user: str | None = None,
        k: int = 10,
        *,
        history: Sequence[str | Mapping[str, Any]] | None = None,
        text: str = "",
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the field's word
        exclude: Sequence[str] = (),
        candidates: Sequence[str] | None = None,
        context: Mapping[str, Any] | None = None,
        diversity: float | None = None,
        scenario: str | None = None,
        explain: bool = False,
        language: str = "en",
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
        scenario
            A name kept in the log.
        language
            ``en`` or ``zh``, of the reasons.

        Raises
        ------
        UnknownIdError
            An item of the history or of the candidates is not in the catalogue.
        UsageError
            Something else makes no sense; the message says what.
        """
        started = time.perf_counter()
        check_language(language)
        with self._lock:
            wishes = Wishes(k, text, filter, exclude, candidates, context)
            own = self._history(user, history)
            queries = question(self.catalogue, own, wishes, mask_seen=self.masks_seen)
            return self._answers(queries, started, diversity, language if explain else None)[0]

    def recommend_many(
        self, users: Sequence[str | None], k: int = 10, *, diversity: float | None = None
    ) -> list[Answer]:
        """What ``recommend`` answers to each of these users (None: nobody in particular), worked out together.

        Several times faster than one by one: the catalogue is read once for all of them.
        """
        started = time.perf_counter()
        if not users:
            return []
        with self._lock:
            histories = Histories.concatenate([self._history(user, None) for user in users])
            when = np.full(len(users), time.time())
            return self._answers(Queries(histories, k=k, mask_seen=self.masks_seen, when=when), started, diversity)

    def similar(self, item: str, k: int = 10) -> Answer:
        """Items most like one item: by what is chosen with it and by what it says.

        Raises
        ------
        UnknownIdError
            The item is not in the catalogue.
        """
        started = time.perf_counter()
        with self._lock:
            position = self.catalogue.ids.position(item)
            queries = self._ruled(Queries(Histories.of([[position]]), k=min(k, len(self.catalogue))))
            rankings = self._pipeline.rank(queries)
            items = explaining.recommendations(self._pipeline, self.catalogue, queries, rankings)
        return Answer(items, False, "palate", self.version, (time.perf_counter() - started) * 1000)

    def explain(
        self,
        item: str,
        user: str | None = None,
        *,
        history: Sequence[str | Mapping[str, Any]] | None = None,
        text: str = "",
        language: str = "en",
    ) -> Explanation:
        """Why an item gets its score for somebody.

        Raises
        ------
        UnknownIdError
            An item is not in the catalogue.
        """
        check_language(language)
        with self._lock:
            position = self.catalogue.ids.position(item)
            own = self._history(user, history)
            queries = question(self.catalogue, own, Wishes(k=1, text=text), mask_seen=False)
            return explaining.explain(self._pipeline, self.catalogue, queries, position, language)

    def update(self, events: Any = None, items: Any = None, users: Any = None) -> Updated:
        """Take in what happened and what is new; the next answer knows it.

        New items with text are recommendable at once. Rows that do not pass validation are left out and reported;
        nothing else is lost.

        Parameters
        ----------
        events, items, users
            Lists of mappings, or frames, with canonical columns.
        """
        counts = {"events": 0, "items": 0, "users": 0}
        rejected: list[dict[str, Any]] = []
        with self._lock:
            if items is not None and len(items):
                checked = items_frame(items)
                rejected += checked.refusals()
                counts["items"] = checked.frame.height
                if checked.frame.height:
                    self._grow(self.catalogue.extended(checked.frame))
            if users is not None and len(users):
                checked = users_frame(users)
                rejected += checked.refusals()
                counts["users"] = checked.frame.height
            if events is not None and len(events):
                checked = events_frame(events, self.dataset.kinds)
                rejected += checked.refusals()
                counts["events"] = self._take(checked.frame, rejected)
        return Updated(**counts, rejected=tuple(rejected))

    def describe(self) -> dict[str, Any]:
        """What this engine is, for pages and logs."""
        return {
            "version": self.version,
            "name": self.dataset.name,
            "users": self.dataset.n_users,
            "items": len(self.catalogue),
            "events": self.dataset.n_events,
            "branch": self.kind,
            **explaining.summary(self._pipeline),
            "masks_seen": self.masks_seen,
            "notes": list(self.notes),
            "seconds": {name: round(value, 2) for name, value in self.timings.items()},
        }

    def save(self, folder: str | Path) -> None:
        """Write the engine as a directory, whole or not at all; users are stored under pseudonyms."""
        from palate.engine.storage import save

        save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Engine:
        """Read an engine that ``save`` wrote.

        Raises
        ------
        ArtefactError
            The folder is damaged, foreign or of another format; the message says which.
        """
        from palate.engine.storage import load

        return load(Path(folder))

    def known_as(self, user: str) -> str:
        """The id under which this engine knows a user: a loaded engine knows pseudonyms only."""
        if self._live.known(user):
            return user
        from palate.engine.storage import pseudonym

        other = pseudonym(user)
        return other if other is not None and self._live.known(other) else user

    def _answers(
        self, queries: Queries, started: float, diversity: float | None, language: str | None = None
    ) -> list[Answer]:
        """Ranked, named and, where a language is given, explained; ``started`` is when the asker began to wait."""
        strength = self.settings.diversity
        if diversity is not None:
            strength = DiversitySettings(strength=diversity, depth=strength.depth)
        rankings, degraded = self._rank_or_fall_back(queries, strength)
        found = [
            explaining.recommendations(self._pipeline, self.catalogue, queries, rankings, row=row, language=language)
            for row in range(len(queries))
        ]
        took = (time.perf_counter() - started) * 1000
        return [
            Answer(items, degraded, explaining.answered_by(self._pipeline, queries, row, degraded), self.version, took)
            for row, items in enumerate(found)
        ]

    def _rank(self, queries: Queries, diversity: DiversitySettings) -> Rankings:
        queries = self._ruled(queries)
        quotas = self.settings.rules.quotas
        if not quotas:
            return self._pipeline.rank(queries, diversity, self._boost)
        wide = self._pipeline.rank(replace(queries, k=queries.k * 5), diversity, self._boost)
        codes = [(quota_codes(self.catalogue, quota), quota.at_most) for quota in quotas]
        return kept_to_quotas(wide, codes, queries.k)

    def _rank_or_fall_back(self, queries: Queries, diversity: DiversitySettings) -> tuple[Rankings, bool]:
        """The full answer; the weighted average's, marked as degraded, where the ranker fails."""
        try:
            return self._rank(queries, diversity), False
        except UsageError:
            raise
        except Exception:
            plain = replace(self._pipeline, ranker=None)
            return plain.rank(self._ruled(queries)), True

    def _apply_rules(self) -> None:
        rules = self.settings.rules
        self._allowed = allowed(self.catalogue, rules)
        self._boost = boosts(self.catalogue, rules)
        for quota in rules.quotas:
            quota_codes(self.catalogue, quota)

    def _ruled(self, queries: Queries) -> Queries:
        """The questions with what the shop's rules forbid among the excludes."""
        return queries if self._allowed is None else without(queries, ~self._allowed)

    def _history(self, user: str | None, history: Sequence[str | Mapping[str, Any]] | None) -> Histories:
        """One row: what the caller told, else what is known of the user, else nothing."""
        if history is not None:
            return told_history(self.catalogue, history, self.settings.history)
        return Histories.empty(1) if user is None else self._live.of(self.known_as(user))

    def _grow(self, catalogue: Catalogue) -> None:
        """Serve a catalogue with new or changed items."""
        grown = len(catalogue) > len(self.catalogue)
        self.catalogue = catalogue
        if grown:
            for model in self.sources.values():
                extend = getattr(model, "extend", None)
                if extend is not None:
                    extend(catalogue)
            semantic: Any = self.sources.get("semantic")
            facts = self._pipeline.facts.extended(catalogue, None if semantic is None else semantic.item_vectors)
            self._pipeline = replace(self._pipeline, facts=facts)
        self._apply_rules()

    def _take(self, frame: Any, rejected: list[dict[str, Any]]) -> int:
        """Live events into histories; returns how many were taken."""
        by_user, unknown = read_events(frame, self.catalogue, self.dataset.kinds)
        rejected += unknown
        for user, events in by_user.items():
            self._live.add(self.known_as(user), events)
        return int(frame.height) - len(unknown)
