"""What happened and what there is: reading, cleaning, the dataset, the catalogue, splits and the event log."""

from palate.data.catalogue import Catalogue
from palate.data.dataset import Dataset
from palate.data.splits import Fold, cut_at, hold_out_last, time_quantile

__all__ = ["Catalogue", "Dataset", "Fold", "cut_at", "hold_out_last", "time_quantile"]
