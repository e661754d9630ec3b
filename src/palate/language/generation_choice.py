"""Which generator writes: the endpoint that settings name, the model in a folder, or templates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from palate.core import Settings
from palate.language.generation import TemplateGenerator, TextGenerator
from palate.language.generation_cache import Remembering, ReplyCache, ReplyCacheSettings
from palate.language.generation_http import Endpoint, EndpointSettings
from palate.language.generation_ledger import Budgeted, BudgetSettings, Ledger
from palate.language.generation_local import LocalGenerator, LocalSettings


class GenerationSettings(Settings):
    """Who writes texts: an endpoint where it has an address, else a local model where it has a folder, else templates.

    Parameters
    ----------
    budget
        What a day may cost, whoever writes.
    replies
        Bounds of what is remembered.
    """

    endpoint: EndpointSettings = Field(default_factory=EndpointSettings)
    local: LocalSettings = Field(default_factory=LocalSettings)
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    replies: ReplyCacheSettings = Field(default_factory=ReplyCacheSettings)

    @property
    def asks(self) -> bool:
        """Whether a model is named at all."""
        return bool(self.endpoint.url or self.local.path)


def text_generator(
    settings: GenerationSettings | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    cache: Path | None = None,
    ledger: Path | None = None,
) -> TextGenerator:
    """The generator of these settings, within its budget and with a memory.

    Parameters
    ----------
    environment
        Where the key is; ``os.environ`` where None.
    cache, ledger
        Folder of remembered replies and file of the ledger; their usual places where None.

    Raises
    ------
    UsageError
        A key would cross the network in the clear.
    DataError
        The local model's folder is not there.
    """
    settings = settings or GenerationSettings()
    generator: TextGenerator
    if settings.endpoint.url:
        variables = os.environ if environment is None else environment
        generator = Endpoint(settings.endpoint, variables.get(settings.endpoint.key_variable, ""))
    elif settings.local.path:
        generator = LocalGenerator(settings.local)
    else:
        return TemplateGenerator()
    budgeted = Budgeted(generator, Ledger(settings.budget, ledger))
    return Remembering(budgeted, ReplyCache(cache, settings.replies))
