"""The assembled, saved, loadable whole: fit, recommend, explain, update."""

from palate.engine.answers import Answer, Explanation, Question, Reason, Recommendation, Updated
from palate.engine.engine import Engine
from palate.engine.portraits import Portrait
from palate.engine.settings import PRESETS, EngineSettings

__all__ = [
    "PRESETS",
    "Answer",
    "Engine",
    "EngineSettings",
    "Explanation",
    "Portrait",
    "Question",
    "Reason",
    "Recommendation",
    "Updated",
]
