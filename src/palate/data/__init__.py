"""What happened and what there is: reading, cleaning, the dataset, the catalogue, splits and the event log."""

from palate.data.catalogue import Catalogue
from palate.data.dataset import Dataset
from palate.data.filters import matches
from palate.data.report import Report
from palate.data.splits import Fold, cut_at, hold_out_last, time_quantile
from palate.data.validation import Checked, events_frame, items_frame, users_frame

__all__ = [
    "Catalogue",
    "Checked",
    "Dataset",
    "Fold",
    "Report",
    "cut_at",
    "events_frame",
    "hold_out_last",
    "items_frame",
    "matches",
    "time_quantile",
    "users_frame",
]
