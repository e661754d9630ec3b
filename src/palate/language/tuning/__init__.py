"""The language model is taught: one trunk, several ways to let it learn, several heads to learn from.

Imports torch; ``palate.language`` does not import it.
"""

from palate.language.tuning.contrast import Contrast, ContrastSettings, Lessons
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.judging import Judging, Match, Pairs
from palate.language.tuning.objective import Objective, teach
from palate.language.tuning.reading import Reading
from palate.language.tuning.saving import load_tuned, merged, save_encoder
from palate.language.tuning.settings import Method, TrunkSettings, TuningSettings
from palate.language.tuning.trunk import Trunk, open_trunk
from palate.language.tuning.vectors import Vectors, VectorSettings

__all__ = [
    "Contrast",
    "ContrastSettings",
    "Corpus",
    "Judging",
    "Lessons",
    "Match",
    "Method",
    "Objective",
    "Pairs",
    "Reading",
    "Trunk",
    "TrunkSettings",
    "TuningSettings",
    "VectorSettings",
    "Vectors",
    "load_tuned",
    "merged",
    "open_trunk",
    "save_encoder",
    "teach",
]
