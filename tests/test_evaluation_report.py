"""The report stands by itself, in both languages, and says what was measured."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from palate.core import UsageError
from palate.evaluation import Evaluation, evaluate
from palate.evaluation.words import WORDS
from tests.evaluation_world import SmallEngine, world

VOID = {"meta", "br"}


@pytest.fixture(scope="module")
def found() -> Evaluation:
    evaluation = evaluate(world(), protocol="temporal", fit=SmallEngine.fit)
    tried = ({"settings": {"regularization": 100.0}, "ndcg@10": 0.1},)
    return replace(evaluation, name="a <shop> & more", tuning={"ease": tried})


class Balanced(HTMLParser):
    """Fails on a tag that is closed without having been opened, or the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif not (self.get_starttag_text() or "").endswith("/>"):
            raise AssertionError(f"</{tag}> closes {self.open[-1:]}")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_report_is_whole_and_needs_no_network(found: Evaluation, language: str, tmp_path: Path) -> None:
    path = tmp_path / "reports" / "report.html"
    found.write_html(path, language=language)
    text = path.read_text("utf-8")
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert parser.seen.count("svg") == 1 + sum(len(parts) > 1 for parts in found.slices.values())
    assert not re.search(r"https?://|@import|<script|<link|<img", text)
    assert "a &lt;shop&gt; &amp; more" in text
    for key in ("table", "intervals", "comparison", "by_slice", "tuning", "notes"):
        assert WORDS[language][key] in text
    assert f"{found.models['palate']['ndcg@10']:.4f}" in text
    assert f'lang="{WORDS[language]["lang"]}"' in text
    assert ("新用户" in text) == (language == "zh")
    for note in found.notes:
        assert note.split("<")[0] in text


def test_both_languages_say_the_same() -> None:
    slices = {"known users", "new users", "known items", "new items"}
    assert set(WORDS["zh"]) - slices == set(WORDS["en"])


def test_an_unknown_language_is_refused(found: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="en, zh"):
        found.write_html(tmp_path / "report.html", language="fr")
    assert not list(tmp_path.iterdir())


def test_a_single_model_makes_a_report_too(tmp_path: Path) -> None:
    alone = evaluate(world(), models=["ease"], fit=SmallEngine.fit)
    assert alone.comparisons == []
    alone.write_html(tmp_path / "alone.html")
    assert "ease" in (tmp_path / "alone.html").read_text("utf-8")
