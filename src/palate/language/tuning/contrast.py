"""Contrastive tuning: what belongs together shall read alike.

A lesson says that some texts (what somebody had; or one text, who somebody is) lead to a text (what came next). The
mean of the vectors of the first, newer ones weighing more, shall be nearest to the vector of the second among all
texts of the batch: a softmax over its distinct texts, each of which is encoded once, corrected for how often it is met
(logQ, Yi et al., 2019) and blind to what the lesson itself holds. With a head of their own for the first, what leads to
what has a direction, as it has between the questions and passages of Karpukhin et al. (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xxhash
from torch import Tensor, nn
from torch.nn import functional

from palate.core import DataError, Histories, Int64Array, IntArray
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.objective import Objective
from palate.language.tuning.settings import ContrastSettings
from palate.language.tuning.vectors import Vectors

_OTHERS = 4_096
"""Texts drawn beside those of a batch where their states are kept."""

_ASKED = 3_000
"""Lessons that validation asks, at most."""


@dataclass(frozen=True)
class Lessons:
    """n lessons over texts that are named by their rows.

    Parameters
    ----------
    context
        n histories of rows, their weights what each counts.
    targets
        int32 (n,), rows.
    groups
        int32 (n,), lessons of one group share texts and are had together.
    negatives
        int32 (n, h), rows of texts that are near but wrong, -1 pads; None: only what the batch has.
    """

    context: Histories
    targets: IntArray
    groups: IntArray
    negatives: IntArray | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def of_histories(cls, sequences: Histories, window: int = 8, decay: float = 0.6) -> Lessons:
        """Every event but the first of each history, from the newest ``window`` events before it."""
        row = sequences.rows
        answers = np.nonzero(np.arange(len(row)) > sequences.indptr[:-1][row])[0]
        starts = np.maximum(sequences.indptr[:-1][row[answers]], answers - window)
        context = sequences.between(starts, answers)
        weights = context.weights * np.float32(decay) ** context.ages
        context = Histories(context.indptr, context.items, context.times, context.kinds, weights.astype(np.float32))
        return cls(context, sequences.items[answers], row[answers])

    @classmethod
    def of_pairs(cls, left: IntArray, right: IntArray, negatives: IntArray | None = None) -> Lessons:
        """One text leads to another: a user's to an item's, or two that are bought together."""
        each = np.asarray(left, np.int32)
        n = len(each)
        context = Histories(np.arange(n + 1), each, np.full(n, np.nan), np.zeros(n, np.int8), np.ones(n, np.float32))
        return cls(context, np.asarray(right, np.int32), each, negatives)

    def take(self, rows: Int64Array) -> Lessons:
        """These lessons."""
        negatives = None if self.negatives is None else self.negatives[rows]
        return Lessons(self.context.take(rows.astype(np.int32)), self.targets[rows], self.groups[rows], negatives)

    def readable(self, says: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Lessons:
        """Without texts that say nothing, and without lessons that they leave empty."""
        context = self.context.where(says[self.context.items])
        negatives = self.negatives
        if negatives is not None:
            negatives = np.where((negatives >= 0) & says[negatives], negatives, -1).astype(np.int32)
        kept = Lessons(context, self.targets, self.groups, negatives)
        return kept.take(np.nonzero((context.lengths > 0) & says[self.targets])[0])


class Contrast(Objective):
    """Lessons for vectors.

    Parameters
    ----------
    corpus
        The texts.
    vectors
        The head that is taught.
    asking
        The head that texts are read by that lead to others, where it is another one; taught too.
    lessons
        To learn from.
    held_out
        To ask on validation, among all texts; None: validation asks nothing.
    hide
        Whether a lesson's own texts are no answers to it.
    """

    name = "contrast"

    def __init__(
        self,
        corpus: Corpus,
        vectors: Vectors,
        lessons: Lessons,
        held_out: Lessons | None = None,
        *,
        asking: Vectors | None = None,
        settings: ContrastSettings | None = None,
        hide: bool = True,
    ) -> None:
        super().__init__()
        self.settings = settings or ContrastSettings()
        self.corpus, self.vectors, self.asking, self.hide = corpus, vectors, asking, hide
        given = self.settings.others
        self.others = given if given is not None else _OTHERS if corpus.trunk.frozen else 0
        self.all_answer = len(corpus) <= 2 * self.others
        self.known = lessons.readable(corpus.says)
        self.held_out = None if held_out is None else held_out.readable(corpus.says)
        self.lessons = len(self.known)
        if not self.lessons:
            raise DataError("there is nothing to learn from: no two events of one user have a text")
        self.sharpness = nn.Parameter(torch.tensor(-np.log(self.settings.temperature), dtype=torch.float32))
        met = np.bincount(self.known.context.items, minlength=len(corpus)).astype(np.float64)
        met += np.bincount(self.known.targets, minlength=len(corpus))
        self._met = met / self.lessons

    def order(self, rng: np.random.Generator) -> Int64Array:
        """Groups in drawn order, the lessons of each together."""
        groups = self.known.groups
        return np.argsort(rng.permutation(int(groups.max()) + 1)[groups], kind="stable")

    def loss(self, rows: Int64Array, generator: torch.Generator) -> Tensor:
        lessons, settings = self.known.take(rows), self.settings
        context, targets = lessons.context, lessons.targets
        wrong = np.empty(0, np.int32) if lessons.negatives is None else lessons.negatives[lessons.negatives >= 0]
        drawn = self._drawn(generator)
        texts, places = np.unique(np.concatenate([context.items, targets, wrong, drawn]), return_inverse=True)
        texts = texts.astype(np.int64)
        said = self.corpus.drawn(texts, generator)
        states = self.corpus.states(said)
        vectors = self.vectors.of(self.corpus, said, states)
        had, wanted = places[: len(context.items)], torch.from_numpy(places[len(context.items) :][: len(targets)])
        read = torch.from_numpy(had)
        if self.asking is None:
            asked = _means(vectors, read, context)
        else:
            own_texts, own_places = np.unique(had, return_inverse=True)
            own_vectors = self.asking.of(self.corpus, said[own_texts], states[torch.from_numpy(own_texts)])
            asked = _means(own_vectors, torch.from_numpy(own_places), context)
        with self.corpus.trunk.autocast():
            likeness = asked @ vectors.T
        scores = self.sharpness.exp().clamp_max(200.0) * likeness.float()
        # The chance that a batch of this size, or the draw, holds the text.
        draws = np.inf if self.all_answer else self.others / len(self.corpus)
        chance = -np.expm1(-self._met[texts] * len(rows) - draws)
        scores = scores - settings.correction * torch.from_numpy(np.log(np.maximum(chance, 1e-9)).astype(np.float32))
        if self.hide:
            own = torch.zeros(scores.shape, dtype=torch.bool)
            own[torch.from_numpy(context.rows.astype(np.int64)), read] = True
            own[torch.arange(len(targets)), wanted] = False
            scores = scores.masked_fill(own, float("-inf"))
        return functional.cross_entropy(scores, wanted)

    def _drawn(self, generator: torch.Generator) -> IntArray:
        """Rows of texts that a lesson's answer is told from, beside those of its batch."""
        n = len(self.corpus)
        if self.all_answer:
            return np.nonzero(self.corpus.says)[0].astype(np.int32)
        drawn = torch.randint(n, (self.others,), generator=generator).numpy().astype(np.int32)
        return drawn[self.corpus.says[drawn]]

    def quality(self) -> float | None:
        """N@10 of the held-out lessons among all texts; None where there are none."""
        if self.held_out is None or not len(self.held_out):
            return None
        lessons = self.held_out
        if len(lessons) > _ASKED:
            lessons = lessons.take(np.sort(np.random.default_rng(0).permutation(len(lessons))[:_ASKED]))
        offered = self.encoded()
        return ndcg(offered if self.asking is None else self.encoded(self.asking), offered, lessons, self.hide)

    def encoded(self, head: Vectors | None = None) -> Tensor:
        """Vectors of all texts by this head, the one for what is offered where None; float32 (n, d)."""
        parts = np.array_split(np.arange(len(self.corpus)), max(1, len(self.corpus) // 4096))
        with torch.no_grad():
            return torch.cat([(head or self.vectors).of(self.corpus, part) for part in parts])

    def digest(self) -> str:
        told = (self.corpus.digest, self.settings.model_dump_json(), str(self.hide), f"{self.vectors}{self.asking}")
        digest = xxhash.xxh3_128("".join(told).encode())
        for lessons in (self.known, self.held_out):
            if lessons is not None:
                for array in (lessons.context.indptr, lessons.context.items, lessons.context.weights, lessons.targets):
                    digest.update(np.ascontiguousarray(array).tobytes())
                digest.update(b"" if lessons.negatives is None else np.ascontiguousarray(lessons.negatives).tobytes())
        return digest.hexdigest()


def ndcg(asking: Tensor, vectors: Tensor, lessons: Lessons, hide: bool) -> float:
    """N@10 of the targets by cosine with the mean of the context's asking vectors, among all vectors."""
    total = 0.0
    for start in range(0, len(lessons), 512):
        part = lessons.take(np.arange(start, min(start + 512, len(lessons))))
        items = torch.from_numpy(part.context.items.astype(np.int64))
        scores = _means(asking, items, part.context) @ vectors.T
        mine = scores.gather(1, torch.from_numpy(part.targets.astype(np.int64))[:, None])
        if hide:
            scores[torch.from_numpy(part.context.rows.astype(np.int64)), items] = -torch.inf
        rank = (scores > mine).sum(dim=1)
        total += float(torch.where(rank < 10, 1 / torch.log2(rank + 2.0), 0.0).sum())
    return total / max(len(lessons), 1)


def _means(vectors: Tensor, read: Tensor, context: Histories) -> Tensor:
    """The weighted mean of each lesson's vectors, to length 1."""
    rows = torch.from_numpy(context.rows.astype(np.int64))
    weighted = vectors[read] * torch.from_numpy(context.weights)[:, None]
    return functional.normalize(torch.zeros(len(context), vectors.shape[1]).index_add(0, rows, weighted), dim=1)


def distinct(texts: Sequence[str], more: Sequence[str]) -> tuple[list[str], IntArray, IntArray]:
    """All distinct texts, and the rows of the first and of the second among them."""
    places: dict[str, int] = {}
    left = np.array([places.setdefault(text, len(places)) for text in texts], dtype=np.int32)
    right = np.array([places.setdefault(text, len(places)) for text in more], dtype=np.int32)
    return list(places), left, right
