"""What likeness is worth: of meaning, of words, and beside them a network's reading of the order; weighed in some shops
for others.

How near two texts have to be before people take one after the other, how fast a taste fades, and what a shared word
counts beside a shared meaning differ little between shops, while what follows what differs much. So four numbers are
carried: those that foretell best the newest events of the shops that have events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import sparse

from palate.core import Float64Array, FloatArray, Histories, Int64Array, IntArray, Queries
from palate.models.lexical import Lexical, LexicalSettings
from palate.models.linear import event_weights, known_events, row_blocks

DECAYS, POWERS, WORDS = (0.5, 0.6, 0.7, 0.85), (1, 2, 3), (0.0, 0.25, 0.5, 1.0, 2.0)
"""What is tried; see ``Weighing``."""

NETWORK = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""The same of the network, once the others are chosen."""

_ASKED = 1_500
"""Questions asked of a shop, at most."""

_ROWS = 64
"""Questions asked at once."""

_CELLS = 8_000_000
"""Cosines of events with items held at once: 32 MB."""

Logits = Callable[[Histories], FloatArray]
"""What a network says of each item; float32 (n, n_items)."""


@dataclass(frozen=True)
class Weighing:
    """An item's score: the weighted mean over the events of ``cosine ** power + words * (cosine of words)``, and
    ``network`` times the network's logit.

    Parameters
    ----------
    decay
        What an event is worth relative to the next one.
    power
        Of cosines of meaning, negative ones counting 0: the higher, the more the nearest texts stand out.
    words
        What a cosine of words counts.
    network
        What a logit counts; 0: the network is not asked.
    """

    decay: float = 0.6
    power: int = 1
    words: float = 0.0
    network: float = 0.0

    def score(self, vectors: FloatArray, lexical: Lexical, history: Histories, logits: Logits) -> FloatArray:
        """float32 (n, n_items), 0 where there is nothing to go by.

        Parameters
        ----------
        vectors
            float32 (n_items, d), rows of length 1.
        lexical
            Fitted on the catalogue with this ``decay``.
        logits
            The network's.
        """
        history = known_events(history, len(vectors))
        scores = np.zeros((len(history), len(vectors)), dtype=np.float32)
        rows, fading = history.rows, _fading(history, self.decay)
        # An event may be any age, but one that counts next to nothing costs as much as the newest.
        counted = np.flatnonzero(fading)
        for block in row_blocks(len(counted), _CELLS, len(vectors)):
            events = counted[block]
            alike = _alike(vectors, history.items[events]) ** self.power
            scores += _sums(rows[events], fading[events], len(history)) @ alike
        if self.words:
            scores += np.float32(self.words) * _in_common(lexical, history)
        if self.network:
            scores += np.float32(self.network) * logits(history)
        return scores


@dataclass(frozen=True)
class Asked:
    """Questions of a shop with known answers.

    Parameters
    ----------
    vectors, lexical
        As ``Weighing.score`` takes them; the words' own ``decay`` is not looked at.
    histories, answers
        What was taken, and what came then; int64 (n,).
    logits
        Those of a network that has not learnt from this shop; None: there is none, and none is weighed.
    mask_seen
        Whether what a history has is no answer to it.
    """

    vectors: FloatArray
    lexical: Lexical
    histories: Histories
    answers: Int64Array
    logits: Logits | None
    mask_seen: bool

    def quality(self, tried: Sequence[Weighing]) -> Float64Array:
        """N@10 of each weighing; ties count against it."""
        state = self.lexical.arrays()
        words = {decay: reads_words(decay).restore(state) for decay in {one.decay for one in tried}}
        total = np.zeros(len(tried))
        for histories, answers in self._batches():
            alike = _alike(self.vectors, histories.items)
            raised = {power: alike**power for power in {one.power for one in tried}}
            means = {decay: _sums(histories.rows, _fading(histories, decay), len(histories)) for decay in words}
            near = {(decay, power): means[decay] @ raised[power] for decay, power in product(means, raised)}
            common = {decay: _in_common(lexical, histories) for decay, lexical in words.items()}
            said = np.zeros((1, 1), np.float32)
            if self.logits is not None and any(one.network for one in tried):
                said = self.logits(histories)
            for place, one in enumerate(tried):
                scores = near[one.decay, one.power] + np.float32(one.words) * common[one.decay]
                total[place] += self._gained(scores + np.float32(one.network) * said, histories, answers)
        return total / max(min(len(self.answers), _ASKED), 1)

    def _batches(self) -> Iterator[tuple[Histories, Int64Array]]:
        for start in range(0, min(len(self.answers), _ASKED), _ROWS):
            rows = slice(start, min(start + _ROWS, len(self.answers), _ASKED))
            yield self.histories.take(rows), self.answers[rows]

    def _gained(self, scores: FloatArray, histories: Histories, answers: Int64Array) -> float:
        own = scores[np.arange(len(answers)), answers][:, None]
        if self.mask_seen:
            scores[histories.rows, histories.items] = -np.inf
        rank = (scores >= own).sum(axis=1)
        return float(np.where(rank <= 10, 1.0 / np.log2(np.maximum(rank, 1) + 1.0), 0.0).sum())


def weigh(shops: Sequence[Asked]) -> Weighing:
    """The weighing that is best in the geometric mean of the shops' N@10; likeness of meaning alone without any shop.

    A network counts only where every shop has been asked with one that did not know it.
    """
    if not shops:
        return Weighing()
    tried = [Weighing(*numbers) for numbers in product(DECAYS, POWERS, WORDS)]
    best = _best(shops, tried)
    if any(shop.logits is None for shop in shops):
        return best
    return _best(shops, [best, *(replace(best, network=weight) for weight in NETWORK)])


def reads_words(decay: float) -> Lexical:
    """Words in common, faded as meanings are; not fitted yet."""
    return Lexical(LexicalSettings(decay=decay))


def _best(shops: Sequence[Asked], tried: Sequence[Weighing]) -> Weighing:
    """Of equal ones the first."""
    found = [np.log(np.maximum(shop.quality(tried), 1e-9)) for shop in shops]
    return tried[int(np.mean(found, axis=0).argmax())]


def _alike(vectors: FloatArray, items: IntArray) -> FloatArray:
    """Cosines of some items with all, negative ones 0; float32 (m, n_items)."""
    return np.asarray(np.maximum(vectors[items] @ vectors.T, 0), dtype=np.float32)


def _fading(history: Histories, decay: float) -> FloatArray:
    """Weight of each event, those of a history adding up to 1; float32 (m,)."""
    weights = event_weights(history, decay)
    sums = np.bincount(history.rows, weights=weights, minlength=len(history))
    return (weights / np.maximum(sums, np.finfo(np.float32).tiny)[history.rows]).astype(np.float32)


def _sums(rows: IntArray, weights: FloatArray, n: int) -> sparse.csr_matrix:
    """Weighted sums of events by the rows they belong to; float32 (n, m)."""
    return sparse.csr_matrix((weights, (rows, np.arange(len(rows)))), shape=(n, len(rows)), dtype=np.float32)


def _in_common(lexical: Lexical, history: Histories) -> FloatArray:
    """Weighted mean of the cosines of words; float32 (n, n_items)."""
    weights = event_weights(history, lexical.settings.decay)
    sums = np.bincount(history.rows, weights=weights, minlength=len(history)).astype(np.float32)
    means = lexical.score(Queries(history)) / np.maximum(sums, np.finfo(np.float32).tiny)[:, None]
    return np.asarray(means, dtype=np.float32)
