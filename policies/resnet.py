"""ResNet-18 (He et al. 2016) with GroupNorm, down to maps of keypoints.

Batch statistics would make what a policy sees depend on who else is in its batch, and an averaged
copy of the weights would need statistics of its own; groups of channels do neither (Wu and He 2018;
Chi et al. 2023).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

CHANNELS_PER_GROUP = 16
# the means and deviations of ImageNet's pixels, that weights of others were trained with
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // CHANNELS_PER_GROUP), channels)


class BasicBlock(nn.Module):
    """x + conv(conv(x)), with half as many rows and columns for a stride of 2."""

    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.norm1 = _norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = _norm(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != channels:
            shrink = nn.Conv2d(before, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shrink, _norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        hidden = nn.functional.relu(self.norm1(self.conv1(x)))
        hidden = self.norm2(self.conv2(hidden))
        return nn.functional.relu(hidden + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """(B, height, width, 3) uint8 -> (B, size, height / 32, width / 32), the last convolution's.

    channels: of the first of `stages` stages, 64 in the publication, each later one has twice as
    many; with fewer stages than 4 the maps are finer by 2 for each.
    """

    BLOCKS = 2  # in each stage

    def __init__(self, channels: int = 64, stages: int = 4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 7, 2, 3, bias=False)
        self.norm1 = _norm(channels)
        self.pool = nn.MaxPool2d(3, 2, 1)
        before, self.stages = channels, stages
        for stage in range(stages):
            wide = channels * 2**stage
            blocks = [BasicBlock(before, wide, 1 if stage == 0 else 2), BasicBlock(wide, wide, 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            before = wide
        self.size = before
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
        x = self.pool(nn.functional.relu(self.norm1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return x


class SpatialSoftmax(nn.Module):
    """(B, C, h, w) -> (B, 2 K): where each of K maps is bright, x and y from -1 to 1 (Finn et al.
    2016): the mean place under the softmax of the map."""

    def __init__(self, channels: int, keypoints: int):
        super().__init__()
        self.maps = nn.Conv2d(channels, keypoints, 1, bias=False)  # a softmax knows no bias

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x).float()
        share = torch.softmax(maps.flatten(2), dim=-1).view(maps.shape)
        across = torch.linspace(-1.0, 1.0, maps.shape[3], device=maps.device)
        down = torch.linspace(-1.0, 1.0, maps.shape[2], device=maps.device)
        places = (share.sum(2) * across).sum(2), (share.sum(3) * down).sum(2)
        return torch.stack(places, dim=2).flatten(1)


def of_torchvision(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names of torchvision's ResNet-18, under those of this one: a batch norm's
    scale and shift are a group norm's; its statistics and the classifier have no place here."""
    found = {}
    for name, tensor in weights.items():
        *path, last = name.removeprefix("module.").split(".")
        if path[:1] == ["fc"] or last in ("running_mean", "running_var", "num_batches_tracked"):
            continue
        path = [step.replace("bn", "norm") for step in path]
        found[".".join([*path, last])] = tensor
    return found
