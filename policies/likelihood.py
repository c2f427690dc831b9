"""How a demonstration looks to a student: likelihood over time, and which expert speaks when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from vdd_ros.episode import Episode
from vdd_ros.policies.judge import nll_by_window
from vdd_ros.policies.runs import Student, to_tensors
from vdd_ros.policies.windows import windows_of


class EpisodeLikelihood(NamedTuple):
    """At each of N control ticks.

    times_s: (N,) since the first; nll: (N,) of the chunk that was demonstrated from there on [nats
    per dimension]; gating: (N, K) what the student chooses among before it sees the chunk;
    responsibility: (N, K) which expert the chunk belongs to, NaN where the episode ends before the
    chunk does.
    """

    times_s: np.ndarray
    nll: np.ndarray
    gating: np.ndarray
    responsibility: np.ndarray


@torch.no_grad()
def likelihood_of(student: Student, episode: Episode) -> EpisodeLikelihood:
    """Raises UserError where nothing can be learned from the episode, as training does."""
    raw_steps, _ = student.normalizer.difference_std.shape
    horizon = len(student.normalizer.chunk_mean)
    windows = windows_of(student.contract, [episode], raw_steps + 1, horizon)
    cond, z, windows = to_tensors(student.normalizer, windows, student.encoder)
    nll = nll_by_window(student.normalizer, lambda c, _: student.moe(c), cond, windows)
    mixture = student.moe(cond)
    responsibility = mixture.log_responsibilities(z[:, None])[:, 0].exp().numpy()
    responsibility[windows.is_pad.any(1)] = np.nan
    return EpisodeLikelihood(
        times_s=np.arange(len(nll)) * student.contract.control_period_ns / 1e9,
        nll=nll,
        gating=mixture.log_weights.exp().numpy(),
        responsibility=responsibility,
    )
