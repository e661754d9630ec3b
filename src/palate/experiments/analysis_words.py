"""What an analysis says to people, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Mapping

from palate.core import UsageError
from palate.experiments.findings import Compared, Report
from palate.measure import Interval

LANGUAGES = ("en", "zh")

WORDS: Mapping[str, tuple[str, str]] = {
    "nobody": (
        "Nobody has been exposed yet; there is nothing to compare.",
        "还没有任何单元进入实验，无可比较。",
    ),
    "empty arm": (
        "{units} units are exposed, none of them to {arm}: assignment or exposure logging of that arm is broken. "
        "Nothing is shown.",
        "共有 {units} 个单元进入实验，但 {arm} 组一个也没有：该组的分流或曝光日志有误。不显示任何结果。",
    ),
    "mismatch": (
        "Sample-ratio mismatch: units (expected) {counts}, p = {p:.2g}. Units were lost or counted twice in some arm, "
        "so the arms cannot be compared. Nothing is shown; find the cause and start anew.",
        "样本比例失衡：单元数（应有数）{counts}，p = {p:.2g}。某组有单元丢失或被重复计数，各组不可比较。"
        "不显示任何结果；请查明原因后重新开始。",
    ),
    "two arms": (
        "{units} units ({share:.2%}) were seen in more than one arm; up to {most:.2%} are left out and told, beyond "
        "that the arms cannot be compared. Nothing is shown; see whether the unit of assignment changed.",
        "{units} 个单元（{share:.2%}）出现在多个组中；不超过 {most:.2%} 时予以剔除并说明，超过则各组不可比较。"
        "不显示任何结果；请检查分流单元是否发生变化。",
    ),
    "no column": (
        "{metric} is not measured: the table of units has no column {column}.",
        "未测量 {metric}：单元表中没有 {column} 列。",
    ),
    "not numbers": (
        "{metric} is not judged: it is not a number for {count} of {units} units. Events lack a price or a value, or "
        "the table has gaps that are not null; mend them.",
        "未评判 {metric}：{units} 个单元中有 {count} 个的数值不是数字。"
        "事件缺少价格或评分，或表中存在非空的缺失值；请修正。",
    ),
    "too few": (
        "{metric} of {arm} is not compared yet: an arm has {units} units measured, {least} are needed.",
        "{arm} 组的 {metric} 暂不比较：有一组只测得 {units} 个单元，至少需要 {least} 个。",
    ),
    "no value": (
        "{metric} of {arm} has no value yet: nothing happened that it could be computed from.",
        "{arm} 组的 {metric} 尚无数值：还没有可用于计算的事件。",
    ),
    "all alike": (
        "{metric} of {arm} cannot be compared yet: all units are alike.",
        "{arm} 组的 {metric} 暂不能比较：所有单元的数值都相同。",
    ),
    "seen": (
        "{fraction:.0%} of the planned units are in; arms have the sizes they should have (p = {p:.2g}).",
        "已有计划单元数的 {fraction:.0%} 进入实验；各组规模符合预期（p = {p:.2g}）。",
    ),
    "left out": (
        "{units} units were seen in more than one arm and are left out.",
        "{units} 个单元出现在多个组中，已剔除。",
    ),
    "compared": (
        "{metric}, {arm} against {control}: {treated} against {baseline}, {relative} (at any time between {low} and "
        "{high}); {verdict}.",
        "{metric}，{arm} 对比 {control}：{treated} 对 {baseline}，{relative}（任意时刻有效区间 {low} 至 {high}）；"
        "{verdict}。",
    ),
    "better": ("better", "更好"),
    "worse": ("worse", "更差"),
    "undecided": ("undecided so far", "尚无定论"),
    "no difference shown": ("no difference shown", "未显示差异"),
    "unmeasured": ("not measured", "未测量"),
    "guard broken": (
        "Guard-rail {metric}: {arm} is more than {margin:.1%} worse. {arm} has to stop.",
        "护栏指标 {metric}：{arm} 恶化超过 {margin:.1%}，{arm} 必须停止。",
    ),
    "guard holds": (
        "Guard-rail {metric}: {arm} is not more than {margin:.1%} worse.",
        "护栏指标 {metric}：{arm} 的恶化不超过 {margin:.1%}。",
    ),
    "guard watching": (
        "Guard-rail {metric}: {arm} shows no harm beyond {margin:.1%}, nor its absence yet.",
        "护栏指标 {metric}：{arm} 尚未显示超过 {margin:.1%} 的恶化，也尚不能排除。",
    ),
    "decision refused": ("No conclusion may be drawn.", "不能得出任何结论。"),
    "decision stop": (
        "Stop the experiment: every arm but {control} breaks a guard-rail. Keep {control}.",
        "停止实验：除 {control} 外各组均突破护栏指标。保留 {control}。",
    ),
    "decision ship": ("{winner} has won; it may take the place of {control}.", "{winner} 胜出，可以取代 {control}。"),
    "decision keep": (
        "No arm is better and some are worse; keep {control}.",
        "没有更好的组，且有的更差；保留 {control}。",
    ),
    "decision continue": ("Go on: nothing is decided yet.", "继续实验：尚无定论。"),
    "decision inconclusive": (
        "The planned end is reached and no difference that decides was shown; keep {control}.",
        "已到计划终点，未显示足以决定的差异；保留 {control}。",
    ),
}
"""Key -> English, Chinese."""

METRICS: Mapping[str, tuple[str, str]] = {
    "click_through": ("click-through", "点击率"),
    "conversion": ("conversion", "转化率"),
    "retention": ("retention", "留存率"),
    "revenue": ("revenue", "人均收入"),
    "satisfaction": ("satisfaction", "满意度"),
}
"""What the usual metrics are called; others go by their names."""


def sentence(key: str, language: str = "en", **values: str | int | float) -> str:
    """One sentence.

    Raises
    ------
    UsageError
        The language is neither ``en`` nor ``zh``.
    """
    if language not in LANGUAGES:
        raise UsageError(f"no words in {language!r}; there are {', '.join(LANGUAGES)}")
    place = LANGUAGES.index(language)
    if "metric" in values:
        values["metric"] = METRICS.get(str(values["metric"]), (str(values["metric"]),) * 2)[place]
    return WORDS[key][place].format(**values)


def told(report: Report, language: str = "en") -> list[str]:
    """A report in sentences: the gate, each comparison, guard-rails, and what to do."""
    if report.open:
        lines = [sentence("seen", language, fraction=report.fraction, p=report.mismatch.p)]
    else:
        lines = [reason.words(language) for reason in report.closed_because]
    if report.in_two_arms and report.open:
        lines.append(sentence("left out", language, units=report.in_two_arms))
    for own in report.compared:
        lines.append(_compared(own, report.control, language))
        if own.guard is not None and own.guard.state != "unmeasured":
            lines.append(
                sentence(f"guard {own.guard.state}", language, metric=own.metric, arm=own.arm, margin=own.guard.margin)
            )
    key = f"decision {report.decision}"
    lines.append(sentence(key, language, control=report.control, winner=report.winner or ""))
    return lines


def _compared(own: Compared, control: str, language: str) -> str:
    if own.reason is not None:
        return own.reason.words(language)
    relative = math.isfinite(own.relative_always_valid.low)
    shown: Interval = own.relative_always_valid if relative else own.always_valid
    form = "{:+.1%}" if relative else "{:+.4g}"
    return sentence(
        "compared",
        language,
        metric=own.metric,
        arm=own.arm,
        control=control,
        treated=f"{own.treated.estimate:.4g}",
        baseline=f"{own.baseline.estimate:.4g}",
        relative=form.format(shown.estimate),
        low=form.format(shown.low),
        high=form.format(shown.high),
        verdict=sentence(own.verdict, language),
    )
