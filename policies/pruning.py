"""Pruning: experts that a trained student does not use are taken out of its network, exactly."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vdd_ros.policies.moe import GaussianMoE

PEAK = 5.0  # an expert that is this many times the least share somewhere is used


@torch.no_grad()
def used_experts(student: GaussianMoE, cond: Tensor, share: float, batch: int = 4096) -> Tensor:
    """Indices of the experts whose gating over observations (N, C) is at least `share` on average
    or PEAK times that at one of them; the most used one is always among them."""
    gating = torch.cat([student(rows).log_weights.exp() for rows in cond.split(batch)])
    mean = gating.mean(0)
    used = (mean >= share) | (gating.amax(0) >= PEAK * share)
    used[mean.argmax()] = True
    return used.nonzero()[:, 0]


@torch.no_grad()
def pruned(student: GaussianMoE, kept: Tensor) -> GaussianMoE:
    """The same mixture without all but the kept experts, whose gating is normalised anew.

    Every head has the experts' rows one expert after the other; what has no such rows is shared.
    """
    config = replace(student.config, n_experts=len(kept))
    smaller = GaussianMoE(config, *student.sizes)
    size = {name: tensor.shape for name, tensor in smaller.state_dict().items()}
    smaller.load_state_dict(
        {
            name: tensor if tensor.shape == size[name] else _rows_of(tensor, kept, student)
            for name, tensor in student.state_dict().items()
        }
    )
    return smaller


def _rows_of(head: Tensor, kept: Tensor, student: GaussianMoE) -> Tensor:
    return head.unflatten(0, (student.config.n_experts, -1))[kept].flatten(0, 1)
