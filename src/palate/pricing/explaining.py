"""Why a price is what it is, from the log alone, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.core import Float64Array
from palate.core.numbers import known
from palate.pricing.decisions import Decision, Repeated, Rules
from palate.pricing.guardrails import names_of
from palate.pricing.packs import NOTICE, Pack, rules

_CLIPS: Mapping[str, Mapping[str, str]] = {
    "floor": {"en": "raised to this item's floor", "zh": "已提高到该商品的最低价"},
    "ceiling": {"en": "lowered to this item's ceiling", "zh": "已降低到该商品的最高价"},
    "cost": {"en": "raised to what the item costs and has to earn", "zh": "已提高到成本与最低利润之上"},
    "list_low": {"en": "raised to the least share of the list price", "zh": "已提高到标价的最低比例"},
    "list_high": {"en": "lowered to the most that may be asked over the list price", "zh": "已降低到标价允许的上限"},
    "parity": {"en": "moved towards what a stranger would pay", "zh": "已向陌生人所付的价格靠拢"},
    "step": {"en": "moved no further than one step from the price shown last", "zh": "与上次展示的价格相比只变动一步"},
    "ending": {"en": "given the ending that prices have here", "zh": "已按本店的价格尾数取整"},
    "held": {"en": "kept as it was shown before", "zh": "保持此前展示的价格"},
    "clock": {"en": "kept, because the clock went backwards", "zh": "时钟倒退，价格保持不变"},
    "unknown": {"en": "the list price, because something was not known", "zh": "信息不全，按标价出售"},
    "conflict": {
        "en": "the list price, because the bounds contradict each other",
        "zh": "价格界限互相矛盾，按标价出售",
    },
    "killed": {"en": "the list price, because all pricing is switched off", "zh": "定价已停用，按标价出售"},
    "currency": {"en": "the list price, because the item is priced in another currency", "zh": "币种不同，按标价出售"},
}

_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "none": {"en": "There is no list price, and so no price.", "zh": "没有标价，因此没有价格。"},
    "list": {"en": "It is the list price.", "zh": "该价格即标价。"},
    "below": {"en": "It is {share:.0%} below the list price.", "zh": "比标价低 {share:.0%}。"},
    "above": {"en": "It is {share:.0%} above the list price.", "zh": "比标价高 {share:.0%}。"},
    "personal": {
        "en": "Personal data entered it: {names}. Without it, it would be {other:.2f}.",
        "zh": "使用了个人信息：{names}。若不使用，价格为 {other:.2f}。",
    },
    "impersonal": {"en": "No personal data entered it.", "zh": "未使用个人信息。"},
    "refused": {"en": "Personal data did not enter: {why}.", "zh": "未使用个人信息，原因：{why}。"},
}


def explained(
    decision: Decision, then: Rules | None, repeated: Repeated, pack: Pack | None, language: str
) -> dict[str, Any]:
    """A decision told: each price with what it rests on, what changed it, and what it would be for a stranger.

    Parameters
    ----------
    then
        The rules of that time; None where the log has them no more.
    pack
        The pack that held.
    """
    without = for_strangers(decision)
    lines = [_line(decision, row, without, language) for row in range(len(decision.items))]
    return {
        "decision_id": decision.case.id,
        "at": decision.case.rails.now,
        "policy": None if then is None else then.policy,
        "model": None if then is None else then.model,
        "rules": decision.rules,
        "facts": {name: value for name, value in decision.facts.items() if name != "disclosed"},
        "prices": lines,
        "repeats": repeated.same,
        "repeats_note": repeated.problem,
        "erased": decision.erased,
        "law": None if pack is None else rules(pack, language),
        "notice": NOTICE[language],
    }


def for_strangers(decision: Decision) -> Float64Array:
    """What the same items would have cost somebody unknown; float64 (n,), NaN where nothing personal entered."""
    return np.where(np.array(decision.personal), decision.outcome.public, np.nan)


def _line(decision: Decision, row: int, without: Float64Array | None, language: str) -> dict[str, Any]:
    case, outcome = decision.case, decision.outcome
    price, listed = float(outcome.price[row]), float(case.rails.list_price[row])
    clips, personal = names_of(int(outcome.clips[row])), decision.personal[row]
    inputs = [
        {"name": name, "value": known(float(case.features[row, place])), "personal": own}
        for place, (name, own) in enumerate(zip(case.names, case.personal, strict=True))
    ]
    other = math.nan if without is None else float(without[row])
    arm = decision.arms[row] if decision.arms else None
    return {
        "item_id": decision.items[row],
        "price": known(price),
        "list_price": known(listed),
        "cost_known": bool(np.isfinite(case.rails.cost[row])),
        "low": known(float(outcome.low[row])),
        "high": known(float(outcome.high[row])),
        "proposed": known(float(outcome.proposed[row])),
        "propensity": known(float(outcome.propensity[row])),
        "without_personal_data": known(other),
        "personal": personal,
        "inputs": inputs,
        "clips": list(clips),
        "experiment": None if arm is None else {"name": arm.experiment, "arm": arm.arm},
        "disclosure": decision.facts.get("disclosed", [""] * len(decision.items))[row],
        "text": _told(
            price=price,
            listed=listed,
            clips=clips,
            personal=personal,
            other=other,
            inputs=inputs,
            refused=str(decision.facts.get("refused", "")),
            language=language,
        ),
    }


def _told(
    *,
    price: float,
    listed: float,
    clips: tuple[str, ...],
    personal: bool,
    other: float,
    inputs: list[dict[str, Any]],
    refused: str,
    language: str,
) -> str:
    def say(name: str, **values: Any) -> str:
        return _SENTENCES[name][language].format(**values)

    if math.isnan(price):
        return say("none")
    share = abs(price / listed - 1.0)
    sentences = [say("list") if share < 5e-4 else say("below" if price < listed else "above", share=share)]
    between = "；" if language == "zh" else "; "
    if clips:
        told = between.join(_CLIPS[name][language] for name in clips)
        sentences.append(told[:1].upper() + told[1:] + ("。" if language == "zh" else "."))
    names = [each["name"] for each in inputs if each["personal"] and each["value"]]
    if personal and math.isfinite(other):
        comma = "、" if language == "zh" else ", "
        sentences.append(say("personal", names=comma.join(names) or "-", other=other))
    elif not personal:
        sentences.append(say("refused", why=refused) if refused else say("impersonal"))
    return ("" if language == "zh" else " ").join(sentences)
