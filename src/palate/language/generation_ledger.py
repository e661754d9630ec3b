"""What generation may cost and did cost, by day, task and model; a ledger that cannot be written allows nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from palate.core import Settings
from palate.language.generation import Completion, Prompt, TextGenerator, estimated_tokens
from palate.privacy.vault import data_home

_DAY = 86_400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (
    day INTEGER NOT NULL, task TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL, failures INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL, cost REAL NOT NULL,
    PRIMARY KEY (day, task, model)
) WITHOUT ROWID
"""
_BOOK = """
INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, task, model) DO UPDATE SET
    calls = calls + excluded.calls, failures = failures + excluded.failures,
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens,
    seconds = seconds + excluded.seconds, cost = cost + excluded.cost
"""


class BudgetSettings(Settings):
    """What a day (UTC) of generation may cost.

    Parameters
    ----------
    tokens
        Of prompts and replies together; 0 for no bound.
    cost
        In whatever money the prices are; 0 for no bound.
    prompt_price, completion_price
        For a million tokens.
    days
        How long the ledger remembers.
    """

    tokens: int = Field(default=2_000_000, ge=0)
    cost: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    prompt_price: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    completion_price: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    days: int = Field(default=400, ge=1)

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / 1e6


@dataclass(frozen=True, slots=True)
class Spent:
    """What one task cost with one model; tokens, seconds, money."""

    task: str
    model: str
    calls: int
    failures: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float


class Ledger:
    """The book, one SQLite file; safe between threads and processes.

    What a call may cost at most is booked before it is made and corrected afterwards, so a crash errs on the dear side.

    Parameters
    ----------
    path
        ``generation.sqlite`` among palate's own files where None.
    clock
        Seconds since 1970 UTC.
    """

    def __init__(
        self,
        settings: BudgetSettings | None = None,
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or BudgetSettings()
        self.path = path or data_home() / "generation.sqlite"
        self._clock = clock

    def reserve(self, task: str, model: str, prompt_tokens: int, completion_tokens: int) -> bool:
        """Book what a call may cost; False, and nothing booked, where the day's budget has no room for it."""
        own = self.settings
        cost = own.price(prompt_tokens, completion_tokens)
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            tokens, money = connection.execute(
                "SELECT coalesce(sum(prompt_tokens + completion_tokens), 0), coalesce(sum(cost), 0) "
                "FROM spent WHERE day = ?",
                (self._day(),),
            ).fetchone()
            if own.tokens and tokens + prompt_tokens + completion_tokens > own.tokens:
                return False
            if own.cost and money + cost > own.cost:
                return False
            row = (self._day(), task, model, 1, 0, prompt_tokens, completion_tokens, 0.0, cost)
            connection.execute(_BOOK, row)
            connection.execute("DELETE FROM spent WHERE day < ?", (self._day() - own.days,))
        return True

    def settle(self, task: str, model: str, reserved: tuple[int, int], completion: Completion) -> Completion:
        """Correct a booking by what the call did cost; the completion with its cost."""
        own = self.settings
        used = completion.prompt_tokens, completion.completion_tokens
        cost = own.price(*used)
        more = tuple(now - before for now, before in zip(used, reserved, strict=True))
        row = (self._day(), task, model, 0, int(bool(completion.failure)), *more, completion.seconds)
        with self._connection() as connection:
            connection.execute(_BOOK, (*row, cost - own.price(*reserved)))
        return replace(completion, cost=cost)

    def spent(self, days: int = 1) -> list[Spent]:
        """What was spent today and on the days before it, the dearest task first."""
        if not self.path.is_file():
            return []
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT task, model, sum(calls), sum(failures), sum(prompt_tokens), sum(completion_tokens), "
                "sum(seconds), sum(cost) FROM spent WHERE day > ? GROUP BY task, model "
                "ORDER BY sum(cost) DESC, sum(prompt_tokens + completion_tokens) DESC, task",
                (self._day() - days,),
            ).fetchall()
        return [Spent(*row) for row in rows]

    def _day(self) -> int:
        return int(self._clock() // _DAY)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=10.0)
        try:
            with connection:
                connection.execute(_SCHEMA)
                yield connection
        finally:
            connection.close()


class Budgeted:
    """A generator that spends no more than it may.

    Parameters
    ----------
    generator
        Who is asked.
    ledger
        What it may cost and did cost.
    """

    def __init__(self, generator: TextGenerator, ledger: Ledger) -> None:
        self.generator, self.ledger = generator, ledger

    @property
    def name(self) -> str:
        return self.generator.name

    def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """See ``TextGenerator.generate``; what the budget has no room for is not asked."""
        model = self.generator.name
        reserved: dict[int, tuple[int, int]] = {}
        refused = "the day's budget is spent"
        try:
            for row, prompt in enumerate(prompts):
                expected = sum(map(estimated_tokens, prompt.messages())), prompt.tokens
                if not self.ledger.reserve(prompt.task, model, *expected):
                    break
                reserved[row] = expected
        except (sqlite3.Error, OSError) as error:
            refused = f"the ledger cannot be written ({type(error).__name__})"
        found = [Completion("", "template", refused) for _ in prompts]
        asked = self.generator.generate([prompts[row] for row in reserved]) if reserved else []
        for (row, expected), completion in zip(reserved.items(), asked, strict=True):
            try:
                found[row] = self.ledger.settle(prompts[row].task, model, expected, completion)
            except (sqlite3.Error, OSError):
                found[row] = completion
        return found
