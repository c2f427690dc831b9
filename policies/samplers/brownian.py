"""A Brownian path that remembers what of it has been seen.

A step that is tried, found too long and tried shorter has shown noise that a new draw would forget:
steps would be refused where the noise is large, and what is left would be too little noise. Here a
shorter step gets its share of the noise that was seen, and the rest waits for the steps after it
(rejection sampling with memory: Rackauckas and Nie 2017).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vdd_ros.policies.samplers.base import Draw

Variance = Callable[[Tensor, Tensor], Tensor]


class BrownianPath:
    """Noise of B rows in D dimensions, asked for from a time down to an earlier one.

    variance(here (N,), there (N,)) -> (N,): of the noise between two times. What was seen and not
    used is a pile of pieces for each row, the next one on top.
    """

    def __init__(self, like: Tensor, variance: Variance):
        self._variance = variance
        self._ends = like.new_zeros(1, len(like))  # (pieces, B): where each piece ends
        self._pieces = like.new_zeros(1, *like.shape)  # (pieces, B, D)
        self._height = torch.zeros(len(like), dtype=torch.long)

    def take(self, rows: Tensor, here: Tensor, there: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """Of some rows, times (N,) each -> where the noise leads, which is `there` or the end of a
        piece that comes before, and the noise (N, D)."""
        seen = self._height[rows] > 0
        top = (self._height[rows] - 1).clamp_min(0)
        end, piece = self._ends[top, rows], self._pieces[top, rows]
        whole = seen & (end >= there)
        part = seen & ~whole
        there = torch.where(whole, end, there)
        fresh = draw(piece)
        span = self._variance(here, there)
        share = torch.where(part, span / self._variance(here, end).clamp_min(1e-30), 1.0)
        spread = (span * (1.0 - share)).clamp_min(0.0).sqrt()
        bridge = share[:, None] * piece + spread[:, None] * fresh
        noise = torch.where(part[:, None], bridge, span.sqrt()[:, None] * fresh)
        noise = torch.where(whole[:, None], piece, noise)
        self._pieces[top[part], rows[part]] = (piece - noise)[part]
        self._height[rows[whole]] -= 1
        return there, noise

    def put_back(self, rows: Tensor, ends: Tensor, noise: Tensor) -> None:
        """What was taken last by these rows, and is not gone yet."""
        if not len(rows):
            return
        height = self._height[rows]
        if int(height.max()) == len(self._ends):
            self._ends = torch.cat([self._ends, torch.zeros_like(self._ends[:1])])
            self._pieces = torch.cat([self._pieces, torch.zeros_like(self._pieces[:1])])
        self._ends[height, rows], self._pieces[height, rows] = ends, noise
        self._height[rows] += 1
