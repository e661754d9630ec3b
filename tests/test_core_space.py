"""Spaces that settings classes declare, and what is made of classes that declare none."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from palate.core import Settings, UsageError
from palate.core.space import Choice, Space, Span, changed, range_around, space_of, value_at
from palate.engine.settings import EngineSettings

ENGINE = EngineSettings()
COMPONENTS: dict[str, BaseModel] = {
    **{name: getattr(ENGINE.models, name) for name in type(ENGINE.models).model_fields},
    "ranker": ENGINE.ranker,
    "candidates": ENGINE.candidates,
    "fusion": ENGINE.fusion,
}


class Odd(Settings):
    """Declares nothing."""

    share: float = Field(default=0.3, gt=0, le=1)
    rate: float = Field(default=0.01, gt=0)
    depth: int = Field(default=3, ge=1, le=8)
    both: bool = True
    manner: Literal["slow", "fast"] = "slow"
    label: str = "x"
    nothing: int = 0
    seed: int = 7

    @classmethod
    def grid(cls) -> tuple[Odd, ...]:
        return cls(), cls(share=0.9), cls(manner="fast", depth=5)


@pytest.mark.parametrize("name", list(COMPONENTS))
def test_a_class_takes_everything_from_its_own_space(name: str) -> None:
    settings = COMPONENTS[name]
    space = space_of(settings)
    assert space.ranges
    for setting, own in space.ranges.items():
        ends = own.values if isinstance(own, Choice) else (own.low, own.high)
        for value in ends:
            assert value_at(changed(settings, {setting: value}), setting) == value
        if isinstance(own, Span):
            assert own.low < own.high
            assert own.low > 0 or not own.log
            assert own.whole == isinstance(value_at(settings, setting), int), f"{name}.{setting}: whole or not?"
    for entry in space.first:
        assert set(entry) <= set(space.ranges)
        assert changed(type(settings)(), entry) != type(settings)(), "the defaults are tried anyway"
    assert len({repr(sorted(entry.items())) for entry in space.first}) == len(space.first)


@pytest.mark.parametrize("name", list(COMPONENTS))
def test_a_covering_space_holds_the_start_and_what_is_tried_first(name: str) -> None:
    settings = COMPONENTS[name]
    space = space_of(settings).covering(settings)
    for entry in ({}, *space.first):
        for setting, own in space.ranges.items():
            value = value_at(changed(settings, entry), setting)
            assert value in own.values if isinstance(own, Choice) else own.low <= value <= own.high


def test_a_class_without_a_space_is_searched_by_its_fields() -> None:
    space = space_of(Odd())
    assert set(space.ranges) == {"share", "rate", "depth", "both", "manner"}
    assert space.ranges["rate"] == Span(0.0025, 0.04, log=True)
    assert space.ranges["depth"] == Span(1, 8, log=True)
    assert space.ranges["both"] == Choice((False, True))
    assert space.ranges["manner"] == Choice(("slow", "fast"))
    share = space.ranges["share"]
    assert isinstance(share, Span)
    assert 0 < share.low < share.high == 1
    assert space.first == ({"share": 0.9}, {"depth": 5, "manner": "fast"})


@given(st.integers(-50, 50) | st.floats(-50, 50), st.booleans())
def test_a_span_stretches_to_what_it_is_given(value: float, log: bool) -> None:
    stretched = Span(2, 9, log).covering(value)
    if isinstance(stretched, Choice):
        assert log
        assert value in stretched.values
    else:
        assert stretched.low <= value <= stretched.high
        assert stretched.low <= 2 and stretched.high >= 9
        assert stretched.whole == isinstance(value, int) or 2 <= value <= 9


def test_what_is_no_number_makes_a_choice() -> None:
    assert Span(1.0, 2.0).covering(None) == Choice((None, 1.0, 2.0))
    assert Choice(("a", "b")).covering("c") == Choice(("a", "b", "c"))


def test_names_go_into_nested_settings() -> None:
    settings = changed(ENGINE, {"models.als.factors": 32, "ranker.leaves": 15})
    assert (settings.models.als.factors, settings.ranker.leaves) == (32, 15)
    assert settings.models.als.alpha == ENGINE.models.als.alpha
    assert value_at(settings, "models.interest.recency.half_life_days") == 60.0


@pytest.mark.parametrize("name", ["nothing", "models.als.nothing", "models.als.factors.deeper"])
def test_a_setting_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a setting"):
        changed(ENGINE, {name: 1})
    with pytest.raises(UsageError, match="not a setting"):
        value_at(ENGINE, name)


@pytest.mark.parametrize("value", [0, "many", None])
def test_a_value_that_is_not_allowed_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"factors = "):
        changed(ENGINE, {"models.als.factors": value})


def test_a_space_is_narrowed_and_seen_from_above() -> None:
    space = Space({"a": Span(0.0, 1.0), "b": Span(1, 9)}, ({"a": 0.5}, {"a": 0.2, "b": 3}, {"b": 4}))
    assert space.only(["b"]) == Space({"b": Span(1, 9)}, ({"b": 3}, {"b": 4}))
    assert space.under("x.y").first[1] == {"x.y.a": 0.2, "x.y.b": 3}


def test_what_cannot_be_searched_has_no_range() -> None:
    assert range_around(Odd(), "label") is None
    assert range_around(ENGINE, "models.als.factors") == Span(32, 512, log=True)
    assert get_args(type(ENGINE.models.item_knn).model_fields["similarity"].annotation)
