"""How the language model is taught, without importing what teaches it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from palate.core import Settings
from palate.training import TrainingSettings

Method = Literal["frozen", "lora", "adalora", "adapters", "full"]

PACE: dict[Method, float] = {"frozen": 0.0, "lora": 0.05, "adalora": 0.1, "adapters": 0.05, "full": 0.003}
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

    method: Method = "frozen"
    layers: int = Field(default=0, ge=0)
    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    width: int = Field(default=48, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    max_tokens: int = Field(default=32, ge=4)
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

    epochs: int = Field(default=12, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    warmup: float = Field(default=0.06, ge=0, lt=1)
    patience: int = Field(default=3, ge=1)
    pace: float | None = Field(default=None, ge=0)
    batch: int = Field(default=1024, ge=2)
    steps: int = Field(default=0, ge=0)

    def pace_of(self, method: Method) -> float:
        """How fast a trunk tuned by this method learns beside its heads."""
        return PACE[method] if self.pace is None else self.pace


class VectorSettings(Settings):
    """What a vector is made of.

    Parameters
    ----------
    dimensions
        Its length; what goes beyond the trunk's width is learnt from nothing.
    whitening
        Of the directions it starts from, see ``TextSpace``: 0 as they are, 1 all of the same spread.
    words
        Whether every token has a vector of its own that is added, weighted by how rare it is: what a brand or a series
        stands for is learnt there in hundreds of steps, while the trunk moves slowly.
    texts
        Whether every text that is learnt from has a vector of its own among those of its tokens: what is known of this
        very thing and not of its words. Texts met later have none.
    dropout
        Share of the state, of the tokens and of the texts' own vectors dropped in training.
    kept
        Share of a likeness that stays as it began, beside what was taught; 0: none. What was taught knows little of
        texts that are new or rarely met, and of what was taken after it was taught.
    sides
        2: what somebody had is read by another head than what is offered, so that an order of events can be learnt; 1:
        by the same.
    """

    dimensions: int = Field(default=384, ge=2)
    whitening: float = Field(default=1.0, ge=0, le=1)
    words: bool = True
    texts: bool = True
    dropout: float = Field(default=0.4, ge=0, lt=1)
    kept: float = Field(default=0.3, ge=0, lt=1)
    sides: Literal[1, 2] = 2


class ContrastSettings(Settings):
    """What the softmax compares.

    Parameters
    ----------
    temperature
        At the start; learnt from there.
    others
        Texts drawn from all beside those of the batch; where there are no more than twice as many, all of them answer.
        None: 4,096 where the trunk is frozen and its states are kept, none where it learns and would have to read them.
    correction
        Share of the logQ correction.
    """

    temperature: float = Field(default=0.07, gt=0)
    others: int | None = Field(default=None, ge=0)
    correction: float = Field(default=1.0, ge=0, le=1)


class AdaptSettings(Settings):
    """How the language model is taught a shop.

    Parameters
    ----------
    model
        ``minilm``, or the folder or hub name of a model.
    reading
        Passes over the catalogue's own text, to foresee hidden words, before histories are looked at; needs a trunk
        that learns.
    paraphrases
        Texts in other words to learn from beside each text, at most so many; a lesson reads one of them all by chance.
        Written by a text generator where one is given, else by turning clauses or words around. Nothing encodes them
        afterwards.
    window, decay
        Newest events before an event that foretell it, and what each counts relative to the next one. As the semantic
        model answers.
    held_out
        Share of the users whose newest event is not learnt from and decides when to end. All of them by default: an
        engine's ranker learns from these events, and would trust an encoder too much that had learnt them by heart. For
        an encoder that answers alone (the semantic model, search) a tenth is enough to know when to end, and the newest
        events are the ones to learn from.
    """

    model: str = "minilm"
    trunk: TrunkSettings = Field(default_factory=TrunkSettings)
    course: TuningSettings = Field(default_factory=TuningSettings)
    vectors: VectorSettings = Field(default_factory=VectorSettings)
    contrast: ContrastSettings = Field(default_factory=ContrastSettings)
    reading: int = Field(default=0, ge=0)
    paraphrases: int = Field(default=0, ge=0, le=8)
    window: int = Field(default=8, ge=1)
    decay: float = Field(default=0.6, gt=0, le=1)
    held_out: float = Field(default=1.0, ge=0, le=1)
