"""The language model: texts become vectors, items and behaviour become texts, likeness is explained by words."""

from palate.language.cache import CachedEncoder, CacheSettings, VectorCache, cache_folder
from palate.language.encoder import TextEncoder, unit_rows
from palate.language.lexical import LexicalEncoder, LexicalSettings
from palate.language.registry import Choice, EncoderSettings, choose_encoder, load_encoder
from palate.language.transformer import TransformerEncoder, TransformerSettings, load_transformer

__all__ = [
    "CacheSettings",
    "CachedEncoder",
    "Choice",
    "EncoderSettings",
    "LexicalEncoder",
    "LexicalSettings",
    "TextEncoder",
    "TransformerEncoder",
    "TransformerSettings",
    "VectorCache",
    "cache_folder",
    "choose_encoder",
    "load_encoder",
    "load_transformer",
    "unit_rows",
]
