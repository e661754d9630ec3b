"""What sales panels and elasticities say of their data, in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from palate.data.tables import Note
from palate.forecast.words import NOTES as FORECAST_NOTES
from palate.pricing.elasticities import ESTIMATED

NOTES: Mapping[str, tuple[str, str]] = {
    **FORECAST_NOTES,
    "unpriced": (
        "{count:,} of {of:,} sales have no price above 0 and are left out.",
        "{of:,} 笔销售中有 {count:,} 笔没有大于 0 的价格，已略去。",
    ),
    "bulk": (
        "On {share:.0%} of the item-days with several sales, larger orders paid a lower price: there the quantity sets "
        'the price. Count orders instead of units (demand = "orders") and read estimates of units as too strong.',
        "在有多笔销售的商品日中，{share:.0%} 的大单价格更低：此处是数量决定价格。请按订单计数（demand = "
        '"orders"），按件数的估计会偏大。',
    ),
    "stock_out": (
        "{count:,} of {of:,} periods are left out because the item could not be bought.",
        "{of:,} 个周期中有 {count:,} 个因缺货而略去。",
    ),
    "impossible": (
        "{count:,} of {of:,} rows have a price or a quantity that cannot be, and are left out.",
        "{of:,} 行中有 {count:,} 行的价格或数量不可能成立，已略去。",
    ),
    "absurd": (
        "{count:,} of {of:,} rows have a price far from everything else the item ever cost, and are left out.",
        "{of:,} 行中有 {count:,} 行的价格与该商品的其他价格相差悬殊，已略去。",
    ),
    "rare": (
        "{count:,} of {of:,} rows are of items that sold too rarely to learn from.",
        "{of:,} 行属于销售过少、无法学习的商品，共 {count:,} 行。",
    ),
    "carried": (
        "In {count:,} of {of:,} periods nothing was sold; there the last known price is taken to have stood. A "
        "price that moved in such a period is not seen, which draws elasticities towards 0.",
        "{of:,} 个周期中有 {count:,} 个没有销售；假定其价格沿用上一个已知价格。"
        "此时若价格变动便无从得知，弹性会偏向 0。",
    ),
    "logs": (
        "Demand is taken in logs; {share:.1%} of the periods sold nothing.",
        "需求取对数；{share:.1%} 的周期没有销售。",
    ),
    "counts": (
        "Demand is taken as a Poisson mean, since {share:.1%} of the periods sold nothing. Where sales are this "
        "sparse, confounding is taken out less completely than where every period sells.",
        "{share:.1%} 的周期没有销售，需求按泊松均值估计。销售如此稀疏时，混杂因素的剔除不如每期都有销售时彻底。",
    ),
    "without_sales": (
        "{count:,} of {of:,} periods without sales are left out: a log of 0 says nothing.",
        "{of:,} 个周期中有 {count:,} 个没有销售，取对数无意义，已略去。",
    ),
    "unconfounded": (
        "Nothing is known but prices: season and promotions could not be taken out, and the estimate may be theirs.",
        "除价格外一无所知：季节与促销无法剔除，估计值可能反映的是它们。",
    ),
    "tied": (
        "{share:.0%} of all price moves are foretold by season, promotions and the like: little is left to learn from.",
        "{share:.0%} 的价格变动可由季节、促销等预知：可供学习的所剩无几。",
    ),
    "few_items": (
        "With {count} items, errors are clustered by stretches of {stretch} periods; intervals would miss what lasts "
        "longer.",
        "只有 {count} 个商品，误差按每 {stretch} 个周期聚类；持续更久的影响未计入区间。",
    ),
    "no_store_no_week": (
        "Store and week are not in the file: shops that are dear and sell little, weeks in which everybody buys, and "
        "the prices of rivals on the same shelf cannot be taken out. The estimate mixes how shoppers answer to a price "
        "with how stores and weeks differ. Rows in a run of one brand are taken to err together.",
        "文件中没有门店与周：各店之间的差异、旺季以及同架竞品价格都无法剔除。估计值混合了顾客对价格的反应与门店、"
        "周次的差异。同一品牌连续的行视为误差相关。",
    ),
    "sample": (
        "The file is a sample of lines: quantities are a share of what was sold, which widens intervals. Goods "
        "sold by weight have a price a piece that varies with the piece, which draws their elasticity towards 0.",
        "该文件是抽样明细：数量只是销量的一部分，区间较宽。按重量出售的商品单价随每件重量变化，其弹性会偏向 0。",
    ),
}

REASONS: Mapping[str, tuple[str, str]] = {
    ESTIMATED: ("", ""),
    "never_moved": (
        "its price never moved, so nothing says what another price would do",
        "价格从未变动，无从得知其他价格的影响",
    ),
    "few_rows": ("it has too few periods with sales", "有销售的周期太少"),
    "foretold": (
        "its price moved only when season or promotions moved it, so that these cannot be told from the price",
        "价格只随季节或促销变动，无法与其影响区分",
    ),
    "few_moves": (
        "its price moved too few times apart from each other to say how sure an estimate would be",
        "价格的独立变动太少，无法判断估计的可靠程度",
    ),
}


def in_words(notes: Iterable[Note], language: str = "en") -> list[str]:
    """Notes as sentences."""
    place = 1 if language.startswith("zh") else 0
    return [NOTES[note.code][place].format(**note.values) for note in notes]


def why_not(reason: str, language: str = "en") -> str:
    """Why nothing is claimed, "" where something is."""
    return REASONS[reason][1 if language.startswith("zh") else 0]
