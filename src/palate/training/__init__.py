"""Teaching networks by steps: one loop that can be stopped and resumed, for everything that has weights to learn."""

from palate.training.settings import Report, TrainingSettings

__all__ = ["Report", "TrainingSettings"]
