"""y = M(F(left text), G(right text), numbers): one value a pair of texts, a probability or a number.

Two forms. Two towers: F and G are maps of the states that the trunk gives each text alone, so states can be kept.
Cross: the trunk reads both texts as one, which sees more and must be read again for every pair; a teacher for towers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import xxhash
from torch import Tensor, nn
from torch.nn import functional

from palate.core import FloatArray, Int64Array, IntArray
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.objective import Objective

Kind = Literal["classification", "regression"]
Form = Literal["towers", "cross"]


@dataclass(frozen=True)
class Pairs:
    """n pairs of texts with what is to be said of them.

    Parameters
    ----------
    left, right
        int32 (n,), rows of a corpus.
    numbers
        float32 (n, f), what is known of a pair beside its texts; f may be 0.
    targets
        float32 (n,), 0 to 1 in classification (soft ones too).
    weights
        float32 (n,), how much each counts.
    """

    left: IntArray
    right: IntArray
    numbers: FloatArray
    targets: FloatArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: Int64Array) -> Pairs:
        """These pairs."""
        return Pairs(self.left[rows], self.right[rows], self.numbers[rows], self.targets[rows], self.weights[rows])


class Match(nn.Module):
    """M over F(left) and G(right): both, their product and distance, and the numbers, through one hidden layer.

    Parameters
    ----------
    size
        Of the trunk.
    numbers
        f.
    width
        Of F, G and the hidden layer.
    """

    middle: Tensor
    unit: Tensor

    def __init__(self, size: int, numbers: int, form: Form, width: int, dropout: float) -> None:
        super().__init__()
        self.form, self.share = form, dropout
        self.register_buffer("middle", torch.zeros(size))
        self.register_buffer("unit", torch.ones(size))
        self.left = nn.Linear(size, width)
        self.right = nn.Linear(size, width) if form == "towers" else None
        self.inner = nn.Linear((4 if form == "towers" else 1) * width + numbers, width)
        self.out = nn.Linear(width, 1)
        # No opinion at the start, so that the first steps learn the mean and not the noise.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def begin(self, corpus: Corpus, pairs: Pairs) -> None:
        """Learn where the states of these pairs lie; they lean all the same way, and differ little beside that."""
        training = corpus.trunk.training
        corpus.trunk.eval()
        with torch.no_grad():
            states = torch.cat([part for part in states_of(corpus, self.form, pairs) if part is not None])
            self.middle.copy_(states.mean(dim=0))
            self.unit.copy_(states.std(dim=0, correction=0).clamp_min(1e-3))
        corpus.trunk.train(training)

    def judge(self, left: Tensor, right: Tensor | None, numbers: Tensor) -> Tensor:
        """One logit or value a pair, float32 (n,), of states (n, h) and numbers (n, f)."""
        f = self.left(self._dropped((left - self.middle) / self.unit))
        parts = [f]
        if self.right is not None and right is not None:
            g = self.right(self._dropped((right - self.middle) / self.unit))
            parts = [f, g, f * g, (f - g).abs()]
        inner = functional.gelu(self.inner(torch.cat([*parts, numbers], dim=1)))
        said: Tensor = self.out(self._dropped(inner))
        return said[:, 0]

    def _dropped(self, states: Tensor) -> Tensor:
        return functional.dropout(states, self.share, self.training)


class Judging(Objective):
    """Pairs to be judged: a click or none, a rating, a score.

    Parameters
    ----------
    corpus
        The texts.
    match
        The head that is taught.
    pairs, held_out
        To learn from, and to ask on validation.
    """

    name = "judging"

    def __init__(self, corpus: Corpus, match: Match, kind: Kind, pairs: Pairs, held_out: Pairs | None = None) -> None:
        super().__init__()
        self.corpus, self.match, self.kind, self.pairs, self.held_out = corpus, match, kind, pairs, held_out
        self.lessons = len(pairs)

    def loss(self, rows: Int64Array, generator: torch.Generator) -> Tensor:
        pairs = self.pairs.take(rows)
        return self._loss(said(self.corpus, self.match, pairs), pairs)

    def quality(self) -> float | None:
        """e to the minus mean loss: the geometric mean of the probability of what happened, where it is one."""
        if self.held_out is None or not len(self.held_out):
            return None
        with torch.no_grad():
            return float(torch.exp(-self._loss(told(self.corpus, self.match, self.held_out), self.held_out)))

    def digest(self) -> str:
        digest = xxhash.xxh3_128(f"{self.corpus.digest}-{self.kind}-{self.match}".encode())
        for pairs in (self.pairs, self.held_out):
            if pairs is not None:
                for array in (pairs.left, pairs.right, pairs.numbers, pairs.targets, pairs.weights):
                    digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _loss(self, answers: Tensor, pairs: Pairs) -> Tensor:
        wanted, weights = torch.from_numpy(pairs.targets), torch.from_numpy(pairs.weights)
        if self.kind == "classification":
            each = functional.binary_cross_entropy_with_logits(answers, wanted, reduction="none")
        else:
            each = functional.mse_loss(answers, wanted, reduction="none")
        return (weights * each).sum() / weights.sum().clamp_min(1e-12)


def said(corpus: Corpus, match: Match, pairs: Pairs) -> Tensor:
    """Logits or values of pairs, float32 (n,)."""
    left, right = states_of(corpus, match.form, pairs)
    return match.judge(left, right, torch.from_numpy(pairs.numbers))


def states_of(corpus: Corpus, form: Form, pairs: Pairs) -> tuple[Tensor, Tensor | None]:
    """States of left and right texts, float32 (n, h) both, each distinct text read once; or of both as one text."""
    if form == "cross":
        sep = corpus.trunk.special("[SEP]", "</s>")
        both = zip(pairs.left, pairs.right, strict=True)
        return corpus.trunk.states([_joined(corpus.tokens[a], corpus.tokens[b], sep) for a, b in both]), None
    texts, places = np.unique(np.concatenate([pairs.left, pairs.right]), return_inverse=True)
    states = corpus.states(texts.astype(np.int64))
    return states[torch.from_numpy(places[: len(pairs)])], states[torch.from_numpy(places[len(pairs) :])]


def told(corpus: Corpus, match: Match, pairs: Pairs) -> Tensor:
    """The same without gradients, a stretch of pairs at a time."""
    with torch.no_grad():
        parts = np.array_split(np.arange(len(pairs)), max(1, len(pairs) // 4096))
        return torch.cat([said(corpus, match, pairs.take(part)) for part in parts])


def _joined(left: list[int], right: list[int], sep: int | None) -> list[int]:
    """Both texts as one; where the family marks beginnings, the second goes without its own."""
    if sep is None or not left or not right:
        return [*left, *right]
    return [*left, *right[1:]]
