"""Further pre-training on the catalogue's own text: foresee hidden tokens (encoders) or the next one (decoders).

Devlin et al. (2019), Radford et al. (2019), Gururangan et al. (2020). The output vectors of the tokens are those that
they are read by, so only a small transformation is new.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from palate.core import DataError, Int64Array
from palate.language.transformer import padded
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.objective import Objective

_HIDDEN, _MASKED, _SWAPPED = 0.15, 0.8, 0.5
"""Share of tokens to be foreseen; share of them hidden by the mask; share of the rest that another token stands for."""

_KEPT = 256
"""Texts that validation reads, at most."""


class Reading(Objective):
    """Texts to be foreseen token by token.

    Parameters
    ----------
    corpus
        The texts; blank ones are no lessons.
    validation
        Share of the texts held out, at most 256 of them.
    seed
        Draws which are held out, and what is hidden in them.
    """

    name = "reading"

    def __init__(self, corpus: Corpus, validation: float = 0.05, seed: int = 0) -> None:
        super().__init__()
        self.corpus, self.trunk_ = corpus, (corpus.trunk,)
        says = np.nonzero(corpus.says & (np.diff(corpus.offsets)[: len(corpus)] > 2))[0]
        if not len(says):
            raise DataError("there is nothing to read: no text has three tokens")
        says = np.random.default_rng([seed, 5]).permutation(says)
        held = min(int(len(says) * validation), _KEPT)
        self.held_out, read = np.sort(says[:held]), np.sort(says[held:])
        # What says the same as a held-out text in other words would tell it.
        self.rows = np.concatenate([read, corpus.beside(read)])
        self.lessons, self.seed = len(self.rows), seed
        trunk = corpus.trunk
        self.mask = trunk.special("[MASK]", "<mask>")
        if trunk.family == "encoder" and self.mask is None:
            raise DataError(f"{trunk.source} has no mask token, so nothing can be hidden from it")
        self.special = {trunk.special(*names) for names in (("[CLS]", "<s>"), ("[SEP]", "</s>"))} - {None}
        size = trunk.size
        self.transform = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.LayerNorm(size))
        nn.init.eye_(cast(nn.Linear, self.transform[0]).weight)
        self.bias = nn.Parameter(torch.zeros(trunk.vocabulary))
        # The hidden states' scale is the trunk's own; the first steps would otherwise be spent on finding it.
        self.scale = nn.Parameter(torch.tensor(size**-0.5))

    def loss(self, rows: Int64Array, generator: torch.Generator) -> Tensor:
        return self._loss(self.rows[rows], generator)

    def quality(self) -> float | None:
        """The mean probability (geometric) of held-out tokens; None where nothing is held out."""
        if not len(self.held_out):
            return None
        with torch.no_grad():
            return float(torch.exp(-self._loss(self.held_out, torch.Generator().manual_seed(self.seed))))

    def digest(self) -> str:
        return f"{self.corpus.digest}-{self.seed}-{len(self.held_out)}"

    def _loss(self, rows: Int64Array, generator: torch.Generator) -> Tensor:
        """Mean over the foreseen tokens, a stretch of texts of like length at a time."""
        trunk = self.trunk_[0]
        lengths = np.diff(self.corpus.offsets)[rows]
        order = rows[np.argsort(lengths, kind="stable")]
        total, count = torch.zeros(()), 0
        step = max(1, trunk.settings.tokens_per_batch // max(int(lengths.max()), 1))
        for start in range(0, len(order), step):
            ids, mask = padded([self.corpus.tokens[row] for row in order[start : start + step]])
            if trunk.family == "decoder":
                chosen = mask.bool().clone()
                chosen[:, 0] = False
                hidden = trunk(ids, mask)[:, :-1][chosen[:, 1:]]
            else:
                chosen, shown = self._hide(ids, mask, generator)
                hidden = trunk(shown, mask)[chosen]
            wanted = ids[chosen]
            if len(wanted):
                table = cast(Any, trunk.plain()).get_input_embeddings().weight
                logits = functional.linear(self.transform(hidden.float()) * self.scale, table, self.bias)
                total = total + functional.cross_entropy(logits, wanted, reduction="sum")
                count += len(wanted)
        return total / max(count, 1)

    def _hide(self, ids: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Which tokens are to be foreseen, and what is shown instead of them."""
        able = mask.bool()
        for token in self.special:
            able = able & (ids != token)
        chance = torch.rand(ids.shape, generator=generator)
        chosen = able & (chance < _HIDDEN)
        # A text in which chance hides nothing has its likeliest token hidden, so that every text is a lesson.
        first = torch.where(able, chance, 2.0).argmin(dim=1)
        lonely = able.any(dim=1) & ~chosen.any(dim=1)
        chosen[lonely, first[lonely]] = True
        fate = torch.rand(ids.shape, generator=generator)
        other = torch.randint(len(self.bias), ids.shape, generator=generator)
        shown = torch.where(chosen & (fate < _MASKED), self.mask or 0, ids)
        swapped = chosen & (fate >= _MASKED) & (fate < _MASKED + (1 - _MASKED) * _SWAPPED)
        return chosen, torch.where(swapped, other, shown)
