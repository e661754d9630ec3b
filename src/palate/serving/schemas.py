"""What a request may say: every text and list has a bound, unknown fields are refused, nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from palate.behaviour.edits import LONGEST_TOPIC, MOST_TOPICS
from palate.data.schema import ITEM_COLUMNS
from palate.data.times import YEAR_2100, moment

MAX_ROWS = 1_000
_SAFE_INTEGER = 2**53


Moment = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False),
    BeforeValidator(moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": YEAR_2100},
                {"type": "string", "format": "date-time"},
            ],
            "description": "Seconds since 1970 UTC, or ISO 8601 with a zone.",
        }
    ),
]
Id = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Words = Annotated[str, StringConstraints(max_length=2_000)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=-_SAFE_INTEGER, le=_SAFE_INTEGER)]
Scalar = Words | bool | Whole | Number
Values = Annotated[list[Scalar], Field(min_length=1, max_length=100)]
Price = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Language = Literal["en", "zh"]
Likeness = Literal["any", "complement", "substitute"]


class Request(BaseModel):
    """Base of all request bodies: strict, closed, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PastEvent(Request):
    """Something that happened, as told with a question."""

    item_id: Id
    kind: Name | None = None
    timestamp: Moment | None = None


class Context(Request):
    """Where and how the question is asked."""

    when: Moment | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    place: Name | None = Field(None, description="As events name it: a city, a country.")
    device: Name | None = None
    session: Annotated[int, Field(ge=0, le=1_000)] | None = Field(
        None, description="How many of the newest events belong to this visit."
    )


class Comparison(Request):
    """What a property is compared with; all that is given must hold."""

    lt: Number | None = None
    lte: Number | None = None
    gt: Number | None = None
    gte: Number | None = None
    not_: Scalar | Values | None = Field(None, alias="not")
    contains: Words | None = None
    prefix: Words | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Comparison:
        if not any(value is not None for _, value in self):
            raise ValueError("an operator is needed: lt, lte, gt, gte, not, contains or prefix")
        return self


def _wanted_as(value: object) -> str | None:
    """Which of its forms a condition takes, so that a mistake is told of that form alone."""
    match value:
        case Mapping() | Comparison():
            return "operators"
        case list():
            return "values"
        case str() | bool() | int() | float():
            return "value"
    return None


Wanted = Annotated[
    Annotated[Scalar, Tag("value")] | Annotated[Values, Tag("values")] | Annotated[Comparison, Tag("operators")],
    Discriminator(
        _wanted_as,
        custom_error_type="wanted",
        custom_error_message='neither a value, nor a list of values, nor operators such as {"lte": 5}',
    ),
]


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Objectives(Request):
    """What the list is for; only the ratios of the weights matter."""

    accuracy: Share | None = Field(None, description="What this person will probably choose; 1 where left out.")
    diversity: Share | None = Field(None, description="Items that differ from each other.")
    novelty: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = Field(
        None, description="Items that few have found; negative: what many chose."
    )
    margin: Share | None = Field(None, description="Items with much price over cost; refused where costs are unknown.")


class StrategyWanted(Request):
    """How the list is come by: interest, wishes, items that exist, what attracts, the objective."""

    objectives: Objectives | None = Field(None, description="What the list is for.")
    via: Literal["words", "codes"] = Field(
        "words", description="Wishes in words, or semantic ids where a model writes them."
    )
    wishes: int = Field(3, ge=1, le=8, description="Phrases at most.")
    depth: int = Field(40, ge=1, le=200, description="Items that each phrase may find.")
    filter: bool = Field(True, description="Keep only what attracts this person.")
    least: Share | None = Field(None, description="Probability from which on an item attracts.")


BESIDE_STRATEGY = frozenset(
    {
        *("user_id", "visitor_id", "history", "count", "strategy", "context"),
        *("explain", "narrate", "return_properties", "language", "pricing"),
    }
)
"""What a question with a strategy may say besides."""


class PriceContext(Request):
    """What a price may depend on besides the item."""

    session: Annotated[str, StringConstraints(max_length=256)] = Field("", description="Prices are held within it.")
    segment: Annotated[str, StringConstraints(max_length=64)] = Field("", description="The shop's word for a group.")
    currency: Annotated[str, StringConstraints(max_length=3)] = Field("", description="Refused if not the shop's.")
    inputs: dict[Name, Number | bool] = Field(
        default_factory=dict, max_length=64, description="Declared inputs by name; others are left out, and said so."
    )


class PriceTerms(Request):
    """Where a price is asked, and what was agreed to."""

    jurisdiction: Annotated[str, StringConstraints(max_length=16)] = Field(
        "", description="ISO 3166, such as CN or US-NY; the shop's own where left out."
    )
    consent: bool = Field(False, description="This person agreed to prices from personal data.")
    context: PriceContext | None = None


class RecommendRequest(Request):
    """A question. Everything may be left out: a question about nobody gets what is popular."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "u42", "count": 10, "explain": True, "return_properties": True},
                {"text": "a gift for somebody who loves the sea", "count": 5, "language": "en"},
                {"history": ["i17", {"item_id": "i99", "kind": "purchase"}], "filter": {"price": {"lte": 50}}},
                {"user_id": "u42", "strategy": {"objectives": {"accuracy": 0.8, "novelty": 0.2}}},
            ]
        }
    )

    user_id: Id | None = Field(None, description="Whom to answer. Somebody unknown is answered like a newcomer.")
    visitor_id: Id | None = Field(
        None, description="What this person is known by before signing in; keeps them in the arm of an experiment."
    )
    history: list[Id | PastEvent] | None = Field(
        None, max_length=1_000, description="What the asker did, oldest first; instead of what is stored."
    )
    text: Words = Field("", description="A wish in words, in any language.")
    count: int = Field(10, ge=1, le=200, description="How many items.")
    scenario: Name | None = Field(None, description="A page or a campaign; kept in the log, changes no answer.")
    filter: dict[Name, Wanted] | None = Field(
        None, max_length=20, description="Property: a value, a list of values, or operators."
    )
    exclude_ids: list[Id] = Field(default_factory=list, max_length=2_000, description="Never answer these.")
    candidates: list[Id] | None = Field(None, min_length=1, max_length=5_000, description="Rank only these.")
    as_shown: bool = Field(
        False,
        description="The candidates stand in the order in which the asker sees them: rank them by how likely each is "
        "to be chosen from this list. Scores are probabilities then, where lists taught the engine.",
    )
    prices: list[Price | None] | None = Field(
        None, min_length=1, max_length=5_000, description="What each candidate costs the asker, in their order."
    )
    context: Context | None = None
    diversity: float | None = Field(None, ge=0, le=1, allow_inf_nan=False, description="0: closest, 1: most varied.")
    objectives: Objectives | None = Field(None, description="In place of the engine's own; no bandit chooses then.")
    strategy: StrategyWanted | None = Field(
        None, description="Find items by way of wishes; slower, and answered from templates where no model writes."
    )
    explain: bool = Field(False, description="Say why, for every item.")
    narrate: bool = Field(
        False,
        description="Say it in a person's words too; slower, and by templates where no model writes. Implies explain.",
    )
    return_properties: bool = Field(False, description="Return what the catalogue knows of every item.")
    language: Language = Field("en", description="Language of the reasons.")
    pricing: PriceTerms | None = Field(None, description="Price the recommended items too; off unless configured.")

    @model_validator(mode="after")
    def _strategy_stands_alone(self) -> RecommendRequest:
        beside = sorted(self.model_fields_set - BESIDE_STRATEGY)
        if self.strategy is not None and beside:
            raise ValueError(f"a strategy finds its own items; leave out {', '.join(beside)}")
        return self

    @model_validator(mode="after")
    def _shown_are_named(self) -> RecommendRequest:
        if (self.as_shown or self.prices is not None) and self.candidates is None:
            raise ValueError("as_shown and prices speak of candidates; give the candidates too")
        if self.prices is not None and len(self.prices) != len(self.candidates or ()):
            raise ValueError(f"{len(self.prices)} prices for {len(self.candidates or ())} candidates; give one each")
        return self


class EventRow(Request):
    """Something that happened."""

    user_id: Id
    kind: Name = Field(description="view, click, cart, purchase, return, rating, like, dislike, share, search, ...")
    item_id: Id | None = Field(None, description="Due unless the event is a search.")
    event_id: Id | None = Field(None, description="Repeats of an id are ignored. Made by the server where left out.")
    timestamp: Moment | None = Field(None, description="Now, where left out.")
    value: Number | None = Field(None, description="The rating, of a rating.")
    quantity: Number | None = None
    price: Price | None = None
    currency: Name | None = None
    dwell: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None = Field(None, description="Seconds.")
    session_id: Id | None = None
    basket_id: Id | None = None
    place: Id | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    device: Name | None = None
    text: Words | None = Field(None, description="The review, or what was searched for. Stored encrypted.")
    recommendation_id: Id | None = Field(
        None, description="The answer this event reacts to, or the quote: its decision_id."
    )
    impression_id: Id | None = None

    @model_validator(mode="after")
    def _has_its_object(self) -> EventRow:
        if self.item_id is None and self.kind != "search":
            raise ValueError(f"item_id is missing; only a search may do without, and this is a {self.kind}")
        return self


class EventsRequest(Request):
    """Events, in the order they happened."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"events": [{"event_id": "e1", "user_id": "u42", "item_id": "i17", "kind": "click"}]},
                {"events": [{"user_id": "u42", "kind": "search", "text": "waterproof phone"}]},
            ]
        }
    )
    events: list[EventRow] = Field(min_length=1, max_length=MAX_ROWS)


_ITEM_NAMES = frozenset(column.name for column in ITEM_COLUMNS)
Properties = Annotated[dict[Name, Scalar | None], Field(max_length=64)]


class ItemRow(Request):
    """An item, new or changed; what is left out stays as it was."""

    item_id: Id
    title: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    description: Annotated[str, StringConstraints(max_length=20_000)] | None = None
    brand: Id | None = None
    category: Annotated[str, StringConstraints(max_length=1_000)] | None = None
    price: Price | None = None
    currency: Name | None = None
    stock: Number | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    image: Words | None = None
    created: Moment | None = None
    properties: Properties = Field(default_factory=dict, description="Whatever else is known of it.")

    @model_validator(mode="after")
    def _no_name_twice(self) -> ItemRow:
        _refuse(self.properties, _ITEM_NAMES)
        return self


class ItemsRequest(Request):
    """Items to add or change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"items": [{"item_id": "n1", "title": "Waterproof phone pouch", "category": "Phones", "price": 9.5}]}
            ]
        }
    )
    items: list[ItemRow] = Field(min_length=1, max_length=MAX_ROWS)


class UserRow(Request):
    """A user's attributes."""

    user_id: Id
    attributes: Properties = Field(default_factory=dict)

    @model_validator(mode="after")
    def _no_name_twice(self) -> UserRow:
        _refuse(self.attributes, frozenset({"user_id"}))
        return self


class UsersRequest(Request):
    """Users to add or change."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"users": [{"user_id": "u42", "attributes": {"city": "上海", "age": 31}}]}]}
    )
    users: list[UserRow] = Field(min_length=1, max_length=MAX_ROWS)


Topic = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TOPIC, pattern=r"^[^\x00-\x1f\x7f]+$")]
Topics = Annotated[list[Topic], Field(max_length=MOST_TOPICS)]


class CorrectionRequest(Request):
    """What somebody says of their own profile; what is left out stays as it was."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"mute": ["Perfume"], "add": ["绿茶"]}]})

    mute: Topics = Field(default_factory=list, description="Never show these, and forget what was done with them.")
    unmute: Topics = Field(default_factory=list, description="Show these again.")
    add: Topics = Field(default_factory=list, description="Show more of these, whatever was done before.")
    drop: Topics = Field(default_factory=list, description="Take these back from the added ones.")

    @model_validator(mode="after")
    def _says_something(self) -> CorrectionRequest:
        if not (self.mute or self.unmute or self.add or self.drop):
            raise ValueError("nothing is corrected; name topics to mute, unmute, add or drop")
        return self


def given(row: BaseModel) -> dict[str, Any]:
    """The fields of a row that say something."""
    return {name: value for name, value in row if value is not None and name not in ("properties", "attributes")}


def _refuse(properties: Mapping[str, object], reserved: frozenset[str]) -> None:
    twice = sorted(reserved & properties.keys())
    if twice:
        raise ValueError(f"{', '.join(twice)} is a field of its own; send it beside the properties")
