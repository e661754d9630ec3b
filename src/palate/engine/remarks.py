"""What a strategy says of its own steps, in words of either language."""

from __future__ import annotations

from typing import NamedTuple

_WORDS = {
    "en": {
        "nothing_left": "nothing that was wished for is left; the engine's own list stands in",
        "no_codes": "no source writes codes (add {about} to the engine's sources); words are written instead",
        "template": "wishes are a template's: {about}",
        "no_answer": "no item answers the wishes",
        "no_judge": "nothing is filtered: the data has too few reactions to judge attractiveness by",
    },
    "zh": {
        "nothing_left": "没有剩下符合愿望的商品，改用引擎自己的列表",
        "no_codes": "没有可以生成编码的来源（请在引擎的来源中加入 {about}），改用文字",
        "template": "愿望由模板写成：{about}",
        "no_answer": "没有商品符合这些愿望",
        "no_judge": "未作筛选：数据中的反馈太少，无法判断吸引力",
    },
}


class Remark(NamedTuple):
    """Something that was not done as asked, and what it is about."""

    code: str
    about: str = ""

    def words(self, language: str) -> str:
        """It in a sentence."""
        return _WORDS["zh" if language == "zh" else "en"][self.code].format(about=self.about)
