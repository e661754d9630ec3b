"""Settings: one frozen model a component, unknown keys refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every component's settings.

    Each hyper-parameter is written once, beside the component that uses it. Instances are immutable; a changed copy
    comes from ``settings.model_copy(update={...})``. Unknown keys are an error, so a misspelt name never passes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
