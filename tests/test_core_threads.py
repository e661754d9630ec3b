"""One number of threads: who says it, what a machine allows, and that libraries keep to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import UsageError
from palate.core.threads import _quota, available, limit_threads, threads

LOADED = """
import json, sys
from palate.core.threads import limit_threads
limit_threads()
import implicit.cpu.als, lightgbm, numpy, polars, torch
from threadpoolctl import threadpool_info
numpy.ones((2, 2)) @ numpy.ones((2, 2))
pools = [pool["num_threads"] for pool in threadpool_info()]
print(json.dumps([torch.get_num_threads(), polars.thread_pool_size(), *pools]))
"""


@given(st.integers(1, 999))
def test_the_variable_of_palate_wins(count: int) -> None:
    assert threads({"PALATE_THREADS": f" {count} ", "OMP_NUM_THREADS": "7"}) == count
    assert threads({"OMP_NUM_THREADS": f"{count},2"}) == count


@pytest.mark.parametrize(
    "environment", [{}, {"PALATE_THREADS": ""}, {"OMP_NUM_THREADS": "0"}, {"OMP_NUM_THREADS": "x"}]
)
def test_without_a_word_it_is_what_there_is(environment: dict[str, str]) -> None:
    assert threads(environment) == available() >= 1


@pytest.mark.parametrize("told", ["0", "-1", "two", "1.5", "²"])
def test_what_is_no_number_is_refused_with_what_to_say(told: str) -> None:
    with pytest.raises(UsageError, match=f"PALATE_THREADS={told}: .* whole number above 0"):
        threads({"PALATE_THREADS": told})


@pytest.mark.parametrize(
    ("files", "own", "granted"),
    [
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"cpu.max": "max 100000"}, "0::/", float("inf")),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000", "cpu.max": "max 1"}, "0::/a/b", 4.0),
        ({"a/cpu.max": "100000 100000", "a/b/cpu.max": "300000 100000"}, "1:name=x:/\n0::/a/b", 1.0),
        ({"cpu.max": "200000 100000"}, "0::/named/outside/only", 2.0),
        ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/", 2.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "", float("inf")),
        ({}, "", float("inf")),
    ],
)
def test_quotas_of_control_groups(files: dict[str, str], own: str, granted: float, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(f"{text}\n", encoding="utf-8")
    (tmp_path / "own").write_text(own, encoding="utf-8")
    assert _quota(tmp_path / "groups", tmp_path / "own") == granted


def test_every_library_keeps_to_it() -> None:
    said = {**os.environ, "PALATE_THREADS": "1", "OMP_NUM_THREADS": "2", "POLARS_MAX_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", LOADED], env=said, capture_output=True, text=True, check=True)  # noqa: S603
    found = json.loads(done.stdout)
    assert len(found) > 3
    assert set(found) == {1}


def test_libraries_that_are_there_already_are_held_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        monkeypatch.setenv(name, "2")
    for name in ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.setenv(name, "2")
    with threadpool_limits(limits=None):
        torch.set_num_threads(2)
        monkeypatch.delenv("PALATE_THREADS", raising=False)
        limit_threads(only_if_told=True)
        assert torch.get_num_threads() == 2, "nobody asked"
        monkeypatch.setenv("PALATE_THREADS", "1")
        limit_threads(only_if_told=True)
        assert torch.get_num_threads() == 1
        assert os.environ["OMP_NUM_THREADS"] == "1"
        torch.set_num_threads(before)


def test_the_command_line_refuses_what_is_no_number() -> None:
    said = {**os.environ, "PALATE_THREADS": "many"}
    done = subprocess.run(
        [sys.executable, "-m", "palate", "doctor"], env=said, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("palate: PALATE_THREADS=many")
