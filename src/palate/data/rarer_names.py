"""Names of columns met less often: looked for where none of the usual names of ``schema`` is there."""

from __future__ import annotations

from collections.abc import Mapping

OF_EVENTS: Mapping[str, str] = {
    "user_id": """
        client client_id buyer buyer_id shopper shopper_id guest guest_id reader reader_id viewer_id
        reviewer reviewer_id rater_id account_id person_id member
        用户名 会员 会员id 会员号 会员编号 顾客 顾客编号 客户 客户id 客户编号 买家 买家id
    """,
    "item_id": """
        item_code product_code goods_id book_id song_id track_id show_id film_id news_id content_id post_id
        recipe_id hotel_id restaurant_id business_id place_id shop_id
        商品编码 货号 产品 产品id 产品编号 物品 物品id 文章id 店铺id
    """,
    "timestamp": """
        timestamp_ms event_timestamp occurred_at order_date order_time ordered_at purchase_date
        purchase_time purchased_at transaction_date transaction_time sale_date click_time visit_time
        visited_at checkin_time watched_at played_at rated_at review_date review_time
        时间戳 日期 日期时间 下单时间 购买时间 交易时间 行为时间 创建时间 评论时间
    """,
    "kind": "event_name interaction interaction_type 事件 事件类型 行为类型 操作 动作",
    "value": "review_score review_rating star_rating user_rating 打分 星级",
    "quantity": "purchase_quantity 购买数量 件数",
    "price": "sale_price item_price 单价 售价 成交价 金额",
    "currency": "币种",
    "session_id": "会话id",
    "basket_id": "order_number order_no receipt receipt_id receipt_no 订单号 订单id 订单编号 小票号",
    "place": "门店",
    "dwell": "dwell_seconds time_spent reading_time 停留时间 停留时长 时长",
    "text": "review_body review_content 评论内容 评价内容",
}
"""Canonical column of events -> names, parted by spaces."""

OF_ITEMS: Mapping[str, str] = {
    "title": """
        product_title item_name item_title book_title movie_title track_name
        商品名 产品名称 品名 名字 店名 菜名 片名
    """,
    "description": "overview details product_description item_description 商品描述 介绍 详情 正文 内容 摘要",
    "brand": "brand_name maker creator director 作者 厂商 出版社",
    "category": "category_name product_category main_category subject type 类目 种类 商品类别 商品分类 栏目 菜系",
    "price": "sale_price retail_price current_price 单价 售价 现价 商品价格",
    "currency": "币种",
    "created": "published_at publish_date publication_date date 发布时间 创建时间",
}
"""The same of items; an item's id goes by the names it has in events."""
