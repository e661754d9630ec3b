"""How networks that read histories are built and trained, without importing what trains them."""

from __future__ import annotations

from pydantic import Field

from palate.core.space import Choice, Space, Span
from palate.training import TrainingSettings


class ReaderSettings(TrainingSettings):
    """How a network reads histories, and what it learns that from.

    Parameters
    ----------
    width, blocks, heads
        Length of a vector, layers, and parts of attention.
    window
        Newest events of a history that are read; 0: as many as 19 of 20 histories have, between 20 and 50.
    epochs
        Passes over the data at most; 0: as many as come to 1,500 batches, between 12 and 30.
    dropout
        Share of states dropped in training; None: .4 where an item has twenty events and fewer on average, .2 where
        it has fifty and more, between them in proportion to the logarithm.
    event_dropout, own_dropout
        Shares dropped of events read, and of items' own vectors (then their text speaks alone, so that it has learnt
        to where there is no own vector).
    text_dropout
        Share dropped of the numbers of language vectors: items are then known by part of what is said of them.
    crop, reorder
        Shares of pieces of which only a stretch is read, and in which a stretch is shuffled (CL4SRec, Xie et al., 2022;
        its masks are ``event_dropout``).
    likeness
        Whether a state starts as the faded mean of what was taken, so that a network that has learnt nothing yet
        answers what is like that.
    own, text, attributes, time
        Whether items have vectors of their own, language vectors, category and brand; whether the time that passed
        after each event is read.
    text_dimensions, word_dimensions
        Directions of the language vectors, and of the words beside them.
    cells
        Events a batch.
    validation
        Share of the users whose last event decides when training ends; more of them, up to half, where that costs
        less than a fiftieth of all events; at most 3,000.
    """

    epochs: int = Field(default=0, ge=0)
    patience: int = Field(default=4, ge=1)
    width: int = Field(default=128, ge=4)
    blocks: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    window: int = Field(default=0, ge=0)
    dropout: float | None = Field(default=None, ge=0, lt=1)
    event_dropout: float = Field(default=0.1, ge=0, lt=1)
    own_dropout: float = Field(default=0.1, ge=0, lt=1)
    text_dropout: float = Field(default=0.0, ge=0, lt=1)
    crop: float = Field(default=0.0, ge=0, le=1)
    reorder: float = Field(default=0.0, ge=0, le=1)
    likeness: bool = False
    own: bool = True
    text: bool = True
    attributes: bool = True
    time: bool = True
    text_dimensions: int = Field(default=256, ge=1)
    word_dimensions: int = Field(default=256, ge=0)
    cells: int = Field(default=1024, ge=64)
    validation: float = Field(default=0.1, ge=0, lt=1)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "width": Choice((64, 96, 128, 192, 256)),
                "blocks": Span(1, 4),
                "heads": Choice((1, 2, 4)),
                "window": Span(20, 100, log=True),
                "dropout": Span(0.1, 0.6),
                "event_dropout": Span(0.0, 0.4),
                "own_dropout": Span(0.0, 0.5),
                "epochs": Span(6, 30, log=True),
                "learning_rate": Span(5e-4, 5e-3, log=True),
                "weight_decay": Span(1e-3, 0.1, log=True),
            },
            first=(
                {"learning_rate": 1e-3},
                {"dropout": 0.3},
                {"width": 64},
                {"blocks": 1},
                {"event_dropout": 0.2, "own_dropout": 0.2},
            ),
        )
