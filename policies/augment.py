"""What training does to pictures, and acting does not: another part of them, and other colours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vdd_ros.policies.settings import given

GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue look


@dataclass(frozen=True)
class AugmentConfig:
    """part: share of the sides of an image that is seen, at a random place in training and in the
    middle otherwise; colour: brightness, contrast and saturation are each multiplied by up to so
    much more or less than 1, in training alone."""

    part: float = 0.9
    colour: float = 0.2

    def __post_init__(self):
        if not 0.0 < self.part <= 1.0:
            raise ValueError(f"augment.part is a share above 0, at most 1: {given(self)}")
        if not 0.0 <= self.colour < 1.0:
            raise ValueError(f"augment.colour is at least 0 and below 1: {given(self)}")

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that are seen."""
        return round(self.part * height), round(self.part * width)


def middle(pixels: Tensor, config: AugmentConfig) -> Tensor:
    """(B, height, width, 3) uint8 -> the part that is seen when nothing is learned."""
    rows, columns = config.size(*pixels.shape[1:3])
    top, left = (pixels.shape[1] - rows) // 2, (pixels.shape[2] - columns) // 2
    return pixels[:, top : top + rows, left : left + columns]


def augmented(pixels: Tensor, config: AugmentConfig, draws: torch.Generator) -> Tensor:
    """(B, height, width, 3) uint8 -> parts in other colours, uint8; each row by its own draws."""
    seen = _anywhere(pixels, config, draws)
    return _coloured(seen, config.colour, draws) if config.colour else seen


def _anywhere(pixels: Tensor, config: AugmentConfig, draws: torch.Generator) -> Tensor:
    count, height, width, _ = pixels.shape
    rows, columns = config.size(height, width)
    place = torch.rand(count, 2, generator=draws)
    top = (place[:, :1] * (height - rows + 1)).long() + torch.arange(rows)
    left = (place[:, 1:] * (width - columns + 1)).long() + torch.arange(columns)
    return pixels[torch.arange(count)[:, None, None], top[:, :, None], left[:, None, :]]


def _coloured(pixels: Tensor, most: float, draws: torch.Generator) -> Tensor:
    """Brightness, then contrast about the mean grey, then saturation about each pixel's grey."""
    uniform = torch.rand(len(pixels), 3, 1, 1, 1, generator=draws)
    factors = (1.0 + most * (2.0 * uniform - 1.0)).unbind(1)
    weights = torch.tensor(GREY)
    x = pixels.float() * factors[0]
    grey = (x @ weights).mean((1, 2))[:, None, None, None]
    x = grey + factors[1] * (x - grey)
    grey = (x @ weights)[..., None]
    x = grey + factors[2] * (x - grey)
    return x.round_().clamp_(0, 255).to(torch.uint8)
