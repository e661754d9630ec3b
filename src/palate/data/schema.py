"""The canonical columns of events, items and users, and the usual names each is known by."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Column:
    """A canonical column.

    Parameters
    ----------
    name
        What palate calls it.
    dtype
        What it holds after reading.
    aliases
        Other names it is found by, compared without case, spaces and punctuation. Where none of them is there, those of
        ``rarer_names`` are looked for.
    """

    name: str
    dtype: pl.DataType | type[pl.DataType]
    aliases: tuple[str, ...] = ()


EVENT_COLUMNS: tuple[Column, ...] = (
    Column(
        "user_id",
        pl.String,
        (
            "user",
            "uid",
            "customer_id",
            "customer",
            "visitor_id",
            "household_id",
            "member_id",
            "用户",
            "用户id",
            "用户编号",
        ),
    ),
    Column(
        "item_id",
        pl.String,
        (
            "item",
            "iid",
            "product_id",
            "product",
            "article_id",
            "movie_id",
            "video_id",
            "asin",
            "parent_asin",
            "sku",
            "stock_code",
            "venue_id",
            "poi_id",
            "reference",
            "商品",
            "商品id",
            "商品编号",
        ),
    ),
    Column(
        "timestamp",
        pl.Float64,
        (
            "time",
            "ts",
            "date",
            "datetime",
            "event_time",
            "unix_timestamp",
            "created_at",
            "invoice_date",
            "transaction_timestamp",
            "unix_review_time",
            "时间",
        ),
    ),
    Column("position", pl.Int64, ("order", "step", "sequence")),
    Column(
        "kind", pl.String, ("event", "event_type", "type", "action", "action_type", "behavior", "behaviour", "行为")
    ),
    Column("value", pl.Float32, ("rating", "score", "stars", "overall", "评分")),
    Column("quantity", pl.Float32, ("qty", "count", "units", "数量")),
    Column("price", pl.Float32, ("unit_price", "amount", "价格")),
    Column("currency", pl.String, ("currency_code", "货币")),
    Column("session_id", pl.String, ("session", "visit_id", "会话")),
    Column("basket_id", pl.String, ("basket", "invoice_no", "invoice", "order_id", "transaction_id", "订单")),
    Column("place", pl.String, ("location", "city", "region", "country", "地点", "城市")),
    Column("lat", pl.Float64, ("latitude", "纬度")),
    Column("lon", pl.Float64, ("lng", "longitude", "经度")),
    Column("device", pl.String, ("platform_device", "设备")),
    Column("dwell", pl.Float32, ("dwell_time", "duration", "watch_time", "seconds", "停留")),
    Column("text", pl.String, ("review", "review_text", "comment", "query", "search_text", "评论", "评价")),
    Column("event_id", pl.String, ("eid",)),
    Column("impression_id", pl.String, ("impression", "request_id")),
    Column("recommendation_id", pl.String, ("recommendation", "rec_id")),
    Column("shown", pl.String, ("impressions", "impression_list", "shown_items", "曝光列表")),
    Column("shown_prices", pl.String, ("prices", "impression_prices", "曝光价格")),
)
"""Of an event. ``user_id`` is due, ``timestamp`` (seconds since 1970 UTC once read) or ``position``, and ``item_id``
unless the event is a search, or says what was ``shown`` when nothing was chosen. ``shown`` holds ids in their order on
the page, a bar or a comma between them, and ``shown_prices`` their prices likewise."""

ITEM_COLUMNS: tuple[Column, ...] = (
    Column("item_id", pl.String, (*EVENT_COLUMNS[1].aliases, "id", "编号")),
    Column("title", pl.String, ("name", "product_name", "headline", "标题", "名称", "商品名称")),
    Column("description", pl.String, ("text", "summary", "plot", "body", "content", "abstract", "描述", "简介")),
    Column("brand", pl.String, ("manufacturer", "artist", "author", "publisher", "品牌")),
    Column(
        "category",
        pl.String,
        ("categories", "genre", "genres", "topic", "section", "department", "类别", "分类", "品类"),
    ),
    Column("price", pl.Float32, ("list_price", "unit_price", "价格")),
    Column("currency", pl.String, ("currency_code", "货币")),
    Column("stock", pl.Float32, ("inventory", "available", "库存")),
    Column("lat", pl.Float64, ("latitude", "纬度")),
    Column("lon", pl.Float64, ("lng", "longitude", "经度")),
    Column("image", pl.String, ("image_url", "img", "picture", "图片")),
    Column("created", pl.Float64, ("created_at", "published", "release_date", "上架时间")),
)
"""Of an item. Only ``item_id`` is due; columns beyond these are kept as properties to filter and explain by."""

USER_COLUMNS: tuple[Column, ...] = (Column("user_id", pl.String, (*EVENT_COLUMNS[0].aliases, "id", "编号")),)
"""Of a user. Everything else is an attribute."""

KIND_ALIASES: dict[str, str] = {
    **dict.fromkeys(
        ("pv", "page_view", "pageview", "viewed", "view_item", "visit", "visited", "浏览", "查看", "访问"), "view"
    ),
    **dict.fromkeys(("clicked", "clk", "select_item", "clickout item", "clickout", "点击"), "click"),
    **dict.fromkeys(("add_to_cart", "addtocart", "add to cart", "basket", "加购", "加车", "加入购物车"), "cart"),
    **dict.fromkeys(("buy", "bought", "purchased", "order", "transaction", "sale", "购买", "下单", "支付"), "purchase"),
    **dict.fromkeys(("refund", "returned", "退货", "退款"), "return"),
    **dict.fromkeys(("rate", "rated", "review", "评分", "评价"), "rating"),
    **dict.fromkeys(("fav", "favorite", "favourite", "收藏", "喜欢", "点赞"), "like"),
    **dict.fromkeys(("不喜欢", "点踩"), "dislike"),
    **dict.fromkeys(("shared", "分享"), "share"),
    **dict.fromkeys(("searched", "query", "搜索"), "search"),
    **dict.fromkeys(("shown", "exposure", "曝光"), "impression"),
}
"""Other names of the usual kinds of event, lower case."""

WITHDRAWALS = frozenset(
    {
        *("remove", "removed", "remove_from_cart", "removed_from_cart", "removefromcart", "remove from cart"),
        *("unlike", "unfav", "unfavorite", "unsave", "skip", "skipped", "cancel", "cancelled", "canceled"),
        *("移出购物车", "删除", "取消收藏", "取消点赞", "取消订单", "跳过", "取消"),
    }
)
"""Kinds by which somebody takes interest back, lower case: nothing is learnt for or against the item from one."""
