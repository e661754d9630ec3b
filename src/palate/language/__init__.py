"""The language model: texts become vectors, items and behaviour become texts, likeness is explained by words."""

from palate.core.folders import cache_folder
from palate.language.attribution import word_weights
from palate.language.cache import CachedEncoder, CacheSettings, VectorCache
from palate.language.detect import cjk_share, detect_language
from palate.language.encoder import TextEncoder, unit_rows
from palate.language.index import IndexSettings, VectorIndex, nearest, principal
from palate.language.lexical import LexicalEncoder, LexicalSettings
from palate.language.registry import Choice, EncoderSettings, LaterEncoder, choose_encoder, load_encoder
from palate.language.search import SearchSettings, TextSearch
from palate.language.sentiment import SentimentModel, SentimentSettings, learn_sentiment
from palate.language.tone import Tone, tones
from palate.language.transformer import TransformerEncoder, TransformerSettings, load_transformer
from palate.language.verbalise import ItemTextSettings, behaviour_text, item_text, item_texts

__all__ = [
    "CacheSettings",
    "CachedEncoder",
    "Choice",
    "EncoderSettings",
    "IndexSettings",
    "ItemTextSettings",
    "LaterEncoder",
    "LexicalEncoder",
    "LexicalSettings",
    "SearchSettings",
    "SentimentModel",
    "SentimentSettings",
    "TextEncoder",
    "TextSearch",
    "Tone",
    "TransformerEncoder",
    "TransformerSettings",
    "VectorCache",
    "VectorIndex",
    "behaviour_text",
    "cache_folder",
    "choose_encoder",
    "cjk_share",
    "detect_language",
    "item_text",
    "item_texts",
    "learn_sentiment",
    "load_encoder",
    "load_transformer",
    "nearest",
    "principal",
    "tones",
    "unit_rows",
    "word_weights",
]
