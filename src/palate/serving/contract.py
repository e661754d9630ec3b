"""What the server needs of an engine: the part of ``palate.engine.Engine`` it speaks to, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from palate.behaviour import Edits
from palate.data import Catalogue, Dataset
from palate.ranking.bandit import Choice
from palate.ranking.mixes import Mix


class Reason(Protocol):
    """Why an item was recommended."""

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def item(self) -> str | None: ...


class Recommendation(Protocol):
    """One recommended item."""

    @property
    def item(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def source(self) -> tuple[str, ...]: ...
    @property
    def reasons(self) -> tuple[Any, ...]: ...
    @property
    def properties(self) -> dict[str, Any]: ...
    @property
    def story(self) -> Any: ...


class Answer(Protocol):
    """A list of recommendations and how it came about."""

    @property
    def items(self) -> tuple[Any, ...]: ...
    @property
    def degraded(self) -> bool: ...
    @property
    def source(self) -> str: ...
    @property
    def model_version(self) -> str: ...
    @property
    def took_ms(self) -> float: ...
    @property
    def recommendation_id(self) -> str: ...
    @property
    def choice(self) -> Choice | None: ...
    @property
    def strategy(self) -> Any: ...
    @property
    def narration(self) -> Any: ...


class ServedEngine(Protocol):
    """An engine that can be served."""

    @property
    def dataset(self) -> Dataset: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def version(self) -> str: ...
    @property
    def draws(self) -> bool: ...

    def recommend(
        self,
        user: str | None = None,
        k: int = 10,
        *,
        history: Sequence[str | Mapping[str, Any]] | None = None,
        text: str = "",
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the engine's own name for it
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
    ) -> Any: ...

    def recommend_many(
        self,
        users: Sequence[str | None],
        k: int = 10,
        *,
        diversity: float | None = None,
        mix: Mix | None = None,
    ) -> Sequence[Any]: ...

    def check_mix(self, mix: Mix) -> None: ...

    def pursue(
        self,
        user: str | None = None,
        k: int = 10,
        *,
        history: Sequence[str | Mapping[str, Any]] | None = None,
        strategy: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        generate: bool = True,
        explain: bool = False,
        language: str = "en",
    ) -> Any: ...

    def warm(self) -> None: ...

    def similar(self, item: str, k: int = 10, *, kind: str = "any", language: str = "en") -> Any: ...

    def ask(
        self,
        n: int = 1,
        *,
        answered: Mapping[str, bool] | None = None,
        user: str | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the engine's own name for it
    ) -> Sequence[Any]: ...

    def recommend_to_newcomer(
        self, answered: Mapping[str, bool], k: int = 10, *, user: str | None = None
    ) -> Sequence[Any]: ...

    def predict(
        self,
        items: Sequence[str],
        user: str | None = None,
        *,
        history: Sequence[str | Mapping[str, Any]] | None = None,
        kinds: Sequence[str] | None = None,
        prices: Sequence[float | None] | None = None,
        when: float | None = None,
        inputs: int = 0,
        language: str = "en",
    ) -> Any: ...

    def explain(
        self,
        item: str,
        user: str | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        language: str = "en",
    ) -> Any: ...

    def narrate(self, told: Any, *, generate: bool = True, language: str = "en") -> Any: ...

    def update(
        self,
        events: list[dict[str, Any]] | None = None,
        items: list[dict[str, Any]] | None = None,
        users: list[dict[str, Any]] | None = None,
    ) -> Any: ...

    def portrait(self, user: str, language: str = "en") -> Any: ...

    def correct(self, user: str, change: Callable[[Edits], Edits]) -> Edits: ...

    def knows(self, user: str) -> bool: ...

    def forget(self, user: str) -> None: ...

    def recall(self, shown: Iterable[tuple[str, Choice]]) -> None: ...

    def known_as(self, user: str) -> str: ...

    def behaviour(self, user: str, events: int, language: str = "en") -> str: ...

    def describe(self) -> dict[str, Any]: ...
