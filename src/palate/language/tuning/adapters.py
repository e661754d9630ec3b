"""Bottleneck adapters: a small detour after every feed-forward part, open only as far as it has learnt.

Houlsby et al. (2019), one a layer as in Pfeiffer et al. (2021). peft has none.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

FEED_OUT = ("output.dense", "mlp.c_proj", "mlp.down_proj", "mlp.fc2", "mlp.dense_4h_to_h", "ffn.lin2", "fc2")
"""What the last matrix of a feed-forward part is called in the families: BERT, GPT-2, Qwen and Llama, and others."""

_ATTENTION = ("attention.", "attn.", "self_attn.", "crossattention.")


class Bottleneck(nn.Module):
    """A matrix followed by ``x + up(gelu(down(x)))``; with ``up`` at zero, as it starts, nothing changes.

    Parameters
    ----------
    matrix
        What stands there already; its output is n wide.
    size
        n.
    width
        Of the bottleneck.
    """

    def __init__(self, matrix: nn.Module, size: int, width: int) -> None:
        super().__init__()
        self.matrix = matrix
        self.down = nn.Linear(size, width)
        self.up = nn.Linear(width, size)
        nn.init.normal_(self.down.weight, std=size**-0.5)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: Tensor) -> Tensor:
        out: Tensor = self.matrix(states)
        detour: Tensor = self.up(functional.gelu(self.down(out)))
        return out + detour


def insert(layers: nn.ModuleList, size: int, width: int) -> int:
    """Put a bottleneck into each of these transformer layers; how many were put in.

    Parameters
    ----------
    size
        Width of the hidden states.
    """
    count = 0
    for layer in layers:
        name = feed_out(layer)
        if name is None:
            continue
        parent_name, _, leaf = name.rpartition(".")
        parent = layer.get_submodule(parent_name)
        setattr(parent, leaf, Bottleneck(parent.get_submodule(leaf), size, width))
        count += 1
    return count


def feed_out(layer: nn.Module) -> str | None:
    """The name of the last matrix of a layer's feed-forward part; None where the family is not known."""
    names = [name for name, module in layer.named_modules() if isinstance(getattr(module, "weight", None), Tensor)]
    for ending in FEED_OUT:
        for name in names:
            if (name == ending or name.endswith(f".{ending}")) and not name.startswith(_ATTENTION):
                return str(name)
    return None
