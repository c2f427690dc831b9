"""Objectives with a judge: games, R1, who moves whom, and a short training of each."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from g6_beginning import judged

from vdd_ros.errors import UserError
from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.distilled import NetConfig, distilled, fitted
from vdd_ros.policies.objectives import STUDENT, Batch, Paired
from vdd_ros.policies.objectives.add import Add
from vdd_ros.policies.objectives.adversarial import DISCRIMINATOR, GAMES
from vdd_ros.policies.objectives.asm import Asm
from vdd_ros.policies.objectives.ddgan import Ddgan, posterior
from vdd_ros.policies.objectives.discriminator import (
    Discriminator,
    Sizes,
    sizes_of,
    squared_slope,
)
from vdd_ros.policies.objectives.ufogen import Ufogen
from vdd_ros.policies.players import Nets
from vdd_ros.policies.samplers import drawing
from vdd_ros.policies.teacher import TeacherConfig, make_teacher
from vdd_ros.policies.training import TrainingConfig, train

G6 = BEDS["g6"]
METHODS = [Ddgan(), Ufogen(), Add(), Asm()]
names = pytest.mark.parametrize("objective", METHODS, ids=lambda one: type(one).__name__.lower())


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def a_batch(count=64):
    cond = G6.observe(count, generator())
    demos = G6.mixture(cond).sample(1, generator(1))[:, 0]
    return Batch(cond, demos, demos)


def a_beginning():
    torch.manual_seed(0)
    net = NetConfig(width=16, blocks=1, octaves=1).make(G6)
    torch.nn.init.normal_(net.net.leave.weight)
    return net


def nets_of(objective):
    student = objective.student(a_beginning())
    return Nets({STUDENT: student, **objective.auxiliaries(student, G6.teacher)}, 0.9)


def test_what_is_paid_in_each_game():
    zero, two = torch.zeros(1), torch.full((1,), 2.0)
    for name, at_zero, at_two in (
        ("softplus", [math.log(2)] * 3, [math.log1p(math.exp(-2)), 2.126928, 0.126928]),
        ("hinge", [1, 1, 0], [0, 3, -2]),
        ("square", [0.5, 0, 0.5], [0.5, 2, 0.5]),
    ):
        for logit, expected in ((zero, at_zero), (two, at_two)):
            paid = [of(logit).item() for of in GAMES[name]]
            assert paid == pytest.approx(expected, abs=1e-6), name


def test_r1_is_the_squared_slope_and_can_be_trained_through():
    torch.manual_seed(1)
    judge = Discriminator(Sizes(3, 1, 2, 1), width=8, blocks=1).double()
    shown, sigma = torch.randn(5, 3).double(), torch.rand(5).double() + 0.1
    cond = torch.randn(5, 2).double()

    slopes = [
        torch.autograd.functional.jacobian(
            lambda chunk, row=row: judge(chunk[None], sigma[row, None], cond[row, None])[0],
            shown[row],
        )
        for row in range(len(shown))
    ]
    found = squared_slope(lambda chunks: judge(chunks, sigma, cond), shown)
    expected = torch.stack(slopes).square().sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)

    weight, step = judge.net.enter.weight, 1e-6
    gradient = torch.autograd.grad(found.mean(), weight)[0][2, 1]
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[2, 1] += sign * step
        values.append(squared_slope(lambda chunks: judge(chunks, sigma, cond), shown).mean())
        with torch.no_grad():
            weight[2, 1] -= sign * step
    assert gradient.item() == pytest.approx(((values[0] - values[1]) / (2 * step)).item(), rel=1e-5)
    assert abs(gradient) > 1e-6


def test_r1_is_asked_of_the_first_rows_at_half_its_weight():
    objective, batch = Ufogen(penalty=0.3, penalised=8), a_batch()
    nets = nets_of(objective)
    student, judge = nets[STUDENT], nets[DISCRIMINATOR]
    with_r1, without = (
        one.judge_loss(student, judge, batch, generator(3))
        for one in (objective, replace(objective, penalty=0.0))
    )
    seen = objective.examples(student, batch, generator(3))
    slope = squared_slope(
        lambda chunks: judge(chunks, seen.sigma[:8], batch.cond[:8]), seen.shown[:8]
    )
    torch.testing.assert_close(with_r1 - without, 0.15 * slope.mean())


@names
def test_a_judges_loss_reaches_no_student_and_no_step_moves_another_player(objective):
    nets, batch = nets_of(objective), a_batch()
    student, judge = nets[STUDENT], nets[DISCRIMINATOR]
    loss = objective.judge_loss(student, judge, batch, generator())
    through = torch.autograd.grad(loss, list(student.parameters()), allow_unused=True)
    assert all(one is None for one in through)

    training = TrainingConfig(steps=1, batch_size=8, warmup_steps=1)
    for index, (moved, held) in enumerate([(STUDENT, DISCRIMINATOR), (DISCRIMINATOR, STUDENT)]):
        before = {name: copy.deepcopy(nets[name].state_dict()) for name in (moved, held)}
        player = objective.players(nets, G6.teacher)[index]
        train(nets, [player], batch, training)
        after = {name: nets[name].state_dict() for name in (moved, held)}
        assert all(torch.equal(before[held][key], after[held][key]) for key in before[held])
        assert any(not torch.equal(before[moved][key], after[moved][key]) for key in before[moved])


@names
def test_both_players_trust_no_old_gradients(objective):
    players = objective.players(nets_of(objective), G6.teacher)
    assert all(player.betas[0] <= 0.5 for player in players)


@names
def test_a_judge_sees_the_observation(objective):
    nets, batch = nets_of(objective), a_batch()
    seen = objective.examples(nets[STUDENT], batch, generator())
    verdicts = [
        nets[DISCRIMINATOR](seen.shown, seen.sigma, cond, seen.beside)
        for cond in (batch.cond, -batch.cond)
    ]
    assert (verdicts[0] - verdicts[1]).abs().max() > 1e-4


class Pull:
    """A teacher that can be differentiated, in x and in what it is made of."""

    def __init__(self, hold: bool):
        self.hold, self.gain = hold, torch.full((), 0.5, requires_grad=True)

    def denoise(self, x, sigma, cond):
        found = self.gain * x + sigma[:, None]
        return found.detach() if self.hold else found


def test_nothing_flows_through_the_teacher_of_add():
    """The gradient is that with a teacher that is a constant: held anywhere else it would lose the
    teacher's own slope, half of it here."""
    objective, batch = Add(), a_batch()
    nets, gradients = nets_of(objective), []
    for hold in (False, True):
        teacher = Pull(hold)
        seen = objective.examples(nets[STUDENT], batch, generator())
        loss = objective.anchor(seen, teacher, batch, generator(1))
        gradient, own = torch.autograd.grad(loss, [seen.clean, teacher.gain], allow_unused=True)
        assert own is None
        gradients.append(gradient)
    torch.testing.assert_close(*gradients, rtol=0, atol=0)
    trusted = objective.distillation * 2 / seen.clean.numel()
    assert 0 < gradients[0].abs().max() <= trusted * 20  # |x - opinion| is sigma or so, c sigma < 1


def test_nothing_is_reconstructed_unless_asked_and_then_towards_the_demonstration():
    batch, nets = a_batch(), nets_of(Ufogen())
    seen = Ufogen().examples(nets[STUDENT], batch, generator())
    assert Ufogen().anchor(seen, G6.teacher, batch, generator()) is None
    pull = Ufogen(reconstruction=3.0).anchor(seen, G6.teacher, batch, generator())
    (gradient,) = torch.autograd.grad(pull, seen.clean)
    expected = 3.0 * (seen.clean - batch.demos) / (1 + 10.0**2) / len(batch.demos)
    torch.testing.assert_close(gradient, expected)
    assert 0.03 <= seen.sigma.min() < 0.1 and 0.5 < seen.sigma.max() <= 1.0


def test_ddgans_posteriors_compose_to_the_noise_of_each_level():
    """a + t xi, brought down level by level from the clean chunk it came from, is a + s xi'."""
    draws, count = generator(5), 200_000
    sigmas = Ddgan().sigmas.float()
    assert len(sigmas) == 5 and sigmas[-1] == 0
    clean = torch.full((count, 1), 0.4)
    x = clean + sigmas[0] * torch.randn(count, 1, generator=draws)
    for high, low in zip(sigmas, sigmas[1:], strict=False):
        before = x
        x = posterior(x, clean, high.expand(count), low.expand(count), draws)
        assert x.mean().item() == pytest.approx(0.4, abs=0.02 * low.item() + 1e-6)
        assert x.std().item() == pytest.approx(low.item(), rel=0.01, abs=1e-6)
        # of one chain: x_t is x_s and independent noise
        shared = ((x - clean) * (before - clean)).mean().item()
        assert shared == pytest.approx(low.item() ** 2, rel=0.05, abs=1e-6)
    torch.testing.assert_close(x, clean, rtol=0, atol=1e-6)


def test_ddgan_is_sampled_by_the_posteriors_it_was_trained_on():
    """DDPM's ancestral sampler, with a latent for each call."""
    objective = Ddgan()
    student, cond = objective.student(a_beginning()), G6.observe(7, generator())
    torch.nn.init.normal_(student.net.enter.weight)
    starts = 10.0 * torch.randn(7, 2, generator=generator(1))
    found = objective.sample(student, starts, cond, drawing(generator(2)))
    draw, x = drawing(generator(2)), starts
    for high, low in zip(objective.sigmas, objective.sigmas[1:], strict=False):
        told = torch.cat([cond, draw(torch.zeros(7, objective.latent))], dim=1)
        clean = student(x, high.float()[None], told)
        share = float(low / high) ** 2
        x = clean + share * (x - clean)
        if low > 0:
            x = x + float(low) * math.sqrt(1 - share) * draw(x)
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-5)


def test_ddgan_begins_as_its_teacher_but_for_its_latent():
    objective, begin, batch = Ddgan(), a_beginning(), a_batch()
    student = objective.student(begin)
    x, sigma = torch.randn(64, 2), torch.full((64,), 0.8)
    expected = begin(x, sigma, batch.cond)
    silent = objective.with_latent(batch.cond, torch.zeros_like)
    assert silent.shape == (64, 1 + objective.latent)
    torch.testing.assert_close(student(x, sigma, silent), expected)
    told = student(x, sigma, objective.with_latent(batch.cond, drawing(generator())))
    assert ((told - expected).abs().max(1).values > 1e-3).float().mean() > 0.9


def test_a_judge_is_made_for_whatever_net_a_teacher_has():
    for net in ("mlp", "transformer"):
        config = TeacherConfig(net=net, width=16, blocks=1, octaves=2)
        teacher = make_teacher(config, newest_dim=3, cond_dim=6, dim=5)
        assert sizes_of(teacher.net) == Sizes(5, 3, 6, 2)
    with pytest.raises(UserError, match="perceptron"):
        Ddgan().student(teacher)


@pytest.mark.parametrize(
    ("method", "bad"),
    [
        (Add, {"game": "chess"}),
        (Asm, {"penalty": -1.0}),
        (Ufogen, {"penalised": 0}),
        (Ufogen, {"judge_low": 2.0}),
        (Ddgan, {"latent": 0}),
        (Ddgan, {"last": 20.0}),
        (Add, {"student_levels": 0}),
    ],
)
def test_settings_without_sense_are_refused(method, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        method(**bad)


SMALL = NetConfig(width=64, blocks=2)


@pytest.fixture(scope="module")
def beginning():
    training = TrainingConfig(steps=1500, batch_size=256, learning_rate=2e-3, ema_decay=0.99)
    begin = fitted(G6, SMALL, training)
    cond = G6.observe(16_384, generator(2))
    demos = G6.mixture(cond).sample(1, generator(3))[:, 0]
    return begin, Paired(cond, demos, demos, demos)


def trained(beginning, objective, steps):
    begin, data = beginning
    torch.manual_seed(1)
    training = TrainingConfig(steps=steps, batch_size=256, learning_rate=2e-3, ema_decay=0.98)
    return distilled(G6, begin, objective, data, training)


def spread(objective, student):
    """Standard deviation of 200 samples for one observation."""
    starts = 10.0 * torch.randn(200, 2, generator=generator(6))
    with torch.no_grad():
        chunks = objective.sample(student, starts, torch.zeros(200, 1), drawing(generator(7)))
    return float(chunks.std(0).norm())


@pytest.mark.slow
def test_a_short_training_of_ddgan_uses_its_latent(beginning):
    objective = Ddgan()
    student = trained(beginning, objective, 800)
    cond = G6.observe(4096, generator(4))
    starts = 10.0 * torch.randn(4096, 2, generator=generator(5))

    def silent(draw):
        return lambda like: draw(like) * (like.shape[1] != objective.latent)

    with torch.no_grad():
        full, without = (
            G6.figures(objective.sample(student, starts, cond, draw), cond)
            for draw in (drawing(generator(6)), silent(drawing(generator(6))))
        )
    assert full["cov"] >= 4 and full["tv"] < 0.35 and full["off"] < 0.65
    assert without["sw2"] > full["sw2"] + 0.02


@pytest.mark.slow
def test_a_short_training_of_ufogen_finds_modes(beginning):
    objective = Ufogen(width=64)
    before = judged(objective, beginning[0])
    assert before["off"] > 0.9 and before["cov"] == 0
    found = judged(objective, trained(beginning, objective, 800))
    assert found["cov"] >= 3 and found["off"] < 0.8 and found["sw2"] < 0.3


@pytest.mark.slow
def test_add_finds_modes_by_its_judge_alone(beginning):
    """Without it every noise goes to one point."""
    judge, none = Add(width=64), Add(adversarial=0.0, width=64)
    students = trained(beginning, judge, 500), trained(beginning, none, 150)
    found, control = (judged(*pair) for pair in zip((judge, none), students, strict=True))
    assert found["cov"] >= 3 and found["tv"] < 0.3 and found["off"] < 0.8
    assert control["cov"] <= 1 and spread(none, students[1]) < 0.2
    assert spread(judge, students[0]) > 0.5


@pytest.mark.slow
def test_a_short_training_of_asm_leaves_fewer_chunks_between_modes(beginning):
    objective = Asm(width=64)
    before = judged(objective, beginning[0])
    found = judged(objective, trained(beginning, objective, 300))
    assert found["cov"] == 6 and found["tv"] < 0.15 and found["off"] < before["off"]
