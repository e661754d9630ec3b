"""The bandit over mixes: it learns, follows a change, knows its own propensities, and is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from palate.ranking.bandit import Bandit, BanditSettings, Choice
from palate.ranking.change import Watch
from palate.ranking.mixes import MIXES, Mix, playable
from tests.bandit_world import ARMS, World, bandit, lived

POLICIES = ["linucb", "thompson"]


@pytest.mark.parametrize("policy", POLICIES)
def test_regret_grows_slower_than_time_and_beats_every_fixed_arm(policy: str) -> None:
    world, steps = World.of(), 4_000
    regret, _, _ = lived(bandit(policy, exploration=1e-4), lambda _: world, steps)
    first, second = regret[: steps // 2].sum(), regret[steps // 2 :].sum()
    assert second < 0.4 * first, "sublinear: the second half must cost much less than the first"
    fixed = world.best() - world.worth.mean(axis=0).max()
    assert regret.mean() < 0.2 * fixed


@pytest.mark.parametrize("policy", POLICIES)
def test_it_recovers_after_the_best_arm_changed(policy: str) -> None:
    before, after, change, steps = World.of(), World.of(turn=2), 2_500, 3_700

    def world(step: int) -> World:
        return before if step < change else after

    regret, _, _ = lived(bandit(policy, memory=400, alarm=None), world, steps)
    settled, shocked, recovered = regret[1_500:2_500].mean(), regret[2_500:2_700].mean(), regret[3_200:].mean()
    assert shocked > 3 * settled
    assert recovered < 0.5 * shocked
    stubborn, _, _ = lived(bandit(policy, alarm=None), world, steps)
    assert recovered < 0.4 * stubborn[3_200:].mean(), "who never forgets follows a change much later"


def test_a_change_is_found_and_the_mix_soon_earns_what_can_be_earned() -> None:
    before, after, change = World.of(), World.of(turn=2), 1_500
    shares = []
    for seed in range(3):
        agent = bandit("linucb", memory=5_000, exploration=0.02)
        regret, _, _ = lived(agent, lambda step: before if step < change else after, 3_500, seed=10 * seed)
        shares.append(1 - regret / after.best())
        assert agent.describe()["changes"] == 1, "found once, and nothing else taken for a change"
    earned = np.mean(shares, axis=0)
    assert earned[change : change + 50].mean() < 0.6
    assert earned[change + 1_000 :].mean() > 0.98


def test_reactions_that_come_late_are_no_change() -> None:
    world, steps, delay = World.of(), 2_500, 150
    agent = bandit("linucb", memory=5_000, exploration=0.02)
    sorts, contexts = world.contexts(steps, 0)
    luck = np.random.default_rng(1).random(steps)
    arms = np.empty(steps, dtype=np.int32)
    for step in range(steps):
        (arms[step],), (share,) = agent.choose(contexts[step][None, :], [f"r{step}"])
        choice = Choice(ARMS[arms[step]], float(share), contexts[step], float(step))
        agent.shown(f"r{step}", choice)
        if (then := step - delay) >= 0:
            agent.rewarded(f"r{then}", float(luck[then] < world.worth[sorts[then], arms[then]]))
    assert agent.describe()["changes"] == 0
    assert (arms[-500:] == sorts[-500:]).mean() > 0.95


@given(st.floats(0.05, 0.95), st.integers(0, 2**31))
@settings(max_examples=20)
def test_what_stays_as_believed_raises_no_alarm_and_what_moved_does(worth: float, seed: int) -> None:
    luck = np.random.default_rng(seed).random(2_000)
    still = Watch.over(1)
    for draw in luck[:500]:
        still = still.judged(0, worth, worth, float(draw < worth))
    # An arm's lists until a false alarm are 10^6 on average; each of 20 times 500 lists raises one with little chance.
    assert not still.alarmed(1e6)
    moved, other = still, worth - 0.4 if worth > 0.5 else worth + 0.4
    needed = next(
        count
        for count, draw in enumerate(luck, 1)
        if (moved := moved.judged(0, worth, worth, float(draw < other))).alarmed(1e4)
    )
    assert needed < 150


def test_a_state_saved_before_there_was_a_watch_is_read() -> None:
    agent = bandit("linucb")
    lived(agent, lambda _: World.of(), 50)
    old = {name: values for name, values in agent.arrays().items() if "watch" not in name and "judged" not in name}
    restored = bandit("linucb").restore(old, agent.names())
    assert restored.posterior.tick == 50
    lived(restored, lambda _: World.of(), 50, seed=4)
    assert restored.posterior.tick == 100


@pytest.mark.parametrize("policy", POLICIES)
def test_frequencies_are_the_propensities(policy: str) -> None:
    agent, draws = bandit(policy, exploration=0.2), 8_000
    lived(agent, lambda _: World.of(), 60)
    _, contexts = World.of().contexts(8, 3)
    for row in contexts[:2]:
        shares = agent.propensities(row[None, :])[0]
        assert shares.sum() == pytest.approx(1)
        assert shares.min() >= 0.2 / len(ARMS) - 1e-12
        arms, told = agent.choose(np.repeat(row[None, :], draws, axis=0), [f"r{draw}" for draw in range(draws)])
        np.testing.assert_array_equal(told, shares[arms])
        frequencies = np.bincount(arms, minlength=len(ARMS)) / draws
        assert np.abs(frequencies - shares).max() < 4 * np.sqrt(0.25 / draws)


@pytest.mark.parametrize("policy", POLICIES)
def test_propensities_are_calibrated_while_it_learns(policy: str) -> None:
    _, propensities, _ = lived(bandit(policy, exploration=0.3), lambda _: World.of(), 4_000)
    # The expected 1 / propensity of what was chosen is the number of arms, whatever the policy was at the time.
    assert (1 / propensities).mean() == pytest.approx(len(ARMS), rel=0.1)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_ids_give_the_same_life(policy: str) -> None:
    (_, first, arms), (_, second, again) = (lived(bandit(policy), lambda _: World.of(), 300) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(arms, again)
    _, _, other = lived(bandit(policy), lambda _: World.of(), 300, seed=7)
    assert (arms != other).any()


def test_a_reaction_told_twice_or_of_less_worth_changes_nothing() -> None:
    agent = bandit("linucb")
    context = np.ones(5)
    agent.shown("r1", Choice("novel", 0.5, context, 1.0))
    assert agent.reacted("r1", "cart")
    after = agent.posterior
    assert not agent.reacted("r1", "click")
    assert not agent.reacted("r1", "cart")
    assert not agent.reacted("r1", "return")
    assert not agent.reacted("never shown", "purchase")
    assert agent.posterior is after
    assert agent.reacted("r1", "purchase")
    np.testing.assert_allclose(agent.posterior.response[3], context)


def test_lists_whose_reactions_are_awaited_are_bounded() -> None:
    agent = bandit("linucb", waiting=3)
    for step in range(5):
        agent.shown(f"r{step}", Choice("novel", 0.5, np.ones(5), float(step)))
    assert agent.names()["waiting"] == ["r2", "r3", "r4"]
    assert not agent.reacted("r1", "purchase")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_restored_bandit_goes_on_as_it_would_have(policy: str) -> None:
    agent = bandit(policy)
    lived(agent, lambda _: World.of(), 200)
    restored = bandit(policy).restore(agent.arrays(), agent.names())
    (first, _, arms), (second, _, again) = (lived(one, lambda _: World.of(), 100, seed=9) for one in (agent, restored))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(arms, again)


def test_what_a_saved_state_knows_is_not_learnt_twice_from_the_log() -> None:
    agent = bandit("linucb")
    choices = {f"r{step}": Choice(ARMS[step % 4], 0.3, np.ones(5), float(step)) for step in range(20)}
    for name, choice in choices.items():
        agent.shown(name, choice)
    restored = bandit("linucb").restore(agent.arrays(), agent.names())
    for name, choice in choices.items():
        restored.recalled(name, choice)
    assert restored.posterior.tick == agent.posterior.tick == 20
    restored.recalled("r20", Choice("novel", 0.3, np.ones(5), 20.0))
    assert restored.posterior.tick == 21


def test_an_arm_that_is_new_begins_anew_and_the_others_keep_what_they_know() -> None:
    agent = bandit("linucb")
    lived(agent, lambda _: World.of(), 100)
    own = Bandit(agent.settings, ("novel", "diverse", "learned"), 5).restore(agent.arrays(), agent.names())
    np.testing.assert_array_equal(own.posterior.response[0], agent.posterior.response[3])
    np.testing.assert_array_equal(own.posterior.response[2], agent.posterior.response[0])
    assert not own.posterior.response[1].any()
    assert own.reacted(next(name for name in own.names()["waiting"][::-1] if name), "purchase") in (True, False)
    other = Bandit(agent.settings, ARMS, 6).restore(agent.arrays(), agent.names())
    assert other.posterior.tick == 0, "another context: nothing can be carried over"


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="within 0 to 1"):
        BanditSettings(rewards={"purchase": 30.0})
    with pytest.raises(ValidationError, match="two mixes are called 'a'"):
        BanditSettings(mixes=(Mix(name="a"), Mix(name="a", lead="average")))
    with pytest.raises(ValidationError):
        BanditSettings(exploration=0.0)


def test_mixes_that_cannot_be_given_are_left_out() -> None:
    names = [mix.name for mix in playable(MIXES, ["transitions"], ranker=True, compares=True)]
    assert names == ["learned", "average", "next", "popular", "novel", "diverse"]
    names = [mix.name for mix in playable(MIXES, ["transitions", "semantic"], ranker=False, compares=False)]
    assert names == ["learned", "next", "meaning", "popular", "novel"], "without a ranker, learned is the average"
