"""A Chinese shop: gadgets (phones, tablets, watches, earphones) among two hundred unrelated goods."""

from __future__ import annotations

import polars as pl

GADGETS: dict[str, tuple[tuple[str, str], ...]] = {
    "数码 > 手机通讯 > 智能手机": (
        ("小米", "小米14 Pro 智能手机 徕卡光学镜头 16GB+512GB"),
        ("华为", "华为 Mate 60 Pro 5G智能手机 雅川青"),
        ("荣耀", "荣耀Magic6 智能手机 单反级鹰眼相机"),
        ("苹果", "Apple iPhone 15 手机 128GB 蓝色"),
        ("OPPO", "OPPO Find X7 拍照手机 海阔天空"),
    ),
    "数码 > 电脑办公 > 平板电脑": (
        ("华为", "华为平板 MatePad 11.5英寸 学习平板电脑"),
        ("苹果", "Apple iPad Air 11英寸 平板电脑 深空灰"),
        ("小米", "小米平板6 Pro 骁龙8+ 影音娱乐平板电脑"),
        ("联想", "联想小新Pad 12.7英寸 网课平板"),
        ("荣耀", "荣耀平板9 柔光版 护眼平板电脑"),
    ),
    "数码 > 智能设备 > 智能手表": (
        ("华为", "华为 WATCH GT4 智能手表 蓝牙通话 心率监测"),
        ("苹果", "Apple Watch Series 9 智能手表 GPS款 45毫米"),
        ("小米", "小米手表S3 运动智能手表 长续航"),
        ("佳明", "佳明 Forerunner 265 跑步骑行智能手表"),
        ("小天才", "小天才儿童电话手表 Z9 精准定位"),
    ),
    "数码 > 影音娱乐 > 耳机": (
        ("索尼", "索尼 WH-1000XM5 头戴式无线降噪耳机"),
        ("苹果", "Apple AirPods Pro 第二代 真无线蓝牙耳机"),
        ("华为", "华为 FreeBuds Pro 3 入耳式降噪耳机"),
        ("漫步者", "漫步者 W820NB 头戴式蓝牙耳机 立体声"),
        ("森海塞尔", "森海塞尔 IE200 有线入耳式耳机 高保真"),
    ),
}
"""Category -> (brand, title) of its goods."""

_FRESH = "食品 > 生鲜水果"
_GROCERY = "食品 > 粮油调味"
_SNACK = "食品 > 休闲零食"
_DRINK = "食品 > 酒水茶饮"
_WEAR = "服饰 > 男女装"
_SHOES = "服饰 > 鞋靴箱包"
_KITCHEN = "家居 > 厨房用品"
_BEDDING = "家居 > 床品布艺"
_BOOKS = "图书 > 文学小说"
_BEAUTY = "美妆 > 面部护肤"

OTHERS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    _FRESH: (
        "鲜丰",
        ("烟台红富士苹果", "海南贵妃芒果", "赣南脐橙", "库尔勒香梨", "丹东九九草莓"),
        ("5斤礼盒装", "产地直发 10斤", "新鲜现摘 3斤", "家庭装 8斤"),
    ),
    _GROCERY: (
        "福临门",
        ("五常稻花香大米", "压榨一级花生油", "零添加酱油", "四川郫县豆瓣酱", "高筋面粉"),
        ("家庭装", "小包装", "礼盒装", "餐饮大包装"),
    ),
    _SNACK: (
        "三只松鼠",
        ("每日坚果", "手撕牛肉干", "海苔脆片", "芒果干", "抹茶夹心饼干"),
        ("原味 500克", "独立小包 30包", "办公室零食 盒装", "香辣味 250克"),
    ),
    _DRINK: (
        "张裕",
        ("解百纳干红葡萄酒", "安溪铁观音茶叶", "西湖龙井绿茶", "蓝山风味咖啡豆", "低糖椰子汁"),
        ("单瓶装", "六支整箱", "罐装 250克", "送礼礼盒"),
    ),
    _WEAR: (
        "海澜之家",
        ("纯棉圆领短袖T恤", "羊毛针织开衫", "修身牛仔裤", "轻薄羽绒服", "碎花雪纺连衣裙"),
        ("黑色 男款", "米白 女款", "加大码", "春秋新款"),
    ),
    _SHOES: (
        "百丽",
        ("真皮商务皮鞋", "马丁短靴", "帆布双肩包", "大容量行李箱", "防滑居家拖鞋"),
        ("棕色", "经典黑", "情侣款", "轻便款"),
    ),
    _KITCHEN: (
        "苏泊尔",
        ("不粘炒锅", "陶瓷汤碗", "不锈钢菜刀", "竹制砧板", "玻璃保鲜盒"),
        ("两件套", "家用大号", "母婴可用", "加厚款"),
    ),
    _BEDDING: (
        "罗莱",
        ("全棉四件套", "乳胶枕头", "蚕丝被", "遮光窗帘", "珊瑚绒毛毯"),
        ("双人床 1.8米", "单人 1.2米", "浅灰", "婚庆大红"),
    ),
    _BOOKS: (
        "人民文学出版社",
        ("红楼梦", "平凡的世界", "三体", "活着", "围城"),
        ("精装典藏版", "平装全本", "青少年版", "作者签名本"),
    ),
    _BEAUTY: (
        "珀莱雅",
        ("玻尿酸保湿面膜", "维生素C精华液", "氨基酸洁面乳", "防晒霜SPF50", "滋润护手霜"),
        ("敏感肌适用", "旅行装", "50毫升", "明星同款套装"),
    ),
}
"""Category -> brand, goods and the variants each comes in: 10 x 5 x 4 = 200 goods."""


def chinese_items() -> pl.DataFrame:
    """20 gadgets (``item_id`` begins with g) and 200 other goods (o), mixed, with titles, brands and categories."""
    gadgets = [(category, brand, title) for category, goods in GADGETS.items() for brand, title in goods]
    others = [
        (category, brand, f"{thing} {variant}")
        for category, (brand, things, variants) in OTHERS.items()
        for thing in things
        for variant in variants
    ]
    rows = [(f"g{number:03}", *row) for number, row in enumerate(gadgets)]
    rows += [(f"o{number:03}", *row) for number, row in enumerate(others)]
    frame = pl.DataFrame(rows, schema=["item_id", "category", "brand", "title"], orient="row")
    return frame.sort(pl.col("title").str.reverse())
