"""Teachers of every net and prediction, trained for a moment where the best denoiser is known."""

import math

import pytest
import torch

from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.diffusion_loss import denoising_loss
from vdd_ros.policies.examples import Examples
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.teacher import TeacherConfig, make_teacher
from vdd_ros.policies.training import TrainingConfig, train

SPREAD = 0.3
NETS = {"mlp": {"width": 64, "blocks": 2}, "transformer": {"width": 32, "blocks": 2, "heads": 2}}
KINDS = [(net, prediction) for net in NETS for prediction in ("edm", "epsilon", "x0", "v")]


def two_modes(cond: torch.Tensor) -> GaussianMixture:
    """Opposite each other on the unit circle, turned by the newest of two readings."""
    angle = cond[:, :1] + torch.tensor([0.0, math.pi])
    means = torch.stack([angle.cos(), angle.sin()], -1)
    log_weights = torch.tensor([0.7, 0.3]).log().expand(len(cond), 2)
    return GaussianMixture(log_weights, means, Diagonal(torch.full_like(means, SPREAD)))


def trained(config: TeacherConfig) -> Denoiser:
    generator = torch.Generator().manual_seed(0)
    cond = torch.rand(4000, 2, generator=generator) * 2 - 1
    chunks = two_modes(cond).sample(1, generator)[:, 0]
    torch.manual_seed(0)
    denoiser = make_teacher(config, newest_dim=1, cond_dim=2, dim=2)

    def loss(batch: Examples, progress: float, generator: torch.Generator) -> torch.Tensor:
        return denoising_loss(denoiser, batch.chunks, batch.cond, config.noise, generator)

    training = TrainingConfig(steps=600, batch_size=128, learning_rate=3e-3, ema_decay=0.99)
    nets = Nets({"teacher": denoiser}, training.ema_decay)
    player = Player("teacher", parameters_of(denoiser), loss)
    denoiser.load_state_dict(train(nets, [player], Examples(cond, chunks), training))
    return denoiser.eval()


@pytest.mark.parametrize(("net", "prediction"), KINDS)
def test_a_trained_teacher_denoises_nearly_as_the_exact_one(net, prediction):
    config = TeacherConfig(net=net, prediction=prediction, octaves=1, **NETS[net])
    denoiser, exact = trained(config), OracleTeacher(two_modes)
    generator = torch.Generator().manual_seed(1)
    cond = torch.rand(4000, 2, generator=generator) * 2 - 1
    clean = two_modes(cond).sample(1, generator)[:, 0]
    for level in (0.3, 1.0, 3.0):
        sigma = torch.full((4000,), level)
        x = clean + level * torch.randn(clean.shape, generator=generator)
        with torch.no_grad():
            best, found = exact.denoise(x, sigma, cond), denoiser.denoise(x, sigma, cond)
        unavoidable = (best - clean).square().mean()
        assert (found - clean).square().mean() < 1.15 * unavoidable


@pytest.mark.parametrize(("net", "prediction"), KINDS)
def test_one_noise_level_for_all_rows_is_the_same_level_for_each(net, prediction):
    torch.manual_seed(1)
    denoiser = make_teacher(TeacherConfig(net=net, prediction=prediction, **NETS[net]), 1, 2, 2)
    torch.nn.init.normal_(denoiser.net.leave.weight)  # it begins as one that heeds no level
    x, cond = torch.randn(5, 2), torch.randn(5, 2)
    with torch.no_grad():
        once = denoiser.denoise(x, torch.tensor([0.7]), cond)
        each = denoiser.denoise(x, torch.full((5,), 0.7), cond)
    torch.testing.assert_close(once, each)
