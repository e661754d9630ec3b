"""The engine among people: what they did since, what came new, how they correct its picture of them, what it tells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

from palate.behaviour import Edits
from palate.core import Histories, Queries
from palate.data import Dataset
from palate.engine import storage
from palate.engine.answers import Answer, Explanation, Updated
from palate.engine.assembly import Assembled
from palate.engine.counting import Counting
from palate.engine.foretelling import Foretelling, Predicted, with_kinds
from palate.engine.live import LiveHistories
from palate.engine.narrating import narrated_answer, narrated_explanation
from palate.engine.portraits import Portrait, Portraits
from palate.engine.positions import Positions
from palate.engine.questions import Told, check_language, told
from palate.engine.settings import EngineSettings
from palate.engine.shelf import Shelf
from palate.engine.updating import Changes, live_events, reactions, with_items
from palate.language.generation import TemplateGenerator, TextGenerator, or_template
from palate.language.verbalise import behaviour_text
from palate.ranking.bandit import Choice

if TYPE_CHECKING:
    from palate.models.next_behaviour import NextBehaviour


class Living(Positions):
    """What was fitted, and what happens to it while it answers; parameters as those of ``Positions``."""

    def __init__(self, dataset: Dataset, settings: EngineSettings, assembled: Assembled) -> None:
        super().__init__(dataset, settings, assembled)
        self._answering, self._changing = threading.RLock(), threading.Lock()
        self._live = LiveHistories(dataset, settings.history)
        self._portraits = Portraits(dataset, self._live)
        self.foretelling = Foretelling(dataset, settings.models.next_behaviour, assembled.encoder)
        self.counting = Counting(assembled.pipeline.sources, settings.counting)
        self.writer: TextGenerator = TemplateGenerator()

    def portrait(self, user: str, language: str = "en") -> Portrait:
        """What is known of somebody, and how they corrected it; ``UnknownIdError`` where nobody has heard of them."""
        check_language(language)
        with self._answering:
            return self._portraits.of(self._shelf, self.known_as(user), language)

    def correct(self, user: str, change: Callable[[Edits], Edits]) -> Edits:
        """Take in how somebody corrects their profile; the next answer follows it. It lives in memory: keep a log."""
        with self._answering:
            return self._portraits.correct(self.known_as(user), change)

    def update(self, events: Any = None, items: Any = None, users: Any = None) -> Updated:
        """Take in what happened and what is new; the next answer knows it.

        New items with text are recommendable at once, changed texts are read again. Events of people nobody has seen
        begin a history. Rows that do not pass validation are left out and reported. Attributes of users are validated
        and counted but not kept: no model reads them, and what is not kept cannot leak. What came in lives in memory
        and, items apart, not in a saved engine: replay the event log or train again.

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

    def foresee(self) -> NextBehaviour:
        """Learn what people do next, unless that was done; ``save`` keeps it, and no ``predict`` has to wait for it.

        Raises
        ------
        DataError
            The data has too few occasions of any kind.
        """
        return self.foretelling.model()

    def predict(
        self,
        items: Sequence[str],
        user: str | None = None,
        *,
        history: Told | None = None,
        kinds: Sequence[str] | None = None,
        prices: Sequence[float | None] | None = None,
        when: float | None = None,
        inputs: int = 0,
        language: str = "en",
    ) -> Predicted:
        """How likely somebody is to view, click, buy or rate items highly, with intervals; see ``foresee``.

        Parameters
        ----------
        history
            What the person did, oldest first, in place of what is known of ``user``; entries may say their ``kind``.
        kinds
            Which behaviours; all that the data taught where None.
        prices
            Asked now, one an item; the list price where None.
        when
            Seconds since 1970 UTC; now where None.
        inputs
            How many of the inputs behind each probability to name, those that move it most.

        Raises
        ------
        DataError
            The data has too few occasions of any kind.
        UnknownIdError
            An item is not in the catalogue.
        UsageError
            A kind, a price or the language makes no sense.
        """
        with self._answering:
            shelf = self._shelf
            known = self._history(shelf, user, None) if history is None else None
        if known is None:
            known = with_kinds(shelf.catalogue, self.dataset, history or ())
        asked: dict[str, Any] = {"kinds": kinds, "prices": prices, "when": when, "inputs": inputs, "language": language}
        return self.foretelling.predict(shelf.catalogue, known, items, **asked)

    @overload
    def narrate(self, told: Answer, *, generate: bool = ..., language: str = ...) -> Answer: ...
    @overload
    def narrate(self, told: Explanation, *, generate: bool = ..., language: str = ...) -> Explanation: ...

    def narrate(
        self, told: Answer | Explanation, *, generate: bool = True, language: str = "en"
    ) -> Answer | Explanation:
        """An answer or an explanation with its reasons in a person's words; nothing else of it changes.

        ``writer`` is shown an item's title and its reasons, no id, price or score. A sentence of its own that says more
        than the reasons it cites is refused, and the template says them as they stand. ``narration`` says who wrote.

        Parameters
        ----------
        told
            With reasons (``explain=True``): an item without any gets no story.
        generate
            Let ``writer`` write; templates do where False.
        """
        check_language(language)
        writer = or_template(self.writer, generate)
        if isinstance(told, Explanation):
            return narrated_explanation(told, self.catalogue, writer, language)
        return narrated_answer(told, self.catalogue, writer, language)

    def known_as(self, user: str) -> str:
        """The id under which this engine knows a user: a loaded engine knows pseudonyms only."""
        if self._live.known(user):
            return user
        other = storage.pseudonym(user)
        return other if other is not None and self._live.known(other) else user

    def forget(self, user: str) -> None:
        """Forget somebody: what they did, and how they corrected it.

        What they did stays in the counts, as an unknown person's; a saved engine leaves nothing that leads to them. An
        engine that was saved before knows them until it is saved again, or trained anew.
        """
        with self._answering:
            name = self.known_as(user)
            self._live.forget(name)
            self._portraits.forget(name)

    @property
    def forgotten(self) -> frozenset[str]:
        """Ids of those who were trained on and are to be forgotten."""
        return frozenset(self._live.forgotten)

    def knows(self, user: str) -> bool:
        """Whether anything is remembered of a user."""
        return self._live.known(self.known_as(user))

    def behaviour(self, user: str, events: int, language: str = "en") -> str:
        """What somebody did last, at most so many events, in words; "" where nothing is known of them."""
        with self._answering:
            shelf, done = self._shelf, self._live.of(self.known_as(user))
        if not len(done.items) or not events:
            return ""
        titles, kinds = shelf.catalogue.titles, self.dataset.kinds.names
        things = [titles[item] for item in done.items[-events:].tolist()]
        return behaviour_text(things, [kinds[kind] for kind in done.kinds[-events:].tolist()], language)

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
