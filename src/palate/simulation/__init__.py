"""Worlds with a known truth: the demo shop."""

from palate.simulation.shop import Shop, ShopSettings, make_shop, read_truth, write_shop
from palate.simulation.truth import Truth

__all__ = ["Shop", "ShopSettings", "Truth", "make_shop", "read_truth", "write_shop"]
