"""Exported graphs compute what the networks do; one that differs gets no certificate."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from vdd_ros.acting import ActingRule
from vdd_ros.commands.export import STUDENT_RULE, RuleChanges
from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxPolicy
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.certify import PARITY_BOUND, parity, reference_of
from vdd_ros.policies.export import ActingStudent, ActingTeacher, student_graphs, teacher_graph
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.samplers import SAMPLERS
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher
from vdd_ros.reference import PAIRS, Reference
from vdd_ros.sealed_folder import Refused

DIM, HORIZON, RANK = 3, 4, 7
NOISE = NoiseConfig()


@pytest.fixture(scope="module", params=[1, 2], ids=["To=1", "To=2"])
def windows(request) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, request.param, DIM)).cumsum(1)


@pytest.fixture(scope="module")
def normalizer(windows) -> Normalizer:
    """In uneven units, with a reference that depends on the window."""
    rng = np.random.default_rng(1)
    chunks = windows[:, -1:] ** 2 + rng.normal(size=(60, HORIZON, DIM)) * [0.05, 0.3, 1.0]
    return Normalizer.fit(windows, chunks, RANK, rng)


@pytest.fixture(scope="module", params=["mlp", "transformer"])
def student(request, normalizer) -> GaussianMoE:
    torch.manual_seed(2)
    config = StudentConfig(n_experts=3, width=16, blocks=1, trunk=request.param)
    return GaussianMoE(config, *normalizer.sizes).eval()


@pytest.fixture(scope="module")
def student_graph(student, normalizer, windows) -> bytes:
    return student_graphs(student, normalizer, windows.shape[1:])[0]


def saved(folder: Path, graph: bytes) -> Path:
    path = folder / "policy.onnx"
    path.write_bytes(graph)
    return path


def test_a_student_in_onnxruntime_is_the_one_in_torch(
    tmp_path, student, normalizer, student_graph, windows
):
    """Against the mixture itself with numpy's units, not against the module that was exported."""
    policy = OnnxPolicy(saved(tmp_path, student_graph))
    for window in windows[:10]:
        found = policy.infer(window)
        features = torch.tensor(normalizer.features(window)[None], dtype=torch.float32)
        with torch.no_grad():
            mixture = student(features)
        expected = normalizer.unnormalize(mixture.means[0].double().numpy(), window)
        np.testing.assert_allclose(found.means, expected, atol=1e-4)
        np.testing.assert_allclose(found.log_gating, mixture.log_weights[0], atol=1e-5)


@pytest.mark.parametrize(
    ("net", "prediction"),
    [
        ("mlp", "edm"),
        ("transformer", "edm"),
        ("mlp", "epsilon"),
        ("mlp", "x0"),
        ("transformer", "v"),
    ],
)
def test_a_teacher_in_onnxruntime_is_the_one_in_torch(
    tmp_path, normalizer, windows, net, prediction
):
    torch.manual_seed(3)
    config = TeacherConfig(horizon=HORIZON, width=16, blocks=1, net=net, prediction=prediction)
    teacher = make_teacher(config, *normalizer.sizes).eval()
    torch.nn.init.normal_(teacher.net.leave.weight, std=0.2)
    sampler = SamplerConfig("euler", 3)
    graph = teacher_graph(teacher, normalizer, NOISE, sampler, windows.shape[1:])
    policy = OnnxPolicy(saved(tmp_path, graph))
    noise = np.random.default_rng(4).normal(size=(1, RANK))
    assert policy.noise_shape == noise.shape and policy.n_experts == 1
    for window in windows[:5]:
        cond = torch.tensor(normalizer.features(window)[None], dtype=torch.float32)
        start = NOISE.sigma_max * torch.tensor(noise, dtype=torch.float32)
        with torch.no_grad():
            sigmas = sampler.sigmas(NOISE)
            chunk = SAMPLERS["euler"](teacher.denoise, start, sigmas, cond)
        expected = normalizer.unnormalize(chunk.double().numpy(), window)
        np.testing.assert_allclose(policy.infer(window, noise).means, expected, atol=1e-4)
    acting = ActingTeacher(teacher, normalizer, NOISE, sampler)
    assert parity(tmp_path / "policy.onnx", acting.eval(), windows, seed=0)["windows"] == 60


def test_parity_and_reference_are_of_the_network(
    tmp_path, student, normalizer, student_graph, windows
):
    path, acting = saved(tmp_path, student_graph), ActingStudent(student, normalizer).eval()
    found = parity(path, acting, windows, seed=0)
    assert 0.0 < found["largest_mean_error"] < PARITY_BOUND and found["windows"] == 60
    reference = reference_of(path, acting, windows, seed=0)
    assert len(reference.windows) == PAIRS and reference.noise is None
    again = Reference.from_dict(json.loads(json.dumps(reference.to_dict())), "here")
    np.testing.assert_array_equal(again.means.astype("f4"), reference.means)
    assert again.require(OnnxPolicy(path)) == again.differences(OnnxPolicy(path))
    off = again._replace(means=again.means + 2 * PARITY_BOUND)
    with pytest.raises(Refused, match="differs from its reference by 0.0004"):
        off.require(OnnxPolicy(path))


@pytest.mark.parametrize("change", [2e-3, np.nan])
def test_a_graph_that_differs_gets_no_certificate(
    tmp_path, student, normalizer, student_graph, windows, change
):
    """One number of the graph, the mean of the first step's first joint, is another."""
    model = onnx.load_model_from_string(student_graph)
    changed = 0
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if np.array_equal(values, normalizer.chunk_mean.astype(np.float32).ravel()):
            values = values.copy()
            values[0] += change
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            changed += 1
    assert changed == 1
    path = saved(tmp_path, model.SerializeToString())
    with pytest.raises(UserError, match="onnxruntime differs from torch"):
        parity(path, ActingStudent(student, normalizer).eval(), windows, seed=0)


def test_every_part_of_an_acting_rule_can_be_changed_at_export():
    assert [one.name for one in fields(RuleChanges)] == [one.name for one in fields(ActingRule)]
    changed = RuleChanges(hold_ticks=3, tail_nats=1.5).of(STUDENT_RULE)
    assert changed == replace(STUDENT_RULE, hold_ticks=3, tail_nats=1.5)
    mean = RuleChanges(output="mean").of(STUDENT_RULE)
    assert mean == replace(STUDENT_RULE, output="mean", draws=1, tail_nats=0.0)
