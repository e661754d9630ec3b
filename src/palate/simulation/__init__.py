"""Worlds with a known truth: the demo shop, and markets for prices."""

from palate.simulation.market import Market, make_market
from palate.simulation.market_settings import MARKETS, MarketSettings
from palate.simulation.shop import Shop, ShopSettings, make_shop, read_truth, write_shop
from palate.simulation.truth import Truth

__all__ = [
    "MARKETS",
    "Market",
    "MarketSettings",
    "Shop",
    "ShopSettings",
    "Truth",
    "make_market",
    "make_shop",
    "read_truth",
    "write_shop",
]
