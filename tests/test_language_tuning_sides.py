"""Two sides of an encoder: what somebody had, and what is offered."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from palate.core import Histories, Queries
from palate.language import CachedEncoder, EncoderSettings, LaterEncoder, TransformerSettings, VectorCache, load_encoder
from palate.language.encoder import asking_side, is_shaped
from palate.language.tuning.contrast import Contrast, Lessons
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.objective import teach
from palate.language.tuning.saving import save_encoder
from palate.language.tuning.settings import AdaptSettings, TrunkSettings, TuningSettings, VectorSettings
from palate.language.tuning.shop import adapt
from palate.language.tuning.trunk import open_trunk
from palate.language.tuning.vectors import Vectors, fingerprints
from palate.models.semantic import Semantic
from palate.testing import FakeEncoder, small_shop
from tests.tuning_world import GOODS, tiny_model

EXACT = EncoderSettings(transformer=TransformerSettings(precision="fp32"))
COURSE = TuningSettings(epochs=40, batch=24, learning_rate=3e-2, patience=40)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "bert", "bert")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def circle(model: Path, sides: int) -> Contrast:
    """People who go through the goods in one direction, each from where they like."""
    n = len(GOODS)
    taken = [[(first + step) % n for step in range(3)] for first in range(n) for _ in range(4)]
    trunk = open_trunk(model, TrunkSettings(precision="fp32"))
    corpus = Corpus(trunk, GOODS)
    vectors = Vectors.begin(corpus, VectorSettings(dropout=0.1))
    lessons = Lessons.of_histories(Histories.of(taken), window=1)
    asking = copy.deepcopy(vectors) if sides == 2 else None
    return Contrast(corpus, vectors, lessons, lessons, asking=asking, hide=False)


def directed(contrast: Contrast) -> np.ndarray:
    """Of each good, how much liker the next is to what was had than the one before."""
    offered = contrast.encoded().numpy()
    had = offered if contrast.asking is None else contrast.encoded(contrast.asking).numpy()
    likeness, n = had @ offered.T, np.arange(len(GOODS))
    return np.asarray(likeness[n, (n + 1) % len(n)] - likeness[n, (n - 1) % len(n)])


def test_two_sides_learn_an_order_that_one_cannot(model: Path) -> None:
    quality, ahead = {}, {}
    for sides in (1, 2):
        contrast = circle(model, sides)
        teach(contrast.corpus.trunk, contrast, COURSE, resumable=False)
        quality[sides], ahead[sides] = contrast.quality(), directed(contrast)
    assert (ahead[2] > 0.05).all()
    # Likeness in one space is the same in both directions, so what comes next is no nearer than what came before.
    assert abs(float(ahead[1].mean())) < 1e-5
    assert quality[1] is not None
    assert quality[2] is not None
    assert quality[2] > quality[1] + 0.1


def test_untaught_sides_say_what_one_side_says(model: Path) -> None:
    two = circle(model, 2).eval()
    assert two.asking is not None
    np.testing.assert_array_equal(two.encoded().numpy(), two.encoded(two.asking).numpy())
    assert two.quality() == circle(model, 1).eval().quality()
    assert two.digest() != circle(model, 1).digest()


@pytest.mark.parametrize("whole", [False, True])
def test_both_sides_are_kept(model: Path, tmp_path: Path, whole: bool) -> None:
    contrast = circle(model, 2)
    teach(contrast.corpus.trunk, contrast, COURSE.model_copy(update={"epochs": 2}), resumable=False)
    save_encoder(contrast.corpus.trunk, contrast.vectors, tmp_path / "out", asking=contrast.asking, whole=whole)
    encoder = load_encoder(str(tmp_path / "out"), settings=EXACT)
    asking = asking_side(encoder)
    assert asking.name != encoder.name
    assert is_shaped(asking)
    assert asking_side(asking) is asking
    np.testing.assert_allclose(encoder.encode(GOODS), contrast.encoded().numpy(), atol=2e-5)
    np.testing.assert_allclose(asking.encode(GOODS), contrast.encoded(contrast.asking).numpy(), atol=2e-5)


def test_a_cache_keeps_the_sides_apart(model: Path, tmp_path: Path) -> None:
    contrast = circle(model, 2)
    teach(contrast.corpus.trunk, contrast, COURSE.model_copy(update={"epochs": 2}), resumable=False)
    save_encoder(contrast.corpus.trunk, contrast.vectors, tmp_path / "out", asking=contrast.asking)
    plain = load_encoder(str(tmp_path / "out"), settings=EXACT)
    for _ in range(2):
        later = LaterEncoder(lambda: plain, "out")
        cached = CachedEncoder(later, VectorCache(tmp_path))
        asking = asking_side(cached)
        assert asking is asking_side(cached)
        for side, whose in ((cached, plain), (asking, asking_side(plain))):
            np.testing.assert_array_equal(side.encode(GOODS[:5]), whose.encode(GOODS[:5]))
    assert isinstance(asking, CachedEncoder)
    assert (cached.misses, asking.misses) == (0, 0)
    assert asking_side(CachedEncoder(FakeEncoder())).name == FakeEncoder().name
    one = LaterEncoder(FakeEncoder, "fake")
    assert asking_side(one) is one


def test_a_shop_is_learnt_with_one_side_or_two(model: Path, tmp_path: Path) -> None:
    for sides in (1, 2):
        settings = AdaptSettings.model_validate(
            {"model": str(model), "course": {"epochs": 2, "batch": 64}, "vectors": {"sides": sides}}
        )
        adapted = adapt(small_shop(), settings)
        adapted.save(tmp_path / str(sides))
        encoder = load_encoder(str(tmp_path / str(sides)))
        assert (asking_side(encoder) is encoder) == (sides == 1) == (adapted.asking is None)


def test_a_text_known_by_heart_has_a_vector_of_its_own(model: Path, tmp_path: Path) -> None:
    trunk = open_trunk(model, TrunkSettings(precision="fp32"))
    corpus = Corpus(trunk, [*GOODS, ""])
    vectors = Vectors.begin(corpus, VectorSettings(words=False)).eval()
    assert len(vectors.texts) == len(GOODS)
    before = vectors.of(corpus, np.arange(13)).detach()
    with torch.no_grad():
        place = vectors.words.num_embeddings - len(GOODS)
        vectors.words.weight[place:].normal_()
    after = vectors.of(corpus, np.arange(13)).detach()
    assert ((after - before).abs().sum(dim=1)[:12] > 0.1).all()
    save_encoder(trunk, vectors, tmp_path / "out")
    encoder = load_encoder(str(tmp_path / "out"), settings=EXACT)
    np.testing.assert_allclose(encoder.encode(GOODS), after[:12].numpy(), atol=2e-5)
    # The same words in another order are another text, which nobody knows by heart.
    unknown = Corpus(trunk, ["polish nail red"])
    plain = Vectors.begin(corpus, VectorSettings(words=False, texts=False)).eval()
    np.testing.assert_allclose(
        vectors.of(unknown, np.arange(1)).detach(), plain.of(unknown, np.arange(1)).detach(), atol=1e-6
    )


def test_fingerprints_tell_texts_and_orders_apart() -> None:
    texts = [[5, 6, 7], [7, 6, 5], [5, 6, 7], [5, 6], [], [5, 6, 7, 0]]
    starts = torch.tensor(np.cumsum([0, *(len(text) for text in texts)])[:-1])
    found = fingerprints(torch.tensor([token for text in texts for token in text]), starts).tolist()
    assert found[0] == found[2]
    assert len(set(found)) == 5


def test_a_share_of_likeness_stays_as_it_began(model: Path) -> None:
    trunk = open_trunk(model, TrunkSettings(precision="fp32"))
    corpus, every = Corpus(trunk, GOODS), np.arange(len(GOODS))
    heads = {kept: Vectors.begin(corpus, VectorSettings(kept=kept)).eval() for kept in (0.0, 0.25)}
    likeness = {}
    with torch.no_grad():
        began = heads[0.0].map(corpus.states(every)).numpy()
        began /= np.linalg.norm(began, axis=1, keepdims=True)
        for kept, head in heads.items():
            head.map.weight.normal_(generator=torch.Generator().manual_seed(1))
            vectors = head.of(corpus, every).numpy()
            assert vectors.shape[1] == head.width
            likeness[kept] = vectors @ vectors.T
    np.testing.assert_allclose(likeness[0.25], 0.25 * began @ began.T + 0.75 * likeness[0.0], atol=1e-5)


class TwoSided(FakeEncoder):
    """The asking side says of a text what the other says of the text with its words told apart."""

    shaped = True

    @property
    def asking(self) -> FakeEncoder:
        return Told()


class Told(FakeEncoder):
    shaped = True

    def encode(self, texts: object) -> np.ndarray:
        return super().encode([f"{text} told" if text else "" for text in texts])  # type: ignore[attr-defined]


def test_a_history_is_read_by_the_asking_side() -> None:
    dataset = small_shop()
    model = Semantic(None, TwoSided()).fit(dataset)
    one = Semantic(None, FakeEncoder()).fit(dataset)
    assert not np.array_equal(model.asking_vectors, model.item_vectors)
    np.testing.assert_array_equal(one.asking_vectors, one.item_vectors)
    wanted = np.random.default_rng(0).permutation(dataset.n_items)[:3].astype(np.int32)
    query = Queries.of([wanted.tolist()])
    mean = model.settings.decay ** np.arange(2, -1, -1) @ model.asking_vectors[wanted]
    np.testing.assert_allclose(model.score(query)[0], model.item_vectors @ mean / np.linalg.norm(mean), atol=1e-5)
    items = np.arange(dataset.n_items, dtype=np.int32)
    np.testing.assert_allclose(model.contributions(query, items).sum(axis=0), model.score(query)[0], atol=1e-5)
    back = Semantic(None, TwoSided()).restore(model.arrays())
    np.testing.assert_array_equal(back.score(query), model.score(query))
    # A wish says what is wanted, so it is read as items are: alone, it finds the very item.
    title = dataset.catalogue.titles[int(wanted[0])]
    wish = model.score(Queries(Histories.empty(1), k=1, text=(title,)))[0]
    np.testing.assert_allclose(wish, model.item_vectors @ FakeEncoder().encode([title])[0], atol=1e-5)


def test_new_items_have_both_sides() -> None:
    dataset = small_shop()
    model = Semantic(None, TwoSided()).fit(dataset)
    grown = dataset.catalogue.extended(pl.DataFrame({"item_id": ["n1"], "title": ["silver trumpet mute"]}))
    before = model.asking_vectors
    model.extend(grown)
    assert len(model.asking_vectors) == len(model.item_vectors) == len(before) + 1
    np.testing.assert_array_equal(model.asking_vectors[:-1], before)
    np.testing.assert_allclose(model.asking_vectors[-1], Told().encode(["silver trumpet mute"])[0], atol=1e-6)
