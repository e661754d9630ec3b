"""What the report says, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]
Level = Literal["fail", "poor", "note"]

REASONS: Mapping[str, tuple[str, str]] = {
    "no_user": ("no user id", "没有用户编号"),
    "no_item": ("no item id", "没有商品编号"),
    "no_time": ("neither a time nor a position", "既没有时间也没有次序"),
    "bad_time": ("the time is not a time", "时间无法识别"),
    "before_1970": ("the time lies before 1970", "时间早于1970年"),
    "future": ("the time lies in the future", "时间在未来"),
    "unknown_kind": ("a kind of event that is not known here", "未知的事件类型"),
    "fields": ("more or fewer fields than the first line names", "字段数与首行不符"),
    "open_quote": ("a quotation mark that is never closed", "引号没有闭合"),
    "not_json": ("not JSON", "不是合法的JSON"),
    "not_object": ("JSON, but not an object", "是JSON但不是对象"),
}
"""Why a row was rejected, by code."""

SENTENCES: Mapping[str, tuple[Level, str, str]] = {
    "no_interest": (
        "fail",
        "No event is evidence of interest: every kind here weighs nothing or speaks against the item. "
        "Give kinds= with weights above 0.",
        "没有任何事件能表示兴趣：所有事件类型的权重都不大于0。请用 kinds= 设置大于0的权重。",
    ),
    "one_user": (
        "fail",
        "There is one user only: nothing can be learnt from what others did.",
        "只有一个用户：无法从其他用户的行为中学习。",
    ),
    "one_item": (
        "fail",
        "There is one item only: there is nothing to choose between.",
        "只有一个商品：没有可供选择的对象。",
    ),
    "no_followers": (
        "fail",
        "No user has more than one event of interest: what goes with what, or follows what, cannot be learnt.",
        "没有任何用户有一次以上的兴趣事件：无法学习商品之间的搭配与先后。",
    ),
    "few_followers": (
        "poor",
        "Only {share:.0%} of users have more than one event of interest; most of the data says nothing about "
        "what goes together.",
        "只有 {share:.0%} 的用户有一次以上的兴趣事件，大部分数据说明不了商品之间的关系。",
    ),
    "few_events": (
        "poor",
        "{count:,} events of interest are few; below a thousand, popularity is hard to beat.",
        "兴趣事件只有 {count:,} 条；不足一千条时很难胜过热门榜。",
    ),
    "one_moment": (
        "poor",
        "All events have the same time: the order within a user is unknown, and sequences mean nothing.",
        "所有事件的时间相同：用户内部的先后次序未知，序列没有意义。",
    ),
    "no_text": (
        "poor",
        "Items have no texts: no language model is used, and untouched items cannot be recommended by content.",
        "商品没有文本：不会使用语言模型，也无法按内容推荐无人问津的商品。",
    ),
    "items_unlisted": (
        "note",
        "Items of the events that have no row among the items: {count:,}. Nothing is known of them but their events.",
        "事件中有 {count:,} 个商品不在商品表里，除行为之外对它们一无所知。",
    ),
    "no_times": (
        "note",
        "There are no times, only an order: splits in time, sessions, seasons and recency in days are not to be had.",
        "没有时间，只有次序：无法按时间切分，也没有会话、季节与按天计的新近度。",
    ),
    "some_times": (
        "note",
        "{count:,} of {events:,} events have no time; what needs times leaves them out or is not available.",
        "{events:,} 条事件中有 {count:,} 条没有时间；需要时间的功能会忽略它们或不可用。",
    ),
    "whole_days": (
        "note",
        "Times are whole days: the order within a day is unknown and is not guessed from the file.",
        "时间只精确到天：同一天内的先后未知，也不会根据文件顺序猜测。",
    ),
    "bots": (
        "poor",
        "{count:,} users behave like machines, at up to {most:,} events in an hour ({examples}); "
        "drop_bots (--drop-bots) leaves them out.",
        "{count:,} 个用户的行为像机器，一小时内多达 {most:,} 条事件（{examples}）；可用 drop_bots（--drop-bots）剔除。",
    ),
    "bots_dropped": (
        "note",
        "{count:,} users that behave like machines were left out, as asked.",
        "已按要求剔除 {count:,} 个行为像机器的用户。",
    ),
    "ids_case": (
        "note",
        "{count:,} item ids differ from another in case only ({examples}); they count as different items.",
        "有 {count:,} 个商品编号仅大小写不同（{examples}），按不同商品处理。",
    ),
    "kind_assumed": (
        "note",
        "There is no kind of event; rows with a value count as rating, all others as purchase: {kinds}.",
        "没有事件类型列；有评分的行视为 rating，其余视为 purchase：{kinds}。",
    ),
    "kind_gaps": (
        "note",
        "{count:,} rows without a kind count as rating where they have a value, else as purchase.",
        "{count:,} 行没有事件类型：有评分的视为 rating，否则视为 purchase。",
    ),
    "own_kinds": (
        "note",
        "Kinds of event palate has no weight for count as full interest (weight 1): {kinds}. "
        "Give kinds= (in palate.toml: [[data.kinds]]) to weigh them otherwise.",
        "以下事件类型没有预设权重，按完全感兴趣（权重1）处理：{kinds}。"
        "可用 kinds=（palate.toml 中的 [[data.kinds]]）另设权重。",
    ),
    "withdrawals": (
        "note",
        "Kinds of event by which interest is taken back count as none (weight 0): {kinds}. "
        "Give kinds= (in palate.toml: [[data.kinds]]) to weigh them otherwise.",
        "以下撤回兴趣的事件类型不计入兴趣（权重0）：{kinds}。可用 kinds=（palate.toml 中的 [[data.kinds]]）另设权重。",
    ),
    "returns": (
        "note",
        "{count:,} purchases of a negative quantity are returns.",
        "{count:,} 条数量为负的购买视为退货（return）。",
    ),
    "times_mixed": (
        "note",
        "The time column mixes units, told apart by size: {units}.",
        "时间列混用了不同单位，已按大小区分：{units}。",
    ),
    "times_compact": (
        "note",
        "Times written like 20240131 were read as days.",
        "形如 20240131 的时间按日期读取。",
    ),
    "column_chosen": (
        "note",
        "{table}: several columns could be {column} ({found}); the first was taken.",
        "{table}：有多列可能是 {column}（{found}），取了第一个。",
    ),
    "values_unreadable": (
        "note",
        "{table}: {count:,} values of {column} cannot be read and were left empty.",
        "{table}：{column} 有 {count:,} 个值无法读取，已置空。",
    ),
    "values_absurd": (
        "note",
        "{table}: {count:,} values of {column} are impossible and were left empty.",
        "{table}：{column} 有 {count:,} 个值不可能存在，已置空。",
    ),
    "places_turned": (
        "note",
        "{table}: latitude and longitude of {count:,} rows were the wrong way round and were exchanged.",
        "{table}：有 {count:,} 行的纬度与经度写反，已互换。",
    ),
    "places_polar": (
        "poor",
        "{table}: {count:,} rows lie beyond a polar circle; latitude and longitude are probably exchanged. Pass "
        "--columns lat=...,lon=... with the names the right way round if they are.",
        "{table}：有 {count:,} 行位于极圈之内，纬度与经度可能写反；若是，请用 --columns lat=...,lon=... 指定正确的列。",
    ),
    "places_zero": (
        "note",
        "{table}: {count:,} rows lie at 0, 0, which stands for unknown; they were left without a place.",
        "{table}：有 {count:,} 行的坐标为 0, 0，视为未知，已置空。",
    ),
    "zones_mixed": (
        "poor",
        "Times with and without a time zone are mixed: {without:,} without one were read as UTC, {with:,} as they say. "
        'If those without one are local times, give it as time_zone ([data] time_zone = "Asia/Shanghai").',
        "时间列中带时区与不带时区的值混用：不带时区的 {without:,} 个按UTC读取，带时区的 {with:,} 个按其所写。"
        '若前者是当地时间，请用 time_zone 指明时区（[data] time_zone = "Asia/Shanghai"）。',
    ),
    "zone_local": (
        "note",
        "{count:,} times of day without a zone were read as clocks in {zone} show them ({skipped:,} in an hour that "
        "clocks there skipped).",
        "{count:,} 个不带时区的时间按 {zone} 的当地时间读取（其中 {skipped:,} 个落在夏令时跳过的时段）。",
    ),
    "texts_marks": (
        "note",
        "items: byte-order marks were removed from {count:,} texts.",
        "items：已从 {count:,} 条文本中去掉字节序标记。",
    ),
    "texts_entities": (
        "note",
        "items: HTML entities in {count:,} texts became characters.",
        "items：{count:,} 条文本中的HTML实体已还原为字符。",
    ),
    "texts_placeholders": (
        "note",
        'items: {count:,} texts say nothing ("N/A" and the like) and were left empty.',
        "items：{count:,} 条文本没有内容（如“N/A”），已置空。",
    ),
    "texts_truncated": (
        "note",
        "items: {count:,} texts of absurd length were cut.",
        "items：{count:,} 条文本过长，已截断。",
    ),
    "decoded_gbk": (
        "note",
        "{file} is not UTF-8; it was read as GBK. Save it as UTF-8 to be certain.",
        "{file} 不是UTF-8编码，已按GBK读取。建议另存为UTF-8。",
    ),
}
"""What there is to say, by code: how much it matters, in English, in Chinese."""

HEADINGS: Mapping[str, tuple[str, str]] = {
    "table": (
        "{name} ({source}): {read:,} rows read, {kept:,} kept, {merged:,} merged, {rejected:,} rejected",
        "{name}（{source}）：读入 {read:,} 行，保留 {kept:,} 行，合并 {merged:,} 行，拒绝 {rejected:,} 行",
    ),
    "dropped": (", {dropped:,} dropped", "，剔除 {dropped:,} 行"),
    "columns": ("  columns: {columns}", "  识别的列：{columns}"),
    "unused": ("  not used: {columns}", "  未使用的列：{columns}"),
    "reason": (
        "  rejected {count:,}: {reason} (first at line {line:,}{value})",
        "  拒绝 {count:,} 行：{reason}（首见于第 {line:,} 行{value}）",
    ),
    "totals": (
        "{users:,} users, {items:,} items, {events:,} events",
        "{users:,} 个用户，{items:,} 个商品，{events:,} 条事件",
    ),
    "fail": ("Training would fail:", "训练会失败："),
    "poor": ("Training would be poor:", "训练效果会差："),
    "note": ("Good to know:", "值得知道："),
}
"""The frame around the sentences."""


def said(pair: tuple[str, str], language: Language, **values: object) -> str:
    """One of two sentences with its values filled in."""
    readable = {name: _readable(value) for name, value in values.items()}
    return pair[language == "zh"].format(**readable)


def _readable(value: object) -> object:
    if isinstance(value, Mapping):
        return ", ".join(f"{count:,} {name}" for name, count in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value
