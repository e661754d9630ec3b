"""Prices: demand, policies, guard-rails, the law's packs, and a log from which any decision can be done again."""
