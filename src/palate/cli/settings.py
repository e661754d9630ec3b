"""The tree that ``palate.toml`` mirrors: what each verb takes where the command line is silent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from palate.core import Kind, Settings
from palate.core.configuration import read_settings
from palate.engine.settings import EngineSettings
from palate.forecast.settings import ForecastSettings, SeriesSettings
from palate.language.generation_choice import GenerationSettings
from palate.language.tuning.settings import AdaptSettings
from palate.models.association import AssociationSettings
from palate.pricing.configuration import PricingSettings
from palate.serving.settings import ServingSettings

FILE = "palate.toml"


class KindSettings(Settings):
    """A kind of event of the user's own, or another weight for a usual one."""

    name: str
    weight: float = 1.0


class DataSettings(Settings):
    """How a folder of data is read.

    Parameters
    ----------
    columns
        Canonical name -> name in the files, for columns without a usual name.
    kinds
        Own kinds of event.
    keep_duplicates, drop_bots
        See ``Dataset.load``.
    quarantine
        A file for rejected rows; "" for none.
    time_zone
        Of times of day in the files that name no zone.
    vectors
        Block -> file of item vectors (of images, of sound), ``image = "image.safetensors"``.
    """

    columns: dict[str, str] = Field(default_factory=dict)
    kinds: tuple[KindSettings, ...] = ()
    keep_duplicates: bool = False
    drop_bots: bool = False
    quarantine: str = ""
    time_zone: str = "UTC"
    vectors: dict[str, str] = Field(default_factory=dict)

    def own_kinds(self) -> tuple[Kind, ...]:
        return tuple(Kind(kind.name, kind.weight) for kind in self.kinds)


class TrainingSettings(Settings):
    """How an engine is trained."""

    preset: str = "balanced"
    seed: int = 0


class EvaluationSettings(Settings):
    """How a folder is evaluated."""

    protocol: str = "temporal"
    seen: str = "auto"


class ServeSettings(ServingSettings):
    """Where the server listens: this machine only, unless told otherwise; and how it behaves at its door.

    Parameters
    ----------
    log, vault
        Files of the event log and of the key vault; "" for a place in the user's own data folder.
    """

    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65_535)
    log: str = ""
    vault: str = ""


class PalateSettings(Settings):
    """All of it; one table of ``palate.toml`` a component."""

    data: DataSettings = Field(default_factory=DataSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    adapt: AdaptSettings = Field(default_factory=AdaptSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)
    rules: AssociationSettings = Field(default_factory=AssociationSettings)
    forecast: ForecastSettings = Field(default_factory=ForecastSettings)
    series: SeriesSettings = Field(default_factory=SeriesSettings)
    serving: ServeSettings = Field(default_factory=ServeSettings)
    generation: GenerationSettings = Field(default_factory=GenerationSettings)
    pricing: PricingSettings = Field(default_factory=PricingSettings)

    def engine_of(self, preset: str) -> EngineSettings:
        """A preset with what ``[engine]`` says laid over it.

        Raises
        ------
        UsageError
            There is no such preset.
        """
        laid: EngineSettings = _laid_over(EngineSettings.preset(preset), self.engine)
        return laid


def _laid_over(base: Any, changes: BaseModel) -> Any:
    """A copy of ``base`` with every setting that was said in ``changes``, however deep."""
    said = {name: getattr(changes, name) for name in changes.model_fields_set}
    return base.model_copy(
        update={
            name: _laid_over(getattr(base, name), value) if isinstance(value, BaseModel) else value
            for name, value in said.items()
        }
    )


def settings_for(folder: Path | None, config: Path | None) -> PalateSettings:
    """Settings from ``config``, else ``palate.toml`` in the folder, else the one here; the environment overrides.

    Raises
    ------
    UsageError
        The file or a variable holds something that is no setting.
    """
    if config is None:
        places = [place / FILE for place in (folder, Path()) if place is not None]
        config = next((place for place in places if place.is_file()), None)
    return read_settings(PalateSettings, config, os.environ)
