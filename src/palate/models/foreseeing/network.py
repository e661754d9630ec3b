"""Bodies that read the moments one after the other: LSTM or GRU, one trunk for all kinds, a head each.

The heads are those by which a language model is tuned to judge pairs of texts (``language.tuning.judging.Match``): what
is read of a person on the left, the item on the right, and the numbers beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from palate.core import BoolArray, Float64Array, Int64Array
from palate.core.recommender import Arrays
from palate.language.tuning.judging import Match
from palate.models.foreseeing.bank import WHENS, Bank
from palate.models.foreseeing.bodies import Lessons, loss_of, spread, standardised
from palate.models.foreseeing.settings import NextBehaviourSettings
from palate.models.foreseeing.table import NUMBERS, Inputs
from palate.models.neural.blocks import Noise, Recurrent
from palate.models.neural.packing import N_GAPS, gap_buckets
from palate.training import Report
from palate.training.loop import train

_AT_ONCE = 2048


class Trunk(nn.Module):
    """Moments in, the state after the newest one out.

    Parameters
    ----------
    size
        d, of the vectors of the bank.
    width
        Of a state.
    cell
        ``lstm`` or ``gru``.
    """

    def __init__(self, size: int, width: int, dropout: float, cell: str) -> None:
        super().__init__()
        self.what, self.when = nn.Linear(size, width), nn.Linear(size, width, bias=False)
        self.gaps, self.item = nn.Embedding(N_GAPS, width), nn.Linear(size, width)
        self.body = Recurrent(width, 1, dropout, Noise(), cell)
        self.nothing = nn.Parameter(torch.zeros(width))

    def forward(self, what: Tensor, when: Tensor, gaps: Tensor, lengths: Tensor) -> Tensor:
        """States (r, width) of moments (r, w, d), oldest first; of who did nothing, one that is learnt."""
        states = self.body(self.what(what) + self.when(when) + self.gaps(gaps))
        last = states[torch.arange(len(lengths)), (lengths - 1).clamp_min(0)]
        told: Tensor = torch.where((lengths > 0)[:, None], last, self.nothing)
        return told


class Network(nn.Module):
    """The trunk and its heads."""

    def __init__(self, kinds: tuple[str, ...], size: int, settings: NextBehaviourSettings, cell: str) -> None:
        super().__init__()
        width = settings.width
        self.trunk = Trunk(size, width, settings.dropout, cell)
        self.heads = nn.ModuleDict(
            {kind: Match(width, len(NUMBERS) + 1, "towers", width, settings.dropout) for kind in kinds}
        )
        # What the numbers say alone; the head learns what the person and the item add to it.
        self.plain = nn.ModuleDict({kind: nn.Linear(len(NUMBERS), 1) for kind in kinds})

    def forward(self, kind: str, state: Tensor, item: Tensor, numbers: Tensor) -> Tensor:
        """Log-odds (n,) of states (n, width), items (n, d) and numbers (n, f)."""
        right = self.trunk.item(item)
        both = functional.cosine_similarity(state, right, dim=1)[:, None]
        judged: Tensor = self.heads[kind].judge(state, right, torch.cat([numbers, both], dim=1))  # type: ignore[operator]
        plain: Tensor = self.plain[kind](numbers)[:, 0]
        return judged + plain


@dataclass(frozen=True)
class Reader:
    """A taught network.

    Parameters
    ----------
    middle, unit
        float64 (f,) by kind, of the numbers.
    """

    network: Network
    middle: Mapping[str, Float64Array]
    unit: Mapping[str, Float64Array]

    def odds(self, kind: str, inputs: Inputs, bank: Bank) -> Float64Array:
        """Log-odds, not yet calibrated; float64 (n,)."""
        if not len(inputs):
            return np.zeros(0)
        rows, place = np.unique(inputs.row.astype(np.int64), return_inverse=True)
        numbers = standardised(inputs.numbers, self.middle[kind], self.unit[kind])
        odds = []
        with torch.inference_mode():
            parts = [self.network.trunk(*moments(inputs, part, bank)) for part in _pieces(rows)]
            states = torch.cat(parts)
            for part in _pieces(np.arange(len(inputs))):
                item = torch.from_numpy(bank.items[inputs.items[part]])
                given = self.network(kind, states[torch.from_numpy(place[part])], item, torch.from_numpy(numbers[part]))
                odds.append(given.double().numpy())
        return np.concatenate(odds)

    def arrays(self) -> dict[str, Any]:
        """The state."""
        weights = {f"weights.{name}": value.numpy() for name, value in self.network.state_dict().items()}
        scales = {f"middle.{kind}": value for kind, value in self.middle.items()}
        return {**weights, **scales, **{f"unit.{kind}": value for kind, value in self.unit.items()}}

    @classmethod
    def restore(cls, arrays: Arrays, size: int, settings: NextBehaviourSettings, cell: str) -> Reader:
        """What ``arrays`` gave."""

        def part(name: str) -> dict[str, Any]:
            return {key.removeprefix(name): np.array(value) for key, value in arrays.items() if key.startswith(name)}

        middle, unit = part("middle."), part("unit.")
        network = Network(tuple(sorted(middle)), size, settings, cell)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in part("weights.").items()})
        network.eval()
        return cls(network, middle, unit)


def learn(
    lessons: Lessons,
    held: Lessons,
    bank: Bank,
    settings: NextBehaviourSettings,
    *,
    cell: str,
    progress: Report | None = None,
) -> Reader:
    """Teach all kinds together; the epoch is kept whose log loss on validation, over the kinds, is lowest."""
    kinds = tuple(sorted(lessons))
    scales = {kind: spread(lessons[kind][0].numbers) for kind in kinds}
    middle, unit = ({kind: scales[kind][place] for kind in kinds} for place in (0, 1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = Network(kinds, bank.size, settings, cell)
    numbers = {kind: standardised(lessons[kind][0].numbers, middle[kind], unit[kind]) for kind in kinds}
    reader = Reader(network, middle, unit)

    def batches(_: int, rng: np.random.Generator) -> Iterator[tuple[str, Int64Array]]:
        drawn = [(kind, part) for kind in kinds for part in _stretches(lessons[kind][0], settings.batch, rng)]
        for place in rng.permutation(len(drawn)):
            yield drawn[place]

    def loss(batch: tuple[str, Int64Array], _: torch.Generator) -> Tensor:
        kind, chosen = batch
        inputs, happened = lessons[kind]
        rows, place = np.unique(inputs.row[chosen].astype(np.int64), return_inverse=True)
        states = network.trunk(*moments(inputs, rows, bank))[torch.from_numpy(place)]
        item = torch.from_numpy(bank.items[inputs.items[chosen]])
        odds = network(kind, states, item, torch.from_numpy(numbers[kind][chosen]))
        return functional.binary_cross_entropy_with_logits(odds, torch.from_numpy(happened[chosen].astype(np.float32)))

    def quality() -> float:
        losses = [loss_of(reader.odds(kind, inputs, bank), came) for kind, (inputs, came) in held.items()]
        # The training loop's slack is a share of the figure, so the figure is the gain over knowing the base alone.
        plain = [loss_of(np.full(len(came), _base(came)), came) for _, came in held.values()]
        return float(np.mean([1.0 - own / usual for own, usual in zip(losses, plain, strict=True)]))

    steps = sum(-(-len(inputs) // settings.batch) for inputs, _ in lessons.values())
    train(
        network,
        batches=batches,
        steps=steps,
        loss=loss,
        validate=quality if held else None,
        settings=settings,
        progress=progress,
    )
    return reader


def moments(inputs: Inputs, rows: Int64Array, bank: Bank) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Some pasts as the trunk reads them, oldest first, padded at the end."""
    windows = inputs.windows
    lengths = windows.filled[rows].sum(axis=1)
    width = max(1, int(lengths.max(initial=0)))
    column = np.arange(width)
    place = np.where(column < lengths[:, None], lengths[:, None] - 1 - column, 0)

    def oldest_first(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(np.take_along_axis(values[rows], place, axis=1))

    what = bank.what(oldest_first(windows.items), oldest_first(windows.kinds))
    weeks = oldest_first(windows.weeks)
    when = bank.whens[np.where(weeks < 0, WHENS, weeks)]
    times = oldest_first(windows.times)
    gaps = gap_buckets(np.diff(times, axis=1, prepend=np.nan))
    return torch.from_numpy(what), torch.from_numpy(when), torch.from_numpy(gaps), torch.from_numpy(lengths)


def _stretches(inputs: Inputs, size: int, rng: np.random.Generator) -> list[Int64Array]:
    """The lessons in drawn order, those of one past together, so that a past is read once a batch."""
    chance = rng.random(int(inputs.row.max(initial=0)) + 1)
    order = np.argsort(chance[inputs.row], kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def _pieces(rows: Int64Array) -> list[Int64Array]:
    return [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]


def _base(came: BoolArray) -> float:
    share = float(np.clip(came.mean(), 1e-4, 1 - 1e-4))
    return float(np.log(share / (1 - share)))
