"""A training that is killed half-way and run again, for every model that learns by steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.testing import small_shop
from palate.training import loop


def check_killed_and_resumed(make: Callable[[], Any], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A model of at least five epochs, killed in its third, ends where the uninterrupted one does, and tidies up."""
    patch.setattr(loop, "SAVE_EVERY", 0.0)
    patch.setenv("PALATE_CACHE", str(folder))
    data = small_shop()
    whole = make().fit(data)

    def dies(stage: str, _share: float) -> None:
        if stage.startswith("epoch 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make().fit(data, dies)
    assert len(list((folder / "training").iterdir())) == 1
    seen: list[str] = []
    again = make().fit(data, lambda stage, _: seen.append(stage))
    assert seen[0].startswith("epoch 3")
    np.testing.assert_array_equal(again.item_vectors, whole.item_vectors)
    assert not list((folder / "training").iterdir())
