"""Items held out of every fit are unknown to every fit, and asked for in the full catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from palate.core import UsageError
from palate.evaluation import evaluate, plan
from palate.evaluation.cold import hold_out_items
from tests.evaluation_world import SmallEngine, world


@pytest.mark.parametrize("protocol", ["loo-strict", "loo-refit", "temporal"])
def test_no_fit_has_seen_a_cold_item(protocol: str) -> None:
    whole = plan(world(), protocol)
    held = hold_out_items(whole, 0.2, seed=1)
    trial = held.trial
    cold = set(trial.test.targets.values.tolist())
    assert cold
    for dataset in (trial.train, trial.learnt, trial.test.dataset):
        assert dataset.n_items == whole.train.n_items
        assert cold.isdisjoint(dataset.events["item"].to_list())
    assert trial.validation is not None
    assert trial.validation.dataset is trial.train
    assert cold.isdisjoint(trial.validation.targets.values.tolist())
    assert (trial.test.targets.lengths == 1).all()
    for row, user in enumerate(trial.test.users):
        before = int(np.nonzero(whole.test.users == user)[0][0])
        assert trial.test.targets[row].tolist() == whole.test.targets[before].tolist()
        assert trial.test.queries.history.row(row).tolist() == whole.test.queries.history.row(before).tolist()
    assert trial.name == f"{protocol}, cold items"


def test_models_of_events_alone_do_not_find_them() -> None:
    """Ring neighbours never seen in training score nothing; they come after every item that scores."""
    found = evaluate(world(), cold_items=0.2, fit=SmallEngine.fit)
    assert found.protocol == "loo-strict, cold items"
    assert found.models["ease"]["mrr"] < 0.2 * evaluate(world(), fit=SmallEngine.fit).models["ease"]["mrr"]
    assert [part["slice"] for part in found.slices["items"]] == ["new items"]
    assert any("items are held out of every fit" in note for note in found.notes)


def test_shares_are_checked() -> None:
    trial = plan(world(), "loo-strict")
    with pytest.raises(UsageError, match="must lie between 0 and 1"):
        hold_out_items(trial, 1.5)
    with pytest.raises(UsageError, match="raise the share"):
        hold_out_items(plan(world(3), "loo-strict"), 0.001)
