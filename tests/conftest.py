"""What every test may ask for: real data in place, small worlds, a place to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from palate.core import clock

# A deadline for one example measures how busy the machine is, not the code.
# The same examples in every run, so that a failure is the code's; --hypothesis-profile=explore looks for new ones.
settings.register_profile("palate", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("palate")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Vectors are cached where no other process, of another run for one, holds the file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PALATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers compared with each other are of one moment: an hour that strikes between them would tell them apart."""
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)


SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """A folder of real data, or a skip that says loudly what is missing."""
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip(f"REAL DATA MISSING: {folder} is not there; this test ran nothing")
    return folder
