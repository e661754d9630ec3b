"""What a policy that was not run would have earned: unbiased, covered, and refused where the log cannot tell."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import DataError, Float64Array, UsageError
from palate.data.open_bandit import open_bandit
from palate.experiments.logs import Logged
from palate.experiments.off_policy import METHODS, OffPolicySettings, always, contextual, estimate, evenly, influence
from palate.experiments.replay import replay
from palate.experiments.reward_model import folds_of, foretold
from palate.experiments.support import SupportSettings, in_words, support, weights_of
from palate.measure import influence_interval, mean_interval
from palate.ranking.bandit import Bandit, BanditSettings
from tests.bandit_world import ARMS, World, bandit
from tests.conftest import shared_data

POLICIES = ["linucb", "thompson"]
EVENLY = np.full((1, len(ARMS)), 1 / len(ARMS))


def world_log(n: int = 600, seed: int = 0, floor: float = 0.2) -> tuple[Logged, Float64Array, float]:
    """A log of a known world, a policy that chooses otherwise, and what that policy truly earns in these contexts."""
    world = World.of()
    sorts, contexts = world.contexts(n, 0)
    logging = np.random.default_rng(1).dirichlet(np.full(len(ARMS), 2.0), size=n) * (1 - floor) + floor / len(ARMS)
    target = np.eye(len(ARMS))[sorts] * 0.9 + 0.1 / len(ARMS)
    return world.logged(logging, sorts, contexts, seed), target, world.value(target, sorts)


@pytest.mark.parametrize("method", ["inverse-propensity", "doubly-robust"])
def test_it_is_unbiased(method: str) -> None:
    estimates = []
    for seed in range(200):
        log, target, truth = world_log(400, seed)
        expected = foretold(log, weights_of(log, target)).rewards
        estimates.append(influence(log, target, method, expected).mean())  # type: ignore[arg-type]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - truth) < 3 * error
    assert log.rewards.mean() < truth - 20 * error, "the log alone must not give the answer away"


@given(st.integers(0, 2**31), st.floats(-5, 5))
def test_doubly_robust_stays_unbiased_whatever_the_model_says(seed: int, wrong: float) -> None:
    """Over all that could have been chosen and earned, exactly: the expectation is a finite sum."""
    random = np.random.default_rng(seed)
    logging, target = random.dirichlet(np.full(3, 2.0)) * 0.7 + 0.1, random.dirichlet(np.ones(3))
    worth, expected = random.random(3), random.normal(wrong, 1, 3)
    log = Logged(np.ones((3, 1)), np.arange(3, dtype=np.int32), logging, worth, ("a", "b", "c"))
    for method in ("inverse-propensity", "doubly-robust"):
        values = influence(log, np.tile(target, (3, 1)), method, np.tile(expected, (3, 1)))
        assert logging @ values == pytest.approx(target @ worth)


@given(st.permutations(range(len(ARMS))), st.randoms(use_true_random=False), st.sampled_from(METHODS))
def test_neither_the_order_of_arms_nor_of_choices_matters(arms: list[int], shuffler: object, method: str) -> None:
    log, target, _ = world_log(120)
    expected = np.random.default_rng(0).random(target.shape)
    rows = np.arange(len(log))
    shuffler.shuffle(rows)  # type: ignore[attr-defined]
    place = np.argsort(arms).astype(np.int32)
    other = replace(log, arms=place[log.arms], names=tuple(log.names[arm] for arm in arms)).take(rows)
    before = influence(log, target, method, expected).mean()  # type: ignore[arg-type]
    after = influence(other, target[rows][:, arms], method, expected[rows][:, arms]).mean()  # type: ignore[arg-type]
    assert after == pytest.approx(before)


@given(st.floats(-3, 3), st.floats(0.1, 10))
def test_rewards_in_another_currency_give_the_estimate_in_that_currency(shift: float, scale: float) -> None:
    log, target, _ = world_log(100)
    other = replace(log, rewards=shift + scale * log.rewards)
    for method in ("self-normalised", "doubly-robust", "direct"):
        first, second = (
            influence(one, target, method, foretold(one, weights_of(one, target)).rewards).mean()
            for one in (log, other)
        )
        # The regressions draw arms together by a hair, hence not to the last digit.
        assert second == pytest.approx(shift + scale * first, rel=1e-3, abs=1e-3 * scale)


def test_the_policy_that_was_logged_earned_what_was_logged() -> None:
    world = World.of()
    sorts, contexts = world.contexts(500, 0)
    shares = np.tile([0.4, 0.3, 0.2, 0.1], (500, 1))
    log = world.logged(shares, sorts, contexts, 0)
    for method in ("inverse-propensity", "self-normalised"):
        found = estimate(log, shares, method)
        assert found.value is not None and found.lift is not None
        assert found.value.estimate == pytest.approx(log.rewards.mean())
        assert found.lift.estimate == pytest.approx(0.0) and found.lift.high - found.lift.low == pytest.approx(0.0)
        assert found.support.effective == pytest.approx(500)


def test_intervals_hold_the_truth() -> None:
    held = {method: 0 for method in METHODS if method != "direct"}  # whose interval leaves the model's own error out
    for seed in range(60):
        log, target, truth = world_log(600, seed)
        for method in held:
            found = estimate(log, target, method)
            assert found.value is not None and found.value.high - found.value.low < 0.35
            held[method] += found.value.low < truth < found.value.high
    assert min(held.values()) >= 50, held


def test_with_a_good_model_doubly_robust_is_more_exact() -> None:
    log, target, _ = world_log(2_000)
    widths = {}
    for method in METHODS:
        found = estimate(log, target, method).value
        assert found is not None
        widths[method] = found.high - found.low
    assert widths["doubly-robust"] < 0.8 * widths["inverse-propensity"]


def test_people_who_choose_often_widen_the_interval() -> None:
    log, target, _ = world_log(500)
    copied = log.take(np.repeat(np.arange(500), 4))
    shares = np.repeat(target, 4, axis=0)
    alone = estimate(log, target, "inverse-propensity").value
    naive = estimate(copied, shares, "inverse-propensity").value
    kept = replace(copied, people=np.repeat(np.arange(500, dtype=np.int32), 4))
    honest = estimate(kept, shares, "inverse-propensity").value
    assert alone is not None and naive is not None and honest is not None
    assert (honest.low, honest.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    assert naive.high - naive.low == pytest.approx((alone.high - alone.low) / 2, rel=0.02)


def test_a_person_lies_in_one_fold_and_nobody_is_foretold_from_their_own_choices() -> None:
    log, target, _ = world_log(300)
    log = replace(log, people=np.where(np.arange(300) < 200, np.arange(300) // 10, -1).astype(np.int32))
    folds = folds_of(log, 5)
    assert all(len(set(folds[start : start + 10])) == 1 for start in range(0, 200, 10))
    assert set(folds) == set(range(5))
    mine = log.person == 3
    changed = replace(log, rewards=np.where(mine, 7.0, log.rewards))
    settings = OffPolicySettings().rewards.model_copy(update={"strengths": (10.0,)})
    before, after = (foretold(one, weights_of(one, target), settings).rewards for one in (log, changed))
    np.testing.assert_allclose(before[folds == folds[mine][0]], after[folds == folds[mine][0]])
    assert not np.allclose(before, after)


def test_switch_lies_between_the_direct_method_and_doubly_robust() -> None:
    log, target, _ = world_log(500)
    expected = foretold(log, weights_of(log, target)).rewards
    ends = {method: influence(log, target, method, expected) for method in ("direct", "doubly-robust")}
    np.testing.assert_array_equal(influence(log, target, "switch", expected, switch=1e9), ends["doubly-robust"])
    np.testing.assert_array_equal(influence(log, target, "switch", expected, switch=1e-9), ends["direct"])
    some = influence(log, target, "switch", expected, switch=2.0)
    large = weights_of(log, target) > 2
    np.testing.assert_array_equal(some[large], ends["direct"][large])
    np.testing.assert_array_equal(some[~large], ends["doubly-robust"][~large])


def test_the_contextual_policy_is_learnt_from_others_and_finds_who_likes_what() -> None:
    world = World.of()
    sorts, contexts = world.contexts(3_000, 0)
    log = world.logged(np.repeat(EVENLY, 3_000, axis=0), sorts, contexts, 0)
    judged, shares = contextual(log)
    found, theirs = estimate(judged, shares), judged.contexts[:, 1:].argmax(axis=1)
    assert (shares.argmax(axis=1) == theirs).mean() > 0.95
    assert found.value is not None and found.value.low < world.value(shares, theirs) < found.value.high
    assert found.lift is not None and found.lift.low > 0.2


def test_a_policy_learnt_from_noise_earns_nothing() -> None:
    log, _, _ = world_log(3_000)
    held = 0
    for seed in range(40):
        noise = replace(log, rewards=np.random.default_rng(100 + seed).random(3_000))
        lift = estimate(*contextual(noise)).lift
        assert lift is not None
        held += lift.low < 0 < lift.high
    assert held >= 34


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"propensities": np.ones(600)}, "certain", ("made with certainty", "确定")),
        ({"propensities": np.full(600, 0.9)}, "unfit", ("should average 1", "权重均值应为 1")),
        ({"rewards": np.zeros(600)}, "rewarded", ("at least 10 are due", "至少需要 10 次")),
        ({"people": np.zeros(600, dtype=np.int32)}, "effective", ("1 people are worth 1 ", "1 人的 600 次")),
    ],
)
def test_a_log_that_cannot_tell_refuses_in_words(change: dict[str, object], code: str, words: tuple[str, str]) -> None:
    log, _, _ = world_log(600)
    found = estimate(replace(log, **change), np.repeat(EVENLY, 600, axis=0))  # type: ignore[arg-type]
    assert found.value is None and found.lift is None
    assert code in [refusal.code for refusal in found.refusals]
    for language, expected in zip(("en", "zh"), words, strict=True):
        assert any(expected in sentence for sentence in in_words(found.refusals, language))


def test_what_was_never_shown_is_not_judged() -> None:
    log, target, _ = world_log(600)
    seen = log.take(np.flatnonzero(log.arms != 2))
    found = estimate(seen, target[log.arms != 2])
    assert found.value is None and found.refusals[0].code == "uncovered"
    assert "popular" in in_words(found.refusals)[0]
    foreign = estimate(log, target * 0.5)
    assert foreign.refusals[0].code == "uncovered" and "unknown to the log" in in_words(foreign.refusals)[0]


def test_one_heavy_weight_is_no_evidence() -> None:
    log, _, _ = world_log(600)
    heavy = replace(log, propensities=np.where(np.arange(600) == 5, 1e-4, log.propensities))
    found = estimate(heavy, np.repeat(EVENLY, 600, axis=0))
    assert {refusal.code for refusal in found.refusals} == {"effective", "largest"}
    lenient = OffPolicySettings(support=SupportSettings(effective=1, largest=1.0, uncovered=0.5, rewarded=0))
    assert estimate(heavy, np.repeat(EVENLY, 600, axis=0), settings=lenient).value is not None


def test_effective_numbers() -> None:
    log = Logged(
        np.ones((4, 1)), np.array([0, 0, 1, 1], np.int32), np.full(4, 0.5), np.array([1.0, 0, 1, 1]), ("a", "b")
    )
    found = support(log, always(log, "b"))
    assert (found.effective, found.largest, found.rewarded, found.uncovered) == (2, 0.5, 2, 0)
    assert support(log, evenly(log)).effective == 4
    together = replace(log, people=np.array([7, 7, 9, 9], dtype=np.int32))
    assert support(together, evenly(together)).effective == 2
    assert support(together, always(together, "b")).effective == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"propensities": np.array([0.5, 0.0])}, "choice 2 of a log has the propensity 0.0"),
        ({"propensities": np.array([0.5, 1.5])}, "propensity 1.5"),
        ({"propensities": np.array([np.nan, 0.5])}, "choice 1 of a log has the propensity nan"),
        ({"rewards": np.array([0.0, np.inf])}, "the reward inf"),
        ({"arms": np.array([0, 2], dtype=np.int32)}, "the arm 2; it must be 0 to 1"),
        ({"contexts": np.full((2, 1), np.nan)}, "no numbers"),
        ({"rewards": np.zeros(3)}, "needs as many"),
    ],
)
def test_a_log_that_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    log = Logged(np.ones((2, 1)), np.zeros(2, dtype=np.int32), np.full(2, 0.5), np.zeros(2), ("a", "b"))
    with pytest.raises(DataError, match=words):
        replace(log, **change)  # type: ignore[arg-type]


def test_policies_that_make_no_sense_are_refused() -> None:
    log, target, _ = world_log(50)
    with pytest.raises(UsageError, match="4 arms are due for each of 50 lists"):
        estimate(log, target[:5])
    with pytest.raises(UsageError, match="must not be negative"):
        estimate(log, target - 0.5)
    with pytest.raises(UsageError, match="Did you mean 'novel'"):
        always(log, "nov")
    with pytest.raises(UsageError, match="Did you mean 'doubly-robust'"):
        estimate(log, target, "doubly robust")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected reward of each of 4 arms"):
        influence(log, target, "switch")


def test_an_interval_of_one_person_is_infinite() -> None:
    found = influence_interval([1.0, 2.0], np.zeros(2, dtype=np.int32))
    assert (found.estimate, found.low, found.high) == (1.5, -np.inf, np.inf)


def test_a_real_log_of_thompson_sampling_foretells_what_an_even_draw_earned() -> None:
    """Open Bandit Dataset: the same shop's positions filled by Thompson sampling and, apart, evenly at random."""
    folder = shared_data("open-bandit")
    log = Logged.of_open_bandit(open_bandit(folder, "bts"))
    even = open_bandit(folder, "random")["click"].to_numpy().astype(np.float64)
    earned, weights = mean_interval(even), weights_of(log, evenly(log))
    whole = influence_interval(weights)
    assert (len(log), len(log.names), log.rewards.sum()) == (10_000, 34, 69)
    assert whole.low < 1 < whole.high, "the logged propensities are calibrated"
    for method in METHODS[:2] + METHODS[3:]:
        found = estimate(log, evenly(log), method).value
        assert found is not None and found.low < earned.high and earned.low < found.high


def test_the_publishers_files_are_read_packed_and_unpacked(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {
            "": [0, 1],
            "timestamp": ["2019-11-24 00:01:03.979311+00:00", "2019-11-24 00:00:45.406608+00:00"],
            "item_id": [2, 9],
            "position": [2, 3],
            "click": [0, 1],
            "propensity_score": [0.25, 0.125],
            "user_feature_0": ["a", "b"],
        }
    )
    inside = "open_bandit_dataset/bts/men/men.csv"
    with zipfile.ZipFile(tmp_path / "open_bandit_dataset.zip", "w") as archive:
        archive.writestr(inside, rows.write_csv())
    packed = open_bandit(tmp_path, "bts")
    (tmp_path / inside).parent.mkdir(parents=True)
    rows.write_csv(tmp_path / inside)
    assert open_bandit(tmp_path, "bts").equals(packed)
    assert packed["item_id"].to_list() == ["9", "2"], "oldest first"
    assert Logged.of_open_bandit(packed).propensities.tolist() == [0.125, 0.25]
    with pytest.raises(DataError, match=r"no random/men/men\.csv"):
        open_bandit(tmp_path)
    with pytest.raises(UsageError, match="there are random, bts"):
        open_bandit(tmp_path, "thompson")
    (tmp_path / inside).write_text("timestamp,item_id\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="it has no click, position, propensity_score"):
        open_bandit(tmp_path, "bts")


@pytest.mark.parametrize("policy", POLICIES)
def test_replay_tells_a_bandit_that_learns_from_one_that_cannot(policy: str) -> None:
    world, n = World.of(), 4_000
    sorts, contexts = world.contexts(n, 2)
    log = world.logged(np.repeat(EVENLY, n, axis=0), sorts, contexts, 3)
    value, matched = replay(bandit(policy), log)
    assert matched == pytest.approx(n / len(ARMS), rel=0.1)
    chance, _ = replay(bandit(policy, exploration=1.0), log)
    assert chance.low < world.worth.mean() < chance.high
    assert value.low > world.worth.mean(axis=0).max()
    assert value.estimate > 0.85 * world.best()


def test_replay_refuses_logs_it_is_biased_on() -> None:
    world = World.of()
    sorts, contexts = world.contexts(50, 2)
    uneven = world.logged(np.tile([0.7, 0.1, 0.1, 0.1], (50, 1)), sorts, contexts, 3)
    with pytest.raises(UsageError, match="drawn evenly"):
        replay(bandit("linucb"), uneven)
    even = world.logged(np.repeat(EVENLY, 50, axis=0), sorts, contexts, 3)
    with pytest.raises(UsageError, match="chooses among"):
        replay(Bandit(BanditSettings(policy="linucb"), ARMS[:3], 5), even)
