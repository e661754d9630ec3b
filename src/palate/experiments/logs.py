"""Logs of choices made with known odds: palate's own, joined by recommendation id, and the Open Bandit files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.core import DataError, Float64Array, Int64Array, IntArray, UsageError
from palate.data.event_log import EventLog
from palate.ranking.bandit import REWARDS, Choice

_CERTAIN = 1.0 + 1e-9
"""A probability may exceed 1 by rounding, not by more."""


@dataclass(frozen=True)
class Logged:
    """n choices, what was known before each, and what each earned.

    Parameters
    ----------
    contexts
        float64 (n, d).
    arms
        int32 (n,), positions among ``names``.
    propensities
        float64 (n,), with what probability each arm was chosen; above 0, at most 1.
    rewards
        float64 (n,).
    names
        Names of the K arms.
    people
        int32 (n,), whose choice it was: intervals keep a person's choices together. -1 is somebody of their own; None:
        everybody is.

    Raises
    ------
    DataError
        Lengths differ, or a propensity, reward, context or arm cannot be.
    """

    contexts: Float64Array
    arms: IntArray
    propensities: Float64Array
    rewards: Float64Array
    names: tuple[str, ...]
    people: IntArray | None = None

    def __post_init__(self) -> None:
        columns = (self.contexts, self.propensities, self.rewards, *(() if self.people is None else (self.people,)))
        if any(len(column) != len(self.arms) for column in columns):
            raise DataError(f"a log of {len(self.arms):,} choices needs as many contexts, propensities and rewards")
        impossible = ~((self.propensities > 0) & (self.propensities <= _CERTAIN))
        _refuse(impossible, self.propensities, "propensity", "above 0 and at most 1")
        _refuse(~np.isfinite(self.rewards), self.rewards, "reward", "a number")
        _refuse((self.arms < 0) | (self.arms >= len(self.names)), self.arms, "arm", f"0 to {len(self.names) - 1}")
        if not np.isfinite(self.contexts).all():
            raise DataError("a log's contexts hold values that are no numbers; leave those choices out")

    def __len__(self) -> int:
        return len(self.arms)

    @property
    def person(self) -> Int64Array:
        """Numbers of the people from 0 up, int64 (n,); each choice without a person is somebody else's."""
        if self.people is None:
            return np.arange(len(self))
        labels = self.people.astype(np.int64)
        alone = labels < 0
        labels[alone] = int(self.people.max(initial=0)) + 1 + np.arange(int(alone.sum()))
        return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)

    def take(self, rows: NDArray[np.integer]) -> Logged:
        """These choices alone, in this order."""
        return replace(
            self,
            contexts=self.contexts[rows],
            arms=self.arms[rows],
            propensities=self.propensities[rows],
            rewards=self.rewards[rows],
            people=None if self.people is None else self.people[rows],
        )

    @classmethod
    def read(cls, log: EventLog, rewards: Mapping[str, float] = REWARDS) -> Logged:
        """Lists whose mix a bandit drew, oldest first, each with the best of the reactions that name it.

        Lists of people who were forgotten since are left out: their context is gone.

        Parameters
        ----------
        rewards
            Worth of a reaction by kind of event; kinds not named count nothing.

        Raises
        ------
        UsageError
            The log holds no such list.
        """
        shown: dict[str, tuple[Choice, str]] = {}
        earned: dict[str, float] = {}
        answers = 0
        for row in log.replay(("answer", "event")):
            if row.sort == "answer":
                answers += 1
                choice = Choice.read(row.body, row.personal)
                if choice is not None:
                    shown[row.id] = (choice, row.subject)
            elif row.body.get("recommendation_id") in shown:
                name, worth = row.body["recommendation_id"], rewards.get(row.body.get("kind", ""), 0.0)
                earned[name] = max(earned.get(name, 0.0), worth)
        if not shown:
            raise UsageError(
                f"{log.path} holds {answers:,} answers and no list whose mix a bandit drew, or the key vault is not "
                "theirs; serve with [engine.bandit] policy set, and say --vault where it is not the usual one"
            )
        choices = [choice for choice, _ in shown.values()]
        names = tuple(dict.fromkeys(choice.mix for choice in choices))
        place = {name: position for position, name in enumerate(names)}
        persons = {subject: number for number, subject in enumerate(dict.fromkeys(who for _, who in shown.values()))}
        return cls(
            np.array([choice.context for choice in choices], dtype=np.float64),
            np.array([place[choice.mix] for choice in choices], dtype=np.int32),
            np.array([choice.propensity for choice in choices], dtype=np.float64),
            np.array([earned.get(name, 0.0) for name in shown], dtype=np.float64),
            names,
            np.array([persons[who] if who else -1 for _, who in shown.values()], dtype=np.int32),
        )

    @classmethod
    def of_open_bandit(cls, frame: pl.DataFrame) -> Logged:
        """Impressions of the Open Bandit Dataset, as ``palate.data.open_bandit`` reads them.

        An arm is an item; contexts are the place on the page and the four features of a user, each value a column. The
        files name no people.
        """
        names = sorted(frame["item_id"].unique().to_list(), key=lambda name: (len(name), name))
        told = ["position", *(name for name in frame.columns if name.startswith("user_feature_"))]
        contexts = frame.select(pl.col(told).cast(pl.String)).to_dummies(drop_first=True)
        place = {name: position for position, name in enumerate(names)}
        return cls(
            contexts.to_numpy().astype(np.float64),
            frame["item_id"].replace_strict(place, return_dtype=pl.Int32).to_numpy(),
            frame["propensity"].to_numpy(),
            frame["click"].to_numpy().astype(np.float64),
            tuple(names),
        )


def _refuse(wrong: NDArray[np.bool_], values: NDArray[np.generic], what: str, due: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(f"choice {row + 1:,} of a log has the {what} {values[row]}; it must be {due}")
