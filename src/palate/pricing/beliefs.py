"""What prices go by, kept: a policy and its belief about demand, by a version that is a hash of both.

Every version that ever priced lies in a folder beside the decisions, so that each of them can be done again by the
belief of its time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from palate.core import ArtefactError
from palate.core.artefact import Artefact, read, write
from palate.data.log_rows import canonical
from palate.pricing.configuration import PricingSettings
from palate.pricing.demand import DemandSettings, LogitDemand
from palate.pricing.policies import make_policy
from palate.pricing.settings import PolicySettings
from palate.pricing.terms import PricingPolicy

KIND = "prices"
_BY_DEMAND = frozenset({"greedy", "thompson", "ucb"})

Earlier = Callable[[str], PricingPolicy | None]
"""The policy of a version, None where it is not here."""


@dataclass(frozen=True)
class Believed:
    """A policy as it can be kept.

    Parameters
    ----------
    version
        Of everything its proposals depend on.
    artefact
        From which it comes back; None for a policy made in code, which cannot be kept.
    """

    policy: PricingPolicy
    version: str
    artefact: Artefact | None = None


def believed(settings: PricingSettings, demand: LogitDemand | None = None) -> Believed:
    """The policy that the settings ask for, over what is believed of demand.

    Parameters
    ----------
    demand
        What was learnt while selling; None: the demand that the settings name, or what they say before any sale.

    Raises
    ------
    ArtefactError, UsageError
        The demand is damaged, or of other inputs than the settings declare.
    """
    if settings.policy.kind not in _BY_DEMAND:
        return kept(settings.policy, None)
    return kept(settings.policy, first_demand(settings) if demand is None else demand)


def first_demand(settings: PricingSettings) -> LogitDemand:
    """The demand that the settings name, or what they say before any sale.

    Raises
    ------
    ArtefactError
        The demand is damaged, or of other inputs than the settings declare.
    """
    names = tuple(each.name for each in settings.inputs)
    if not settings.belief:
        return LogitDemand.prior(names, settings.demand)
    found = _restored(read(Path(settings.belief), KIND))
    if found is None or found.names != names:
        told = "none" if found is None else ", ".join(found.names) or "none"
        raise ArtefactError(
            f"{settings.belief} goes by the inputs {told}; [pricing] declares {', '.join(names) or 'none'}."
        )
    return found


def kept(policy: PolicySettings, demand: LogitDemand | None) -> Believed:
    """A policy over a demand, with its version and what it takes to come back."""
    manifest = {
        "policy": policy.model_dump(mode="json"),
        "demand": None if demand is None else demand.settings.model_dump(mode="json"),
        "names": [] if demand is None else list(demand.names),
    }
    arrays = {} if demand is None else {"demand": demand.arrays()}
    digest = xxhash.xxh3_128(canonical(manifest))
    for name, array in sorted(arrays.get("demand", {}).items()):
        digest.update(name.encode() + str((array.dtype, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return Believed(make_policy(policy, demand), digest.hexdigest(), Artefact(KIND, manifest, arrays))


def keep(what: Believed, folder: Path) -> None:
    """Write a version down in a folder of versions, once."""
    if what.artefact is not None and not (folder / what.version).is_dir():
        write(what.artefact, folder / what.version)


def prune(folder: Path, needed: Set[str]) -> int:
    """Let versions go that no decision names any more; returns how many."""
    gone = [each for each in folder.iterdir() if each.is_dir() and each.name not in needed] if folder.is_dir() else []
    for each in gone:
        shutil.rmtree(each, ignore_errors=True)
    return len(gone)


def write_demand(folder: Path, demand: LogitDemand, **more: int) -> None:
    """Write a demand down, whole or not at all; ``settings.belief`` may name the folder."""
    artefact = kept(PolicySettings(kind="greedy"), demand).artefact
    assert artefact is not None  # noqa: S101 - only policies made in code have none
    write(replace(artefact, manifest={**artefact.manifest, **more}), folder)


def read_demand(folder: Path) -> tuple[LogitDemand | None, Mapping[str, Any]]:
    """What ``write_demand`` wrote, and what it was told besides; None where nothing was.

    Raises
    ------
    ArtefactError
        It is damaged.
    """
    if not folder.is_dir():
        return None, {}
    artefact = read(folder, KIND)
    return _restored(artefact), artefact.manifest


def earlier(folder: Path) -> Earlier:
    """Policies by version from a folder of versions, each read once."""
    known: dict[str, PricingPolicy | None] = {}

    def policy(version: str) -> PricingPolicy | None:
        if version not in known:
            # A version comes out of a log: only what can be one is looked for.
            there = version.isalnum() and (folder / version).is_dir()
            known[version] = _policy(read(folder / version, KIND)) if there else None
        return known[version]

    return policy


def _policy(artefact: Artefact) -> PricingPolicy:
    return make_policy(PolicySettings.model_validate(artefact.manifest["policy"]), _restored(artefact))


def _restored(artefact: Artefact) -> LogitDemand | None:
    told = artefact.manifest
    if told.get("demand") is None:
        return None
    prior = LogitDemand.prior(tuple(told["names"]), DemandSettings.model_validate(told["demand"]))
    return prior.restore(artefact.arrays["demand"])
