"""What somebody would want, in words to search with. Words only: what is found is for the catalogue to say."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from pydantic import Field

from palate.language.generation import Completion, Prompt, TextGenerator
from palate.language.generation_reply import Reply, write
from palate.language.terms import is_cjk, words

_UNSEEN = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_SPACE = re.compile(r"\s+")
LONGEST = 80
"""Characters of a wish."""

_ASK = {
    "en": "You help a shop to search its own shelves. The data lists words for what a visitor turned to, each with "
    "how often. Write up to {most} short search phrases for things the visitor would want next. "
    "No names of shops, no prices, no addresses.",
    "zh": "你帮助商店在自己的货架上搜索。数据是描述顾客关注过的内容的词语及其次数。"
    "请写出最多 {most} 个简短的搜索词，描述顾客接下来想要的东西。不要写店名、价格或网址。",
}


class _Wishes(Reply):
    wishes: list[str] = Field(min_length=1, max_length=20)


@dataclass(frozen=True)
class Wishes:
    """Search phrases and how they came about.

    Parameters
    ----------
    phrases
        At most as many as were asked for, without repeats.
    source
        ``endpoint``, ``local`` or ``template``.
    why
        Why it is the template's.
    spent
        The completions behind it.
    """

    phrases: tuple[str, ...]
    source: str
    why: str = ""
    spent: tuple[Completion, ...] = ()


def interest_words(
    texts: Sequence[str], weights: Sequence[float], shared: frozenset[str], most: int = 24
) -> dict[str, float]:
    """What texts speak of, as words and their weights.

    A bag of words that several items share is what leaves the house. Sentences, names and whatever a single text says
    to a model that reads it stay behind.

    Parameters
    ----------
    shared
        Words that may be told.
    """
    told: defaultdict[str, float] = defaultdict(float)
    for text, weight in zip(texts, weights, strict=True):
        for word in dict.fromkeys(words(text)):
            if word in shared:
                told[word] += weight
    return dict(sorted(told.items(), key=lambda pair: (-pair[1], pair[0]))[:most])


def shared_words(texts: Sequence[str], least: int = 3) -> frozenset[str]:
    """Words that at least so many texts have: the shop's vocabulary, which no single text makes."""
    counted = Counter(word for text in texts for word in set(words(text)) if _tells(word))
    return frozenset(word for word, count in counted.items() if count >= least)


def _tells(word: str) -> bool:
    """Neither a number nor the letter of a unit, as in 6 L and 500 g."""
    return not word.isdigit() and (len(word) > 1 or is_cjk(word))


def wish(
    generator: TextGenerator, interests: Sequence[Mapping[str, float]], most: int = 3, language: str = "en"
) -> list[Wishes]:
    """What each of several people would want, in at most so many phrases each; none for somebody without interests."""
    asked = [row for row, interest in enumerate(interests) if interest]
    prompts = [_prompt(interests[row], most, language) for row in asked]
    found: dict[int, Wishes] = {}
    for row, written in zip(asked, write(generator, prompts, _Wishes, lambda _, reply: _fault(reply)), strict=True):
        phrases = tuple(dict.fromkeys(phrase for raw in written.value.wishes if (phrase := cleaned(raw))))
        found[row] = Wishes(phrases[:most], written.source, written.why, written.spent)
    return [found.get(row, Wishes((), "template", "nothing is known of the asker")) for row in range(len(interests))]


def cleaned(raw: str) -> str:
    """A phrase as a search query: one line, nothing unseen, not long; "" where nothing is left."""
    plain = unicodedata.normalize("NFKC", _UNSEEN.sub(" ", raw[: 8 * LONGEST]))
    return _SPACE.sub(" ", plain).strip()[:LONGEST].strip()


def template_wishes(interest: Mapping[str, float], most: int) -> list[str]:
    """Phrases without a model: each leading word beside the words that follow it."""
    leading = list(interest)
    rest = leading[most:]
    phrases = []
    for place, word in enumerate(leading[:most]):
        beside = rest[place::most][:2]
        glue = "" if is_cjk(word) and all(map(is_cjk, beside)) else " "
        phrases.append(glue.join([word, *beside]))
    return phrases


def _prompt(interest: Mapping[str, float], most: int, language: str) -> Prompt:
    told = "\n".join(f"{word}: {weight:.1f}" for word, weight in interest.items())
    template = orjson.dumps({"wishes": template_wishes(interest, most)}).decode()
    ask = _ASK["zh" if language == "zh" else "en"].format(most=most)
    return Prompt("wish", ask, told, template, language, personal=True, tokens=200)


def _fault(reply: _Wishes) -> str:
    return "" if any(cleaned(raw) for raw in reply.wishes) else "no phrase is left"
