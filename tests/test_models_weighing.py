"""What likeness is worth: the sum it is, and that weights go to what foretells the answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate.core import FloatArray, Histories, Int64Array, Queries
from palate.data import Dataset
from palate.language import unit_rows
from palate.models import weighing
from palate.models.lexical import Lexical
from palate.models.weighing import Asked, Weighing, reads_words, weigh

N = 60


def words() -> tuple[Lexical, Int64Array]:
    """Words of a catalogue in which two things of a kind share one, and the fellow of each thing."""
    titles = [f"thing{item} kind{item // 2}" for item in range(N)]
    items = pl.DataFrame({"item_id": [f"i{item}" for item in range(N)], "title": titles})
    events = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["i0", "i1"], "position": [0, 1]})
    data = Dataset.from_frames(events, items)
    kinds = [title.split()[1] for title in data.catalogue.titles]
    fellow = [next(j for j in range(N) if j != i and kinds[j] == kinds[i]) for i in range(N)]
    return reads_words(0.5).fit(data), np.array(fellow)


LEXICAL, FELLOW = words()


def vectors(seed: int = 0) -> FloatArray:
    return unit_rows(np.random.default_rng(seed).normal(size=(N, 16)).astype(np.float32))


def silent(histories: Histories) -> FloatArray:
    return np.zeros((len(histories), N), dtype=np.float32)


def asked(answers: Int64Array, near: FloatArray, logits: weighing.Logits = silent) -> Asked:
    histories = Histories.of([[item] for item in range(N)])
    return Asked(near, LEXICAL, histories, answers, logits, mask_seen=True)


@pytest.mark.parametrize("cells", [1, 10_000])
def test_the_score_is_the_mean_over_events_of_both_likenesses(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "_CELLS", cells)
    near = vectors()
    own = Weighing(decay=0.5, power=2, words=0.25, network=0.1)
    rows = [[3, 7, 7], [], [5], [9, N + 4]]

    def logits(histories: Histories) -> FloatArray:
        return np.full((len(histories), N), 2.0, dtype=np.float32)

    found = own.score(near, LEXICAL, Histories.of(rows), logits)
    alone = LEXICAL.score(Queries.of([[item] for item in range(N)]))
    for row, items in enumerate(rows):
        known = [item for item in items if item < N]
        shares = 0.5 ** np.arange(len(known))[::-1]
        shares = shares / max(shares.sum(), 1e-9)
        cosines = np.maximum(near[known] @ near.T, 0) ** 2 + 0.25 * alone[known]
        np.testing.assert_allclose(found[row], shares @ cosines + 0.2, atol=1e-5)


def test_weight_goes_to_what_foretells() -> None:
    by_words = weigh([asked(FELLOW, vectors())])
    assert by_words.words > 0
    # What is near in meaning is what follows, and the shared word misleads.
    after = np.roll(np.arange(N), -1)
    meanings = vectors()
    meanings = unit_rows(meanings + 0.6 * meanings[after])
    assert weigh([asked(after, meanings)]).words < by_words.words

    def knows(histories: Histories) -> FloatArray:
        said = silent(histories)
        said[np.arange(len(histories)), after[histories.items]] = 5.0
        return said

    assert weigh([asked(after, vectors(), knows)]).network > 0
    assert weigh([asked(FELLOW, vectors())]).network == 0
    blind = replace(asked(after, vectors(), knows), logits=None)
    assert weigh([asked(after, vectors(), knows), blind]).network == 0, "one shop was not asked with a network"


def test_shops_count_alike_and_none_says_nothing() -> None:
    assert weigh([]) == Weighing()
    assert Weighing().words == Weighing().network == 0
    shop = asked(FELLOW, vectors())
    tried = [Weighing(words=0.0), Weighing(words=2.0)]
    low, high = shop.quality(tried)
    assert low < 0.3
    assert 0.9 < high <= 1.0
