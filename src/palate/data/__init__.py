"""What happened and what there is: reading, cleaning, the dataset, the catalogue, splits and the event log."""

from palate.data.baskets import Baskets
from palate.data.catalogue import Catalogue
from palate.data.dataset import Dataset
from palate.data.filters import matches
from palate.data.report import Report
from palate.data.splits import Fold, cut_at, cut_at_baskets, hold_out_last, time_quantile
from palate.data.validation import Checked, events_frame, items_frame, users_frame

__all__ = [
    "Baskets",
    "Catalogue",
    "Checked",
    "Dataset",
    "Fold",
    "Report",
    "cut_at",
    "cut_at_baskets",
    "events_frame",
    "hold_out_last",
    "items_frame",
    "matches",
    "time_quantile",
    "users_frame",
]
