"""An engine on disk: a manifest, arrays, tables. Users stand in it under pseudonyms."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from palate.core import ArtefactError, Ids, Kind, Kinds, UsageError
from palate.core.artefact import Artefact, read, write
from palate.core.threads import limit_threads
from palate.data import Catalogue, Dataset
from palate.engine.assembly import Assembled, build_model
from palate.engine.settings import EngineSettings
from palate.language import CachedEncoder, LaterEncoder, LexicalEncoder, load_encoder
from palate.ranking.attractiveness import Attractiveness, judged_by, judged_names
from palate.ranking.facts import ItemFacts
from palate.ranking.pipeline import Pipeline
from palate.ranking.ranker import Growth, Ranker
from palate.ranking.shown import ShownRanker

if TYPE_CHECKING:
    from palate.engine.engine import Engine

KIND = "engine"

_logger = logging.getLogger("palate.engine")
_KEPT = ("user", "item", "time", "kind", "weight", "value", "quantity", "price", "currency", "dwell")
"""Columns of events an engine needs to answer and to describe people."""
_LIBRARIES = ("numpy", "scipy", "polars", "torch", "lightgbm", "implicit")


def save(engine: Engine, folder: Path) -> None:
    """Write an engine; see ``Engine.save``."""
    pipeline, dataset = engine.counting.at_rest(engine.pipeline), engine.dataset
    arrays: dict[str, Any] = {f"model.{name}": model.arrays() for name, model in pipeline.sources.items()}
    arrays["facts"] = pipeline.facts.arrays()
    arrays["pipeline"] = {"weights": pipeline.weights, "fresh": np.array([pipeline.fresh.every], dtype=np.int64)}
    encoder = _inner(engine)
    if isinstance(encoder, LexicalEncoder):
        arrays["encoder"] = encoder.arrays()
    ranker, bandit = pipeline.ranker, engine.mixing.bandit
    if bandit is not None:
        arrays["bandit"] = bandit.arrays()
    judge = engine.assembled.attractiveness
    if judge is not None:
        arrays["attractiveness"] = judge.arrays()
    foretelling = engine.foretelling.arrays()
    if foretelling is not None:
        arrays["foretelling"] = foretelling
    shown = engine.shown
    if shown is not None:
        arrays["shown"] = shown.arrays()
    manifest = {
        "palate": _version("palate"),
        "name": dataset.name,
        "version": engine.version,
        "fingerprint": dataset.fingerprint,
        "settings": engine.settings.model_dump(mode="json"),
        "sources": list(pipeline.sources),
        "features": list(pipeline.names),
        "ranker": None if ranker is None else asdict(ranker.growth),
        "encoder": None if encoder is None else _encoder_name(engine, encoder),
        "devices": [] if shown is None else list(shown.facts.devices),
        "kinds": [[kind.name, kind.weight] for kind in dataset.kinds],
        "vault": _vault().fingerprint,
        "notes": list(engine.notes),
        "timings": engine.timings,
        "seed": engine.assembled.seed,
        "inner": engine.assembled.inner,
        "masks_seen": engine.masks_seen,
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }
    write(
        Artefact(
            KIND,
            manifest,
            arrays,
            {
                **({} if ranker is None else {_member(row): model for row, model in enumerate(ranker.models)}),
                **({} if judge is None else {"attractiveness.txt": judge.model}),
                **({} if shown is None else {"shown.txt": shown.model}),
                **({} if bandit is None else {"bandit.json": json.dumps(bandit.names())}),
            },
            {
                "events": _anonymous(dataset.events).to_arrow(),
                "users": pl.DataFrame({"user_id": _pseudonyms(dataset.user_ids, engine.forgotten)}).to_arrow(),
                "items": engine.catalogue.frame.to_arrow(),
            },
        ),
        folder,
    )


def load(folder: Path) -> Engine:
    """Read an engine; see ``Engine.load``."""
    from palate.engine.engine import Engine

    limit_threads(only_if_told=True)
    artefact = read(folder, KIND)
    manifest = artefact.manifest
    try:
        settings = EngineSettings.model_validate(manifest["settings"])
        kinds = Kinds(Kind(name, weight) for name, weight in manifest["kinds"])
        items, users = pl.DataFrame(artefact.tables["items"]), pl.DataFrame(artefact.tables["users"])
        events = pl.DataFrame(artefact.tables["events"])
        catalogue = Catalogue(Ids(items["item_id"].to_list()), items)
        dataset = Dataset(
            events, Ids(users["user_id"].to_list(), "user"), catalogue, None, kinds, str(manifest["name"])
        )
        encoder = _encoder(manifest["encoder"], artefact, settings)
        sources = {}
        for name in manifest["sources"]:
            model = build_model(name, settings, encoder)
            sources[name] = model.restore(artefact.arrays[f"model.{name}"])
        names = tuple(manifest["features"])
        ranker = _ranker(manifest["ranker"], artefact, names)
        pipeline = Pipeline(
            sources,
            np.asarray(artefact.arrays["pipeline"]["weights"]),
            ItemFacts.from_arrays(artefact.arrays["facts"]),
            ranker,
            names,
            settings.candidates,
            settings.wish,
            settings.fresh.model_copy(update={"every": int(artefact.arrays["pipeline"]["fresh"][0])}),
        )
        assembled = Assembled(
            pipeline,
            encoder,
            bool(manifest["masks_seen"]),
            int(manifest["seed"]),
            manifest["inner"],
            tuple(manifest["notes"]),
            manifest["timings"],
            _judge(artefact, pipeline),
        )
        engine = Engine(dataset, settings, assembled, _shown(artefact))
        if "foretelling" in artefact.arrays:
            engine.foretelling.restore(artefact.arrays["foretelling"])
        if engine.mixing.bandit is not None and "bandit" in artefact.arrays:
            engine.mixing.bandit.restore(artefact.arrays["bandit"], json.loads(artefact.texts["bandit.json"]))
    except (KeyError, TypeError, ValueError, AttributeError, UsageError, pl.exceptions.PolarsError) as error:
        raise ArtefactError(f"{folder} is not an engine this palate can read ({error}). Train again.") from None
    engine.version = str(manifest["version"])
    if manifest.get("vault") != _fingerprint():
        _logger.warning(
            "%s was saved beside another key vault: users are found by their pseudonyms only, and a user id nobody "
            "here has heard of is answered from what is popular. Point PALATE_VAULT at that vault.",
            folder,
        )
    return engine


def pseudonym(user: str) -> str | None:
    """The name under which a saved engine knows a user; None where no vault was ever made here."""
    from palate.privacy.vault import default_vault_path

    return _vault().pseudonym(user) if default_vault_path().is_file() else None


def _fingerprint() -> str | None:
    """Which vault this machine has; None where it has none."""
    from palate.privacy.vault import default_vault_path

    return str(_vault().fingerprint) if default_vault_path().is_file() else None


def _vault() -> Any:
    from palate.privacy.vault import default_vault_path

    return _opened(default_vault_path())


@lru_cache(maxsize=4)
def _opened(path: Path) -> Any:
    from palate.privacy.vault import Vault

    return Vault(path)


def _pseudonyms(ids: Ids, forgotten: frozenset[str]) -> list[str]:
    """Names under which people are saved: their pseudonyms, and for whoever is forgotten one that leads to nobody."""
    vault = _vault()

    def saved(name: str) -> str:
        if name in forgotten:
            return f"p_{secrets.token_hex(16)}"
        return name if name.startswith("p_") and len(name) == 34 else str(vault.pseudonym(name))

    return [saved(name) for name in ids.names]


def _anonymous(events: pl.DataFrame) -> pl.DataFrame:
    """Events without what people wrote, and without names of visits and baskets or places that lead back to them."""
    return events.select(name for name in _KEPT if name in events.columns)


def _inner(engine: Engine) -> Any:
    encoder = engine.assembled.encoder
    return encoder.encoder if isinstance(encoder, CachedEncoder) else encoder


def _encoder_name(engine: Engine, encoder: Any) -> str:
    return "lexical" if isinstance(encoder, LexicalEncoder) else str(getattr(encoder, "source", None) or "minilm")


def _encoder(name: str | None, artefact: Artefact, settings: EngineSettings) -> Any:
    if name is None:
        return None
    if name == "lexical":
        return CachedEncoder(LexicalEncoder(settings.encoder.lexical).restore(artefact.arrays["encoder"]))
    return CachedEncoder(LaterEncoder(lambda: load_encoder(name, (), settings.encoder), name))


def _member(row: int) -> str:
    """The file of one of the ranker's ensembles."""
    return f"ranker.{row}.txt"


def _ranker(told: Mapping[str, Any] | None, artefact: Artefact, names: tuple[str, ...]) -> Ranker | None:
    if told is None:
        return None
    growth = Growth(tuple(map(int, told["trees"])), float(told["sharpness"]))
    return Ranker(tuple(artefact.texts[_member(row)] for row in range(len(growth.trees))), names, growth)


def _judge(artefact: Artefact, pipeline: Pipeline) -> Attractiveness | None:
    if "attractiveness" not in artefact.arrays:
        return None
    model = artefact.texts["attractiveness.txt"]
    return Attractiveness.restore(model, judged_names(judged_by(pipeline)), artefact.arrays["attractiveness"])


def _shown(artefact: Artefact) -> ShownRanker | None:
    if "shown" not in artefact.arrays:
        return None
    devices = tuple(str(name) for name in artefact.manifest["devices"])
    return ShownRanker.restore(artefact.texts["shown.txt"], devices, artefact.arrays["shown"])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0"
