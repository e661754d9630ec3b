"""An engine with baskets and knowledge: what it decided it says, and what it saved it answers again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palate.core import Queries
from palate.engine import Engine, EngineSettings
from palate.models.knowledge import KnowledgeSettings
from tests.test_models_baskets import grocer


def test_an_engine_of_baskets_says_what_it_decided_and_answers_alike_when_loaded(tmp_path: Path) -> None:
    dataset = grocer(1_200)
    known = tmp_path / "known.txt"
    known.write_text("m0 -> m1t4\nnothing -> m2\n", encoding="utf-8")
    settings = EngineSettings(sources=("popularity", "repeats", "baskets", "knowledge", "transitions"))
    models = settings.models.model_copy(update={"knowledge": KnowledgeSettings(file=str(known))})
    engine = Engine.fit(dataset, settings=settings.model_copy(update={"models": models}), inner="baskets")
    assert set(engine.sources) == {"popularity", "repeats", "baskets", "knowledge", "transitions"}
    said = " ".join(engine.notes)
    assert "seen items stay" in said
    assert "'nothing' (line 2)" in said
    assert "due" in engine.pipeline.names
    queries = dataset.queries(np.arange(6, dtype=np.int32), k=4, mask_seen=False)
    engine.save(tmp_path / "engine")
    again = Engine.load(tmp_path / "engine")
    np.testing.assert_array_equal(again.rank(queries).items, engine.rank(queries).items)
    unknown = Queries.of([[dataset.item_ids.position("m0t0")]], k=3)
    assert len(again.rank(unknown).row(0)) == 3
