"""A small engine with a mind simple enough to predict: it likes the categories of the last things done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from palate.behaviour import Edits
from palate.core import UnknownIdError, UsageError
from palate.data import Catalogue, Dataset
from palate.data.catalogue import frame_of
from palate.engine.foretelling import Predicted, Prediction
from palate.ranking.bandit import Choice
from palate.ranking.mixes import Mix

CATEGORIES = ("Lipstick", "Perfume", "Shampoo", "手机", "Books > Novels")
XSS = "<img src=x onerror=alert(1)><script>document.title='owned'</script>"


@dataclass(frozen=True)
class FakeReason:
    kind: str
    text: str
    weight: float
    item: str | None = None


@dataclass(frozen=True)
class FakeRecommendation:
    item: str
    score: float
    source: tuple[str, ...]
    reasons: tuple[FakeReason, ...]
    properties: dict[str, Any]
    story: dict[str, Any] | None = None


@dataclass(frozen=True)
class FakeAnswer:
    items: tuple[FakeRecommendation, ...]
    degraded: bool = False
    source: str = "palate"
    model_version: str = "fake0001"
    took_ms: float = 0.1
    recommendation_id: str = ""
    choice: Choice | None = None
    strategy: dict[str, Any] | None = None
    narration: dict[str, Any] | None = None


@dataclass(frozen=True)
class FakePortrait:
    sentence: str
    muted: tuple[str, ...]
    added: tuple[str, ...]
    summary: str = ""
    table: dict[str, Any] = field(default_factory=dict)
    interests: tuple[dict[str, Any], ...] = ()
    branch: str = ""


@dataclass(frozen=True)
class FakeQuestion:
    item: str
    title: str
    chance: float


@dataclass(frozen=True)
class FakeUpdated:
    rejected: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class FakeExplanation:
    item: str
    score: float
    base: float
    sources: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    words: list[dict[str, Any]] = field(default_factory=list)
    features: list[dict[str, Any]] = field(default_factory=list)
    context: list[dict[str, Any]] = field(default_factory=list)
    reasons: tuple[FakeReason, ...] = (FakeReason("popular", "Many took it", 0.1),)
    story: dict[str, Any] | None = None
    narration: dict[str, Any] | None = None


def shop() -> Dataset:
    """Fifty items in five categories, twenty users; one title tries to be a script."""
    items = [
        {
            "item_id": f"i{number}",
            "title": XSS if number == 0 else f"{CATEGORIES[number % 5]} No. {number}",
            "category": CATEGORIES[number % 5],
            "price": float(number),
        }
        for number in range(50)
    ]
    events = [
        {"user_id": f"user-{user}", "item_id": f"i{(user * 7 + step * 5) % 50}", "timestamp": 1.6e9 + step}
        for user in range(20)
        for step in range(6)
    ]
    return Dataset.assemble(pl.DataFrame(events), pl.DataFrame(items), name="fake shop")


class FakeEngine:
    """Scores an item by its category's place among the latest events, then by its number."""

    def __init__(self, dataset: Dataset | None = None) -> None:
        self.dataset = dataset or shop()
        self.catalogue: Catalogue = self.dataset.catalogue
        self.version = "fake0001"
        self.draws = False
        self.updates: list[dict[str, Any]] = []
        self.broken = False
        self.crowds: list[int] = []
        self.edits: dict[str, Edits] = {}
        self._done: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def recommend(
        self,
        user: str | None = None,
        k: int = 10,
        *,
        history: Sequence[str | Mapping[str, Any]] | None = None,
        text: str = "",
        filter: Mapping[str, Any] | None = None,  # noqa: A002
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
    ) -> FakeAnswer:
        if self.broken:
            raise RuntimeError("a secret detail of the machine room")
        started = time.perf_counter()
        if scenario not in (None, "home"):
            raise UsageError(f"unknown scenario {scenario!r}; known: home")
        done = self._history(user) if history is None else [_id(one) for one in history]
        liked = [self._category(name) for name in done if name in self.catalogue.ids][::-1]
        names = candidates if candidates is not None else self.catalogue.ids.names
        own = self.edits.get(user or "", Edits())
        rows = []
        for name in names:
            if name not in self.catalogue.ids or name in done or name in exclude:
                continue
            properties = self.catalogue.properties(self.catalogue.ids.position(name))
            if any(properties.get(key) != wanted for key, wanted in (filter or {}).items()):
                continue
            title = str(properties.get("title", "")).lower()
            if any(topic.lower() in title for topic in own.muted):
                continue
            category = self._category(name)
            score = 1.0 / (1 + liked.index(category)) if category in liked else 0.0
            score += 2.0 if text and text.lower() in title else 0.0
            score += 0.9 * sum(topic.lower() in title for topic in own.added)
            rows.append((score, name, properties))
        rows.sort(key=lambda row: (-row[0], row[1]))
        if mix is not None and mix.objectives.novelty:
            rows.reverse()
        sentence = "因为您看过同类商品" if language == "zh" else "Because you looked at things like it"
        reasons = (FakeReason("history", sentence, 0.5, done[-1] if done else None),) if explain else ()
        items = tuple(FakeRecommendation(name, score, ("fake",), reasons, facts) for score, name, facts in rows[:k])
        return FakeAnswer(items, degraded=not done and not text, took_ms=(time.perf_counter() - started) * 1e3)

    def recommend_many(
        self, users: Sequence[str | None], k: int = 10, *, diversity: float | None = None, mix: Mix | None = None
    ) -> list[FakeAnswer]:
        self.crowds.append(len(users))
        return [self.recommend(user, k, diversity=diversity, mix=mix) for user in users]

    def check_mix(self, mix: Mix) -> None:
        if mix.lead != "learned":
            raise UsageError(f"this engine has no model {mix.lead!r}")

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
    ) -> FakeAnswer:
        found = self.recommend(user, k, history=history, explain=explain, language=language)
        steps = {
            "interest": [],
            "via": (strategy or {}).get("via", "words"),
            "wishes": ["things like it"],
            "written_by": "endpoint" if generate else "template",
            "found": len(found.items),
            "kept": len(found.items),
            "threshold": None,
            "objectives": {"accuracy": 1.0},
            "notes": [],
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "seconds": 0.0,
            "cost": 0.0,
        }
        return replace(found, strategy=steps)

    def warm(self) -> None:
        self.recommend()

    def similar(self, item: str, k: int = 10, *, kind: str = "any", language: str = "en") -> FakeAnswer:
        if item not in self.catalogue.ids:
            raise UnknownIdError(f"unknown item {item!r}")
        return self.recommend(k=k, history=[item])

    def ask(
        self,
        n: int = 1,
        *,
        answered: Mapping[str, bool] | None = None,
        user: str | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002
    ) -> tuple[FakeQuestion, ...]:
        for name in answered or {}:
            if name not in self.catalogue.ids:
                raise UnknownIdError(f"unknown item {name!r}")
        left = [name for name in sorted(self.catalogue.ids.names) if name not in (answered or {})]
        return tuple(FakeQuestion(name, name, 0.5) for name in left[:n])

    def recommend_to_newcomer(
        self, answered: Mapping[str, bool], k: int = 10, *, user: str | None = None
    ) -> tuple[FakeRecommendation, ...]:
        return self.recommend(user, k, exclude=tuple(answered)).items

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
    ) -> Predicted:
        for name in items:
            if name not in self.catalogue.ids:
                raise UnknownIdError(f"unknown item {name!r}")
        told = tuple(Prediction(item, kind, 0.5, 0.4, 0.6, 0) for kind in kinds or ("view",) for item in items)
        return Predicted(told, {"view": "viewed"}, "fixed", 0.9, {"view": "fake"}, ())

    def explain(
        self,
        item: str,
        user: str | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        language: str = "en",
    ) -> FakeExplanation:
        return FakeExplanation(item, 1.0, 0.25, features=[{"name": "category", "value": 1, "contribution": 0.75}])

    def narrate(self, told: Any, *, generate: bool = True, language: str = "en") -> Any:
        def story(reasons: Sequence[FakeReason]) -> dict[str, Any]:
            return {"text": f"{reasons[0].text}.", "cites": [0], "written_by": by}

        by = "endpoint" if generate else "template"
        count = len(told.items) if isinstance(told, FakeAnswer) else 1
        narration = {"written_by": {by: count}, "notes": [], "prompt_tokens": 9, "completion_tokens": 3}
        narration |= {"cost": 0.0, "seconds": 0.1}
        if isinstance(told, FakeAnswer):
            items = tuple(replace(item, story=story(item.reasons)) for item in told.items)
            return replace(told, items=items, narration=narration)
        return replace(told, story=story(told.reasons), narration=narration)

    def update(
        self,
        events: list[dict[str, Any]] | None = None,
        items: list[dict[str, Any]] | None = None,
        users: list[dict[str, Any]] | None = None,
    ) -> FakeUpdated:
        with self._lock:
            self.updates.append({"events": events, "items": items, "users": users})
            if items:
                self.catalogue = self.catalogue.extended(frame_of(items))
            for event in events or []:
                if event.get("item_id"):
                    self._done.setdefault(event["user_id"], []).append(event["item_id"])
            forbidden = [row for row in items or [] if row["item_id"] == "forbidden"]
            return FakeUpdated(tuple({"line": 1, "reason": "nobody may sell this", "row": row} for row in forbidden))

    def portrait(self, user: str, language: str = "en") -> FakePortrait:
        known = user in self.dataset.user_ids or user in self._done or user in self.edits
        if not known:
            raise UnknownIdError(f"unknown user {user!r}")
        edits, done = self.edits.get(user, Edits()), self._history(user)
        sentence = f"做了 {len(done)} 件事。" if language == "zh" else f"Did {len(done)} things."
        liked = [self._category(name) for name in done if self._category(name) not in edits.muted]
        shares = {name: liked.count(name) / len(liked) for name in dict.fromkeys(liked)}
        interests = tuple({"name": name, "share": share, "events": liked.count(name)} for name, share in shares.items())
        table = {"events": len(done), "categories": shares, "usual_price": 12.5}
        return FakePortrait(sentence, edits.muted, edits.added, table=table, interests=interests)

    def correct(self, user: str, change: Callable[[Edits], Edits]) -> Edits:
        self.edits[user] = change(self.edits.get(user, Edits()))
        return self.edits[user]

    def knows(self, user: str) -> bool:
        return user in self.dataset.user_ids or user in self._done

    def forget(self, user: str) -> None:
        self._done.pop(user, None)
        self.edits.pop(user, None)

    def recall(self, shown: Iterable[tuple[str, Choice]]) -> None:
        raise AssertionError(f"nothing is drawn here, yet {list(shown)} is to be recalled")

    def known_as(self, user: str) -> str:
        return user

    def behaviour(self, user: str, events: int, language: str = "en") -> str:
        return ""

    def describe(self) -> dict[str, Any]:
        return {"users": self.dataset.n_users, "items": len(self.catalogue), "events": self.dataset.n_events}

    def _history(self, user: str | None) -> list[str]:
        if user is None:
            return []
        row = self.dataset.user_ids.get(user)
        before = self.dataset.item_ids.externals(self.dataset.sequences.row(row)) if row >= 0 else []
        return before + self._done.get(user, [])

    def _category(self, name: str) -> str:
        return str(self.catalogue.properties(self.catalogue.ids.position(name)).get("category"))


def _id(event: str | Mapping[str, Any]) -> str:
    return event if isinstance(event, str) else str(event["item_id"])
