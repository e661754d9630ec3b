"""For people who write their own recommender: a suite of laws to hold it to, and small worlds to try it in.

Subclass and say how the model is made; pytest does the rest::

    from palate.testing import RecommenderConformance

    class TestMine(RecommenderConformance):
        def make(self):
            return MyRecommender()
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate.core import (
    ExplainsByHistory,
    FloatArray,
    Grows,
    Histories,
    NotFittedError,
    Queries,
    Ragged,
    Rankings,
    Scorer,
    widened,
)
from palate.core.artefact import Artefact, read, write
from palate.core.ids import id_hash
from palate.data import Dataset, hold_out_last

DAY = 86_400.0

_TOPICS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "Kitchen",
        ("steel pan", "chef knife", "wooden spoon", "glass kettle", "bread oven", "spice mill"),
        ("不锈钢锅", "主厨刀", "木勺", "玻璃水壶", "面包烤箱", "香料研磨器"),
    ),
    (
        "Garden",
        ("rose shears", "watering can", "tomato seeds", "flower pot", "garden hose", "bird house"),
        ("玫瑰剪", "浇水壶", "番茄种子", "花盆", "花园水管", "鸟屋"),
    ),
    (
        "Sound",
        ("studio headphones", "vinyl record", "guitar strings", "bluetooth speaker", "drum sticks", "piano lamp"),
        ("录音室耳机", "黑胶唱片", "吉他弦", "蓝牙音箱", "鼓棒", "钢琴灯"),
    ),
    (
        "Trail",
        ("hiking boots", "tent pegs", "rain jacket", "trail map", "camp stove", "sleeping bag"),
        ("登山靴", "帐篷钉", "雨衣", "步道地图", "露营炉", "睡袋"),
    ),
)


@cache
def small_shop(seed: int = 7) -> Dataset:
    """Sixty people and forty-eight goods with English and Chinese texts, prices and times.

    Everybody has one favourite of four topics, takes nine of ten things from it and comes back to its next thing in a
    loose order. The last item of each topic is in the catalogue and in no event; one item has no text at all.
    """
    random = np.random.default_rng(seed)
    titles = [
        (f"{name} {grade}", topic, grade)
        for topic, english, chinese in _TOPICS
        for names, grade in ((english, "classic"), (chinese, "经典"))
        for name in names
    ]
    per_topic = len(titles) // len(_TOPICS)
    items = pl.DataFrame(
        {
            "item_id": [f"i{number:02d}" for number in range(len(titles))] + ["blank"],
            "title": [title for title, _, _ in titles] + [None],
            "category": [f"Shop > {topic}" for _, topic, _ in titles] + [None],
            "price": [float(5 + 3 * (number % per_topic)) for number in range(len(titles))] + [None],
        }
    )
    users, what, when = [], [], []
    for user in range(60):
        favourite, position = user % len(_TOPICS), int(random.integers(per_topic))
        for step in range(int(random.integers(4, 10))):
            topic = favourite if random.random() < 0.9 else int(random.integers(len(_TOPICS)))
            position = (position + int(random.integers(1, 3))) % (per_topic - 1)
            users.append(f"u{user:02d}")
            what.append(f"i{topic * per_topic + position:02d}")
            when.append(1.6e9 + DAY * (user + 3 * step) + 60.0 * user)
    values = (random.integers(1, 6, len(users))).astype(np.float32)
    events = pl.DataFrame({"user_id": users, "item_id": what, "timestamp": when, "value": values})
    return Dataset.assemble(events, items, name="small shop")


class FakeEncoder:
    """Texts as bags of hashed words and, for Chinese, of letters: a language model that needs no weights.

    Parameters
    ----------
    dimension
        Length of a vector.
    """

    def __init__(self, dimension: int = 32) -> None:
        self._dimension = dimension
        self.encoded: list[str] = []

    @property
    def name(self) -> str:
        return f"fake-{self._dimension}"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def languages(self) -> tuple[str, ...]:
        return ("*",)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """float32 (n, dimension), rows of length 1, zeros for an empty text."""
        self.encoded.extend(texts)
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for term in _terms(text):
                digest = id_hash(term)
                vectors[row, digest % self._dimension] += 1.0 if digest >> 40 & 1 else -1.0
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _terms(text: str) -> list[str]:
    words = text.lower().replace(">", " ").replace(".", " ").split()
    return [term for word in words for term in ([word] if word.isascii() else list(word))]


class RecommenderConformance:
    """Laws of a recommender, as pytest tests. Override ``make``; ``dataset`` and ``wish`` where the small shop does
    not suit. A model's declared abilities are taken at their word, and checked."""

    wish = "bluetooth speaker headphones"
    """Free text that items of ``dataset`` answer to; for models that use text."""

    def make(self) -> Scorer[Dataset]:
        """A new, unfitted model; the same settings every time."""
        raise AssertionError("override make() to return a new, unfitted recommender")

    def dataset(self) -> Dataset:
        """What the model is fitted on. Some item must have no event."""
        return small_shop()

    def fitted(self) -> Scorer[Dataset]:
        return self.make().fit(self.dataset())

    def questions(self, k: int = 5) -> Queries:
        """Known people, a repeated item, an empty history, and people nobody has seen."""
        dataset = self.dataset()
        known = [dataset.sequences.row(user)[:4] for user in range(12)]
        popular = np.argsort(-dataset.popularity, kind="stable").astype(np.int32)
        strangers = [popular[:1], popular[[0, 1, 0]], popular[[3, 2]], popular[:0]]
        return Queries.of([*known, *strangers], k=k)

    def test_declares_itself(self) -> None:
        model = self.make()
        assert model.name
        assert model.name == model.name.lower()
        assert model.settings.model_config.get("frozen")
        assert type(model.settings).model_validate(model.settings.model_dump()) == model.settings

    def test_asked_before_taught(self) -> None:
        _raises(NotFittedError, lambda: self.make().recommend(self.questions()))
        _raises(NotFittedError, lambda: self.make().arrays())

    def test_fit_returns_itself(self) -> None:
        model = self.make()
        assert model.fit(self.dataset()) is model

    def test_shapes_and_order(self) -> None:
        queries = self.questions()
        scores = self.fitted().score(queries)
        assert scores.dtype == np.float32
        assert scores.shape == (len(queries), self.dataset().n_items)
        assert not np.isnan(scores).any()
        assert not np.isposinf(scores).any()
        answer = self.fitted().recommend(queries)
        assert answer.items.shape == (len(queries), 5)
        assert answer.items.dtype == np.int32
        assert answer.names == (self.make().name,)
        finite = np.where(np.isfinite(answer.scores), answer.scores, np.finfo(np.float32).min)
        assert (np.diff(finite, axis=1) <= 0).all()
        for row in range(len(queries)):
            assert len(set(answer.row(row).tolist())) == len(answer.row(row))

    def test_scores_are_the_callers_to_write_to(self) -> None:
        model, queries = self.fitted(), self.questions()
        before = model.score(queries)
        kept = before.copy()
        before[:] = -1.0
        np.testing.assert_array_equal(model.score(queries), kept)

    def test_ties_go_to_the_lower_position(self) -> None:
        model, queries = self.fitted(), self.questions(k=self.dataset().n_items)
        answer = model.recommend(queries)
        tied = (answer.scores[:, 1:] == answer.scores[:, :-1]) & (answer.items[:, 1:] >= 0)
        assert (np.diff(answer.items, axis=1)[tied] > 0).all()

    def test_unseen_user(self) -> None:
        model, stranger = self.fitted(), self.questions().take(slice(12, 13))
        answer = model.recommend(stranger)
        assert (answer.items >= 0).all()
        if model.abilities.unseen_users:
            nobody = model.score(Queries(Histories.empty(1)))
            assert not np.allclose(model.score(stranger), nobody)

    def test_unseen_items(self) -> None:
        model, dataset = self.fitted(), self.dataset()
        scores = model.score(self.questions())
        never = dataset.popularity == 0
        assert never.any(), "the dataset must hold an item without events"
        if model.abilities.unseen_items:
            assert (np.abs(scores[:, never]) > 0).any()

    def test_empty_history(self) -> None:
        answer = self.fitted().recommend(Queries(Histories.empty(2), k=3))
        np.testing.assert_array_equal(answer.items[0], answer.items[1])
        assert (answer.items >= 0).all()

    def test_no_question(self) -> None:
        answer = self.fitted().recommend(Queries(Histories.empty(0), k=3))
        assert answer.items.shape == (0, 3)

    def test_duplicate_history(self) -> None:
        row = self.dataset().sequences.row(0)[:3]
        answer = self.fitted().recommend(Queries.of([np.concatenate([row, row, row])], k=5))
        assert not set(answer.row(0).tolist()) & set(row.tolist())

    def test_history_of_items_newer_than_the_model(self) -> None:
        model, row = self.fitted(), self.dataset().sequences.row(0)[:3]
        newer = self.dataset().n_items + 5
        answer = model.recommend(Queries.of([[*row.tolist(), newer], [newer]], k=5))
        assert (answer.items[0] >= 0).all()
        assert answer.items.max() < self.dataset().n_items

    def test_catalogue_that_grows(self) -> None:
        model, dataset, queries = self.fitted(), self.dataset(), self.questions()
        before = model.score(queries)
        new = pl.DataFrame({"item_id": ["brand-new"], "title": [self.wish], "category": ["Shop > Sound"]})
        grown = dataset.catalogue.extended(new)
        assert isinstance(model, Grows) == model.abilities.unseen_items
        if isinstance(model, Grows):
            assert model.extend(grown) is model
            after = model.score(queries)
            assert after.shape[1] == len(grown)
            assert np.abs(after[:, -1]).max() > 0
            order = np.argsort(after[:, :-1], axis=1, kind="stable")
            np.testing.assert_array_equal(order, np.argsort(before, axis=1, kind="stable"))
        else:
            np.testing.assert_array_equal(widened(before, len(grown))[:, -1], 0.0)

    def test_candidates_respected(self) -> None:
        queries = self.questions()
        chosen = np.array([1, 4, 9, 16, 25], dtype=np.int32)
        answer = self.fitted().recommend(
            replace(queries, candidates=Ragged.repeated([*chosen, 10_000], len(queries)), mask_seen=False)
        )
        assert all(sorted(answer.row(row).tolist()) == chosen.tolist() for row in range(len(queries)))

    def test_excludes_respected(self) -> None:
        queries = self.questions()
        best = self.fitted().recommend(queries)
        again = self.fitted().recommend(replace(queries, excludes=Ragged.of(best.items)))
        assert not (again.items[:, :, None] == best.items[:, None, :]).any()

    def test_mask_seen_respected(self) -> None:
        queries, n_items = self.questions(), self.dataset().n_items
        masked = self.fitted().recommend(replace(queries, k=n_items))
        whole = self.fitted().recommend(replace(queries, k=n_items, mask_seen=False))
        for row in range(len(queries)):
            seen = set(queries.history.row(row).tolist())
            assert not seen & set(masked.row(row).tolist())
            assert seen <= set(whole.row(row).tolist())

    def test_k_beyond_the_catalogue(self) -> None:
        n_items = self.dataset().n_items
        answer = self.fitted().recommend(self.questions(k=n_items + 50))
        assert answer.k <= n_items + 50
        assert answer.items.max() < n_items

    def test_batch_equals_single(self) -> None:
        model, queries = self.fitted(), self.questions()
        scores, answer = model.score(queries), model.recommend(queries)
        for row in range(len(queries)):
            one = queries.take(slice(row, row + 1))
            np.testing.assert_allclose(model.score(one)[0], scores[row], rtol=1e-5, atol=1e-5)
            _same_list(model.recommend(one), answer, row)

    def test_queries_are_not_changed(self) -> None:
        queries = replace(self.questions(), text=tuple([self.wish] * len(self.questions())))
        before = copy.deepcopy(queries)
        model = self.fitted()
        model.score(queries)
        model.recommend(queries)
        for name in ("indptr", "items", "times", "kinds", "weights"):
            np.testing.assert_array_equal(getattr(queries.history, name), getattr(before.history, name))
        assert queries.text == before.text

    def test_deterministic(self) -> None:
        queries = self.questions()
        np.testing.assert_array_equal(self.fitted().score(queries), self.fitted().score(queries))

    def test_fit_again_forgets(self) -> None:
        first = self.dataset()
        other = hold_out_last(hold_out_last(first).dataset).dataset
        queries = self.questions()
        twice = self.make().fit(other).fit(first)
        np.testing.assert_array_equal(twice.score(queries), self.make().fit(first).score(queries))

    def test_save_and_load_give_identical_answers(self) -> None:
        model, queries = self.fitted(), self.questions()
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / model.name
            write(Artefact("model", {}, {model.name: model.arrays()}), folder)
            again = self.make().restore(read(folder, "model").arrays[model.name])
        np.testing.assert_array_equal(again.score(queries), model.score(queries))
        np.testing.assert_array_equal(again.recommend(queries).items, model.recommend(queries).items)

    def test_declared_personal(self) -> None:
        scores = self.fitted().score(self.questions())
        alike = all(np.array_equal(row, scores[0]) for row in scores)
        assert alike != self.make().abilities.personal

    def test_declared_use_of_text(self) -> None:
        model, queries = self.fitted(), self.questions()
        plain = model.score(queries)
        wished = model.score(replace(queries, text=tuple([self.wish] * len(queries))))
        assert np.array_equal(plain, wished) != model.abilities.uses_text

    def test_declared_use_of_time(self) -> None:
        dataset, queries = self.dataset(), self.questions()
        stretched = replace(dataset, events=dataset.events.with_columns(time=_stretched(dataset.events["time"])))
        asked = [dataset.queries(np.arange(8, dtype=np.int32)), stretched.queries(np.arange(8, dtype=np.int32))]
        plain, other = self.make().fit(dataset), self.make().fit(stretched)
        same = np.array_equal(plain.score(queries), other.score(queries))
        same = same and np.array_equal(plain.score(asked[0]), other.score(asked[1]))
        assert same != plain.abilities.uses_time

    def test_contributions_add_up(self) -> None:
        model, queries = self.fitted(), self.questions()
        if not isinstance(model, ExplainsByHistory):
            return
        items = np.arange(0, self.dataset().n_items, 3, dtype=np.int32)
        for row in range(len(queries)):
            one = queries.take(slice(row, row + 1))
            parts = model.contributions(one, items)
            assert parts.shape == (len(one.history.items), len(items))
            np.testing.assert_allclose(parts.sum(axis=0), model.score(one)[0, items], rtol=1e-4, atol=1e-5)


def _stretched(times: pl.Series) -> pl.Series:
    """The same order of times at other distances."""
    since = times.to_numpy() - times.to_numpy().min()
    return pl.Series(times.to_numpy().min() + since**2 / max(float(since.max()), 1.0))


def _raises(error: type[Exception], action: Any) -> None:
    try:
        action()
    except error as raised:
        assert str(raised)
    else:
        raise AssertionError(f"{error.__name__} was not raised")


def _same_list(one: Rankings, batch: Rankings, row: int) -> None:
    """The same items in the same order, but for neighbours whose scores differ by rounding alone."""
    np.testing.assert_allclose(one.scores[0], batch.scores[row], rtol=1e-5, atol=1e-5)
    differ = one.items[0] != batch.items[row]
    if differ.any():
        close = np.isclose(one.scores[0][differ], batch.scores[row][differ], rtol=1e-5, atol=1e-5)
        assert close.all()
