"""What reading kept, merged and rejected, and what that means for training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.core import UsageError
from palate.data.report_words import HEADINGS, REASONS, SENTENCES, Language, Level, said
from palate.data.tables import Note, Rejected

if TYPE_CHECKING:
    from palate.data.dataset import Dataset

ENOUGH_EVENTS = 1_000
ENOUGH_FOLLOWERS = 0.2

_CONCERNS = {"bad_time": "timestamp", "before_1970": "timestamp", "future": "timestamp", "unknown_kind": "kind"}
"""The column whose value shows what is wrong."""


@dataclass(frozen=True)
class Rejection:
    """Rows rejected for one reason: how many, the first line, what stood there, and up to three rows as given."""

    reason: str
    count: int
    line: int
    value: str
    examples: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class TableReport:
    """One table: ``read == kept + merged + dropped + sum of rejected``.

    Parameters
    ----------
    name
        ``"events"``, ``"items"`` or ``"users"``.
    source
        File or frame.
    columns
        Canonical name -> name in the data.
    unused
        Names in the data that became nothing canonical (of items and users they are kept as properties).
    """

    name: str
    source: str
    read: int
    kept: int
    merged: int
    dropped: int
    rejected: tuple[Rejection, ...]
    columns: Mapping[str, str]
    unused: tuple[str, ...]

    @property
    def rejected_rows(self) -> int:
        return sum(rejection.count for rejection in self.rejected)


@dataclass(frozen=True)
class Report:
    """What reading a dataset found.

    Parameters
    ----------
    tables
        Events first, then items and users where there are such.
    notes
        What to say of the data; ``words`` says it.
    users, items, events
        How many there are in the dataset.
    """

    tables: tuple[TableReport, ...]
    notes: tuple[Note, ...]
    users: int
    items: int
    events: int

    def table(self, name: str) -> TableReport | None:
        """The report of one table, None where the data has none such."""
        return next((table for table in self.tables if table.name == name), None)

    def sentences(self, level: Level, language: Language = "en") -> list[str]:
        """Sentences of one level: ``"fail"`` and ``"poor"`` speak of training, ``"note"`` is good to know."""
        found = []
        for note in self.notes:
            matters, *pair = SENTENCES[note.code]
            if matters == level:
                found.append(said((pair[0], pair[1]), language, **note.values))
        return found

    @property
    def trainable(self) -> bool:
        """Whether nothing here makes training fail."""
        return not self.sentences("fail")

    def words(self, language: Language = "en") -> str:
        """The report as text for people, in English or Chinese."""
        if language not in ("en", "zh"):
            raise UsageError(f"language {language!r}: the report speaks en and zh")
        lines = [line for table in self.tables for line in _table_words(table, language)]
        lines.append(said(HEADINGS["totals"], language, users=self.users, items=self.items, events=self.events))
        levels: tuple[Level, ...] = ("fail", "poor", "note")
        for level in levels:
            sentences = self.sentences(level, language)
            if sentences:
                lines.append(said(HEADINGS[level], language))
                lines.extend(f"  - {sentence}" for sentence in sentences)
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """JSON values: counts, columns, rejections with examples, and the English sentences by level."""
        levels: tuple[Level, ...] = ("fail", "poor", "note")
        return {
            "users": self.users,
            "items": self.items,
            "events": self.events,
            "trainable": self.trainable,
            "tables": [asdict(table) for table in self.tables],
            **{level: self.sentences(level) for level in levels},
        }


def rejections(rejected: Iterable[Rejected | None], columns: Mapping[str, str]) -> tuple[Rejection, ...]:
    """Rejected rows of one table by reason, most frequent first.

    Parameters
    ----------
    columns
        Canonical name -> name in the data, to show the value a reason is about.
    """
    found = []
    for part in rejected:
        for reason, count in part.counts().items() if part is not None else ():
            examples = part.examples(reason) if part is not None else []
            value = examples[0]["row"].get(columns.get(_CONCERNS.get(reason, ""), ""))
            text = "" if value is None else f": {str(value)[:40]!r}"
            found.append(Rejection(reason, count, int(examples[0]["line"]), text, tuple(examples)))
    return tuple(sorted(found, key=lambda rejection: (-rejection.count, rejection.line)))


def reasons_in_words(found: Iterable[Rejection], language: Language = "en") -> str:
    """Rejections in one line."""
    return "; ".join(
        f"{part.count:,} {said(REASONS[part.reason], language)} (line {part.line:,}{part.value})" for part in found
    )


def judge(dataset: Dataset) -> tuple[Note, ...]:
    """Why training on this would fail or be poor, and what it cannot offer."""
    notes: list[Note] = []
    sequences = dataset.sequences
    lengths = sequences.lengths
    active = lengths[lengths > 0]
    times = dataset.events["time"].to_numpy()
    unknown = int(np.isnan(times).sum())
    if not len(sequences.items):
        notes.append(Note("no_interest"))
    if dataset.n_users == 1:
        notes.append(Note("one_user"))
    if dataset.n_items <= 1:
        notes.append(Note("one_item"))
    if len(active) and not (active > 1).any():
        notes.append(Note("no_followers"))
    elif len(active) and (active > 1).mean() < ENOUGH_FOLLOWERS:
        notes.append(Note("few_followers", {"share": float((active > 1).mean())}))
    if 0 < len(sequences.items) < ENOUGH_EVENTS:
        notes.append(Note("few_events", {"count": len(sequences.items)}))
    if not dataset.catalogue.has_text:
        notes.append(Note("no_text"))
    if unknown == len(times):
        notes.append(Note("no_times"))
    elif unknown:
        notes.append(Note("some_times", {"count": unknown, "events": len(times)}))
    elif len(times) > 1 and times.min() == times.max():
        notes.append(Note("one_moment"))
    elif dataset.whole_days:
        notes.append(Note("whole_days"))
    return tuple(notes)


def _table_words(table: TableReport, language: Language) -> list[str]:
    head = said(
        HEADINGS["table"],
        language,
        name=table.name,
        source=table.source,
        read=table.read,
        kept=table.kept,
        merged=table.merged,
        rejected=table.rejected_rows,
    )
    if table.dropped:
        head += said(HEADINGS["dropped"], language, dropped=table.dropped)
    named = [name if name == found else f"{name} = {found}" for name, found in table.columns.items()]
    lines = [head, said(HEADINGS["columns"], language, columns=named)]
    if table.unused and table.name == "events":
        lines.append(said(HEADINGS["unused"], language, columns=list(table.unused)))
    lines.extend(
        said(
            HEADINGS["reason"],
            language,
            count=part.count,
            reason=said(REASONS[part.reason], language),
            line=part.line,
            value=part.value,
        )
        for part in table.rejected
    )
    return lines
