"""What an engine says, in ids and words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from palate.ranking.bandit import Choice


@dataclass(frozen=True)
class Reason:
    """Why an item was recommended.

    Parameters
    ----------
    kind
        ``history``, ``words``, ``wish``, ``popular``, ``model`` or ``context``; ``shown_*`` of a list
        that is shown; ``complement`` or ``substitute`` of a similar item.
    text
        A sentence in the language asked for.
    weight
        Share of the evidence, 0 to 1.
    item
        The item of the history it speaks of, if one.
    """

    kind: str
    text: str
    weight: float
    item: str | None = None


@dataclass(frozen=True)
class Story:
    """Reasons as a person would say them.

    Parameters
    ----------
    text
        Sentences that say nothing but what the reasons do.
    cites
        Positions of the reasons they rest on.
    written_by
        ``endpoint``, ``local`` or ``template``.
    """

    text: str
    cites: tuple[int, ...]
    written_by: str


@dataclass(frozen=True)
class Narration:
    """How stories were come by.

    Parameters
    ----------
    written_by
        How many each writer wrote.
    notes
        Why templates spoke, in words; empty where none did.
    prompt_tokens, completion_tokens, cost
        Of the generator; 0 where it was not asked, or remembered.
    seconds
        Until all of them were there.
    """

    written_by: dict[str, int]
    notes: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Parameters
    ----------
    item
        External id.
    score
        Higher is better; comparable within one answer only.
    source
        Names of the models that proposed it.
    reasons
        The strongest first; empty unless asked for.
    properties
        What the catalogue says of it.
    story
        The reasons in words; None until ``Engine.narrate`` has told them.
    """

    item: str
    score: float
    source: tuple[str, ...]
    reasons: tuple[Reason, ...] = ()
    properties: dict[str, Any] = field(default_factory=dict)
    story: Story | None = None


@dataclass(frozen=True)
class Pursued:
    """How a strategy came by a list.

    Parameters
    ----------
    interest
        Words that what the asker turned to shares with the shop, and their weights.
    via
        ``words`` or ``codes``.
    wishes
        What was searched for.
    written_by
        ``endpoint``, ``local``, ``template`` or ``codes``.
    found, kept
        Items that answered the wishes, and those of them that attract.
    threshold
        Probability from which on an item attracts; None where nothing was filtered.
    objectives
        What the list is for.
    notes
        What went otherwise than asked for, in words.
    prompt_tokens, completion_tokens, seconds, cost
        Of the generator.
    """

    interest: tuple[tuple[str, float], ...]
    via: str
    wishes: tuple[str, ...]
    written_by: str
    found: int
    kept: int
    threshold: float | None
    objectives: dict[str, float]
    notes: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True)
class Answer:
    """A list of recommendations and how it came about.

    Parameters
    ----------
    items
        Best first.
    degraded
        Whether something failed and a fallback answered.
    source
        ``palate``, or what answered instead: ``weights`` where no learned ranker could, ``popularity`` where nothing is
        known of the asker.
    model_version
        Of the engine.
    took_ms
        Milliseconds.
    recommendation_id
        What reactions to this list name, where a bandit chose its mix; else empty.
    choice
        What the bandit chose; None where it did not.
    strategy
        How the list was come by; None where no strategy was asked for.
    narration
        How its stories were come by; None where none are told.
    """

    items: tuple[Recommendation, ...]
    degraded: bool
    source: str
    model_version: str
    took_ms: float
    recommendation_id: str = ""
    choice: Choice | None = None
    strategy: Pursued | None = None
    narration: Narration | None = None


@dataclass(frozen=True)
class Explanation:
    """Why an item gets its score for somebody.

    Parameters
    ----------
    item
        External id.
    score
        The ranker's score, the weighted average's where it ranks: ``base`` plus the sum of the features' contributions,
        exactly. Boosts of the shop, other objectives and a wish in words come on top.
    base
        The ranker's expected score.
    sources
        For each model its score and its rank among the candidates (0 = first), whether it proposed the item.
    history
        What each event of the history adds in each linear model, strongest first.
    words
        Words the item shares with history and wish, with their weights.
    features
        Name, value and contribution (TreeSHAP) of each feature, strongest first.
    reasons
        The same in sentences.
    context
        What the moment, the visit and the time since add, each as ``name``, ``text``, ``contribution`` and the
        ``features`` it sums, strongest first; empty where the weighted average ranks.
    story, narration
        The reasons in words and how they were come by; None until ``Engine.narrate`` has told them.
    """

    item: str
    score: float
    base: float
    sources: dict[str, dict[str, float | bool]]
    history: list[dict[str, Any]]
    words: list[dict[str, Any]]
    features: list[dict[str, Any]]
    reasons: tuple[Reason, ...] = ()
    context: list[dict[str, Any]] = field(default_factory=list)
    story: Story | None = None
    narration: Narration | None = None


@dataclass(frozen=True)
class Question:
    """An item to ask a newcomer about.

    Parameters
    ----------
    item, title
        Its id, and its title (the id where it has none).
    chance
        How likely the answer is yes.
    """

    item: str
    title: str
    chance: float


@dataclass(frozen=True)
class Updated:
    """What became of an update.

    Parameters
    ----------
    events, items, users
        How many of each were taken in.
    rejected
        Rows that were not, each with its reason.
    """

    events: int = 0
    items: int = 0
    users: int = 0
    rejected: tuple[dict[str, Any], ...] = ()
