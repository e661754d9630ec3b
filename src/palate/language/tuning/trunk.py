"""The trunk: a pretrained transformer of which some weights may learn, and the heads' way to its states."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from palate.core import DataError, UsageError
from palate.core.artefact import file_sha256
from palate.language.registry import MINILM_SHA256, minilm_source
from palate.language.transformer import (
    Pooling,
    Tokenize,
    batches_by_length,
    folder_of,
    has_native_bf16,
    padded,
    pooled,
    pooling_of,
    tokenizer_of,
)
from palate.language.tuning.adapters import insert
from palate.language.tuning.ranks import Ranks
from palate.language.tuning.settings import TrunkSettings

Family = Literal["encoder", "decoder"]


class Trunk(nn.Module):
    """A transformer and how its token states become one vector a text. Made by ``open_trunk``.

    Parameters
    ----------
    model
        Called with ``input_ids`` and ``attention_mask``, gives ``last_hidden_state``.
    folder
        Where its files are.
    source
        How it was asked for: ``minilm``, a folder or a hub name.
    family
        A decoder reads forward, so its last token alone has read the whole text.
    tokenize
        Texts to token ids.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        folder: Path,
        source: str,
        settings: TrunkSettings,
        family: Family,
        pooling: Pooling,
        tokenize: Tokenize,
    ) -> None:
        super().__init__()
        self.folder, self.source, self.settings = folder, source, settings
        self.family, self.pooling, self.tokenize = family, pooling, tokenize
        config = cast(Any, model).config
        self.size, self.vocabulary = int(config.hidden_size), int(config.vocab_size)
        self.ranks: Ranks | None = None
        self.model = self._fitted_out(model)

    @property
    def frozen(self) -> bool:
        """Whether none of its weights learns."""
        return self.settings.method == "frozen"

    def train(self, mode: bool = True) -> Self:
        """A frozen trunk drops nothing, so that what it says can be kept."""
        return super().train(mode and not self.frozen)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (b, w, h) of token ids, int64 (b, w), where mask is 1."""
        with self.autocast():
            hidden: Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden

    def autocast(self) -> AbstractContextManager[None]:
        """bf16 products where the settings and the processor have them."""
        wanted = self.settings.precision
        half = wanted == "bf16" or (wanted == "auto" and has_native_bf16())
        return cast(AbstractContextManager[None], torch.autocast("cpu", dtype=torch.bfloat16, enabled=half))

    def states(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """One pooled state a text, float32 (n, h); texts of like length go through together."""
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        parts, places = [], []
        for rows in batches_by_length(lengths, self.settings.tokens_per_batch):
            ids, mask = padded([tokens[row] for row in rows])
            if self.settings.lean and self.training and torch.is_grad_enabled():
                parts.append(checkpoint(self._pooled, ids, mask, use_reentrant=False))
            else:
                parts.append(self._pooled(ids, mask))
            places.append(torch.from_numpy(rows))
        if not parts:
            return torch.zeros(len(tokens), self.size)
        return torch.zeros(len(tokens), self.size).index_copy(0, torch.cat(places), torch.cat(parts))

    def after_step(self, step: int) -> None:
        """What the method does between steps; gradients still stand."""
        if self.ranks is not None:
            self.ranks.after_step(step)

    def penalty(self) -> Tensor:
        """What the method adds to every loss."""
        return torch.zeros(()) if self.ranks is None else self.ranks.penalty()

    def plain(self) -> nn.Module:
        """The transformer as transformers knows it, with what peft put beside its matrices."""
        inner = getattr(self.model, "get_base_model", None)
        return self.model if inner is None else cast(nn.Module, inner())

    def learnt(self) -> dict[str, Tensor]:
        """The weights that may have changed, by name."""
        return {name: value.detach() for name, value in self.model.named_parameters() if value.requires_grad}

    def special(self, *spellings: str) -> int | None:
        """The id of a special token by its possible spellings; None where there is none such."""
        path = self.folder / "tokenizer.json"
        known = json.loads(path.read_text(encoding="utf-8")).get("added_tokens", []) if path.is_file() else []
        found = {entry["content"]: int(entry["id"]) for entry in known}
        return next((found[name] for name in spellings if name in found), None)

    def _pooled(self, ids: Tensor, mask: Tensor) -> Tensor:
        return pooled(self(ids, mask), mask, self.pooling)

    def _fitted_out(self, model: nn.Module) -> nn.Module:
        """The model with what the method needs, and all else frozen."""
        settings = self.settings
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = settings.dropout
        if hasattr(model, "pooler"):
            cast(Any, model).pooler = None
        whole = settings.method == "full" and not settings.layers
        model.requires_grad_(whole)
        if settings.method == "frozen" or whole:
            return model
        layers = layers_of(model)
        if settings.layers > len(layers):
            raise UsageError(f"layers = {settings.layers}, and {self.source} has {len(layers)}")
        upper = layers[len(layers) - (settings.layers or len(layers)) :]
        if settings.method == "full":
            upper.requires_grad_(True)
            return model
        if settings.method == "adapters":
            if insert(upper, self.size, settings.width) < len(upper):
                raise UsageError(f"adapters have no place in {self.source}: its feed-forward parts go by unknown names")
            return model
        return self._with_products(model, upper)

    def _with_products(self, model: nn.Module, upper: nn.ModuleList) -> nn.Module:
        """peft's low-rank products beside every matrix of these layers."""
        from peft import AdaLoraConfig, LoraConfig, get_peft_model
        from transformers.pytorch_utils import Conv1D

        inside = {id(module) for module in upper.modules()}
        matrices = {
            name: module
            for name, module in model.named_modules()
            if id(module) in inside and isinstance(module, nn.Linear | Conv1D)
        }
        settings = self.settings
        common: dict[str, Any] = {
            "target_modules": list(matrices),
            "lora_alpha": settings.alpha,
            "lora_dropout": settings.dropout,
            "fan_in_fan_out": any(isinstance(module, Conv1D) for module in matrices.values()),
        }
        config: Any
        if settings.method == "lora":
            config = LoraConfig(r=settings.rank, **common)
        else:
            # Ranks start half as high again as they end.
            start = settings.rank + (settings.rank + 1) // 2
            config = AdaLoraConfig(init_r=start, target_r=settings.rank, total_step=1_000_000, **common)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of transformers' deprecations, which peft meets on its way
            tuned = get_peft_model(cast(Any, model), config)
        if settings.method == "adalora":
            self.ranks = Ranks(tuned.base_model)
        return cast(nn.Module, tuned)


def open_trunk(source: str | Path = "minilm", settings: TrunkSettings | None = None) -> Trunk:
    """A pretrained transformer, ready to be taught.

    Parameters
    ----------
    source
        ``minilm``, or the folder or hub name of an encoder (BERT and its kin) or decoder (GPT-2, Qwen and their kin).

    Raises
    ------
    DataError
        The model cannot be had, or its weights are not the ones they should be.
    UsageError
        The settings do not fit it.
    """
    from transformers import AutoModel

    settings = settings or TrunkSettings()
    folder = folder_of(minilm_source() if source == "minilm" else source)
    if source == "minilm" and file_sha256(folder / "model.safetensors") != MINILM_SHA256:
        raise DataError(f"{folder / 'model.safetensors'} is not all-MiniLM-L6-v2 as published. Install it again.")
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(settings.seed)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            pooling = pooling_of(folder, config)
            model = AutoModel.from_pretrained(
                folder, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
            )
            limit = min(settings.max_tokens, int(config.get("max_position_embeddings") or settings.max_tokens))
            tokenize = tokenizer_of(folder, limit)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(f"{source} is not a model that can be taught: {reason}") from None
        family: Family = "decoder" if pooling == "last" else "encoder"
        return Trunk(
            model,
            folder=folder,
            source=str(source),
            settings=settings,
            family=family,
            pooling=pooling,
            tokenize=tokenize,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers without progress bars, and without reports of weights that nobody here uses."""
    from transformers.utils import logging

    loud = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(loud)


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The transformer layers of a model, the lowest first.

    Raises
    ------
    UsageError
        There is no list of as many layers as its configuration says.
    """
    config = cast(Any, model).config
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == config.num_hidden_layers:
            return module
    raise UsageError(f"the layers of a {config.model_type} cannot be told apart: use method = full, or frozen")
