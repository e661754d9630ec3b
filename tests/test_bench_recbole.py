"""Against RecBole: what each side tells and how the two are put together. RecBole itself is not needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.core import DataError
from palate.data import hold_out_last
from palate.measure.ranking import accuracy
from palate.models.sequential import Sequential, SequentialSettings
from palate.testing import small_shop

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "bench"))
    yield import_module("against_recbole")
    sys.path.remove(str(ROOT / "bench"))
    sys.modules.pop("against_recbole", None)


def side(*figures: float, each: float, loaded: float = 4.0, users: int = 9) -> dict[str, Any]:
    """Epochs of these figures, each so many seconds of which one validates."""
    epochs = [
        {
            "ndcg@10": figure,
            "processor_seconds": loaded + each * place,
            "wall_seconds": 2 * (loaded + each * place),
            "of_which_validation": 1.0,
        }
        for place, figure in enumerate(figures, 1)
    ]
    return {"loaded": [loaded, 2 * loaded], "users": users, "ended": True, "epochs": epochs}


def test_the_best_epoch_of_one_is_set_against_the_first_as_good_of_the_other(bench: Any) -> None:
    found = bench.compared(side(0.01, 0.03, 0.02, each=98), side(0.02, 0.03, 0.05, each=6), 3)
    assert found["whole"] is True
    assert (found["recbole"]["epoch"], found["palate"]["epoch"]) == (2, 2)
    assert found["times_faster"] == {
        "processor_seconds": 200 / 16,
        "processor_seconds_without_validation": 198 / 14,
        "wall_seconds": 200 / 16,
    }
    assert found["palate_best"] == 0.05
    assert found["recbole"]["processor_seconds_before_training"] == 4


def test_only_the_epochs_that_were_asked_for_count(bench: Any) -> None:
    recbole = side(0.01, 0.03, each=98)
    assert bench.compared(recbole, side(0.02, each=6), 1)["recbole"]["epoch"] == 1
    assert bench.compared(recbole, side(0.02, each=6), 4)["whole"] is False


def test_who_never_gets_there_is_not_called_faster(bench: Any) -> None:
    found = bench.compared(side(0.04, each=98), side(0.01, 0.02, each=6), 1)
    assert found["palate"] is None
    assert "times_faster" not in found


def test_different_users_are_not_compared(bench: Any) -> None:
    with pytest.raises(DataError, match="RecBole answered 9 users and palate 8"):
        bench.compared(side(0.04, each=98), side(0.05, each=6, users=8), 1)


def test_what_is_not_there_yet_is_said(bench: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no epoch has ended"):
        bench.told(tmp_path / "epochs.json")


def test_events_are_written_in_their_order(bench: Any) -> None:
    data = small_shop()
    table = pl.read_csv(bench.interactions(data).encode(), separator="\t", infer_schema=False)
    assert table.columns == ["user_id:token", "item_id:token", "timestamp:float"]
    for user in (0, data.n_users - 1):
        items = data.sequences.items[data.sequences.indptr[user] : data.sequences.indptr[user + 1]]
        own = table.filter(pl.col("user_id:token") == data.user_ids.names[user])
        assert own["item_id:token"].to_list() == [data.item_ids.names[item] for item in items]
        assert own["timestamp:float"].to_list() == [str(place) for place in range(len(items))]


def test_watching_a_training_changes_nothing(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    settings = SequentialSettings(epochs=3, width=16, text=False, validation=0)
    fold = hold_out_last(small_shop())
    watched = bench.Watched(settings, None, fold, tmp_path / "palate.json").fit(fold.dataset)
    watched.tell(ended=True)
    plain = Sequential(settings).fit(fold.dataset)
    np.testing.assert_array_equal(watched.item_vectors, plain.item_vectors)

    told = json.loads((tmp_path / "palate.json").read_text(encoding="utf-8"))
    assert told["ended"] is True
    assert told["users"] == len(fold)
    seconds = [told["loaded"][0], *(epoch["processor_seconds"] for epoch in told["epochs"])]
    assert len(seconds) == 4
    assert seconds == sorted(seconds)
    # Nothing was held out, so the last epoch is the model that is kept.
    asked = bench.replace(fold.queries, mask_seen=False, k=10)
    figure = accuracy(plain.recommend(asked).items, fold.targets, (10,))["ndcg@10"].mean()
    assert told["epochs"][-1]["ndcg@10"] == pytest.approx(figure)
