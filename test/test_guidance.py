"""Guidance away from what is done whatever is observed, and a student that guides itself."""

import pytest
import torch
from g6_beginning import beginning
from one_gaussian import TEACHER, a_batch

from vdd_ros.errors import UserError
from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.counted import CountedExact
from vdd_ros.policies.beds.distilled import NetConfig, distilled
from vdd_ros.policies.beds.teacher import OBSERVATIONS
from vdd_ros.policies.guidance import GuidedTeacher, guided, with_scale
from vdd_ros.policies.objectives import STUDENT
from vdd_ros.policies.objectives.guidance import Guidance
from vdd_ros.policies.objectives.lcm import Lcm
from vdd_ros.policies.objectives.progressive import SELF
from vdd_ros.policies.players import Nets
from vdd_ros.policies.samplers import SAMPLERS
from vdd_ros.policies.training import TrainingConfig

G6 = BEDS["g6"]


class Counting:
    """A teacher that counts how often it is asked."""

    def __init__(self, teacher):
        self.teacher, self.calls = teacher, 0

    def denoise(self, x, sigma, cond):
        self.calls += 1
        return self.teacher.denoise(x, sigma, cond)

    def denoise_blind(self, x, sigma):
        self.calls += 1
        return self.teacher.denoise_blind(x, sigma)


def some_noised(count=64, sigma=0.8):
    generator = torch.Generator().manual_seed(0)
    cond = G6.observe(count, generator)
    chunks = G6.mixture(cond).sample(1, generator)[:, 0]
    return chunks + sigma * torch.randn(count, 2, generator=generator), torch.tensor([sigma]), cond


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_what_a_bed_does_whatever_is_observed_is_the_mean_over_observations(bed):
    """Each observation counts by how likely it made the noised chunk."""
    generator = torch.Generator().manual_seed(0)
    x, sigma = torch.randn(8, bed.dim, generator=generator).double(), torch.tensor([0.7]).double()
    log_prob, means = [], []
    middles = (2 * torch.arange(OBSERVATIONS) + 1) / OBSERVATIONS - 1
    for each in middles.tolist():
        cond = torch.full((8, 1), each).double()
        noised = bed.mixture(cond).diffused(sigma.expand(8))
        log_prob.append(noised.log_prob(x[:, None])[:, 0])
        means.append(bed.teacher.denoise(x, sigma, cond))
    weight = torch.stack(log_prob).softmax(0)[..., None]
    found = bed.teacher.denoise_blind(x.float(), sigma.float()).double()
    torch.testing.assert_close(found, (weight * torch.stack(means)).sum(0), rtol=1e-3, atol=1e-3)


def test_guidance_of_nothing_is_the_teacher_and_more_goes_farther_from_the_mean_of_all():
    x, sigma, cond = some_noised()
    clean, blind = G6.teacher.denoise(x, sigma, cond), G6.teacher.denoise_blind(x, sigma)
    guide = guided(G6.teacher)
    assert torch.equal(guide.denoise(x, sigma, with_scale(cond, 0.0)), clean)
    found = guide.denoise(x, sigma, with_scale(cond, 3.0))
    torch.testing.assert_close(found, 4.0 * clean - 3.0 * blind)


def test_a_teacher_that_was_never_without_an_observation_cannot_be_guided():
    batch, generator = a_batch(8)
    student = Lcm(guidance_max=1.0).student(NetConfig(width=16, blocks=1, octaves=1).make(G6))
    for attempt in (
        lambda: guided(TEACHER),
        lambda: Guidance().players(Nets({STUDENT: student}, 0.9), TEACHER),
        lambda: Lcm(guidance_max=1.0).pair_loss(student, student, TEACHER, batch, generator),
    ):
        with pytest.raises(UserError, match="leave guidance at 0"):
            attempt()


def test_pairs_of_a_guided_teacher_are_for_who_is_told_how_much():
    """Of each row another scale, the same for both of its pair; the teacher is asked twice."""
    x, _, cond = some_noised(64)
    batch, generator = a_batch(64)
    batch = batch._replace(demos=x, cond=cond)
    calls, told = {}, {}

    def knows(name):
        def denoise(x, sigma, cond):
            told[name] = cond[:, -1]
            return x

        return denoise

    for guidance_max in (0.0, 3.0):
        teacher = CountedExact(G6)
        objective = Lcm(guidance_max=guidance_max)
        objective.pair_loss(knows("student"), knows("target"), teacher, batch, generator)
        calls[guidance_max] = teacher.calls
    assert calls[0.0] > 0 and calls[3.0] == 2 * calls[0.0]
    scale = told["student"]
    assert torch.equal(scale, told["target"])
    assert 0.0 <= scale.min() < 0.5 and 2.5 < scale.max() <= 3.0


def test_the_first_stage_is_nought_for_who_guides_itself_and_at_0_for_the_teacher():
    x, _, cond = some_noised(256)
    batch, generator = a_batch(256)
    batch = batch._replace(demos=x, cond=with_scale(cond, 2.0 * torch.rand(256)))
    guide = GuidedTeacher(G6.teacher)
    objective = Guidance()
    assert objective.guided_loss(guide.denoise, guide, batch, generator) == 0.0

    def unguided(x, sigma, cond):
        return G6.teacher.denoise(x, sigma, cond[:, :-1])

    assert objective.guided_loss(unguided, guide, batch, generator) > 1e-3
    at_0 = batch._replace(cond=with_scale(cond, 0.0))
    assert objective.guided_loss(unguided, guide, at_0, generator) < 1e-10


def test_who_guides_itself_is_called_half_as_often():
    x, _, cond = some_noised(8)
    objective = Guidance(guidance=2.0)
    teacher = Counting(G6.teacher)
    told = with_scale(cond, 2.0)
    expected = SAMPLERS["heun"](GuidedTeacher(teacher).denoise, x, objective.sigmas, told)

    calls = []

    def student(x, sigma, cond):
        calls.append(cond)
        return GuidedTeacher(G6.teacher).denoise(x, sigma, cond)

    assert torch.equal(objective.sample(student, x, cond), expected)
    assert len(calls) == objective.recipe.nfe == teacher.calls / 2


def test_the_second_stage_learns_from_the_first_and_then_from_itself():
    """Each phase has a teacher of its own, which is the student as it was before."""
    objective = Guidance(halved=8, ends=1, start=0.5)
    torch.manual_seed(0)
    student = objective.student(NetConfig(width=16, blocks=1, octaves=1).make(G6))
    nets = Nets({STUDENT: student, **objective.auxiliaries(student, G6.teacher)}, 0.9)
    (player,) = objective.players(nets, G6.teacher)
    batch, generator = a_batch(16)
    phases = []
    for progress in (0.0, 0.49, 0.5, 0.7, 0.99):
        with torch.no_grad():
            nets.average(STUDENT).net.beside.bias.fill_(progress)
        player.loss(batch, progress, generator).backward()
        phases.append((int(nets[SELF].phase), float(nets[SELF].denoiser.net.beside.bias[0])))
    assert phases == [
        (0, 0.0),
        (0, 0.0),
        (1, 0.5),
        (2, pytest.approx(0.7)),
        (3, pytest.approx(0.99)),
    ]
    assert objective.recipe.nfe == 1 and Guidance(halved=8, ends=2).recipe.nfe == 2


@pytest.mark.slow
def test_a_short_training_makes_a_student_that_narrows_modes_as_its_guided_teacher_does():
    training = TrainingConfig(steps=500, batch_size=512, ema_decay=0.98)
    begin, data = beginning()
    objective = Guidance(guidance_max=2.0, guidance=2.0)
    student = distilled(G6, begin, objective, data, training)
    generator = torch.Generator().manual_seed(1)
    cond = G6.observe(2048, generator)
    starts = 10.0 * torch.randn(2048, 2, generator=generator)
    spreads = []
    for scale in (0.0, 2.0):
        here = Guidance(guidance_max=2.0, guidance=scale)
        told = with_scale(cond, scale)
        ends = SAMPLERS["heun"](GuidedTeacher(G6.teacher).denoise, starts, here.sigmas, told)
        with torch.no_grad():
            found = here.sample(student, starts, cond)
        assert G6.figures(found, cond, ends)["prmse"] < 0.35
        spreads.append(G6.figures(found, cond)["stdr"])
    assert spreads[1] < 0.85 * spreads[0]
