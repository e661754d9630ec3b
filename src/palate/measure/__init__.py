"""Pure arithmetic on arrays: ranking and prediction measures, intervals, paired tests, calibration."""

from palate.measure.calibration import Reliability, expected_calibration_error, reliability
from palate.measure.contingency import fisher_greater
from palate.measure.intervals import (
    Comparison,
    Interval,
    benjamini_hochberg,
    compare,
    holm,
    influence_interval,
    mean_interval,
    permutation_test,
    resampled_means,
    t_test,
)
from palate.measure.lists import (
    audience_diversity,
    category_diversity,
    coverage,
    exposure,
    gini,
    novelty,
    vector_diversity,
)
from palate.measure.prediction import Decisions, auc, brier, decisions, log_loss, mae, rmse
from palate.measure.ranking import CUTOFFS, accuracy, distinct, full_ranks, hits, list_ranks, reciprocal

__all__ = [
    "CUTOFFS",
    "Comparison",
    "Decisions",
    "Interval",
    "Reliability",
    "accuracy",
    "auc",
    "audience_diversity",
    "benjamini_hochberg",
    "brier",
    "category_diversity",
    "compare",
    "coverage",
    "decisions",
    "distinct",
    "expected_calibration_error",
    "exposure",
    "fisher_greater",
    "full_ranks",
    "gini",
    "hits",
    "holm",
    "influence_interval",
    "list_ranks",
    "log_loss",
    "mae",
    "mean_interval",
    "novelty",
    "permutation_test",
    "reciprocal",
    "reliability",
    "resampled_means",
    "rmse",
    "t_test",
    "vector_diversity",
]
