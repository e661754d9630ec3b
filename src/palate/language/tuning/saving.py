"""A tuned encoder on disk: what was learnt alone, or whole; an artefact either way, with nothing pickled.

Alone: the learnt weights beside the name of the model they belong to. Whole: the weights of the transformer with the
products merged in, its configuration and its tokenizer, so that the folder is a transformers model too.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from palate.core import ArtefactError, DataError, UsageError
from palate.core.artefact import Artefact, file_sha256, read, write
from palate.language.bert import bert_of, is_plain_bert
from palate.language.registry import TUNED
from palate.language.transformer import (
    Forward,
    TransformerEncoder,
    TransformerSettings,
    has_native_bf16,
)
from palate.language.tuning.adapters import Bottleneck
from palate.language.tuning.settings import TrunkSettings
from palate.language.tuning.trunk import Trunk, open_trunk
from palate.language.tuning.vectors import Vectors

if TYPE_CHECKING:
    from palate.core.recommender import Arrays


def save_encoder(
    trunk: Trunk, vectors: Vectors | None, folder: Path, *, whole: bool = False, languages: tuple[str, ...] = ("*",)
) -> None:
    """Write a tuned encoder, whole or not at all.

    Parameters
    ----------
    vectors
        The head that makes vectors; None: pooled states as they are.
    whole
        Write the transformer too, with low-rank products merged into its matrices. Adapters cannot be merged and stay
        beside it.
    languages
        Codes of the languages that it reads.
    """
    arrays: dict[str, Arrays] = {} if vectors is None else {"vectors": vectors.arrays()}
    texts: dict[str, str] = {}
    settings = trunk.settings
    if whole:
        tokenizer = trunk.folder / "tokenizer.json"
        if not tokenizer.is_file():
            raise UsageError(f"{trunk.source} has no tokenizer.json to take along; save what was learnt alone")
        texts = {
            "tokenizer.json": tokenizer.read_text(encoding="utf-8"),
            "config.json": (trunk.folder / "config.json").read_text(encoding="utf-8"),
        }
        arrays["model"] = _numpy(merged(trunk))
    if not whole or settings.method == "adapters":
        arrays["learnt"] = learnt_arrays(trunk)
    manifest = {
        "source": None if whole else trunk.source,
        "base": model_fingerprint(trunk.folder),
        "trunk": settings.model_dump(mode="json"),
        "pooling": trunk.pooling,
        "languages": list(languages),
        "holds": sorted(arrays),
    }
    write(Artefact(TUNED, manifest, arrays, texts), folder)


def load_tuned(folder: Path, settings: TransformerSettings | None = None) -> TransformerEncoder:
    """A tuned encoder from its folder.

    Raises
    ------
    ArtefactError
        The folder is damaged, or of another format.
    DataError
        The model it was learnt beside cannot be had, or is another one now.
    """
    found = read(folder, TUNED)
    trunk, languages = _opened(found, Path(folder)), tuple(found.manifest["languages"])
    settings = (settings or TransformerSettings()).model_copy(update={"max_tokens": trunk.settings.max_tokens})
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and has_native_bf16())
    vectors = Vectors.restore(found.arrays["vectors"]) if "vectors" in found.arrays else None
    identity = hashlib.sha256(json.dumps(found.manifest, sort_keys=True).encode()).hexdigest()[:16]
    return TransformerEncoder(
        f"{Path(folder).name}-{identity}-{'bf16' if bf16 else 'fp32'}",
        trunk.size if vectors is None else vectors.dimensions,
        languages,
        trunk.pooling,
        settings,
        trunk.tokenize,
        _forward(trunk, torch.bfloat16 if bf16 else torch.float32),
        None if vectors is None else vectors.finish,
        shaped=vectors is not None,
    )


def merged(trunk: Trunk) -> dict[str, Tensor]:
    """Weights under transformers' own names, low-rank products merged in and adapters left out; the trunk stays."""
    method = trunk.settings.method
    if method in ("lora", "adalora"):
        model = cast(Any, copy.deepcopy(trunk.model)).merge_and_unload()
        return dict(model.state_dict())
    state = trunk.model.state_dict()
    if method != "adapters":
        return state
    placed = [name for name, module in trunk.model.named_modules() if isinstance(module, Bottleneck)]
    beside = {f"{name}.{part}." for name in placed for part in ("down", "up")}
    return {name.replace(".matrix.", "."): value for name, value in state.items() if not name.startswith(tuple(beside))}


def open_learnt(source: str | Path, settings: TrunkSettings, learnt: Arrays, base: str | None, folder: Path) -> Trunk:
    """A trunk with what it learnt put back.

    Parameters
    ----------
    learnt
        What ``learnt_arrays`` gave.
    base
        Fingerprint that the model's own weights must have; not checked where None.
    folder
        Where it was saved, for the messages.

    Raises
    ------
    DataError
        The model's weights are others now.
    ArtefactError
        What was learnt has no place in it.
    """
    trunk = open_trunk(source, settings)
    if base is not None and model_fingerprint(trunk.folder) != base:
        raise DataError(
            f"{folder} was learnt beside {source}, whose weights are others now. Put back those it was learnt beside, "
            "or teach it again."
        )
    known = {name for name, value in trunk.model.named_parameters() if value.requires_grad}
    given = {name: torch.from_numpy(np.array(value)) for name, value in learnt.items()}
    if set(given) != known:
        raise ArtefactError(f"{folder} holds weights that {source} has no place for. Teach it again.")
    trunk.model.load_state_dict(given, strict=False)
    return trunk.eval()


def learnt_arrays(trunk: Trunk) -> Arrays:
    """The weights that may have changed, by name."""
    return _numpy(trunk.learnt())


def _opened(found: Artefact, folder: Path) -> Trunk:
    """The trunk with what it learnt, as the artefact says."""
    source, learnt = found.manifest["source"], found.arrays.get("learnt", {})
    settings = TrunkSettings.model_validate(found.manifest["trunk"])
    if not learnt:
        settings = settings.model_copy(update={"method": "frozen"})
    whole = source is None
    return open_learnt(folder if whole else source, settings, learnt, None if whole else found.manifest["base"], folder)


def _forward(trunk: Trunk, dtype: torch.dtype) -> Forward:
    """Token ids and mask to hidden states: BERT's own written-out pass where it fits, else the model itself."""
    config = json.loads((trunk.folder / "config.json").read_text(encoding="utf-8"))
    if is_plain_bert(config) and trunk.settings.method != "adapters":
        return bert_of(merged(trunk), config, dtype)
    model = trunk.model.to(dtype).eval()

    def forward(ids: Tensor, mask: Tensor) -> Tensor:
        hidden: Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden

    return forward


def _numpy(state: dict[str, Tensor]) -> dict[str, Any]:
    return {name: value.detach().cpu().numpy() for name, value in state.items()}


def model_fingerprint(folder: Path) -> str:
    """Of a model's weights."""
    return " ".join(file_sha256(path) for path in sorted(folder.glob("*.safetensors")))
