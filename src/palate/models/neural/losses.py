"""Losses of next-item models over all items, over shared samples, and calibrated for few negatives.

None of them sees a padded position, and none holds more than a chunk of the positions x items matrix.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_CELLS = 6_000_000
"""Cells of a chunk of logits: with bf16 products and fp32 softmax about 36 MB, near a shared cache's size."""


class _FullSoftmax(torch.autograd.Function):
    """Cross-entropy over all items, fused with the product that gives the logits.

    The gradient is made with the loss, a chunk of positions at a time, so no chunk is computed twice.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        hidden, table, targets, weights, half = given
        kind = torch.bfloat16 if half else torch.float32
        narrow, items = hidden.detach().to(kind), table.detach().to(kind)
        share = weights / weights.sum().clamp_min(1e-12)
        to_hidden = torch.empty(hidden.shape, dtype=torch.float32)
        to_table = torch.zeros(table.shape, dtype=torch.float32)
        loss = torch.zeros((), dtype=torch.float32)
        step = max(1, _CELLS // len(table))
        for start in range(0, len(hidden), step):
            rows = slice(start, start + step)
            logits = (narrow[rows] @ items.T).float()
            highest = logits.amax(dim=1, keepdim=True)
            wanted = logits.gather(1, targets[rows, None])
            total = logits.sub_(highest).exp_().sum(dim=1, keepdim=True)
            loss += (share[rows] * (total.log() + highest - wanted).squeeze(1)).sum()
            slope = logits.mul_(share[rows, None] / total)
            slope.scatter_add_(1, targets[rows, None], -share[rows, None])
            slope = slope.to(kind)
            to_hidden[rows] = (slope @ items).float()
            to_table += (slope.T @ narrow[rows]).float()
        ctx.save_for_backward(to_hidden, to_table)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        to_hidden, to_table = ctx.saved_tensors
        return to_hidden * gradients[0], to_table * gradients[0], None, None, None


def full_softmax(hidden: Tensor, table: Tensor, targets: Tensor, weights: Tensor, half: bool) -> Tensor:
    """Weighted mean cross-entropy over all items.

    Parameters
    ----------
    hidden
        float32 (p, d), states of the positions that have a target.
    table
        float32 (n, d), output vectors of all items.
    targets, weights
        int64 (p,) and float32 (p,).
    half
        Multiply in bfloat16; the softmax is float32 either way.
    """
    return _FullSoftmax.apply(hidden.float(), table.float(), targets, weights, half)  # type: ignore[no-any-return,no-untyped-call]


def sampled_softmax(
    hidden: Tensor, wanted: Tensor, sampled: Tensor, same: Tensor, weights: Tensor, *, log_chance: float
) -> Tensor:
    """Cross-entropy of the target among shared samples, corrected for how often each is drawn.

    logQ correction: Bengio & Senecal (2008); shared by the batch as in Yi et al. (2019).

    Parameters
    ----------
    hidden, wanted
        float32 (p, d), states and output vectors of their targets.
    sampled
        float32 (s, d), output vectors of the shared negatives.
    same
        bool (p, s), True where a negative is the row's own target: it does not count.
    weights
        float32 (p,).
    log_chance
        Log of how often an item is expected among the s draws.
    """
    positive = (hidden * wanted).sum(dim=1, keepdim=True).float()
    negative = (hidden @ sampled.T).float() - log_chance
    negative = negative.masked_fill(same, float("-inf"))
    each = torch.logsumexp(torch.cat([positive, negative], dim=1), dim=1) - positive.squeeze(1)
    return (weights * each).sum() / weights.sum().clamp_min(1e-12)


def calibrated_cross_entropy(
    hidden: Tensor, wanted: Tensor, sampled: Tensor, same: Tensor, weights: Tensor, *, share: float, calibration: float
) -> Tensor:
    """Binary cross-entropy whose positive term makes up for negative sampling (gSASRec, Petrov & Macdonald, 2023).

    Parameters
    ----------
    share
        alpha: how many of all items are drawn as negatives, 0 to 1.
    calibration
        t: 0 = plain binary cross-entropy, 1 = scores become probabilities of the full softmax.
    """
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    positive = (hidden * wanted).sum(dim=1).float()
    negative = (hidden @ sampled.T).float()
    pushed = functional.softplus(negative).masked_fill(same, 0.0)
    each = beta * functional.softplus(-positive) + pushed.sum(dim=1)
    return (weights * each).sum() / weights.sum().clamp_min(1e-12)
