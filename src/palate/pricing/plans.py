"""What prices go by: one plan in force, others in the arms of experiments, and all of them as the log names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from palate.pricing.asking import PriceArm
from palate.pricing.beliefs import Believed, Earlier, earlier, keep
from palate.pricing.configuration import PricingSettings
from palate.pricing.deciding import Way
from palate.pricing.decisions import DecisionLog, Rules
from palate.pricing.packs import Packs
from palate.pricing.terms import PricingPolicy

_RULES_EVERY = 50_000
"""Decisions after which rules are written again, so that retention never parts the two."""


@dataclass(frozen=True)
class Plan:
    """A belief, and the settings with its policy in them.

    Parameters
    ----------
    settings
        Of the whole shop; between plans of the same time only the policy differs.
    """

    believed: Believed
    settings: PricingSettings


@dataclass(frozen=True)
class Adopted:
    """A plan under the version that decisions name it by."""

    version: str
    rules: Rules
    way: Way


class Plans:
    """The plans of one quoter, used under its lock but for ``named``.

    Parameters
    ----------
    versions
        A folder where each belief is kept for doing its decisions again; None: only those of now can be.
    """

    def __init__(self, packs: Packs, versions: Path | None) -> None:
        self._packs = {name: pack.model_dump(mode="json") for name, pack in packs.by_id.items()}
        self._versions = versions
        self._earlier: Earlier = (lambda version: None) if versions is None else earlier(versions)
        self._known: dict[str, Rules] = {}
        self._written: dict[str, int] = {}
        self._since = 0

    def adopt(self, in_force: Adopted, arms: Mapping[str | None, Adopted]) -> None:
        """From now on prices are made by these; ``arms`` by ``PriceArm.pricing``."""
        self.in_force, self._arms = in_force, dict(arms)
        now = (self.in_force, *self._arms.values())
        self._policies = {own.rules.model: own.way.policy for own in now}
        self._known = {own.version: own.rules for own in now}
        self.forget_written()

    def of(self, arm: PriceArm | None) -> Adopted:
        """By what the price of an item is made."""
        return self.in_force if arm is None else self._arms.get(arm.pricing, self.in_force)

    def unwritten(self, plans: Sequence[Adopted], day: int) -> list[Adopted]:
        """Those of a decision's plans whose rules are to be written before it; they count as written then."""
        if self._since >= _RULES_EVERY:
            self.forget_written()
        self._since += 1
        due = {own.version: own for own in plans if self._written.get(own.version) != day}
        self._written.update(dict.fromkeys(due, day))
        return list(due.values())

    def forget_written(self) -> None:
        """The next decision writes its rules down anew."""
        self._written.clear()
        self._since = 0

    def rules_of(self, versions: set[str], log: DecisionLog) -> Mapping[str, Rules]:
        """Rules by version, those asked for among them where they are still known."""
        if not versions <= self._known.keys():
            self._known.update(log.rules())
        return self._known

    def policy_of(self, model: str) -> PricingPolicy | None:
        """The policy of a model version, None where it is not here."""
        return self._policies.get(model) or self._earlier(model)

    def named(self, plan: Plan) -> Adopted:
        """A plan by its version, its belief written down; takes a file's time, and no lock."""
        if self._versions is not None:
            keep(plan.believed, self._versions)
        settings, policy = plan.settings, plan.believed.policy
        rules = Rules(
            settings.guard,
            settings.rungs,
            policy.name,
            plan.believed.version,
            settings.model_dump(mode="json"),
            self._packs,
        )
        return Adopted(rules.version, rules, Way(policy, settings.guard, settings.rungs))
