"""What was learnt from several shops and is of use to another: a network that reads texts, the space they stand in, and
what likeness is worth beside it.

No id, no event and no user of the shops is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from palate.core import ArtefactError, UsageError
from palate.core.artefact import Artefact, read, write
from palate.core.numbers import or_nan
from palate.core.recommender import Arrays
from palate.models.shared_space import SharedSpace
from palate.models.weighing import Weighing

KIND = "pretrained"

MADE_OF = ("width", "blocks", "heads", "window", "time", "likeness", "text_dimensions")
"""Settings that the weights decide: whoever takes them takes these."""


@dataclass(frozen=True)
class Pretrained:
    """A sequence network over texts.

    Parameters
    ----------
    space
        Where texts of any shop stand.
    weights
        Of the network, by name.
    made_of
        The settings named in ``MADE_OF``.
    encoder
        Name of the encoder whose vectors it reads.
    learnt_from
        How many users, items and events each shop had, by its name.
    weighing
        What a shop that it was not taught on is answered by.
    history
        (loss, mean validation N@10 of the shops, seconds) of each epoch.
    """

    space: SharedSpace
    weights: Arrays
    made_of: Mapping[str, Any]
    encoder: str
    learnt_from: Mapping[str, Mapping[str, int]]
    weighing: Weighing
    history: tuple[tuple[float, float, float], ...]

    def reads_by(self, encoder: str) -> Self:
        """Itself, where it reads vectors of the encoder of this name.

        Raises
        ------
        UsageError
            It does not.
        """
        if encoder != self.encoder:
            raise UsageError(
                f"the pretrained network reads vectors of {self.encoder}, and this shop is read by {encoder}. "
                "Set the encoder in [engine.encoder], or pretrain with this one."
            )
        return self

    def save(self, folder: Path) -> None:
        """Write it as a directory, whole or not at all."""
        manifest = {
            "made_of": dict(self.made_of),
            "encoder": self.encoder,
            "learnt_from": {name: dict(counts) for name, counts in self.learnt_from.items()},
            "weighing": asdict(self.weighing),
            "history": [[None if math.isnan(value) else value for value in entry] for entry in self.history],
        }
        write(Artefact(KIND, manifest, {"space": self.space.arrays(), "weights": self.weights}), folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what ``save`` wrote.

        Raises
        ------
        ArtefactError
            The folder is damaged, foreign or of another format; the message says which.
        """
        found = read(Path(folder), KIND)
        try:
            return cls(
                SharedSpace.from_arrays(found.arrays["space"]),
                found.arrays["weights"],
                {name: found.manifest["made_of"][name] for name in MADE_OF},
                str(found.manifest["encoder"]),
                found.manifest["learnt_from"],
                Weighing(**found.manifest["weighing"]),
                tuple((or_nan(a), or_nan(b), or_nan(c)) for a, b, c in found.manifest["history"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError(f"{folder} is not a pretrained network this palate can read ({error}).") from None
