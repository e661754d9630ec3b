"""What the server answers where reasons are told in words."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Told(BaseModel):
    """Reasons in a person's words."""

    text: str
    cites: list[int] = Field(description="Places of the reasons it rests on, from 0.")
    written_by: str = Field(description="endpoint, local or template.")


class Telling(BaseModel):
    """How the words were come by."""

    written_by: dict[str, int] = Field(description="How many each writer wrote.")
    notes: list[str] = Field(description="Why templates spoke.")
    prompt_tokens: int
    completion_tokens: int
    cost: float
    seconds: float
