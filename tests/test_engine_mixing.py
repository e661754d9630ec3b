"""A bandit inside the engine: off unless asked for, seeded by ids, taught by reactions, saved, logged when served."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from palate.core import Queries, UsageError
from palate.data.event_log import EventLog
from palate.engine import Engine, EngineSettings
from palate.experiments.logs import Logged
from palate.privacy import Vault
from palate.ranking.bandit import BanditSettings, Choice
from palate.ranking.candidates import propose
from palate.ranking.context import CONTEXT, context_of
from palate.ranking.mixes import LEARNED, Mix
from palate.ranking.objectives import ObjectiveSettings
from palate.ranking.sources import ask
from palate.serving import running
from tests.engine_world import QUICK, busiest, dataset, fitted, fresh, ids

WHEN = {"when": 1.767e9}


def drawing(policy: str = "thompson", **settings: Any) -> Engine:
    return fresh(bandit=BanditSettings.model_validate({"policy": policy, **settings}))


def clicked(engine: Engine, answer: Any, kind: str = "purchase") -> dict[str, Any]:
    return {
        "user_id": "somebody",
        "item_id": answer.items[0].item,
        "kind": kind,
        "recommendation_id": answer.recommendation_id,
    }


def test_nothing_is_drawn_unless_it_is_asked_for() -> None:
    engine = fitted()
    answer = engine.recommend(busiest(dataset())[0])
    assert not engine.draws
    assert (answer.choice, answer.recommendation_id) == (None, "")
    assert "bandit" not in engine.describe()


@pytest.mark.parametrize("policy", ["linucb", "thompson"])
def test_the_same_id_and_state_give_the_same_list(policy: str) -> None:
    user = busiest(dataset())[0]
    lives = []
    for _ in range(2):
        engine = drawing(policy, exploration=0.5)
        answers = [engine.recommend(user, context=WHEN, recommendation_id=f"r{turn}") for turn in range(12)]
        lives.append(
            [(answer.choice.mix, answer.choice.propensity, ids(answer)) for answer in answers if answer.choice]
        )
    assert lives[0] == lives[1]
    assert len({mix for mix, _, _ in lives[0]}) > 2
    assert len(lives[0]) == 12


def test_every_mix_gives_its_own_list_and_a_crowd_gets_what_each_would_alone() -> None:
    engine = drawing(exploration=1.0)
    users = busiest(dataset(), 200)
    together = engine.recommend_many(users, k=8)
    assert len({answer.recommendation_id for answer in together}) == 200
    mixes = {mix.name: mix for mix in engine.mixing.mixes}
    assert len(Counter(answer.choice.mix for answer in together if answer.choice)) == len(mixes)
    for user, answer in zip(users[:40], together[:40], strict=True):
        assert answer.choice is not None
        assert answer.choice.propensity == pytest.approx(1 / len(mixes))
        mix = mixes[answer.choice.mix]
        if mix.lead == LEARNED:
            plain = fitted().recommend(user, k=8, objectives=dict(mix.objectives))
            assert ids(answer) == ids(plain), mix.name


def test_an_asker_who_says_what_counts_is_not_drawn_for() -> None:
    engine, user = drawing(), busiest(dataset())[0]
    for question in ({"objectives": {"novelty": 0.2}}, {"diversity": 0.3}):
        assert engine.recommend(user, **question).choice is None
    engine.warm()
    assert engine.mixing.bandit is not None
    assert engine.mixing.bandit.posterior.tick == 0


def test_reactions_teach_the_bandit_which_mix_is_liked() -> None:
    mixes = (Mix(), Mix(name="popular", objectives=ObjectiveSettings(accuracy=0.5, novelty=-0.5)))
    engine, users = drawing("linucb", mixes=mixes, exploration=0.1), busiest(dataset(), 60)
    before = Counter[str]()
    for turn in range(4):
        answers = engine.recommend_many(users, k=5)
        liked = [answer for answer in answers if answer.choice is not None and answer.choice.mix == "popular"]
        if liked:
            engine.update(events=[clicked(engine, answer) for answer in liked])
        if not turn:
            before.update(answer.choice.mix for answer in answers if answer.choice is not None)
    after = Counter(answer.choice.mix for answer in engine.recommend_many(users) if answer.choice is not None)
    assert after["popular"] > max(before["popular"], 45)
    described = engine.describe()["bandit"]
    assert described == {"policy": "linucb", "mixes": [LEARNED, "popular"], "lists": 300, "changes": 0}


@pytest.mark.parametrize(
    ("mix", "words"),
    [
        (Mix(name="a", lead="semantik"), "mix 'a' is led by 'semantik', which is no model. Did you mean 'semantic'"),
        (Mix(name="a", objectives=ObjectiveSettings(margin=0.3)), "items have no cost"),
    ],
)
def test_mixes_that_make_no_sense_are_refused_before_anything_is_fitted(mix: Mix, words: str) -> None:
    settings = EngineSettings(encoder=QUICK, bandit=BanditSettings(policy="linucb", mixes=(Mix(), mix)))
    with pytest.raises(UsageError, match=words):
        Engine.fit(dataset(), settings=settings)


def test_a_reaction_to_something_unknown_counts_nothing() -> None:
    engine = drawing()
    answer = engine.recommend(busiest(dataset())[0])
    assert engine.mixing.bandit is not None
    updated = engine.update(events=[{**clicked(engine, answer), "item_id": "no such thing"}])
    assert len(updated.rejected) == 1
    assert not engine.mixing.bandit.posterior.response.any()
    engine.update(events=[clicked(engine, answer, "search"), clicked(engine, answer, "click")])
    assert engine.mixing.bandit.posterior.response.any()


def test_what_a_fallback_answers_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = drawing()

    def broken(*_: object) -> Any:
        raise RuntimeError("no ranking today")

    monkeypatch.setattr(type(engine.pipeline), "rank", broken)
    answer = engine.recommend(busiest(dataset())[0])
    assert answer.degraded and answer.choice is None
    assert engine.mixing.bandit is not None and engine.mixing.bandit.posterior.tick == 0


def test_a_saved_engine_goes_on_learning_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_VAULT", str(tmp_path / "vault"))
    engine, users = drawing(), busiest(dataset(), 20)
    answers = engine.recommend_many(users, k=5)
    engine.update(events=[clicked(engine, answer) for answer in answers[:7]])
    engine.save(tmp_path / "engine")
    loaded = Engine.load(tmp_path / "engine")
    assert engine.mixing.bandit is not None and loaded.mixing.bandit is not None
    for first, second in zip(
        engine.mixing.bandit.arrays().values(), loaded.mixing.bandit.arrays().values(), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    pending = answers[12]
    for own in (engine, loaded):
        own.update(events=[clicked(own, pending)])
    np.testing.assert_array_equal(engine.mixing.bandit.posterior.response, loaded.mixing.bandit.posterior.response)
    fitted().save(tmp_path / "plain")
    assert not Engine.load(tmp_path / "plain").draws


def test_the_context_tells_questions_apart() -> None:
    pipeline = fitted().pipeline
    queries = Queries.of([[], [3], list(range(40)), [5, 5, 5, 5]])
    queries = replace(
        queries,
        mask_seen=False,
        text=("", "tea", "", ""),
        session=np.array([0, 1, 5, 0], dtype=np.int32),
        when=np.full(4, 1.767e9),
    )
    scores = ask(pipeline.sources, queries, pipeline.n_items)
    found = context_of(pipeline.facts, queries, propose(scores, pipeline.candidates), scores)
    assert found.shape == (4, len(CONTEXT))
    assert found.min() >= 0 and found.max() <= 1
    column = dict(zip(CONTEXT, found.T, strict=True))
    assert column["constant"].tolist() == [1] * 4
    assert column["newcomer"].tolist() == [1, 0, 0, 0]
    assert column["wish"].tolist() == [0, 1, 0, 0]
    assert column["history"][2] > column["history"][3] > column["history"][1] > column["history"][0] == 0
    assert column["session"][2] > column["session"][1] > 0
    assert column["repeats"].tolist() == pytest.approx([0, 0, 0, 0.75])
    for row in range(4):
        alone = queries.take(np.array([row], dtype=np.int32))
        own = ask(pipeline.sources, alone, pipeline.n_items)
        single = context_of(pipeline.facts, alone, propose(own, pipeline.candidates), own)
        np.testing.assert_allclose(single[0], found[row], atol=0.02)


def test_what_is_served_is_logged_and_a_restarted_server_knows_what_was_learnt(tmp_path: Path) -> None:
    file, vault = tmp_path / "events.sqlite", tmp_path / "vault.sqlite"
    engine, users = drawing(exploration=0.5), busiest(dataset(), 6)
    with running(engine, log=file, vault=vault) as url, httpx.Client(base_url=url, timeout=30) as client:
        answers = [
            client.post("/v1/recommend", json={"count": 5, **question}).json()
            for question in ({"user_id": users[turn % 6]} if turn % 4 else {} for turn in range(24))
        ]
        assert len({answer["mix"] for answer in answers}) > 2, "an answer must not be remembered and given again"
        for answer in answers[::3]:
            event = {
                "user_id": "a-person",
                "item_id": answer["items"][0]["id"],
                "kind": "purchase",
                "recommendation_id": answer["recommendation_id"],
            }
            assert client.post("/v1/events", json={"events": [event]}).status_code == 200
        asked = client.post("/v1/recommend", json={"objectives": {"accuracy": 0.5, "novelty": 0.5}}).json()
        assert "mix" not in asked
        for refused in ({"novelty": 3}, {"accuracy": 0, "diversity": 1}, {"speed": 1}, {"margin": 0.5}):
            answer = client.post("/v1/recommend", json={"objectives": refused})
            assert answer.status_code == 422 and answer.headers["content-type"].startswith("application/problem+json")
    assert engine.mixing.bandit is not None
    learnt = engine.mixing.bandit
    assert learnt.posterior.tick == 24
    again = drawing(exploration=0.5)
    with running(again, log=file, vault=vault):
        pass
    assert again.mixing.bandit is not None
    np.testing.assert_allclose(again.mixing.bandit.posterior.response, learnt.posterior.response, atol=1e-12)
    np.testing.assert_allclose(again.mixing.bandit.posterior.covariance, learnt.posterior.covariance, atol=1e-12)
    with EventLog(file, Vault(vault)) as log:
        rows = [row for row in log.replay(("answer",)) if row.body.get("mix")]
        assert len(rows) == 24
        for row, answer in zip(rows, answers, strict=True):
            choice = Choice.read(row.body, row.personal)
            assert choice is not None and choice.mix == answer["mix"]
            assert row.body["propensities"] == [choice.propensity] * 5
            assert ("mix_context" in row.body) == (row.subject == ""), "what tells of a person is sealed"
        logged = Logged.read(log)
        assert len(logged) == 24
        assert logged.rewards.tolist() == [1.0 if turn % 3 == 0 else 0.0 for turn in range(24)]
        log.vault.erase(log.vault.pseudonym(users[1]))
        assert len(Logged.read(log)) < 24
