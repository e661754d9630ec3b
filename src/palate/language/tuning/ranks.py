"""AdaLoRA's dealing of ranks, made so that a run that was stopped goes on as if it had not been.

peft keeps the importance of each direction (Zhang et al., 2023, eq. 8-10) outside the network's state. Here it is
copied into buffers after every step, and put back before the next.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_AVERAGES = ("exp_avg_ipt", "exp_avg_unc")
_ORTHOGONALITY = 0.1
"""Weight of the pull towards orthogonal directions; peft adds it only to losses that it computes itself."""


class Ranks(nn.Module):
    """Importance of each direction as buffers, and who deals with it.

    Parameters
    ----------
    tuned
        peft's model of AdaLoRA.
    """

    def __init__(self, tuned: Any) -> None:
        super().__init__()
        # In a tuple, so that the network does not hold its trunk twice.
        self._tuned = (tuned,)
        self._names = [name for name, _ in self._directions()]
        for number, (_, values) in enumerate(self._directions()):
            for average in _AVERAGES:
                self.register_buffer(f"{average}_{number}", torch.zeros_like(values))

    def course(self, steps: int) -> None:
        """Say how many steps there will be: ranks fall from a tenth of them on, and stay from six tenths on."""
        config = self._config
        config.total_step, config.tinit, config.tfinal = steps, steps // 10, steps * 4 // 10
        config.deltaT = max(1, steps // 50)

    def after_step(self, step: int) -> None:
        """Deal ranks out anew; gradients still stand."""
        allocator, config = self._tuned[0].rankallocator, self._config
        for number, (name, values) in enumerate(self._directions()):
            for average in _AVERAGES:
                getattr(allocator, average)[name] = getattr(self, f"{average}_{number}").clone()
            allocator.ipt[name] = torch.zeros_like(values)
        if step > config.total_step - config.tfinal and not config.rank_pattern:
            config.rank_pattern = {
                name: (values.detach() != 0).view(-1).tolist()
                for name, values in self._directions()
                if "lora_E" in name
            }
        self._tuned[0].update_and_allocate(step)
        for number, name in enumerate(self._names):
            for average in _AVERAGES:
                kept = getattr(allocator, average).get(name)
                if kept is not None:
                    getattr(self, f"{average}_{number}").copy_(kept)

    def penalty(self) -> Tensor:
        """How far the directions are from orthogonal, times its weight."""
        total, count = torch.zeros(()), 0
        for name, values in self._directions():
            if "lora_E" in name:
                continue
            gram = values @ values.T if "lora_A" in name else values.T @ values
            total = total + torch.linalg.matrix_norm(gram - torch.eye(len(gram)))
            count += 1
        return _ORTHOGONALITY * total / max(count, 1)

    def ranks(self) -> list[int]:
        """How many directions each matrix has left."""
        return [int((values != 0).sum()) for name, values in self._directions() if "lora_E" in name]

    @property
    def _config(self) -> Any:
        return self._tuned[0].peft_config["default"]

    def _directions(self) -> list[tuple[str, nn.Parameter]]:
        """peft's names, which are those inside the model it wraps."""
        return [(name, values) for name, values in self._tuned[0].model.named_parameters() if "lora_" in name]
