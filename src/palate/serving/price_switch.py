"""What the loop of experiments and new sales switch of prices: the policies a quoter goes by, and their demand."""

from __future__ import annotations

import threading
from typing import get_args

from palate.core import PalateError
from palate.core.configuration import suggestion
from palate.pricing.beliefs import believed
from palate.pricing.configuration import PricingSettings
from palate.pricing.demand import LogitDemand
from palate.pricing.plans import Plan
from palate.pricing.quoting import Quoter
from palate.pricing.settings import PolicyKind


class PriceSwitch:
    """A quoter whose policies follow what is in force and what is tried, and whose demand follows what was sold.

    Its own settings hold where nothing is in force. Safe to use from many threads.

    Parameters
    ----------
    demand
        What was learnt of demand before; None: what the settings say.
    """

    def __init__(self, quoter: Quoter, demand: LogitDemand | None = None) -> None:
        self._quoter, self._own, self._demand = quoter, quoter.settings, demand
        self._settings: dict[str | None, PricingSettings] = {None: quoter.settings}
        self._pricing: str | None = None
        self._arms: frozenset[str | None] = frozenset()
        self._lock = threading.Lock()

    def refuses(self, pricing: str) -> str:
        """Why prices cannot go by this policy; "" where they can."""
        kinds = list(get_args(PolicyKind))
        if pricing not in kinds:
            return f"there is no pricing policy {pricing!r}. {suggestion(pricing, kinds)}"
        try:
            self._plan(pricing)
        except PalateError as error:
            return str(error)
        return ""

    def go_by(self, pricing: str | None, arms: frozenset[str | None] = frozenset()) -> None:
        """Price by this policy from the next question on, and by ``arms`` where an experiment says so.

        None is the settings' own policy.
        """
        with self._lock:
            if (pricing, arms) != (self._pricing, self._arms):
                self._pricing, self._arms = pricing, arms
                self._adopt()

    def believe(self, demand: LogitDemand) -> None:
        """Price by this demand from the next question on, wherever prices go by demand."""
        with self._lock:
            self._demand = demand
            self._adopt()

    def _adopt(self) -> None:
        self._quoter.go_by(self._plan(self._pricing), {name: self._plan(name) for name in self._arms})

    def _plan(self, pricing: str | None) -> Plan:
        settings = self._settings.get(pricing)
        if settings is None:
            policy = self._own.policy.model_validate({**self._own.policy.model_dump(), "kind": pricing})
            settings = self._settings[pricing] = self._own.model_copy(update={"policy": policy})
        return Plan(believed(settings, self._demand), settings)
