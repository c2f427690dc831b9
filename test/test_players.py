"""Players: several learn in turn, each its own; a student and a network that learns its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.noise import log_uniform
from vdd_ros.policies.objectives import STUDENT, Batch, Objective, fit
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.training import TrainingConfig, train

MEAN, STD = 1.2, 0.4


class BrokenOff(Exception):
    """Stands for a power cut."""


def teacher_mixture(cond: Tensor) -> GaussianMixture:
    shape = (len(cond), 1, 1)
    return GaussianMixture(
        torch.zeros(shape[:2]), torch.full(shape, MEAN), Diagonal(torch.full(shape, STD))
    )


class Fake(nn.Module):
    """The denoiser of a Gaussian whose mean and width are learned."""

    def __init__(self):
        super().__init__()
        self.mean, self.log_std = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        variance = sigma[:, None] ** 2
        return x + variance * (self.mean - x) / ((2 * self.log_std).exp() + variance)


@dataclass(frozen=True)
class FakeScore(Objective):
    """Distribution matching (Yin et al. 2023): the student follows D_fake - D_teacher, the fake
    network denoises what the student gives, twice as often."""

    break_after: int | None = None

    def auxiliaries(self, student: GaussianMoE, teacher: ScoreModel) -> dict[str, nn.Module]:
        return {"fake": Fake()}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        student, fake, calls = nets[STUDENT], nets["fake"], [0]

        def noised(batch, generator):
            chunks = student(batch.cond).sample_components(1, generator)[:, 0, 0]  # (B, 1)
            sigma = log_uniform(0.2, 2.0, len(chunks), generator)
            noise = torch.randn(chunks.shape, generator=generator)
            return chunks, sigma, chunks.detach() + sigma[:, None] * noise

        def follow(batch, progress, generator):
            chunks, sigma, x = noised(batch, generator)
            with torch.no_grad():
                pull = fake.denoise(x, sigma, batch.cond) - teacher.denoise(x, sigma, batch.cond)
            return (pull * chunks).mean()

        def denoise(batch, progress, generator):
            calls[0] += 1
            if calls[0] == self.break_after:
                raise BrokenOff
            chunks, sigma, x = noised(batch, generator)
            error = fake.denoise(x, sigma, batch.cond) - chunks.detach()
            return (error.square() / sigma[:, None] ** 2).mean()

        return [
            Player(STUDENT, parameters_of(student), follow),
            Player("fake", parameters_of(fake), denoise, rate=3.0, updates=2, betas=(0.5, 0.999)),
        ]


def student() -> GaussianMoE:
    torch.manual_seed(0)
    config = StudentConfig(n_experts=1, width=8, blocks=1, octaves=0, covariance="diagonal")
    return GaussianMoE(config, newest_dim=1, cond_dim=1, dim=1)


DATA = Batch(torch.zeros(32, 1), torch.zeros(32, 1), torch.zeros(32, 1))
ORACLE = OracleTeacher(teacher_mixture)


def test_a_student_and_a_network_that_learns_its_score_both_end_at_the_teacher():
    training = TrainingConfig(
        steps=1500, batch_size=256, learning_rate=3e-3, ema_decay=0.99, clip_norm=10.0
    )
    moe = student()
    moe.load_state_dict(fit(moe, ORACLE, DATA, FakeScore(), training))
    with torch.no_grad():
        mixture = moe(DATA.cond[:1])
    assert mixture.means.item() == pytest.approx(MEAN, abs=0.03)
    assert mixture.covariance.root().item() == pytest.approx(STD, abs=0.03)


@pytest.mark.parametrize("call", [9, 10], ids=["after the student's turn", "between its own two"])
def test_an_alternating_training_is_resumed_exactly(tmp_path, call):
    training = TrainingConfig(steps=12, batch_size=8, learning_rate=0.01, save_every=3)
    whole = fit(student(), ORACLE, DATA, FakeScore(), training)
    state = tmp_path / "state.safetensors"
    with pytest.raises(BrokenOff):
        fit(student(), ORACLE, DATA, FakeScore(break_after=call), training, state)
    torch.manual_seed(99)
    resumed = fit(student(), ORACLE, DATA, FakeScore(), training, state)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    other = fit(
        student(), ORACLE, DATA, FakeScore(), TrainingConfig(**vars(training) | {"seed": 1})
    )
    assert any(not torch.equal(whole[name], other[name]) for name in whole)


class Numbers(NamedTuple):
    x: Tensor


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))


def test_a_player_moves_its_own_parameters_alone_at_its_own_rate_and_as_often_as_it_says():
    net, order = Two(), []

    def loss(name):
        def of(batch, progress, generator):
            order.append(name)
            return net.left.sum() + net.right.sum()

        return of

    players = [
        Player("left", (net.left,), loss("left"), updates=2),
        Player("right", (net.right,), loss("right"), rate=0.5),
    ]
    config = TrainingConfig(
        steps=2, batch_size=1, learning_rate=0.1, warmup_steps=1, schedule="constant"
    )
    train(Nets({"net": net}, 0.5), players, Numbers(torch.zeros(3, 1)), config)
    assert order == ["left", "left", "right"] * 2
    # Adam under a constant gradient steps by the rate
    torch.testing.assert_close(net.left.detach(), torch.full((2,), -0.4))
    torch.testing.assert_close(net.right.detach(), torch.full((3,), -0.1))


def test_a_loss_sees_the_running_average_as_it_is():
    net, seen = nn.Linear(1, 1), []
    nets = Nets({"net": net}, 0.9)

    def loss(batch, progress, generator):
        seen.append((net.weight.item(), nets.average("net").weight.item()))
        return net(batch.x).square().mean()

    config = TrainingConfig(steps=5, batch_size=4, learning_rate=0.1, warmup_steps=1)
    train(nets, [Player("net", parameters_of(net), loss)], Numbers(torch.ones(4, 1)), config)
    assert seen[0][0] == seen[0][1]
    mean = seen[1][0]  # the first step's weights begin the average
    for weight, average in seen[1:]:
        mean = mean if weight == seen[1][0] else 0.9 * mean + 0.1 * weight
        assert average == pytest.approx(mean, rel=1e-5)


def test_no_two_players_move_one_parameter():
    net = nn.Linear(1, 1)
    players = [Player(name, parameters_of(net), lambda *given: net.bias.sum()) for name in "ab"]
    with pytest.raises(ValueError, match="b moves what another player moves"):
        train(Nets({"net": net}, 0.9), players, Numbers(torch.ones(4, 1)), TrainingConfig())


@pytest.mark.parametrize("wrong", [{"parameters": ()}, {"updates": 0}, {"rate": 0.0}])
def test_a_player_that_cannot_learn_is_refused(wrong):
    given = {"name": "it", "parameters": (nn.Parameter(torch.zeros(1)),), "loss": None} | wrong
    with pytest.raises(ValueError, match="a player needs"):
        Player(**given)
