"""What the loop of experiments switches of prices: the kind of policy that a quoter goes by."""

from __future__ import annotations

from typing import get_args

from palate.core import PalateError
from palate.core.configuration import suggestion
from palate.pricing.beliefs import Believed, believed
from palate.pricing.configuration import PricingSettings
from palate.pricing.quoting import Quoter
from palate.pricing.settings import PolicyKind


class PriceSwitch:
    """A quoter whose policy follows what is in force; its own settings hold where nothing is."""

    def __init__(self, quoter: Quoter) -> None:
        self._quoter, self._own = quoter, quoter.settings
        self._now: str | None = None

    def refuses(self, pricing: str) -> str:
        """Why prices cannot go by this policy; "" where they can."""
        kinds = list(get_args(PolicyKind))
        if pricing not in kinds:
            return f"there is no pricing policy {pricing!r}. {suggestion(pricing, kinds)}"
        try:
            self._changed(pricing)
        except PalateError as error:
            return str(error)
        return ""

    def go_by(self, pricing: str | None) -> None:
        """Price by this policy from the next question on; by the settings' own where None."""
        if pricing == self._now:
            return
        policy, settings = self._changed(pricing)
        self._quoter.change(policy, settings)
        self._now = pricing

    def _changed(self, pricing: str | None) -> tuple[Believed, PricingSettings]:
        kind = self._own.policy.kind if pricing is None else pricing
        policy = self._own.policy.model_validate({**self._own.policy.model_dump(), "kind": kind})
        settings = self._own.model_copy(update={"policy": policy})
        return believed(settings), settings
