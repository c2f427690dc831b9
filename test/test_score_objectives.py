"""Objectives that follow the difference of two scores: closed forms, what moves whom, collapses."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from g6_beginning import judged
from torch import nn

from vdd_ros.errors import UserError
from vdd_ros.policies.beds import BEDS, g6
from vdd_ros.policies.beds.controls import DmdFrozen
from vdd_ros.policies.beds.distilled import NetConfig, distilled, fitted, pairs
from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.nets import DenoiserNet, NetSizes
from vdd_ros.policies.noise import log_uniform
from vdd_ros.policies.objectives import STUDENT, Batch, Paired, fit
from vdd_ros.policies.objectives.diff_instruct import DiffInstruct
from vdd_ros.policies.objectives.dmd import Dmd
from vdd_ros.policies.objectives.dmd2 import HEAD, Dmd2
from vdd_ros.policies.objectives.fake_score import FAKE
from vdd_ros.policies.objectives.nfsd import Nfsd
from vdd_ros.policies.objectives.score_difference import follow
from vdd_ros.policies.objectives.sds import Sds
from vdd_ros.policies.objectives.vdd import Vdd
from vdd_ros.policies.objectives.vsd import Vsd
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.players import Nets, parameters_of
from vdd_ros.policies.spacing import rho
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.policies.transformer import TransformerDenoiserNet

G6 = BEDS["g6"]
MEAN, STD = 0.7, 0.3  # of the teacher that is one Gaussian
LEVEL = 0.4
AT_LEVEL = {"level_low": LEVEL, "level_high": LEVEL * (1 + 1e-12)}
LEARNED = [Vsd(), DiffInstruct(), Dmd(), Dmd2()]
NAMES = ["vsd", "diff-instruct", "dmd", "dmd2"]


def gaussian(mean, std):
    """The denoiser of N(mean, std^2) in every dimension, also for std 0."""

    def denoise(x, sigma, cond):
        return mean + std**2 / (std**2 + sigma[:, None] ** 2) * (x - mean)

    return denoise


class Line(nn.Module):
    """m + q z, as a student at sigma_init 1."""

    def __init__(self, m, q):
        super().__init__()
        self.m, self.q = (nn.Parameter(torch.tensor(one, dtype=torch.float64)) for one in (m, q))

    def forward(self, x, sigma, cond):
        return self.m + self.q * x


class Exact(nn.Module):
    """What a Line's score is."""

    def __init__(self, line):
        super().__init__()
        self.line = [line]

    def forward(self, x, sigma, cond):
        return gaussian(self.line[0].m, self.line[0].q)(x, sigma, cond)


class Teacher:
    denoise = staticmethod(gaussian(MEAN, STD))


def slopes(objective, m, q, count=200_000):
    """Of the student's loss in m and in q, both over the weight at LEVEL."""
    line = Line(m, q)
    nets = Nets({STUDENT: line, FAKE: Exact(line)}, 0.9)
    none = torch.zeros(count, 1, dtype=torch.float64)
    loss = objective.student_loss(
        nets, Teacher(), Batch(none, none, none), torch.Generator().manual_seed(0)
    )
    return [float(one) * LEVEL for one in torch.autograd.grad(loss, [line.m, line.q])]


@pytest.mark.parametrize(("m", "q"), [(1.5, 0.9), (0.0, 0.1)])
def test_with_an_exact_own_score_a_gaussian_goes_to_the_teachers_mean_and_width(m, q):
    """Known in closed form at every noise level."""
    there = 1 / (STD**2 + LEVEL**2)
    here = 1 / (q**2 + LEVEL**2)
    of_m, of_q = slopes(Vsd(**AT_LEVEL), m, q)
    assert of_m == pytest.approx(LEVEL**2 * (m - MEAN) * there, abs=4e-3)
    assert of_q == pytest.approx(LEVEL**2 * q * (there - here), abs=4e-3)


def test_where_student_and_teacher_agree_every_single_draw_is_nought():
    assert slopes(Vsd(**AT_LEVEL), MEAN, STD, count=3) == pytest.approx([0.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("q", [0.9, STD, 0.05])
def test_sds_narrows_a_gaussian_to_nought(q):
    of_m, of_q = slopes(Sds(**AT_LEVEL), MEAN, q)
    assert of_m == pytest.approx(0.0, abs=4e-3)
    assert of_q == pytest.approx(LEVEL**2 * q / (STD**2 + LEVEL**2), abs=4e-3) and of_q > 0.02


def a_net(seed=0):
    torch.manual_seed(seed)
    net = NetConfig(width=16, blocks=1, octaves=1).make(G6)
    nn.init.normal_(net.net.leave.weight, std=0.3)
    return net


def a_batch(count=64):
    generator = torch.Generator().manual_seed(3)
    cond = G6.observe(count, generator)
    demos = G6.mixture(cond).sample(1, generator)[:, 0]
    return Paired(cond, demos, demos, 10.0 * torch.randn(count, 2, generator=generator))


def nets_of(objective):
    student = objective.student(a_net())
    nets = Nets({STUDENT: student, **objective.auxiliaries(student, G6.teacher)}, 0.9)
    nets.modules |= {FAKE: a_net(1)} if FAKE in nets.modules else {}  # it has learned something
    return nets


def seeded():
    return torch.Generator().manual_seed(1)


def gradient(loss, *nets):
    every = [parameter for net in nets for parameter in net.parameters()]
    return torch.autograd.grad(loss, every, allow_unused=True)


def same(one, other):
    for left, right in zip(one, other, strict=True):
        torch.testing.assert_close(left, right)


def test_sds_is_vsd_with_an_own_score_that_knows_the_sample():
    batch, nets = a_batch(), nets_of(Vsd())
    x = Vsd().generated(nets[STUDENT], batch, seeded()).detach()

    class Dirac(nn.Module):
        def forward(self, noised, sigma, cond):
            return x

    known = Nets({STUDENT: nets[STUDENT], FAKE: Dirac()}, 0.9)
    losses = [
        objective.student_loss(which, G6.teacher, batch, seeded())
        for objective, which in ((Vsd(), known), (Sds(), nets), (Vsd(), nets))
    ]
    vsd, sds, other = (gradient(loss, nets[STUDENT]) for loss in losses)
    same(vsd, sds)
    assert not torch.allclose(other[0], sds[0])


def test_nfsd_is_sds_with_the_added_noise_left_in_and_the_observation_as_strong_as_one_likes():
    batch, nets = a_batch(), nets_of(Sds())
    x = Sds().generated(nets[STUDENT], batch, seeded()).detach()
    noised, sigma = Sds().noised(x, seeded())
    given = (nets, G6.teacher, x, noised, sigma, batch.cond)
    noise = (noised - x) / sigma[:, None]
    torch.testing.assert_close(Nfsd(scale=1.0).direction(*given), Sds().direction(*given) + noise)
    blind = (noised - G6.teacher.denoise_blind(noised, sigma)) / sigma[:, None]
    torch.testing.assert_close(Nfsd(scale=0.0).direction(*given), blind)


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_a_bed_without_observation_is_the_mean_over_observations(bed):
    """By Bayes' rule, over ten times as many of them."""
    cond = torch.linspace(-1, 1, 331, dtype=torch.float64)[:, None]
    x = bed.mixture(cond[::83]).sample(1, seeded())[:, 0]
    for level in (0.1, 1.0):
        noised = x + level * torch.randn(x.shape, generator=seeded(), dtype=x.dtype)
        known = bed.mixture(cond).diffused(cond.new_full((331,), level))
        every = noised.expand(331, *x.shape)
        likely = known.log_prob(every).softmax(0)[..., None]
        score = (likely * known.score(every)).sum(0)
        found = bed.teacher.denoise_blind(noised, cond.new_full((1,), level))
        torch.testing.assert_close(found, noised + level**2 * score, rtol=0, atol=0.01)


def test_nfsd_refuses_a_teacher_that_always_needs_an_observation():
    with pytest.raises(UserError, match="never trained without an observation"):
        Nfsd().players(nets_of(Nfsd()), a_net())


class Three(nn.Module):
    """A student that is a mixture: three experts, moved by the observation."""

    def __init__(self):
        super().__init__()
        generator = seeded()
        for name, shape in (("gating", (3,)), ("means", (3, 2)), ("turn", (3, 2)), ("log", (3, 2))):
            drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
            setattr(self, name, nn.Parameter(drawn))

    def forward(self, cond):
        means = self.means + cond[:, :, None] * self.turn
        log_weights = self.gating.log_softmax(0).expand(len(cond), -1)
        return GaussianMixture(log_weights, means, Diagonal(self.log.exp().expand_as(means)))


class ExactOwn(DiffInstruct):
    """Diff-Instruct with the student's own score in closed form."""

    def own(self, nets, x, noised, sigma, cond):
        return OracleTeacher(lambda cond: nets[STUDENT](cond).detach()).denoise(noised, sigma, cond)


def test_vdd_follows_the_difference_of_scores_with_an_exact_own_score():
    """The gradients of both are the same, to the last digits of float64."""
    moe, cond = Three(), a_batch(32).cond.double()
    vdd = Vdd(start=0.0, observations=32, gating_weight=0.0, forward_weight=0.0)
    none = torch.zeros(32, 2, dtype=torch.float64)
    loss = vdd.loss(moe, G6.teacher, Batch(cond, none, none), 0.5, seeded())

    # the same draws
    generator, mixture, high = seeded(), moe(cond), vdd.sigma_max(0.5)
    level = log_uniform(max(vdd.sigma_min, high / vdd.band), high, 32, generator).double()
    x = mixture.sample_components(1, generator)  # (B, K, 1, D)
    noised = x + level[:, None, None, None] * torch.randn(
        x.shape, generator=generator, dtype=x.dtype
    )
    rows, noised = x.flatten(0, 2), noised.detach().flatten(0, 2)
    g = ExactOwn().direction(
        Nets({STUDENT: moe}, 0.9),
        G6.teacher,
        rows.detach(),
        noised,
        level.repeat_interleave(3),
        cond.repeat_interleave(3, dim=0),
    )
    gating = mixture.log_weights.detach().exp().reshape(-1, 1)
    ours = gradient(3 * follow(rows, gating * g), moe)
    theirs = gradient(loss, moe)
    moved = [one for one, other in zip(theirs, ours, strict=True) if other is not None]
    assert len(moved) == 3 and all(one.abs().max() > 1e-3 for one in moved)
    for one, other in zip(moved, ours[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("objective", [Sds(), Nfsd(), Vsd(), DiffInstruct()], ids=str)
def test_nothing_flows_through_the_difference(objective):
    """The gradient is that of x along a constant."""
    batch, nets = a_batch(), nets_of(objective)
    student, generator = nets[STUDENT], seeded()
    x = objective.generated(student, batch, generator)
    noised, sigma = objective.noised(x.detach(), generator)
    g = objective.direction(nets, G6.teacher, x.detach(), noised, sigma, batch.cond)
    loss = objective.student_loss(nets, G6.teacher, batch, seeded())
    same(gradient(loss, student), gradient((g * x).mean(), student))


@pytest.mark.parametrize("objective", LEARNED, ids=NAMES)
def test_each_player_moves_its_own(objective):
    """A net as the teacher, which nobody moves; the head tells the student apart without moving."""
    batch, nets, teacher = a_batch(), nets_of(objective), a_net(2)
    student, fake = objective.players(nets, teacher)
    others = [module for name, module in nets.modules.items() if name != STUDENT]
    for player, own in ((student, [nets[STUDENT]]), (fake, others)):
        assert list(map(id, player.parameters)) == list(map(id, parameters_of(*own)))
    assert set(gradient(fake.loss(batch, 0.0, seeded()), nets[STUDENT])) == {None}
    assert None not in gradient(fake.loss(batch, 0.0, seeded()), *others)

    moved = gradient(student.loss(batch, 0.0, seeded()), nets[STUDENT])
    assert None not in moved
    assert set(gradient(student.loss(batch, 0.0, seeded()), teacher)) == {None}
    if HEAD not in nets.modules:
        assert set(gradient(student.loss(batch, 0.0, seeded()), nets[FAKE])) == {None}
    for net in others:
        net.requires_grad_(False)
    same(moved, gradient(student.loss(batch, 0.0, seeded()), nets[STUDENT]))


def test_the_head_pulls_the_student_where_it_takes_chunks_for_demonstrated():
    batch, plain = a_batch(), Dmd2(gan_weight=0.0)
    assert HEAD not in plain.auxiliaries(a_net(), G6.teacher)
    nets = nets_of(Dmd2())
    pulled, alone = (
        gradient(one.student_loss(nets, G6.teacher, batch, seeded()), nets[STUDENT])
        for one in (Dmd2(gan_weight=1.0), plain)
    )
    assert not torch.allclose(pulled[0], alone[0])


def test_the_head_learns_to_tell_demonstrations_from_what_the_student_makes():
    batch, objective = a_batch(256), Dmd2(head_weight=1.0)
    batch = batch._replace(demos=batch.demos + 2.0)
    nets = nets_of(objective)
    learner = torch.optim.Adam(objective.fake_parameters(nets), lr=3e-3)

    def told():
        with torch.no_grad():
            made = objective.generated(nets[STUDENT], batch, seeded())
            return [
                float((objective.judge(nets, x, batch, seeded()) > 0).float().mean())
                for x in (batch.demos, made)
            ]

    for _ in range(60):
        learner.zero_grad()
        objective.fake_loss(nets, batch, seeded()).backward(inputs=objective.fake_parameters(nets))
        learner.step()
    shown, made = told()
    assert shown > made + 0.5


@pytest.mark.parametrize(
    "net",
    [DenoiserNet(5, 2, 4, 8, 1, 1), TransformerDenoiserNet(NetSizes(2, 4, 5), 8, 1, 1, heads=2)],
    ids=["mlp", "transformer"],
)
def test_a_hidden_layer_is_as_wide_as_the_last_layer_reads(net):
    x, noise, cond = torch.randn(3, 5), torch.randn(3), torch.randn(3, 4)
    assert net.hidden(x, noise, cond).shape == (3, net.leave.in_features)


def test_the_regression_of_dmd_is_on_the_pairs():
    batch, nets = a_batch(), nets_of(Dmd())
    ends = Dmd().sample(nets[STUDENT], batch.starts, batch.cond).detach()
    exact = batch._replace(samples=ends)
    alone, right, wrong = (
        objective.student_loss(nets, G6.teacher, data, seeded())
        for objective, data in ((Dmd(regression=0.0), batch), (Dmd(), exact), (Dmd(), batch))
    )
    torch.testing.assert_close(alone, right)
    expected = 0.25 * (ends - batch.samples).square().mean()
    torch.testing.assert_close(wrong - alone, expected)


def test_noise_comes_in_at_sigma_init():
    batch, net = a_batch(), a_net()
    objective = DiffInstruct(sigma_init=2.5)
    expected = net(batch.starts / 4, torch.full((1,), 2.5), batch.cond)
    torch.testing.assert_close(objective.sample(net, batch.starts, batch.cond), expected)
    assert objective.sigmas.tolist() == [2.5, 0.0] and objective.recipe.nfe == 1


def test_levels_are_those_of_each_paper():
    generator = seeded()
    grid = rho(1001, 10.0, 0.01, 7.0)
    drawn = Dmd().levels(100_000, generator).double().sort().values
    torch.testing.assert_close(drawn[-1], grid[20], rtol=1e-3, atol=0)
    torch.testing.assert_close(drawn[0], grid[980], rtol=1e-3, atol=0)
    torch.testing.assert_close(drawn[50_000], grid[500], rtol=0.02, atol=0)
    logs = DiffInstruct().levels(100_000, generator).log()
    assert logs.mean() == pytest.approx(-1.2, abs=0.02)
    assert logs.std() == pytest.approx(1.2, abs=0.02)
    logs = Vsd().levels(100_000, generator).log()
    assert logs.mean() == pytest.approx(math.log(0.5), abs=0.02)


@pytest.mark.parametrize(
    ("objective", "bad", "saying"),
    [
        (Vsd, {"sigma_init": 11.0}, "sigma_init lies between"),
        (Sds, {"level_low": 5.0}, "level_low < level_high"),
        (Sds, {"momentum": 1.0}, "momentum"),
        (Sds, {"rate": 0.0}, "rate"),
        (Vsd, {"fake_updates": 0}, "fake_updates"),
        (Vsd, {"level_high": 0.01}, "level_low < level_high"),
        (Dmd, {"regression": -1.0}, "regression"),
        (Dmd2, {"margin": 0.5}, "margin"),
        (Dmd2, {"head_weight": 0.0}, "head_weight"),
        (Dmd2, {"head_low": 2.0}, "head_low < head_high"),
    ],
)
def test_settings_that_make_no_sense_are_refused(objective, bad, saying):
    with pytest.raises(ValueError, match=saying):
        objective(**bad)


class BrokenOff(Exception):
    """Stands for a power cut."""


@dataclass(frozen=True)
class Breaks(Dmd2):
    fake_updates: int = 2

    def fake_loss(self, nets, batch, generator):
        LEFT[0] -= 1
        if LEFT[0] == 0:
            raise BrokenOff
        return super().fake_loss(nets, batch, generator)


LEFT = [-1]  # calls until it breaks off, never if negative


def test_a_training_broken_off_between_two_turns_ends_with_the_same_bits(tmp_path):
    training = TrainingConfig(steps=9, batch_size=16, learning_rate=0.01, save_every=2, seed=4)

    def run(state=None):
        torch.manual_seed(5)
        student = Breaks().student(a_net())
        return fit(student, G6.teacher, a_batch(), Breaks(), training, state)

    whole = run()
    LEFT[0] = 12  # the second of the fake score's turns in step 6
    with pytest.raises(BrokenOff):
        run(tmp_path / "state.safetensors")
    taken_up = run(tmp_path / "state.safetensors")
    assert all(torch.equal(whole[name], taken_up[name]) for name in whole)


@pytest.fixture(scope="module")
def beginning():
    training = TrainingConfig(steps=1000, batch_size=512, learning_rate=2e-3, ema_decay=0.99)
    return fitted(G6, NetConfig(), training), pairs(G6, 8192, seed=2)


SHORT = TrainingConfig(steps=400, batch_size=256, learning_rate=1e-3, ema_decay=0.99)


def trained(beginning, objective, rate=1.0):
    begin, data = beginning
    training = replace(SHORT, learning_rate=rate * SHORT.learning_rate)
    return distilled(G6, begin, objective, data, training)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    [
        Vsd(rate=1.0, fake_updates=1),
        DiffInstruct(rate=1.0),
        Dmd(rate=1.0),
        Dmd2(rate=1.0, fake_updates=1),
    ],
    ids=NAMES,
)
def test_a_short_training_leaves_a_student_that_knows_every_mode(beginning, objective):
    """To a loose band, at a rate for the student that is too high for long trainings."""
    assert judged(objective, beginning[0])["off"] > 0.8
    found = judged(objective, trained(beginning, objective))
    assert found["cov"] == 6 and found["tv"] < 0.12 and found["off"] < 0.3
    assert 0.75 < found["stdr"] < 1.4 and found["sw2"] < 0.15


@pytest.mark.slow
def test_a_student_of_sds_ends_in_one_mode_and_makes_the_same_of_every_noise(beginning):
    objective = Sds(level_low=0.1, level_high=2.0, momentum=0.9)
    student = trained(beginning, objective, rate=2.0)
    found = judged(objective, student)
    assert found["cov"] <= 1 and found["tv"] > 0.5
    cond, starts = torch.zeros(256, 1), 10.0 * torch.randn(256, 2, generator=seeded())
    with torch.no_grad():
        chunks = objective.sample(student, starts, cond)
    assert chunks.std(0).max() < 0.5 * g6.STD


@pytest.mark.slow
def test_with_an_own_score_that_never_learns_modes_are_lost(beginning):
    objective = DmdFrozen(sigma_init=1.0)
    found = judged(objective, trained(beginning, objective))
    assert found["cov"] <= 3 and found["tv"] > 0.4
