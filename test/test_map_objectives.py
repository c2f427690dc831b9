"""Objectives whose students are maps from noise: their algebra, and a short training of each."""

import copy
import math

import pytest
import torch
from g6_beginning import beginning, judged
from one_gaussian import HIGH, LOW, MU, TEACHER, EndOfFlow, a_batch

from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.distilled import NetConfig, distilled
from vdd_ros.policies.objectives import Paired
from vdd_ros.policies.objectives.consistency import Cd, Ct
from vdd_ros.policies.objectives.kd import Kd
from vdd_ros.policies.objectives.progressive import Progressive
from vdd_ros.policies.objectives.steps import ddim_step
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import TrainingConfig

G6 = BEDS["g6"]
ONCE = SamplerConfig("euler", 1)


def a_net(boundary=0.0, seed=0):
    torch.manual_seed(seed)
    net = NetConfig(width=16, blocks=1, octaves=1).make(G6, boundary)
    torch.nn.init.normal_(net.net.leave.weight)
    return net


def test_a_consistency_function_is_the_identity_at_its_boundary_and_a_denoiser_elsewhere():
    x, cond = torch.randn(5, 2), torch.randn(5, 1)
    bounded, plain = a_net(LOW), a_net()
    torch.testing.assert_close(bounded(x, torch.full((5,), LOW), cond), x)
    far = torch.full((5,), 5.0)
    torch.testing.assert_close(bounded(x, far, cond), plain(x, far, cond), rtol=0.01, atol=0.01)


def test_kd_is_nought_for_the_map_itself_and_not_where_starts_are_mixed_up():
    batch, generator = a_batch()
    starts = HIGH * torch.randn(256, 2, generator=generator)
    ends = EndOfFlow()(starts, torch.full((1,), HIGH), batch.cond)
    paired = Paired(batch.cond, ends, batch.demos, starts)
    assert Kd().loss(EndOfFlow(), TEACHER, paired, 0.0, generator) < 1e-10
    mixed = paired._replace(starts=starts.flip(0))
    assert Kd().loss(EndOfFlow(), TEACHER, mixed, 0.0, generator) > 0.1


@pytest.mark.parametrize("metric", ["huber", "square"])
def test_cd_is_nought_for_the_ends_of_the_flow_but_for_the_solver(metric):
    batch, generator = a_batch()
    losses = [
        Cd(levels=levels, metric=metric, weight="uniform").pair_loss(
            EndOfFlow(), EndOfFlow(), TEACHER, batch, generator
        )
        for levels in (20, 160)
    ]
    assert losses[1] < 1e-6 and losses[1] < losses[0] / 8


@pytest.mark.parametrize("method", [Cd, Ct])
@pytest.mark.parametrize("weight", ["inverse_step", "snr", "uniform"])
def test_nothing_flows_through_a_self_target(method, weight):
    """The gradient is that with a target of equal weights that cannot be moved: a score would not
    tell, as pairs of the teacher make the gradient of both sides a sensible one, too."""
    batch, _ = a_batch(64)
    objective, student = method(weight=weight), a_net(LOW)
    gradients = []
    for target in (student, copy.deepcopy(student).requires_grad_(False)):
        loss = objective.pair_loss(
            student, target, TEACHER, batch, torch.Generator().manual_seed(1)
        )
        gradients.append(torch.autograd.grad(loss, list(student.parameters())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_ct_and_cd_agree_where_the_teacher_knows_the_noise():
    """Around one point the way of the ODE is the line to it."""

    class Point:
        def denoise(self, x, sigma, cond):
            return torch.full_like(x, MU)

    batch, _ = a_batch(64)
    batch = batch._replace(demos=torch.full_like(batch.demos, MU))
    losses = [
        method().pair_loss(
            a_net(LOW), a_net(LOW, 1), Point(), batch, torch.Generator().manual_seed(1)
        )
        for method in (Cd, Ct)
    ]
    torch.testing.assert_close(*losses)


def test_levels_of_progressive_distillation_are_nested():
    objective = Progressive(steps=16)
    assert objective.phases == 4
    grids = [objective.grid(phase) for phase in range(objective.phases + 1)]
    assert [len(grid) - 1 for grid in grids] == [16, 8, 4, 2, 1]
    for fine, coarse in zip(grids, grids[1:], strict=False):
        assert torch.equal(fine[::2], coarse)
    assert all(grid[0] == pytest.approx(HIGH) and grid[-1] == 0 for grid in grids)


def test_progressive_distillation_is_nought_for_who_makes_two_steps_in_one():
    batch, generator = a_batch()
    objective = Progressive(steps=8)
    grid = objective.grid(1)

    class TwoSteps(torch.nn.Module):
        def forward(self, x, high, cond):
            at = (grid[None] - high[:, None]).abs().argmin(1)
            middle, low = grid[at + 1], grid[at + 2]
            there = ddim_step(TEACHER, ddim_step(TEACHER, x, high, middle, cond), middle, low, cond)
            ratio = (low / high)[:, None]
            return (there - ratio * x) / (1 - ratio)

    assert objective.phase_loss(TwoSteps(), TEACHER, 1, batch, generator) < 1e-6
    assert objective.phase_loss(EndOfFlow(), TEACHER, 1, batch, generator) > 1e-3


@pytest.mark.parametrize("bad", [{"steps": 6}, {"steps": 4, "ends": 4}, {"ends": 3}])
def test_steps_that_cannot_be_halved_are_refused(bad):
    with pytest.raises(ValueError, match="powers of two"):
        Progressive(**bad)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "least"),
    [(Kd(), 0.2), (Cd(levels=18), 0.3), (Progressive(steps=16), 0.3)],
    ids=["kd", "cd", "progressive"],
)
def test_a_short_training_leaves_a_map_near_the_teachers(objective, least):
    """To a loose band; long trainings are a benchmark's."""
    begin, data = beginning()
    before = judged(objective, begin)
    assert before["off"] > 0.9 and before["prmse"] > 0.8
    training = TrainingConfig(steps=1500, batch_size=512, learning_rate=1e-3, ema_decay=0.99)
    found = judged(objective, distilled(G6, begin, objective, data, training))
    assert found["cov"] == 6 and found["tv"] < 0.1 and found["off"] < 0.45
    assert found["prmse"] < least and not math.isnan(found["sw2"])
