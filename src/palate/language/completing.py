"""Descriptions for items that say little of themselves: written beside what the merchant wrote, and marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl
from pydantic import Field

from palate.core import IntArray, Settings
from palate.data import Catalogue
from palate.language.detect import detect_language
from palate.language.generation import Prompt, TextGenerator
from palate.language.generation_reply import Reply, Written, write
from palate.language.grounding import unsupported

COLUMN = "description_generated"
"""Where a written description stands; ``description`` stays the merchant's own."""

_ASK = {
    "en": "Describe this item of a shop in one or two plain sentences. Use only what the data says of it: no other "
    "property, number, name or praise.",
    "zh": "用一两句话平实地描述这件商品。只写数据中已有的内容，不添加任何属性、数字、名称或赞美。",
}


class CompletingSettings(Settings):
    """What is thin, and how much is written at once.

    Parameters
    ----------
    thin
        Descriptions with fewer characters are.
    most
        Items written for in one call.
    """

    thin: int = Field(default=30, ge=0)
    most: int = Field(default=1_000, ge=1)


class _Description(Reply):
    text: str = Field(min_length=1, max_length=400)


@dataclass(frozen=True)
class Completed:
    """Written descriptions.

    Parameters
    ----------
    frame
        ``item_id``, ``description_generated``, ``generated`` (true) and ``generated_by`` of each item written for.
    by
        How many each source wrote.
    refused
        How many of a model's texts were refused, by what was wrong with them.
    prompt_tokens, completion_tokens, seconds, cost
        Of all of it.
    """

    frame: pl.DataFrame
    by: Mapping[str, int]
    refused: Mapping[str, int]
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float


def thin(catalogue: Catalogue, settings: CompletingSettings | None = None) -> IntArray:
    """Items that have a title and little else to say, and nothing written for them yet; int32 positions."""
    settings = settings or CompletingSettings()
    frame = catalogue.frame.select(
        _length(catalogue, "title").alias("title"),
        _length(catalogue, "description").alias("description"),
        _length(catalogue, COLUMN).alias("written"),
    )
    short = (pl.col("title") > 0) & (pl.col("description") < settings.thin) & (pl.col("written") == 0)
    return frame.select(short.arg_true()).to_series().to_numpy().astype("int32")


def complete(catalogue: Catalogue, generator: TextGenerator, settings: CompletingSettings | None = None) -> Completed:
    """Descriptions for the first thin items, each in the language of its title.

    A text that says more than title, brand, category, price and the merchant's own words do is refused; a template that
    says them in a sentence stands in.
    """
    settings = settings or CompletingSettings()
    rows = thin(catalogue, settings)[: settings.most].tolist()
    facts = [_facts(catalogue.properties(row)) for row in rows]
    prompts = [_prompt(own) for own in facts]
    refused: dict[str, int] = {}

    def check(row: int, reply: _Description) -> str:
        fault = unsupported(reply.text, [str(value) for value in facts[row].values()])
        if fault:
            refused[fault] = refused.get(fault, 0) + 1
        return f"it says something that the data does not ({fault})" if fault else ""

    written = write(generator, prompts, _Description, check)
    frame = pl.DataFrame(
        {
            "item_id": [catalogue.ids[row] for row in rows],
            COLUMN: [one.value.text for one in written],
            "generated": [True] * len(rows),
            "generated_by": [one.source for one in written],
        },
        schema={"item_id": pl.String, COLUMN: pl.String, "generated": pl.Boolean, "generated_by": pl.String},
    )
    return Completed(frame, _counted(written), refused, *_spent(written))


def _length(catalogue: Catalogue, name: str) -> pl.Expr:
    if catalogue.column(name) is None:
        return pl.lit(0)
    return pl.col(name).cast(pl.String, strict=False).str.strip_chars().str.len_chars().fill_null(0)


def _facts(properties: Mapping[str, Any]) -> dict[str, str]:
    """What may be said of an item. What it costs the shop, and whatever else its row holds, is not for the world."""
    told = {name: str(properties[name]) for name in ("title", "brand", "category", "description") if name in properties}
    if isinstance(price := properties.get("price"), int | float):
        told["price"] = f"{price:g} {properties.get('currency') or ''}".strip()
    return {name: value[:500] for name, value in told.items() if value.strip()}


def _prompt(facts: Mapping[str, str]) -> Prompt:
    language = "zh" if detect_language(facts["title"]) == "zh" else "en"
    told = "\n".join(f"{name}: {value}" for name, value in facts.items())
    template = orjson.dumps({"text": _template(facts, language)}).decode()
    return Prompt("describe", _ASK[language], told, template, language, tokens=200)


def _template(facts: Mapping[str, str], language: str) -> str:
    """The same facts in a sentence."""
    leaf = facts.get("category", "").replace("›", ">").replace("»", ">").rpartition(">")[2].strip()
    title, brand, price = facts["title"].strip(), facts.get("brand", ""), facts.get("price", "")
    own = facts.get("description", "").strip()
    if language == "zh":
        parts = [title, f"品牌：{brand}" if brand and brand not in title else "", f"类别：{leaf}" if leaf else ""]
        parts += [f"价格：{price}" if price else "", own.rstrip("。")]
        return "，".join(part for part in parts if part)[:399] + "。"
    by = f" by {brand}" if brand and brand.lower() not in title.lower() else ""
    parts = [f"{title}{by}", f"in {leaf}" if leaf else "", f"at {price}" if price else ""]
    sentence = ", ".join(part for part in parts if part)
    return f"{sentence}. {own}".strip()[:400]


def _counted(written: list[Written[_Description]]) -> dict[str, int]:
    sources = [one.source for one in written]
    return {source: sources.count(source) for source in sorted(set(sources))}


def _spent(written: list[Written[_Description]]) -> tuple[int, int, float, float]:
    spent = [completion for one in written for completion in one.spent]
    return (
        sum(own.prompt_tokens for own in spent),
        sum(own.completion_tokens for own in spent),
        round(sum(own.seconds for own in spent), 4),
        sum(own.cost for own in spent),
    )
