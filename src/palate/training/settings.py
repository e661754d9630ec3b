"""How networks are trained, without importing what trains them."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from palate.core import Settings

Report = Callable[[str, float], None]
"""Called with what is going on, in words, and the share of it that is done."""


class TrainingSettings(Settings):
    """How a network is trained (AdamW with warm-up and cosine decay).

    Parameters
    ----------
    epochs
        Passes over the data at most.
    learning_rate, weight_decay
        Of AdamW; the rate is the highest one.
    warmup
        Share of all steps during which the rate climbs.
    patience
        Epochs without gain on validation before training ends.
    clip
        Longest gradient.
    seed
        Of everything drawn.
    """

    epochs: int = Field(default=20, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    patience: int = Field(default=4, ge=1)
    clip: float = Field(default=5.0, gt=0)
    seed: int = 0
