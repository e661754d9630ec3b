"""Protocols, comparison, tuning, audits and reports: runs engines and models over data and says what they are worth."""

from palate.evaluation.cases import read_cases
from palate.evaluation.protocols import PROTOCOLS, SEEN, Trial, plan
from palate.evaluation.result import Evaluation
from palate.evaluation.running import evaluate

__all__ = ["PROTOCOLS", "SEEN", "Evaluation", "Trial", "evaluate", "plan", "read_cases"]
