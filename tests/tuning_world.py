"""Two tiny language models with random weights, an encoder and a decoder, made on the spot, and texts for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOODS = [
    "red nail polish",
    "blue nail polish",
    "green nail polish",
    "dry dog food",
    "wet dog food",
    "dog food with rice",
    "wireless ear phones",
    "small ear phones",
    "ear phones with case",
    "steel pan",
    "large steel pan",
    "steel pan with lid",
]
"""Four shelves of three goods each."""


def tiny_model(folder: Path, family: str) -> Path:
    """A saved transformers model: ``bert``, ``gpt2`` or ``qwen2``, two layers, 32 wide."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoModel, BertConfig, GPT2Config, Qwen2Config

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({word for text in GOODS for word in text.split()} | {"likes", "wants", "what"})
    vocabulary = {word: place for place, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(special)
    if family == "bert":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    size = {"vocab_size": len(vocabulary)}
    config: Any
    if family == "bert":
        config = BertConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
            **size,
        )
    elif family == "gpt2":
        config = GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0, **size)
    else:
        config = Qwen2Config(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=64,
            max_position_embeddings=64,
            **size,
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = AutoModel.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == config.model_type
    return folder
