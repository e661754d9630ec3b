"""What the server answers, for the OpenAPI document. Answers are written as JSON directly and not checked twice."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Why(BaseModel):
    """One reason, as a sentence in the asked language."""

    kind: str = Field(description="history, words, model, feature, popular, text, complement or substitute.")
    text: str
    weight: float
    item: str | None = None


class Item(BaseModel):
    """A recommended item."""

    id: str
    score: float
    source: list[str] = Field(description="The models that proposed it.")
    reasons: list[Why]
    properties: dict[str, Any]


class Pursuit(BaseModel):
    """From interest to a list."""

    interest: list[tuple[str, float]] = Field(description="Words for what the asker turned to, with weights.")
    via: Literal["words", "codes"]
    wishes: list[str] = Field(description="What was searched for.")
    written_by: str = Field(description="endpoint, local, template or codes.")
    found: int = Field(description="Items that answer the wishes.")
    kept: int = Field(description="Those of them that attract.")
    threshold: float | None = Field(description="Probability from which on an item attracts; none: nothing filtered.")
    objectives: dict[str, float]
    notes: list[str] = Field(description="What went otherwise than asked for.")
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float


class Recommendations(BaseModel):
    """An answer. ``degraded`` says that a fallback gave it; events that react to it carry its id."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "examples": [
                {
                    "recommendation_id": "r_5f0c6b1e9d3a4c21b7e8f9a0c1d2e3f4",
                    "model_version": "9f1c2ab7",
                    "degraded": False,
                    "took_ms": 1.4,
                    "items": [
                        {
                            "id": "i17",
                            "score": 0.83,
                            "source": ["ease", "semantic"],
                            "reasons": [
                                {"kind": "history", "text": "Because you bought Sea salt.", "weight": 0.4, "item": "i3"}
                            ],
                            "properties": {"title": "Ocean candle"},
                        }
                    ],
                }
            ]
        },
    )
    recommendation_id: str
    model_version: str
    degraded: bool
    took_ms: float
    mix: str | None = Field(None, description="The mix a bandit chose for this list; left out where none chooses.")
    strategy: Pursuit | None = Field(
        None, description="How the list was come by; left out where no strategy was asked."
    )
    items: list[Item]


class RowVerdict(BaseModel):
    """What became of one row."""

    id: str
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str | None = None


class Verdicts(BaseModel):
    """What became of a batch; ``results`` are in the order of the request."""

    accepted: int
    duplicate: int
    rejected: int
    results: list[RowVerdict]


class Explained(BaseModel):
    """Why an item is scored as it is: base and contributions add up to the score."""

    item: str
    score: float
    base: float
    sources: dict[str, Any]
    history: list[dict[str, Any]]
    words: list[dict[str, Any]]
    features: list[dict[str, Any]]


class Profile(BaseModel):
    """What is known of a person, and how they corrected it."""

    sentence: str = Field(description="Habits in one sentence.")
    summary: str = Field(description="Interests in one sentence, the strongest first.")
    table: dict[str, Any] = Field(description="Habits as values: frequency, recency, spend, prices, categories, kinds.")
    interests: list[dict[str, Any]] = Field(description="name, share, events, first, last, mood (-1 to 1), items.")
    muted: list[str]
    added: list[str]
    branch: str = Field(description="Whether interests rest on texts or on engineered features, and why.")


class Question(BaseModel):
    """An item to ask about, and how likely the answer is yes."""

    id: str
    title: str
    chance: float


class Guess(BaseModel):
    """An item recommended from answers alone."""

    id: str
    score: float


class Questions(BaseModel):
    """What to ask next; none where nothing is left to ask."""

    model_config = ConfigDict(protected_namespaces=())
    model_version: str
    took_ms: float
    questions: list[Question]
    items: list[Guess] = Field(description="As many recommendations as were asked for, best first.")


class ForecastDay(BaseModel):
    """Demand of one day ahead; the bounds are null where the past says nothing of how far off it may be."""

    day: str
    mean: float
    median: float
    lower: float | None
    upper: float | None


class Forecasted(BaseModel):
    """Demand of one series, the forecaster it got, and how far that was off before (MASE) beside last week repeated."""

    model_config = ConfigDict(protected_namespaces=())

    kind: str
    id: str
    sum: float
    model: str
    mean_model: str
    mase: float | None
    naive_mase: float | None
    level: float
    days: list[ForecastDay]
    notes: list[str]


class BehindIt(BaseModel):
    """What a probability rests on: its value where it is known, and what it adds to the log-odds."""

    name: str
    value: float | None
    effect: float


class OnePrediction(BaseModel):
    """How likely one behaviour with one item is."""

    id: str
    kind: str
    probability: float
    low: float
    high: float
    known: int = Field(description="Events of the history that it rests on.")
    inputs: list[BehindIt]


class Predictions(BaseModel):
    """Probabilities, what each is a probability of, and what their bounds mean."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str
    took_ms: float
    predictions: list[OnePrediction]
    populations: dict[str, str]
    interval: str
    level: float
    bodies: dict[str, str]
    notes: list[str]


class Health(BaseModel):
    """``ok``, or what is wrong in words."""

    status: str
    problem: str | None = None


class Mistake(BaseModel):
    """One thing that is wrong with a request, and where."""

    at: str = Field(description="Path into the body or the query, such as events.3.item_id.")
    problem: str


class Problem(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Mistake] | None = None
