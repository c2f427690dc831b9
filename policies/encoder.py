"""The encoder: what cameras show, as a few numbers beside those that a robot tells of itself.

Of each image there are `features` numbers and the image's age. They follow the numbers of the
robot's state in `cond`: teachers and students are the same networks with or without cameras.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.augment import AugmentConfig, augmented, middle
from vdd_ros.policies.checkpoint import load_tensors
from vdd_ros.policies.device import CPU, lent, placed
from vdd_ros.policies.nets import NetSizes
from vdd_ros.policies.pictures import Pictures
from vdd_ros.policies.resnet import ResNet18, SpatialSoftmax, of_torchvision
from vdd_ros.policies.settings import given

ROWS = 128  # encoded at a time where nothing is learned


@dataclass(frozen=True)
class EncoderConfig:
    """channels: of the first stage of the ResNet, 64 in the publication; stages: of 4, fewer leave
    finer maps; keypoints: places that are looked for in an image; features: numbers that an image
    becomes; shared: one network for all images instead of one for each; weights: safetensors file
    to begin with, with the names of torchvision's ResNet-18 or of an encoder; draws: noised chunks
    that a teacher learns from for each window of a batch, as an image costs much more than a chunk.
    """

    channels: int = 64
    stages: int = 4
    keypoints: int = 32
    features: int = 64
    shared: bool = False
    weights: str | None = None
    draws: int = 8
    augment: AugmentConfig = AugmentConfig()

    def __post_init__(self):
        if min(self.channels, self.keypoints, self.features, self.draws) < 1:
            raise ValueError(f"sizes of an encoder must be positive: {given(self)}")
        if not 1 <= self.stages <= 4:
            raise ValueError(f"an encoder has 1 to 4 stages: {given(self)}")

    @classmethod
    def from_dict(cls, raw: dict) -> EncoderConfig:
        """As `dataclasses.asdict` wrote it, or what differs from the defaults; raises TypeError or
        ValueError for what is no setting."""
        return cls(**raw | {"augment": AugmentConfig(**raw.get("augment", {}))})


class ImageNet(nn.Module):
    """(B, height, width, 3) uint8, of any size -> (B, features)."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.resnet = ResNet18(config.channels, config.stages)
        self.keypoints = SpatialSoftmax(self.resnet.size, config.keypoints)
        self.head = nn.Linear(2 * config.keypoints, config.features)
        self.norm = nn.LayerNorm(config.features)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.norm(self.head(self.keypoints(self.resnet(pixels))).float())


class Encoder(nn.Module):
    """Of the images of a contract. Raises UserError for weights that do not fit."""

    def __init__(self, config: EncoderConfig, contract: Contract):
        super().__init__()
        self.config, self.count = config, len(contract.images)
        self.nets = nn.ModuleList(
            ImageNet(config) for _ in range(1 if config.shared else self.count)
        )
        # an age in periods of its camera, so that it is of the order of 1
        rates = torch.tensor(contract.image_rates_hz, dtype=torch.float32)
        self.register_buffer("rates_hz", rates, persistent=False)

    def net(self, image: int) -> nn.Module:
        """Who encodes an image."""
        return self.nets[0 if self.config.shared else image]

    @property
    def image_dim(self) -> int:
        """Numbers of cond for each image."""
        return self.config.features + 1

    def sizes(self, normalizer: Normalizer) -> NetSizes:
        """Of networks that are told what this encoder makes of images."""
        newest, state, dim = normalizer.sizes
        return NetSizes(
            newest, state + self.count * self.image_dim, dim, self.count, self.image_dim
        )

    def forward(self, pixels: Sequence[Tensor], ages_s: Tensor) -> Tensor:
        """Of each image (B, height, width, 3) uint8 as a policy acts on them, and (B, C) ages [s]
        -> (B, C * image_dim), for each image its features and its age."""
        return self.encoded([middle(one, self.config.augment) for one in pixels], ages_s)

    def learned(self, pixels: Sequence[Tensor], ages_s: Tensor, draws: torch.Generator) -> Tensor:
        """The same of images as training sees them."""
        return self.encoded([augmented(one, self.config.augment, draws) for one in pixels], ages_s)

    def encoded(self, parts: Sequence[Tensor], ages_s: Tensor) -> Tensor:
        """The same of parts that are left to see."""
        blocks = []
        for image, part in enumerate(parts):
            age = ages_s[:, image : image + 1] * self.rates_hz[image]
            blocks += [self.net(image)(part), age]
        return torch.cat(blocks, dim=1)

    @torch.no_grad()
    def of(self, pictures: Pictures) -> Tensor:
        """(N, C * image_dim) of what windows see. Neighbouring windows see the same pictures: each
        is encoded once, few at a time in memory."""
        with lent(self.nets):
            return encoded_once(pictures, self.rates_hz, self._acting)

    def _acting(self, image: int, pixels: Tensor) -> Tensor:
        return self.net(image)(middle(placed(pixels), self.config.augment)).to(CPU)


def encoded_once(
    pictures: Pictures, rates_hz: Tensor, encode: Callable[[int, Tensor], Tensor]
) -> Tensor:
    """As `Encoder.of`; encode: an image's number and (n, height, width, 3) uint8 -> (n, features);
    rates_hz: (C,) of the images."""
    blocks = []
    for image, rate_hz in enumerate(rates_hz):
        keys = np.stack([pictures.of, pictures.numbers[:, image]], axis=1)
        _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        distinct = pictures[first]
        features = torch.cat(
            [
                encode(image, torch.from_numpy(distinct[begin : begin + ROWS].pixels(image)))
                for begin in range(0, len(distinct), ROWS)
            ]
        )
        age = torch.from_numpy(pictures.ages_s[:, image : image + 1]) * rate_hz
        blocks += [features[torch.from_numpy(place.ravel())], age]
    return torch.cat(blocks, dim=1)


def make_encoder(config: EncoderConfig, contract: Contract) -> Encoder:
    """One that has learned nothing, or begins with the weights that its configuration names."""
    encoder = Encoder(config, contract)
    if config.weights is not None:
        _begin_with(encoder, Path(config.weights))
    return encoder


def _begin_with(encoder: Encoder, path: Path) -> None:
    weights = _read(path)
    own = encoder.state_dict()
    if set(weights) == set(own):
        encoder.load_state_dict(_fitting(weights, own, path))
        return
    known = of_torchvision(weights)
    for net in encoder.nets:
        resnet = net.resnet.state_dict()
        if missing := sorted(set(resnet) - set(known)):
            raise UserError(
                f"{path} lacks {missing[0]} and {len(missing) - 1} more of a ResNet-18 with "
                f"{encoder.config.stages} stages: name the weights of one, or of an encoder"
            )
        net.resnet.load_state_dict(_fitting({name: known[name] for name in resnet}, resnet, path))


def _read(path: Path) -> dict[str, Tensor]:
    """Weights in a file; a pickle is told as one, as most are offered so, and never opened."""
    if not path.is_file():
        raise UserError(f"{path}, encoder.weights, is missing: name another file, or leave it out")
    with path.open("rb") as file:
        begin = file.read(4)
    if begin.startswith((b"PK", b"\x80")):
        raise UserError(
            f"{path} is a pickle of torch, which can run code and is not opened: save its tensors "
            "as safetensors first (docs/cameras.md), and name that file"
        )
    return load_tensors(path)


def _fitting(weights: dict[str, Tensor], own: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The weights, if their shapes are those of a network."""
    for name, tensor in own.items():
        if weights[name].shape != tensor.shape:
            raise UserError(
                f"{name} in {path} has the shape {tuple(weights[name].shape)}, this encoder's is "
                f"{tuple(tensor.shape)}: choose encoder.channels 64 for a ResNet-18 of others"
            )
    return weights
