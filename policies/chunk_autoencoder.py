"""A latent action space: an autoencoder of action chunks in the network's units."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import fingerprint, load_tensors, load_weights, save_tensors
from vdd_ros.policies.examples import Examples
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.runs import Teacher, training_examples
from vdd_ros.policies.training import TrainingConfig, train

TRAINING = TrainingConfig(steps=3000, batch_size=256, ema_decay=0.995)


@dataclass(frozen=True)
class AutoencoderConfig:
    """code: numbers for a chunk, as a share of those that the network has for it."""

    code: float = 0.5
    width: int = 128


class ChunkAutoencoder(nn.Module):
    """(B, R) -> (B, R) by way of (B, L)."""

    def __init__(self, config: AutoencoderConfig, dim: int):
        super().__init__()
        size, width = max(1, round(config.code * dim)), config.width
        self.encode = nn.Sequential(nn.Linear(dim, width), nn.SiLU(), nn.Linear(width, size))
        self.decode = nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, dim))

    def forward(self, chunks: Tensor) -> Tensor:
        return self.decode(self.encode(chunks))


def autoencoder_of(teacher: Teacher, training: TrainingConfig = TRAINING) -> ChunkAutoencoder:
    """One of the chunks that a teacher was trained on, trained once and kept in its folder."""
    config = AutoencoderConfig()
    data, _ = training_examples(teacher)
    net = ChunkAutoencoder(config, teacher.normalizer.sizes[-1])
    settings = {
        "autoencoder": asdict(config),
        "training": asdict(training),
        "processes": distributed.processes(),
    }
    path = teacher.folder / f"autoencoder-{fingerprint(settings, data.chunks)}.safetensors"
    if not path.exists():  # seen by all processes alike: none is done before all have begun
        weights = _trained(net, data, training)
        if distributed.is_first():
            save_tensors(path, weights)
    distributed.wait()
    load_weights(net, load_tensors(path), path)
    return net.eval().requires_grad_(False)


def _trained(net: ChunkAutoencoder, data: Examples, training: TrainingConfig) -> dict[str, Tensor]:
    """Averaged weights, by the mean squared error of what comes back."""
    begin = torch.Generator().manual_seed(training.seed)
    for part in parameters_of(net):
        bound = part.shape[-1] ** -0.5
        nn.init.uniform_(part, -bound, bound, generator=begin)

    def loss(batch: Examples, progress: float, generator: torch.Generator) -> Tensor:
        return (net(batch.chunks) - batch.chunks).square().mean()

    nets = Nets({"autoencoder": net}, training.ema_decay)
    return train(nets, [Player("autoencoder", parameters_of(net), loss)], data, training)
