"""How the language model is taught, without importing what teaches it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from palate.core import Settings
from palate.training import TrainingSettings

Method = Literal["frozen", "lora", "adalora", "adapters", "full"]

PACE: dict[Method, float] = {"frozen": 0.0, "lora": 0.25, "adalora": 0.5, "adapters": 0.25, "full": 0.02}
"""How fast the trunk learns beside its heads, whose weights start from nothing."""


class TrunkSettings(Settings):
    """Which weights of a pretrained transformer may change, and how texts go through it meanwhile.

    Parameters
    ----------
    method
        ``frozen``: none, only heads learn; ``lora``: low-rank products beside every matrix (Hu et al., 2022);
        ``adalora``: the same, with ranks dealt out by importance (Zhang et al., 2023); ``adapters``: a bottleneck after
        every feed-forward part (Houlsby et al., 2019; placed as by Pfeiffer et al., 2021); ``full``: all.
    layers
        Uppermost layers that learn; 0: every layer, and with ``full`` the token vectors too.
    rank, alpha
        Of the low-rank products, and what they are scaled by (divided by the rank).
    width
        Of the bottleneck.
    dropout
        Share of states dropped in training, within the trunk.
    max_tokens
        A text's tokens beyond this are not read; kept for what is encoded afterwards.
    tokens_per_batch
        Tokens that go through the network at once.
    lean
        Forget states inside the network on the way up and compute them again on the way down: a third more work, for
        memory that does not grow with the batch.
    precision
        ``auto`` multiplies in bf16 where the processor does so natively; weights and sums are fp32 either way.
    seed
        Of the new weights.
    """

    method: Method = "lora"
    layers: int = Field(default=0, ge=0)
    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    width: int = Field(default=48, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    max_tokens: int = Field(default=48, ge=4)
    tokens_per_batch: int = Field(default=2048, ge=64)
    lean: bool = True
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0


class TuningSettings(TrainingSettings):
    """The course of a tuning: see ``TrainingSettings``; here the rate is that of the heads.

    Parameters
    ----------
    pace
        The trunk's learning rate as a factor of the heads'; by method where None.
    batch
        Lessons a step.
    steps
        Steps after which validation looks again and a checkpoint may be written; 0: after every lesson was had once.
    """

    epochs: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    warmup: float = Field(default=0.06, ge=0, lt=1)
    patience: int = Field(default=3, ge=1)
    pace: float | None = Field(default=None, ge=0)
    batch: int = Field(default=512, ge=2)
    steps: int = Field(default=0, ge=0)

    def pace_of(self, method: Method) -> float:
        """How fast a trunk tuned by this method learns beside its heads."""
        return PACE[method] if self.pace is None else self.pace
