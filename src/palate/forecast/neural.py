"""One recurrent network over all series: LSTM or GRU, every day ahead at once, mean and quantiles.

The only file of this folder that imports torch when it is imported.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from palate.core import Float64Array, FloatArray, Int64Array, Settings
from palate.forecast.calendar import Effects
from palate.forecast.forecasters import Paths, Predict
from palate.forecast.panel import WEEK, Panel

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MIDDLE = QUANTILES.index(0.5)
_BATCH_AHEAD = 2_048
_DAY_FEATURES = WEEK + 1


class NetworkSettings(Settings):
    """A network over all series.

    Parameters
    ----------
    window
        Days it looks back.
    width
        Units of the recurrent layer.
    steps
        Batches it learns from.
    batch
        Windows of a batch.
    rate
        The highest learning rate (Adam), reached after a tenth of the steps and left along a cosine.
    """

    window: Annotated[int, Field(ge=2)] = 56
    width: Annotated[int, Field(ge=1)] = 48
    steps: Annotated[int, Field(ge=1)] = 400
    batch: Annotated[int, Field(ge=1)] = 64
    rate: Annotated[float, Field(gt=0)] = 5e-3


class Network(nn.Module):
    """Reads a window, then answers for each day ahead by what is known of that day (direct multi-horizon;
    Wen et al. 2017)."""

    def __init__(self, body: Literal["lstm", "gru"], width: int) -> None:
        super().__init__()
        recurrent = nn.LSTM if body == "lstm" else nn.GRU
        self.reader = recurrent(2 + _DAY_FEATURES, width, batch_first=True)
        self.context = nn.Linear(width, width)
        self.day = nn.Linear(_DAY_FEATURES, width, bias=False)
        self.out = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1 + len(QUANTILES)))
        self.ahead: nn.Parameter

    def sized(self, horizon: int) -> Network:
        """With a vector for each day ahead."""
        width = self.context.out_features
        self.ahead = nn.Parameter(torch.zeros(horizon, width))
        nn.init.normal_(self.ahead, std=0.1)
        return self

    def forward(self, past: Tensor, days: Tensor) -> Tensor:
        """Scaled mean and quantiles, (b, horizon, 1 + quantiles), from (b, window, .) and (b, horizon, .)."""
        states, _ = self.reader(past)
        state = self.context(states[:, -1])[:, None]
        return self.out(state + self.day(days) + self.ahead)  # type: ignore[no-any-return]


def fit(
    body: Literal["lstm", "gru"],
    panel: Panel,
    effects: Effects,
    horizon: int,
    settings: NetworkSettings | None = None,
    *,
    seed: int = 0,
) -> Predict:
    """Teach a network all series of a panel; it says nothing (NaN) where they are too short for a window.

    Each window is centred and scaled by itself, so that one network serves series of any size. The loss is the
    quantiles' (Koenker & Bassett 1978) and the mean's squared error.
    """
    settings = settings or NetworkSettings()
    window = min(settings.window, panel.length - horizon)
    if window < WEEK or not len(panel):
        return lambda asked, _: _nothing(asked, horizon)
    rng, tables = np.random.default_rng(seed), _tables(panel, effects, horizon)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(body, settings.width).sized(horizon)
    ends = np.arange(window, panel.length - horizon + 1)
    began = np.argmax(~np.isnan(panel.values), axis=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=max(settings.steps, 2), pct_start=0.1
    )
    network.train()
    for _ in range(settings.steps):
        rows = rng.integers(0, len(panel), settings.batch)
        # A window before the first sale teaches nothing: it would be all unknown.
        ends_of = np.maximum(rng.choice(ends, settings.batch), np.minimum(began[rows] + WEEK, ends[-1]))
        past, days, center, size = _inputs(panel.values, tables, rows, ends_of, window=window, horizon=horizon)
        truth = panel.values[rows[:, None], ends_of[:, None] + np.arange(horizon)]
        target = torch.from_numpy(((truth - center) / size).astype(np.float32))
        loss = _loss(network(torch.from_numpy(past), torch.from_numpy(days)), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network.eval()
    return lambda asked, calendar: _predict(network, asked, window, horizon, calendar.effects)


def _nothing(panel: Panel, horizon: int) -> Paths:
    unknown = np.full((len(panel), horizon), np.nan)
    return Paths(unknown, unknown)


def _predict(network: Network, panel: Panel, window: int, horizon: int, effects: Effects) -> Paths:
    tables = _tables(panel, effects, horizon)
    mean, median = (np.empty((len(panel), horizon)) for _ in range(2))
    for begin in range(0, len(panel), _BATCH_AHEAD):
        rows = np.arange(begin, min(begin + _BATCH_AHEAD, len(panel)))
        ends = np.full(len(rows), panel.length)
        past, days, center, size = _inputs(panel.values, tables, rows, ends, window=window, horizon=horizon)
        with torch.inference_mode():
            scaled = network(torch.from_numpy(past), torch.from_numpy(days)).numpy().astype(np.float64)
        mean[rows] = scaled[:, :, 0] * size + center
        median[rows] = scaled[:, :, 1 + _MIDDLE] * size + center
    return Paths(mean, median)


def _loss(told: Tensor, truth: Tensor) -> Tensor:
    """Squared error of the mean and pinball loss of the quantiles over what is known; days far out count less."""
    known = ~torch.isnan(truth)
    truth = torch.where(known, truth, 0.0)
    # One wholesale order would otherwise outweigh every other window of its batch.
    mean = nn.functional.huber_loss(told[..., 0], truth, reduction="none", delta=5.0) / 2
    gap = truth[..., None] - told[..., 1:]
    levels = torch.tensor(QUANTILES)
    pinball = torch.maximum(levels * gap, (levels - 1) * gap).mean(dim=-1).clamp(max=5.0)
    return ((mean + pinball) * known).sum() / known.sum().clamp(min=1)


def _tables(panel: Panel, effects: Effects, horizon: int) -> FloatArray:
    """Weekday and calendar of each day and of those ahead; float32 (T + horizon, 8)."""
    days = panel.start + np.arange(panel.length + horizon)
    features = np.zeros((len(days), _DAY_FEATURES), dtype=np.float32)
    features[np.arange(len(days)), days.astype(np.int64) % WEEK] = 1.0
    features[:, WEEK] = np.log(effects.factors(days))
    return features


def _inputs(
    values: Float64Array, tables: FloatArray, rows: Int64Array, ends: Int64Array, *, window: int, horizon: int
) -> tuple[FloatArray, FloatArray, Float64Array, Float64Array]:
    """Windows (b, window, .), days ahead (b, horizon, .), and centre and size (b, 1) of each window."""
    before = ends[:, None] + np.arange(-window, 0)
    past = values[rows[:, None], before]
    known = ~np.isnan(past)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    center = np.where(known, past, 0.0).sum(axis=1, keepdims=True) / count
    spread = np.where(known, past - center, 0.0)
    size = np.sqrt((spread**2).sum(axis=1, keepdims=True) / count)
    size = np.where(size > 0, size, np.maximum(np.abs(center), 1.0))
    scaled = np.clip(spread / size, -10.0, 10.0)
    inputs = np.concatenate([scaled[..., None], known[..., None], tables[before]], axis=2).astype(np.float32)
    return inputs, tables[ends[:, None] + np.arange(horizon)], center, size
