"""Objectives of jumps along the teacher's ODE against the exact jump, and what flows where."""

import copy
from dataclasses import replace

import pytest
import torch
from one_gaussian import HIGH, LOW, SPREAD, TEACHER, EndOfFlow, a_batch, flowed

from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.distilled import NetConfig
from vdd_ros.policies.objectives.boot import Boot
from vdd_ros.policies.objectives.consistency import Cd
from vdd_ros.policies.objectives.copies import Follower
from vdd_ros.policies.objectives.ctm import Ctm, jump
from vdd_ros.policies.objectives.ict import Ict
from vdd_ros.policies.objectives.lcm import Lcm
from vdd_ros.policies.objectives.told import told
from vdd_ros.policies.objectives.tract import Tract
from vdd_ros.policies.teacher import TeacherConfig, make_teacher

G6 = BEDS["g6"]


def a_student(objective, seed=0):
    torch.manual_seed(seed)
    student = objective.student(NetConfig(width=16, blocks=1, octaves=1).make(G6))
    for parameter in student.parameters():  # also those that begin as 0
        torch.nn.init.normal_(parameter, std=0.3)
    return student


def gradients(loss, net):
    return torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        torch.testing.assert_close(one, other)


class ExactJumps(torch.nn.Module):
    """g of ctm whose jumps are those of the ODE, and which is the exact denoiser at s = t."""

    sigma_data = SPREAD

    def forward(self, x, t, cond):
        s = (4.0 * cond[:, -1]).exp()
        ratio = (s / t)[:, None]
        stays = (ratio > 1.0 - 1e-4).expand_as(x)
        there = (flowed(x, t, s) - ratio * x) / (1.0 - ratio).clamp_min(1e-6)
        return torch.where(stays, TEACHER.denoise(x, t, cond), there)


class ExactSignal(torch.nn.Module):
    """The signal of the path that begins with the teacher's answer at the top."""

    def forward(self, starts, top, cond):
        level = (4.0 * cond[:, -1]).exp()
        first = TEACHER.denoise(starts, top, cond) + starts
        return flowed(first, top, level) - (level / top)[:, None] * starts


@pytest.mark.parametrize("net", ["mlp", "transformer"])
def test_who_is_told_more_begins_as_the_teacher_and_learns_to_heed_it(net):
    torch.manual_seed(0)
    config = TeacherConfig(width=16, blocks=1, octaves=1, net=net)
    teacher = make_teacher(config, newest_dim=2, cond_dim=4, dim=3)
    for parameter in teacher.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    student = told(copy.deepcopy(teacher), 2)
    x, sigma, cond, more = torch.randn(5, 3), torch.ones(5), torch.randn(5, 4), torch.randn(5, 2)
    both = torch.cat([cond, more], 1)
    torch.testing.assert_close(student(x, sigma, both), teacher(x, sigma, cond))
    student(x, sigma, both).square().sum().backward()
    assert student.net.beside.weight.grad.norm() > 0.0
    torch.nn.init.normal_(student.net.beside.weight)
    other = torch.cat([cond, more + 0.5], 1)
    assert (student(x, sigma, both) - student(x, sigma, other)).abs().max() > 0.01


def test_tract_is_nought_for_the_exact_jump_but_for_the_solver():
    batch, generator = a_batch(1024)
    exact = EndOfFlow(0.0)
    coarse, fine = (
        Tract(steps=steps, middle=1).phase_loss(exact, exact, TEACHER, 0, batch, generator)
        for steps in (16, 256)
    )
    assert fine < 1e-4 and fine < coarse / 30  # first order, and squared
    mean = TEACHER.denoise
    assert Tract(steps=16, middle=1).phase_loss(mean, exact, TEACHER, 0, batch, generator) > 0.01


def test_levels_of_tract_are_nested_and_groups_end_in_the_next_phases_levels():
    objective = Tract(steps=64, middle=8, ends=1)
    grids = [objective.grid(phase) for phase in range(3)]
    assert [len(grid) - 1 for grid in grids] == [64, 8, 1]
    for fine, coarse in zip(grids, grids[1:], strict=False):
        assert set(coarse.tolist()) <= set(fine.tolist())
    assert Tract(steps=64, middle=1).phases == 1
    for bad in ({"steps": 60}, {"middle": 65}, {"ends": 3}):
        with pytest.raises(ValueError, match="multiples"):
            Tract(**bad)


def test_ctm_is_nought_for_exact_jumps_and_leaves_a_denoisers_own_loss():
    batch, generator = a_batch(8192)
    exact = ExactJumps()
    losses = [
        Ctm(levels=levels, denoising=0.0).jump_loss(exact, exact, TEACHER, batch, generator)
        for levels in (10, 80)
    ]
    assert losses[1] < 1e-6 and losses[1] < losses[0] / 50  # second order, and squared
    objective = Ctm(denoising=1.0)
    found = objective.jump_loss(exact, exact, TEACHER, batch, generator)
    grid = Ctm(steps=objective.levels - 1).sigmas[:-1]
    variance = SPREAD**2 * grid**2 / (SPREAD**2 + grid**2)
    least = ((grid**2 + SPREAD**2) / (grid * SPREAD) ** 2 * variance).mean()
    assert float(found) == pytest.approx(float(least), rel=0.05)


def test_a_jump_to_where_one_is_is_none_and_jumps_begin_as_steps_of_ddim():
    x, cond = torch.randn(5, 2), torch.randn(5, 1)
    t, s = torch.full((5,), 3.0), torch.full((5,), 0.4)
    student = a_student(Ctm())
    assert torch.equal(jump(student, x, t, t, cond), x)
    torch.nn.init.zeros_(student.net.beside.weight)
    torch.nn.init.zeros_(student.net.beside.bias)
    begin = NetConfig(width=16, blocks=1, octaves=1).make(G6)
    begin.net.load_state_dict(student.net.net.state_dict())
    step = begin(x, t, cond) + (s / t)[:, None] * (x - begin(x, t, cond))
    torch.testing.assert_close(jump(student, x, t, s, cond), step)


def test_the_gradient_of_ctm_goes_through_the_self_target_and_not_to_it():
    batch, _ = a_batch(64)
    objective = Ctm(denoising=0.0)
    student = a_student(objective)
    held = Follower(student, objective.decay).denoiser
    with torch.no_grad():
        held.net.beside.weight.mul_(0.5)
    loss = objective.jump_loss(student, held, TEACHER, batch, torch.Generator().manual_seed(1))
    loss.backward()
    assert all(parameter.grad is None for parameter in held.parameters())

    def outer(x, t, cond):  # as `held`, but where a jump of the student's is looked at
        return held(x.detach(), t, cond)

    found = [parameter.grad.clone() for parameter in student.parameters()]
    blocked = objective.jump_loss(student, outer, TEACHER, batch, torch.Generator().manual_seed(1))
    torch.testing.assert_close(blocked, loss)
    others = gradients(blocked, student)
    assert max(float((a - b).norm()) for a, b in zip(found, others, strict=True)) > 1e-4


def test_jumps_of_ctm_lead_to_the_end_of_the_flow_however_many():
    starts, cond = HIGH * torch.randn(64, 2), torch.zeros(64, 1)
    end = flowed(starts, torch.tensor([HIGH]), torch.tensor([LOW]))
    for steps in (1, 4):
        found = Ctm(steps=steps).sample(ExactJumps(), starts, cond)
        torch.testing.assert_close(found, end, rtol=1e-3, atol=1e-3)
    noisy = Ctm(steps=8, noise_share=1.0).sample(ExactJumps(), starts, cond, torch.randn_like)
    assert (noisy - end).abs().mean() > 0.1
    assert float(noisy.std()) == pytest.approx(SPREAD, rel=0.2)


def test_boot_is_nought_for_the_exact_signal_but_for_the_solver():
    batch, generator = a_batch(1024)
    losses = [
        Boot(levels=levels).loss(ExactSignal(), TEACHER, batch, 0.0, generator)
        for levels in (10, 80)
    ]
    assert losses[1] < 1e-6 and losses[1] < losses[0] / 50

    class Clean(ExactSignal):  # the end of the path, whatever the level
        def forward(self, starts, top, cond):
            lowest = torch.full_like(cond, LOW).log() / 4.0
            return super().forward(starts, top, lowest)

    assert Boot().loss(Clean(), TEACHER, batch, 0.0, generator) > 1e-3


def test_boot_begins_with_the_teachers_answer_at_the_top_and_looks_at_no_data():
    torch.manual_seed(0)
    begin = NetConfig(width=16, blocks=1, octaves=1).make(G6)
    torch.nn.init.normal_(begin.net.leave.weight)
    objective = Boot()
    starts, cond = HIGH * torch.randn(9, 2), torch.randn(9, 1)
    top = torch.full((9,), HIGH)
    student = objective.student(begin)
    torch.testing.assert_close(
        objective.signal(student, starts, top, cond), begin(starts, top, cond)
    )
    batch, _ = a_batch(32)
    losses = [
        objective.loss(student, TEACHER, batch_, 0.0, torch.Generator().manual_seed(1))
        for batch_ in (batch, batch._replace(demos=batch.demos * 9, samples=batch.samples * 9))
    ]
    assert losses[0] == losses[1]


class _Frozen(torch.nn.Module):
    """A student whose first call is one of a copy that cannot be moved."""

    def __init__(self, student):
        super().__init__()
        self.student, self.frozen = student, copy.deepcopy(student).requires_grad_(False)
        self.calls = 0

    def forward(self, *given):
        self.calls += 1
        return (self.frozen if self.calls == 1 else self.student)(*given)


def test_nothing_flows_through_the_target_of_boot():
    """Its first call is the target's."""
    batch, _ = a_batch(64)
    objective = Boot()
    student = a_student(objective)
    found = [
        gradients(
            objective.loss(net, TEACHER, batch, 0.0, torch.Generator().manual_seed(1)), student
        )
        for net in (student, _Frozen(student))
    ]
    assert_same(*found)


def test_nothing_flows_through_the_self_target_of_tract():
    batch, _ = a_batch(64)
    objective = Tract()
    student = a_student(objective)
    found = [
        gradients(
            objective.phase_loss(student, own, TEACHER, 0, batch, torch.Generator().manual_seed(1)),
            student,
        )
        for own in (student, copy.deepcopy(student).requires_grad_(False))
    ]
    assert_same(*found)


def test_a_follower_is_a_running_average_that_no_gradient_moves():
    student = a_student(Tract())
    follower = Follower(student, decay=0.5)
    before = [parameter.clone() for parameter in student.parameters()]
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1.0)
    follower.follow(student)
    for own, old in zip(follower.denoiser.parameters(), before, strict=True):
        torch.testing.assert_close(own, old + 0.5)
        assert not own.requires_grad


def test_lcm_with_a_skip_of_one_and_no_guidance_is_cd():
    batch, _ = a_batch(64)
    student = a_student(Cd())
    losses = [
        objective.pair_loss(student, student, TEACHER, batch, torch.Generator().manual_seed(1))
        for objective in (Cd(levels=40), Lcm(levels=40, skip=1))
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("solver", ["heun", "ddim"])
def test_pairs_of_lcm_are_a_skip_apart_and_end_at_the_lowest_level(solver):
    objective = Lcm(levels=20, skip=4, solver=solver)
    high, low = objective.draw_levels(1000, 0.0, torch.Generator().manual_seed(0))
    grid = objective.grid.tolist()
    distances = [
        grid.index(b) - grid.index(a) for a, b in zip(high.tolist(), low.tolist(), strict=True)
    ]
    assert set(distances) == {1, 2, 3, 4} and min(low) == grid[-1]
    batch, generator = a_batch(1024)
    fine = replace(objective, levels=640, weight="uniform")
    assert fine.pair_loss(EndOfFlow(), EndOfFlow(), TEACHER, batch, generator) < 1e-3


def test_levels_of_ict_double_and_are_drawn_by_the_papers_density():
    objective = Ict(first=10, levels=640)
    counts = [objective.count(progress) for progress in torch.arange(0.0, 1.0, 0.01).tolist()]
    assert sorted(set(counts)) == [10 * 2**power for power in range(7)] and counts[-1] == 640
    assert counts == sorted(counts) and max(counts.count(each) for each in counts) == 15
    high, low = objective.draw_levels(100_000, 0.99, torch.Generator().manual_seed(0))
    assert (high > low).all()
    normal = torch.distributions.Normal(objective.log_mean, objective.log_std)
    inside = normal.cdf(torch.tensor([HIGH, LOW]).log())
    below = (normal.cdf(torch.tensor(0.5).log()) - inside[1]) / (inside[0] - inside[1])
    assert float((high < 0.5).float().mean()) == pytest.approx(float(below), abs=0.01)
