"""What the server answers, for the OpenAPI document. Answers are written as JSON directly and not checked twice."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from palate.serving.telling import Telling, Told


class Why(BaseModel):
    """One reason, as a sentence in the asked language."""

    kind: str = Field(description="history, words, model, feature, popular, text, complement or substitute.")
    text: str
    weight: float
    item: str | None = None


class Priced(BaseModel):
    """The price of one item; null where it has no list price. ``disclosure`` must be shown beside it."""

    item_id: str
    price: float | None
    list_price: float | None
    low: float | None = Field(description="No price of this item lies below.")
    high: float | None = Field(description="Nor above.")
    currency: str
    personal: bool = Field(description="Personal data entered it.")
    disclosure: str
    lowest_before: float | None = Field(description="The lowest price of the days before, due beside a discount.")
    clips: list[str] = Field(description="What changed the policy's wish.")
    experiment: dict[str, str] | None = Field(
        None, description="Name and arm of the experiment that decided by which policy it was made."
    )


class Quoted(BaseModel):
    """Prices. ``degraded`` says that they are list prices because nothing else could have been recorded."""

    decision_id: str
    at: float
    valid_until: float
    jurisdiction: str
    pack: str
    disclosure: str
    degraded: bool
    prices: list[Priced]
    left_out: dict[str, str] = Field(description="Inputs that were told and not used, and why.")


class PriceExplained(BaseModel):
    """Why prices are what they are, from the log."""

    decision_id: str
    at: float
    policy: str | None
    model: str | None
    rules: str
    facts: dict[str, Any]
    prices: list[dict[str, Any]]
    repeats: bool = Field(description="The decision was done again just now and every number is the same to the bit.")
    repeats_note: str
    erased: bool
    law: dict[str, Any] | None
    notice: str


class PriceRules(BaseModel):
    """The rules of dynamic pricing: what prices depend on, how far they move, what the law asks."""

    policy: str
    model: str
    currency: str
    valid_seconds: float
    inputs: list[dict[str, Any]]
    bounds: dict[str, Any]
    clock_inputs: list[str]
    law: dict[str, Any]


class PriceDecisions(BaseModel):
    """Decisions about prices, the newest first; nobody's name is in them."""

    decisions: list[dict[str, Any]]


class PriceWhatIf(BaseModel):
    """What is believed to follow from each price; no rungs where the policy goes by no belief about demand."""

    item_id: str
    currency: str
    policy: str
    list_price: float | None
    cost: float | None
    low: float | None = Field(description="No price lies below, whatever is believed.")
    high: float | None
    believed: bool
    elasticity: list[float] | None = Field(description="Mean, and bounds of the middle 95 % of what is believed.")
    rungs: list[dict[str, Any]]
    measured: dict[str, Any] | None = Field(
        description="By the sales history: elasticity, and sales, revenue and margin a period at other prices."
    )


class Elasticities(BaseModel):
    """By how many percent demand moves when prices rise by one, by category: mean and bounds."""

    policy: str
    believed: bool
    categories: list[dict[str, Any]]
    measured: dict[str, Any] | None = Field(description="The same by the sales history, where one was measured.")


class PricesRefused(BaseModel):
    """Whether somebody refuses personal prices."""

    user_id: str
    refused: bool


class Item(BaseModel):
    """A recommended item."""

    id: str
    score: float
    source: list[str] = Field(description="The models that proposed it.")
    reasons: list[Why]
    properties: dict[str, Any]
    price: Priced | None = Field(None, description="Left out where no prices were asked for.")
    story: Told | None = Field(None, description="Left out unless asked for with narrate.")


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
    narration: Telling | None = Field(None, description="Left out unless asked for with narrate.")
    strategy: Pursuit | None = Field(
        None, description="How the list was come by; left out where no strategy was asked."
    )
    pricing: dict[str, Any] | None = Field(
        None, description="The quote behind the items' prices; left out where none were asked for."
    )
    experiment: dict[str, str] | None = Field(
        None, description="name and arm of the experiment that made this list; left out where none did."
    )
    items: list[Item]


class ExperimentSummary(BaseModel):
    """An experiment and what was seen of it last; ``latest`` is null before the first look."""

    name: str
    state: Literal["draft", "running", "stopped", "concluded"]
    hypothesis: str
    unit: Literal["user", "item-time"]
    design: str
    surfaces: list[str]
    control: str
    arms: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    started: float | None
    ended: float | None
    days: float
    planned_days: float
    planned_units: int
    exposures: int
    turned_away: int
    winner: str
    follows: str
    looks: int
    served: bool = Field(description="Whether this server deals askers to it now.")
    trouble: str = Field(description="Why a running experiment is not served here; empty where it is.")
    latest: dict[str, Any] | None


class ExperimentsTold(BaseModel):
    """What is tried, the newest first, and what came into force."""

    experiments: list[ExperimentSummary]
    policy: dict[str, Any]
    policies: list[dict[str, Any]]


class ExperimentTold(ExperimentSummary):
    """One experiment: its declaration, every step, and every look."""

    declaration: dict[str, Any]
    fingerprint: str
    steps: list[dict[str, Any]]
    trend: list[dict[str, Any]]


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
    context: list[dict[str, Any]] = Field(
        description="What moment, visit, time since, hour, device ... add: name, text, contribution."
    )
    reasons: list[Why]
    story: Told | None = Field(description="Null unless asked for with narrate.")
    narration: Telling | None = Field(description="Null unless asked for with narrate.")


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
