"""A text generator that runs a transformers model from a folder on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from palate.core import DataError, Settings
from palate.language.generation import Completion, Prompt


class LocalSettings(Settings):
    """Which model, and how it writes.

    Parameters
    ----------
    path
        Folder with a causal model's weights (safetensors), configuration and tokenizer; "" for none.
    deadline
        Seconds a batch may take; what is written by then is the reply.
    batch
        Prompts written together.
    window
        Tokens of a prompt that are read; the beginning of longer ones goes.
    threads
        Of the processor; 0 for as many as there are.
    """

    path: str = ""
    deadline: float = Field(default=60.0, gt=0)
    batch: int = Field(default=8, ge=1)
    window: int = Field(default=2_048, ge=16)
    threads: int = Field(default=0, ge=0)


class LocalGenerator:
    """Writes with the likeliest word each time, so that the same prompt gives the same text.

    The model is loaded at the first prompt. No code of the folder is run, and nothing is fetched.

    Raises
    ------
    DataError
        The folder is not there.
    """

    def __init__(self, settings: LocalSettings) -> None:
        if not Path(settings.path).is_dir() or not settings.path:
            raise DataError(
                f"generation.local: {settings.path or 'no path'} is not a folder. Save a causal transformers model "
                "there (config.json, model.safetensors, tokenizer.json), or leave path empty."
            )
        self.settings = settings
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """The folder and when its weights were written."""
        weights = sorted(Path(self.settings.path).glob("*.safetensors"))
        stamp = max((int(file.stat().st_mtime_ns) for file in weights), default=0)
        return f"local|{self.settings.path}|{stamp}|{self.settings.window}"

    def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """See ``TextGenerator.generate``; one batch at a time, the shortest prompts first."""
        with self._lock:
            try:
                model, tokenizer = self._model()
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                return [Completion("", "local", f"the model cannot be loaded ({type(error).__name__})")] * len(prompts)
            texts = [_as_text(tokenizer, prompt) for prompt in prompts]
            order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
            found: dict[int, Completion] = {}
            for start in range(0, len(order), self.settings.batch):
                rows = order[start : start + self.settings.batch]
                written = self._written(model, tokenizer, [texts[row] for row in rows], [prompts[row] for row in rows])
                found |= dict(zip(rows, written, strict=True))
            return [found[row] for row in range(len(prompts))]

    def _written(self, model: Any, tokenizer: Any, texts: Sequence[str], prompts: Sequence[Prompt]) -> list[Completion]:
        import torch

        started = time.perf_counter()
        longest = max(prompt.tokens for prompt in prompts)
        room = int(getattr(model.config, "max_position_embeddings", None) or self.settings.window + longest)
        longest = min(longest, max(room - 16, 1))
        read = tokenizer(
            list(texts),
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=max(1, min(self.settings.window, room - longest)),
            add_special_tokens=False,
        )
        read.pop("token_type_ids", None)
        try:
            with torch.inference_mode():
                output = model.generate(
                    **read,
                    max_new_tokens=longest,
                    do_sample=False,
                    max_time=self.settings.deadline,
                    pad_token_id=tokenizer.pad_token_id,
                )
        except (RuntimeError, ValueError, IndexError) as error:
            failure = f"the model failed ({type(error).__name__})"
            seconds = (time.perf_counter() - started) / len(prompts)
            return [Completion("", "local", failure, seconds=seconds)] * len(prompts)
        seconds = (time.perf_counter() - started) / len(prompts)
        new = output[:, read["input_ids"].shape[1] :]
        completions = []
        for row, prompt in enumerate(prompts):
            said = new[row, : prompt.tokens]
            text = tokenizer.decode(said, skip_special_tokens=True).strip()
            spent = int(read["attention_mask"][row].sum()), int((said != tokenizer.pad_token_id).sum())
            completions.append(Completion(text, "local", "" if text else "the reply is empty", *spent, seconds))
        return completions

    def _model(self) -> tuple[Any, Any]:
        if self._loaded is None:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer

            if self.settings.threads:
                torch.set_num_threads(self.settings.threads)
            given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            tokenizer = AutoTokenizer.from_pretrained(self.settings.path, padding_side="left", **given)
            tokenizer.truncation_side = "left"
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            model = AutoModelForCausalLM.from_pretrained(self.settings.path, use_safetensors=True, **given)
            # What a folder says of sampling is for sampling; these replies are the likeliest ones.
            model.generation_config.temperature = model.generation_config.top_p = model.generation_config.top_k = None
            self._loaded = model.eval(), tokenizer
        return self._loaded


def _as_text(tokenizer: Any, prompt: Prompt) -> str:
    """A prompt as the model was taught to read it, or in plain paragraphs where it has no such form."""
    import orjson

    system, user = prompt.messages()
    if prompt.schema is not None:
        system = f"{system}\nJSON: {orjson.dumps(prompt.schema).decode()}"
    if getattr(tokenizer, "chat_template", None):
        roles = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        return str(tokenizer.apply_chat_template(roles, tokenize=False, add_generation_prompt=True))
    return f"{system}\n\n{user}\n\n"
