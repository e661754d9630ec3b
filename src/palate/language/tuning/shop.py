"""The language model learns a shop: what people take one after the other shall read alike."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from palate.core import DataError, Histories
from palate.data import Dataset
from palate.language.generation import TemplateGenerator, TextGenerator
from palate.language.paraphrasing import Paraphrase, paraphrase
from palate.language.tuning.contrast import Contrast, Lessons
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.objective import teach
from palate.language.tuning.reading import Reading
from palate.language.tuning.saving import save_encoder
from palate.language.tuning.settings import AdaptSettings
from palate.language.tuning.trunk import Trunk, open_trunk
from palate.language.tuning.vectors import Vectors
from palate.language.verbalise import item_texts
from palate.training import Report
from palate.training.loop import Trained

_ENOUGH = 20
"""Held-out lessons under which validation would be chance; then the last epoch is kept."""


@dataclass(frozen=True)
class Adapted:
    """A language model that has learnt a shop.

    Parameters
    ----------
    trunk, vectors
        What was taught.
    asking
        The head for what somebody had, where it is another one.
    before, after
        N@10 of held-out events among all items: whitened and untaught, and as it is now; None where none were held out.
    course
        Of the contrastive part.
    corpus
        The catalogue's texts as the trunk reads them.
    others
        How many texts in other words were learnt from, by who wrote them.
    """

    trunk: Trunk
    vectors: Vectors
    before: float | None
    after: float | None
    course: Trained
    corpus: Corpus
    asking: Vectors | None = None
    others: Mapping[str, int] = field(default_factory=dict)

    def save(self, folder: Path, *, whole: bool = False) -> None:
        """Write the encoder; see ``save_encoder``."""
        languages = ("en",) if self.trunk.source == "minilm" else ("*",)
        save_encoder(self.trunk, self.vectors, folder, asking=self.asking, whole=whole, languages=languages)


def adapt(
    dataset: Dataset,
    settings: AdaptSettings | None = None,
    progress: Report | None = None,
    *,
    corpus: Corpus | None = None,
    writer: TextGenerator | None = None,
) -> Adapted:
    """Teach a language model by the histories and the texts of a shop.

    Parameters
    ----------
    corpus
        Of an earlier call with the same model, frozen, and the same catalogue: its texts are not read again.
    writer
        Says texts in other words where the settings ask for that; templates do where None.

    Raises
    ------
    DataError
        There is nothing to learn from: no texts, or no user with two events.
    """
    settings = settings or AdaptSettings()
    texts = item_texts(dataset.catalogue)
    if not any(texts):
        raise DataError("no item has a text, so the language model has nothing to learn from")
    others: list[Paraphrase] = []
    if settings.paraphrases:
        others, _ = paraphrase(writer or TemplateGenerator(), texts, settings.paraphrases)
    if corpus is None or not corpus.trunk.frozen or not corpus.holds(texts, others):
        corpus = Corpus(open_trunk(settings.model, settings.trunk), texts, others)
    trunk = corpus.trunk
    seed, parts = settings.course.seed, 2 if settings.reading and not trunk.frozen else 1

    def hear(part: int) -> Report | None:
        if progress is None:
            return None
        return lambda what, share: progress(what, (part + share) / parts)

    if parts == 2:
        course = settings.course.model_copy(update={"epochs": settings.reading})
        teach(trunk, Reading(corpus, seed=seed), course, progress=hear(0))
    vectors = Vectors.begin(corpus, settings.vectors, seed)
    known, asked = lessons_of(dataset.sequences, settings)
    # Both heads begin as one, so that untaught the two sides say what one does.
    asking = copy.deepcopy(vectors) if settings.vectors.sides == 2 else None
    objective = Contrast(
        corpus, vectors, known, asked, asking=asking, settings=settings.contrast, hide=not dataset.repeats
    )
    before = objective.eval().quality()
    trained = teach(trunk, objective, settings.course, progress=hear(parts - 1))
    by = dict(Counter(one.source for one in others))
    return Adapted(trunk, vectors, before, objective.quality(), trained, corpus, asking, by)


def lessons_of(sequences: Histories, settings: AdaptSettings) -> tuple[Lessons, Lessons | None]:
    """What is learnt from, and what is held out: the newest events of some users."""
    able = np.nonzero(sequences.lengths >= 3)[0]
    size = round(len(able) * settings.held_out)
    everything = Lessons.of_histories(sequences, settings.window, settings.decay)
    if size < _ENOUGH:
        return everything, None
    chosen = np.random.default_rng([settings.course.seed, 7]).permutation(able)[:size]
    last = np.zeros(len(sequences), dtype=bool)
    last[chosen] = True
    # Lessons stand in the order of events, so a user's last one is followed by another user's.
    newest = np.append(everything.groups[1:] != everything.groups[:-1], True) & last[everything.groups]
    rows = np.arange(len(everything))
    return everything.take(rows[~newest]), everything.take(rows[newest])
