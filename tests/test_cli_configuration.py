"""palate.toml and the environment: merged, checked, and refused in words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from palate.cli.folder import EXAMPLE
from palate.cli.settings import PalateSettings, settings_for
from palate.core import Settings, UsageError
from palate.core.configuration import read_settings, suggestion
from palate.engine.settings import EngineSettings


class Inner(Settings):
    regularization: float = 1.0
    layers: tuple[int, ...] = ()


class Tree(Settings):
    inner: Inner = Field(default_factory=Inner)
    name: str = "x"


def written(folder: Path, text: str) -> Path:
    path = folder / "palate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_stand_where_nothing_is_said() -> None:
    assert read_settings(Tree) == Tree()


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "file"\n[inner]\nregularization = 2\nlayers = [1]\n')
    read = read_settings(Tree, path, {"PALATE_INNER__REGULARIZATION": "3.5", "PALATE_INNER__LAYERS": "[4, 5]"})
    assert read == Tree(name="file", inner=Inner(regularization=3.5, layers=(4, 5)))


@pytest.mark.parametrize("variable", ["PALATE_CACHE", "PALATE_NAME", "OTHER_INNER__REGULARIZATION", "PALATE"])
def test_variables_without_two_underscores_are_no_settings(variable: str) -> None:
    assert read_settings(Tree, environment={variable: "y"}) == Tree()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_the_environment(value: float) -> None:
    assert read_settings(Tree, environment={"PALATE_INNER__REGULARIZATION": repr(value)}).inner.regularization == value


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = written(tmp_path, "[inner]\nregularisation = 2\n")
    with pytest.raises(UsageError, match=r"palate\.toml: inner\.regularisation .* mean 'regularization'"):
        read_settings(Tree, path)


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(UsageError, match="PALATE_INNER__DEPTH is not a setting"):
        read_settings(Tree, environment={"PALATE_INNER__DEPTH": "1"})


def test_a_value_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"inner\.regularization = 'much'"):
        read_settings(Tree, written(tmp_path, '[inner]\nregularization = "much"\n'))


def test_two_variables_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="PALATE_INNER__A__B"):
        read_settings(Tree, environment={"PALATE_INNER__A": "1", "PALATE_INNER__A__B": "2"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"name = ", "not valid TOML"), (b"\xff\xfe", "not UTF-8"), (None, "not there")],
    ids=["toml", "encoding", "missing"],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "palate.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=reason):
        read_settings(Tree, path)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "palate.toml"
    path.write_bytes(b"\xef\xbb\xbfname = 'y'")
    assert read_settings(Tree, path).name == "y"


def test_far_names_list_what_is_known() -> None:
    assert suggestion("zzz", ["b", "a"]) == "Known: a, b."


def test_a_file_in_the_folder_is_found_and_a_named_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "shop"
    folder.mkdir()
    written(tmp_path, "[training]\nseed = 1\n")
    assert settings_for(folder, None).training.seed == 1
    written(folder, "[training]\nseed = 2\n")
    assert settings_for(folder, None).training.seed == 2
    named = tmp_path / "other.toml"
    named.write_text("[training]\nseed = 3\n", encoding="utf-8")
    assert settings_for(folder, named).training.seed == 3
    monkeypatch.setenv("PALATE_TRAINING__SEED", "4")
    assert settings_for(folder, named).training.seed == 4


def test_what_is_said_of_the_engine_is_laid_over_the_preset(tmp_path: Path) -> None:
    path = written(tmp_path, "[engine]\nhistory = 50\n[engine.models.ease]\nregularization = 7\n")
    settings = settings_for(tmp_path, path).engine_of("fast")
    preset = EngineSettings.preset("fast")
    assert (settings.history, settings.models.ease.regularization) == (50, 7.0)
    assert settings.models.ease.decay == preset.models.ease.decay
    assert settings.model_copy(update={"history": preset.history, "models": preset.models}) == preset
    assert settings_for(tmp_path / "none", None).engine_of("fast") == preset
    with pytest.raises(UsageError, match="preset"):
        settings_for(tmp_path, path).engine_of("fastest")


def test_the_written_example_says_the_truth_about_defaults() -> None:
    """Every commented default, switched on, changes nothing; every commented name is a setting."""
    text = (EXAMPLE / "palate.toml").read_text(encoding="utf-8")
    assert PalateSettings.model_validate(tomllib.loads(text)) == PalateSettings()
    section = re.compile(r"^\[(training|adapt|adapt\.trunk|engine|evaluation|serving|data)\]$")
    switched, on = [], False
    for line in text.splitlines():
        if line.startswith(("[", "# [")):
            on = bool(section.match(line))
        switched.append(line.removeprefix("# ") if on and " = " in line else line)
    tree = tomllib.loads("\n".join(switched))
    assert tree["serving"]["port"] == PalateSettings().serving.port
    assert tree["data"]["drop_bots"] is False
    assert PalateSettings.model_validate(tree) == PalateSettings()
