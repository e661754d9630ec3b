"""On real histories every personal model finds more than popularity does."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.core import Scorer
from palate.data import Dataset, Fold, hold_out_last
from palate.models.als import ALS, ALSSettings
from palate.models.bpr import BPR
from palate.models.ease import EASE
from palate.models.item_knn import ItemKNN
from palate.models.popularity import Popularity
from palate.models.user_knn import UserKNN
from tests.conftest import shared_data


@pytest.fixture(scope="module")
def movielens() -> Fold:
    """ML-100K: each user's last film is asked, the rest learnt from."""
    folder = shared_data("ml-100k")
    text = pl.col("user_id", "item_id").cast(pl.String)
    events = pl.read_parquet(folder / "events.parquet").select(text, pl.col("timestamp").cast(pl.Float64))
    return hold_out_last(Dataset.assemble(events))


def found(model: Scorer[Dataset], fold: Fold) -> np.ndarray:
    """Discounted gain at 10 of each question."""
    answer = model.fit(fold.dataset).recommend(fold.queries)
    hit = answer.items == fold.targets.values[:, None]
    return np.asarray((hit / np.log2(np.arange(hit.shape[1]) + 2)).sum(axis=1))


@pytest.mark.parametrize(
    ("model", "at_least"),
    [
        (ItemKNN(), 0.080),
        (UserKNN(), 0.070),
        (EASE(), 0.080),
        (ALS(ALSSettings(factors=64)), 0.100),
        (BPR(), 0.080),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_personal_models_beat_popularity(model: Scorer[Dataset], at_least: float, movielens: Fold) -> None:
    gain = found(model, movielens) - found(Popularity(), movielens)
    standard_error = gain.std() / np.sqrt(len(gain))
    assert gain.mean() > 3 * standard_error
    assert found(model, movielens).mean() > at_least
