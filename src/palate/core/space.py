"""Where good settings are looked for: ranges and choices, declared once, beside the settings they belong to.

A settings class says so in a class method ``search`` that gives a ``Space``. A class without one is searched by what
its fields allow: between two bounds where there are two, around the default where there are not; a class method
``grid``, which gives settings worth a try, is then what is tried first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from palate.core.configuration import complaint
from palate.core.errors import UsageError

SettingsT = TypeVar("SettingsT", bound=BaseModel)

Value = bool | int | float | str | None

AROUND = 4
"""A number without two bounds is looked for between a fourth and four times its default."""

NOT_QUALITY = frozenset({"seed"})
"""Settings that no search touches: they choose among equals."""


@dataclass(frozen=True)
class Span:
    """Numbers from ``low`` to ``high``, both included; whole numbers where both are written as such.

    Parameters
    ----------
    log
        Steps are factors, not differences.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def covering(self, value: Value) -> Span | Choice:
        """This span, stretched to hold a value; a choice between the ends and a value that is no number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or (self.log and value <= 0):
            return Choice((value, self.low, self.high))
        kind = int if self.whole and isinstance(value, int) else float
        return Span(kind(min(self.low, value)), kind(max(self.high, value)), self.log)


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Value, ...]

    def covering(self, value: Value) -> Choice:
        return self if value in self.values else Choice((*self.values, value))


Range = Span | Choice


@dataclass(frozen=True)
class Space:
    """Ranges of settings by name, and combinations known to be worth a try.

    Parameters
    ----------
    ranges
        A dot goes into nested settings: ``recency.half_life_events``.
    first
        Changes to the settings a search starts from, tried in this order before anything is suggested.
    """

    ranges: Mapping[str, Range] = field(default_factory=dict)
    first: tuple[Mapping[str, Value], ...] = ()

    def under(self, path: str) -> Space:
        """The same space seen from above, each name with ``path`` before it."""
        return Space(
            {f"{path}.{name}": own for name, own in self.ranges.items()},
            tuple({f"{path}.{name}": value for name, value in entry.items()} for entry in self.first),
        )

    def only(self, names: Iterable[str]) -> Space:
        """These settings alone."""
        wanted = set(names)
        kept = [{name: value for name, value in entry.items() if name in wanted} for entry in self.first]
        return Space(
            {name: own for name, own in self.ranges.items() if name in wanted}, tuple(entry for entry in kept if entry)
        )

    def covering(self, settings: BaseModel) -> Space:
        """A space that holds the settings it starts from, and everything that is tried first."""
        ranges = {}
        for name, own in self.ranges.items():
            for value in (value_at(settings, name), *(entry[name] for entry in self.first if name in entry)):
                own = own.covering(value)  # noqa: PLW2901
            ranges[name] = own
        return Space(ranges, self.first)


def space_of(settings: BaseModel) -> Space:
    """What the class of these settings declares, else what its fields allow around them."""
    declared = getattr(type(settings), "search", None)
    if declared is not None:
        space: Space = declared()
        return space
    ranges = {}
    for name, info in type(settings).model_fields.items():
        own = None if name in NOT_QUALITY else _range_of(info, getattr(settings, name))
        if own is not None:
            ranges[name] = own
    offered: Iterable[BaseModel] = getattr(type(settings), "grid", tuple)()
    return Space(ranges, tuple(filter(None, (_differences(entry, ranges) for entry in offered))))


def range_around(settings: BaseModel, name: str) -> Range | None:
    """What a single field allows around its value; None where it is neither number nor choice.

    Raises
    ------
    UsageError
        There is no setting of that dotted name.
    """
    value = value_at(settings, name)
    *parents, leaf = name.split(".")
    holder = value_at(settings, ".".join(parents)) if parents else settings
    return _range_of(type(holder).model_fields[leaf], value)


def value_at(settings: BaseModel, name: str) -> Any:
    """The setting of a dotted name.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    value: Any = settings
    for part in name.split("."):
        if not isinstance(value, BaseModel) or part not in type(value).model_fields:
            raise UsageError(f"{name} is not a setting")
        value = getattr(value, part)
    return value


def changed(settings: SettingsT, changes: Mapping[str, Any]) -> SettingsT:
    """A checked copy with other values at dotted names.

    Raises
    ------
    UsageError
        There is no such setting, or the value is not allowed.
    """
    tree: dict[str, Any] = {}
    for name, value in changes.items():
        *parents, leaf = name.split(".")
        below = tree
        for part in parents:
            below = below.setdefault(part, {})
        below[leaf] = value
    try:
        return _laid(settings, tree)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise UsageError(f"{where} = {problem['input']!r}: {complaint(problem)}") from None


def _laid(settings: SettingsT, tree: Mapping[str, Any]) -> SettingsT:
    own = {name: getattr(settings, name) for name in type(settings).model_fields}
    for name, value in tree.items():
        deeper = isinstance(value, dict)
        if name not in own or (deeper and not isinstance(own[name], BaseModel)):
            raise UsageError(f"{name}{f'.{next(iter(value))}' if name in own else ''} is not a setting")
        own[name] = _laid(own[name], value) if deeper else value
    return type(settings).model_validate(own)


def _differences(settings: BaseModel, names: Iterable[str]) -> dict[str, Value]:
    """What a settings object says other than its class."""
    fields = type(settings).model_fields
    return {name: getattr(settings, name) for name in names if getattr(settings, name) != fields[name].get_default()}


def _range_of(info: FieldInfo, value: Any) -> Range | None:
    if isinstance(value, bool):
        return Choice((False, True))
    if get_origin(info.annotation) is Literal:
        return Choice(get_args(info.annotation))
    if not isinstance(value, int | float):
        return None
    rules = {name: rule for rule in info.metadata for name in ("ge", "gt", "le", "lt") if hasattr(rule, name)}
    bounds = {name: getattr(rule, name) for name, rule in rules.items()}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    whole = info.annotation is int
    if low is not None and high is not None and not whole:
        inside = (high - low) / 20
        return Span(float(low + inside if "gt" in bounds else low), float(high - inside if "lt" in bounds else high))
    if value <= 0:
        return None
    near, far = value / AROUND, value * AROUND
    near, far = max(near, low if low is not None else near), min(far, high if high is not None else far)
    return Span(max(round(near), 1), max(round(far), 1), log=True) if whole else Span(float(near), float(far), log=True)
