"""A teacher that refines what a few-step student says (Distillation++), sampled and exported."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vdd_ros.inference import OnnxPolicy
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.acting_few_step import ActingFewStep, few_step_graph
from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.certify import parity
from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.objectives import FEW_STEP
from vdd_ros.policies.objectives.consistency import Cd
from vdd_ros.policies.objectives.ddgan import Ddgan
from vdd_ros.policies.objectives.kd import Kd
from vdd_ros.policies.objectives.progressive import Progressive
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.samplers import SAMPLERS, drawing
from vdd_ros.policies.samplers.guided import Guided, Refinement
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher

G6 = BEDS["g6"]
NOISE = G6.noise
MU, SPREAD = 0.7, 0.4
ONE_CALL_A_STEP = ["euler", "dpmpp_2m", "deis_3", "ancestral", "renoised"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def refuses(x, sigma, cond):
    raise AssertionError("nobody was to be asked")


def begun(count):
    cond = G6.observe(count, generator(1))
    return 10.0 * torch.randn(count, 2, generator=generator(2)), cond


@pytest.mark.parametrize("name", ONE_CALL_A_STEP)
def test_without_a_weight_a_sample_is_what_it_was_to_the_last_bit(name):
    (x, cond), sigmas = begun(50), SamplerConfig(name, 5).sigmas(NOISE)
    plain = SAMPLERS[name](G6.teacher.denoise, x, sigmas, cond, drawing(generator(3)))
    for refinement in (Refinement(0.0, steps=5), Refinement(0.5, steps=0)):
        levels = refinement.levels(sigmas.tolist())
        guided = Guided(G6.teacher.denoise, refuses, refinement.weight, levels, cond, refuses)
        found = SAMPLERS[name](guided, x, sigmas, cond, drawing(generator(3)))
        assert torch.equal(found, plain)


@pytest.mark.parametrize("name", ONE_CALL_A_STEP)
@pytest.mark.parametrize("steps", [1, 3])
def test_a_teacher_is_asked_at_the_next_level_of_the_first_steps(name, steps):
    """And the sampler's own draws stay what they were."""
    (x, cond), sigmas = begun(6), SamplerConfig(name, 4).sigmas(NOISE)
    asked, told, drawn = [], [], []

    def student(x, sigma, cond):
        told.append(sigma.item())
        return 0.1 * x

    def teacher(x, sigma, cond):
        asked.append((sigma.item(), cond))
        return x

    source = drawing(generator(4))

    def draw(like):
        drawn.append(source(like))
        return drawn[-1]

    own = drawing(generator(5))
    levels = Refinement(0.5, steps).levels(sigmas.tolist())
    guided = Guided(student, teacher, 0.5, levels, cond, own)
    SAMPLERS[name](guided, x, sigmas, cond, draw)
    assert told == pytest.approx(sigmas[:-1].tolist())
    assert [level for level, _ in asked] == pytest.approx(sigmas[1 : 1 + steps].tolist())
    assert all(torch.equal(seen, cond) for _, seen in asked)
    expected = drawing(generator(4))
    assert all(torch.equal(one, expected(one)) for one in drawn)


def test_the_last_step_is_left_alone_unless_a_level_is_named_for_it():
    sigmas = torch.tensor([10.0, 1.0, 0.0], dtype=torch.float64)
    assert Refinement(0.5, steps=9).levels(sigmas.tolist()) == [1.0]
    assert Refinement(0.5, steps=9, last=0.05).levels(sigmas.tolist()) == [1.0, 0.05]
    assert Refinement(0.5, steps=1, last=0.05).levels(sigmas.tolist()) == [1.0]
    assert Refinement(0.5).levels(sigmas[1:].tolist()) == []


@pytest.mark.parametrize(("level", "weight"), [(0.25, 0.5), (0.25, 1.0), (1.0, 0.25), (3.0, 0.7)])
def test_bias_and_spread_after_a_refinement_are_those_of_the_closed_form(level, weight):
    bias, spread, count = 0.5, 0.3, 400_000

    def gaussian(cond):
        means = cond.new_full((len(cond), 1, 1), MU)
        weights = cond.new_zeros(len(cond), 1)
        return GaussianMixture(weights, means, Diagonal(torch.full_like(means, SPREAD)))

    cond = torch.zeros(count, 1, dtype=torch.float64)
    said = torch.randn(count, 1, generator=generator(6), dtype=torch.float64)
    said = MU + bias + spread * said
    teacher = OracleTeacher(gaussian).denoise
    own = drawing(generator(7))
    guided = Guided(lambda *_: said, teacher, weight, [level], cond, own)
    found = guided(said, torch.tensor([10.0]), cond)
    known = SPREAD**2 / (SPREAD**2 + level**2)
    kappa = 1 - weight * (1 - known)
    assert found.mean().item() - MU == pytest.approx(bias * kappa, abs=4e-3)
    variance = kappa**2 * spread**2 + (weight * known * level) ** 2
    assert found.var().item() == pytest.approx(variance, rel=0.01)


def unweighted(cond):
    """G6 as if all its modes were as likely."""
    true = G6.mixture(cond)
    weights = torch.full_like(true.log_weights, -math.log(6))
    return GaussianMixture(weights, true.means, true.covariance)


def refined(student, refinement, steps=16, count=6144):
    (x, cond), sigmas = begun(count), SamplerConfig("euler", steps).sigmas(NOISE)
    own = drawing(generator(8))
    beside = G6.teacher.denoise, refinement.weight, refinement.levels(sigmas.tolist())
    guided = Guided(student.denoise, *beside, cond, own)
    return G6.figures(SAMPLERS["euler"](guided, x, sigmas, cond), cond)


def test_a_student_of_wrong_weights_is_pulled_the_further_the_more_it_is_refined():
    student = OracleTeacher(unweighted)
    by_weight = [refined(student, Refinement(w, steps=8))["tv"] for w in (0.0, 0.5, 1.0)]
    assert by_weight[0] > 0.17
    assert by_weight[1] < by_weight[0] - 0.02 and by_weight[2] < by_weight[1] - 0.02
    fewer = refined(student, Refinement(1.0, steps=2))["tv"]
    assert by_weight[2] < fewer - 0.02 and fewer < by_weight[0]


def test_a_good_student_becomes_hardly_worse():
    plain, pulled = (refined(G6.teacher, Refinement(w, steps=2)) for w in (0.0, 0.25))
    assert pulled["cov"] == 6 and pulled["off"] < plain["off"] + 0.02
    assert pulled["sw2"] < plain["sw2"] + 0.03 and pulled["tv"] < plain["tv"] + 0.03


def test_any_few_step_student_is_refined_and_its_latent_is_not_told_to_the_teacher():
    x, cond = begun(9)
    calls = []

    class Teacher:
        def denoise(self, x, sigma, cond):
            calls.append(cond.shape)
            return torch.zeros_like(x)

    def student(x, sigma, cond):
        return x / sigma

    for objective, times in (
        (Ddgan(), 2), (Progressive(steps=8, ends=4), 2), (Cd(), 0), (Kd(), 0),
    ):  # fmt: skip
        calls.clear()
        given = (student, Teacher(), Refinement(1.0, steps=2), x, cond, drawing(generator()))
        found = objective.refined(*given, drawing(generator(1)))
        plain = objective.sample(student, x, cond, drawing(generator(1)))
        assert calls == [cond.shape] * times
        assert torch.equal(found, plain) == (times == 0)


@pytest.mark.parametrize("bad", [{"weight": 1.5}, {"weight": -0.1}, {"steps": -1}, {"last": -1.0}])
def test_a_refinement_without_sense_is_refused(bad):
    with pytest.raises(ValueError, match="weight is from 0 to 1"):
        Refinement(**bad)


DIM, HORIZON, RANK = 3, 4, 5


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).normal(size=(20, 1, DIM))


@pytest.fixture(scope="module")
def normalizer(windows):
    rng = np.random.default_rng(1)
    chunks = windows[:, -1:] ** 2 + rng.normal(size=(20, HORIZON, DIM)) * [0.05, 0.3, 1.0]
    return Normalizer.fit(windows, chunks, RANK, rng)


def a_teacher(normalizer, seed):
    torch.manual_seed(seed)
    config = TeacherConfig(horizon=HORIZON, width=16, blocks=1)
    teacher = make_teacher(config, *normalizer.sizes).eval()
    torch.nn.init.normal_(teacher.net.leave.weight, std=0.2)
    return teacher


@pytest.mark.parametrize(
    ("objective", "drawn"),
    [(Progressive(steps=8, ends=2), 0), (Ddgan(steps=2), 2 * 4 + RANK)],
    ids=["progressive", "ddgan"],
)
def test_a_refined_student_in_onnxruntime_is_the_one_in_torch(
    tmp_path, normalizer, windows, objective, drawn
):
    """Two candidates a call, against FewStep.refined itself with numpy's units."""
    teacher, student = a_teacher(normalizer, 2), objective.student(a_teacher(normalizer, 3)).eval()
    refinement = Refinement(0.4, steps=1)
    acting = ActingFewStep(student, normalizer, objective, teacher, refinement).eval()
    path = tmp_path / "policy.onnx"
    path.write_bytes(few_step_graph(acting, windows.shape[1:], candidates=2))
    policy = OnnxPolicy(path)
    assert policy.noise_shape == (2, RANK + drawn + RANK) and policy.n_experts == 2
    rng = np.random.default_rng(4)
    for window in windows[:3]:
        noise = rng.normal(size=policy.noise_shape).astype(np.float32)
        start, between, own = np.split(noise, [RANK, RANK + drawn], axis=1)
        cond = torch.tensor(normalizer.features(window)[None], dtype=torch.float32).expand(2, -1)
        with torch.no_grad():
            chunks = objective.refined(
                student, teacher, refinement, 10.0 * torch.tensor(start), cond,
                served(own), served(between),
            )  # fmt: skip
        expected = normalizer.unnormalize(chunks.double().numpy(), window)
        np.testing.assert_allclose(policy.infer(window, noise).means, expected, atol=1e-4)
    assert parity(path, acting, windows, seed=0)["windows"] == 20


def served(noise):
    """Draws that are columns of noise, each once."""
    columns = iter(torch.tensor(noise).split(1, dim=1))
    return lambda like: torch.cat([next(columns) for _ in range(like.shape[1])], dim=1)


def test_without_a_refinement_no_teacher_is_in_a_graph(normalizer, windows):
    student = a_teacher(normalizer, 3)
    objective = Progressive(steps=8, ends=2)
    plain = ActingFewStep(student, normalizer, objective)
    beside = ActingFewStep(
        student, normalizer, objective, a_teacher(normalizer, 2), Refinement(0.0, steps=2)
    )
    assert plain.noise_size == beside.noise_size == RANK and beside.teacher is None
    given = torch.tensor(windows[0], dtype=torch.float32), torch.ones(1, RANK)
    with torch.no_grad():
        assert torch.equal(plain(*given)[1], beside(*given)[1])


# one method for each way to sample that some of them have
WAYS = {kind.sample: name for name, kind in reversed(FEW_STEP.items())}.values()


@pytest.mark.parametrize("method", WAYS)
def test_whatever_is_sampled_is_refined_and_its_graph_says_the_same(
    tmp_path, normalizer, windows, method
):
    """With all the teacher's weight the last word is the teacher's, in one evaluation more."""
    objective = FEW_STEP[method]()
    teacher = a_teacher(normalizer, 2)
    student = objective.student(a_teacher(normalizer, 3)).eval()
    refinement = Refinement(1.0, steps=99, last=0.3)
    acting = ActingFewStep(student, normalizer, objective, teacher, refinement).eval()
    steps = len(objective.sigmas) - 1 if objective.says_clean else 1
    assert len(acting.levels) == steps and acting.levels[-1] == 0.3
    path = tmp_path / "policy.onnx"
    path.write_bytes(few_step_graph(acting, windows.shape[1:]))
    assert parity(path, acting, windows, seed=0)["windows"] == 20
    asked = []

    class Told:
        def denoise(self, x, sigma, cond):
            asked.append((float(sigma), cond.shape[1]))
            return torch.full_like(x, 7.0)

    cond = torch.zeros(4, normalizer.sizes[1])
    draws = drawing(generator(1)), drawing(generator(2))
    starts = 10.0 * torch.randn(4, RANK, generator=generator())
    with torch.no_grad():
        found = objective.refined(student, Told(), refinement, starts, cond, *draws)
    assert [level for level, _ in asked] == pytest.approx(acting.levels)
    assert {width for _, width in asked} == {cond.shape[1]}
    if objective.says_clean and method != "ddgan":
        torch.testing.assert_close(found, torch.full_like(found, 7.0))


def test_a_refinement_needs_a_teacher(normalizer):
    with pytest.raises(ValueError, match="needs a teacher"):
        ActingFewStep(
            a_teacher(normalizer, 3), normalizer, Progressive(ends=4), None, Refinement(0.5)
        )
