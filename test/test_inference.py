"""OnnxPolicy against numpy, and what it refuses."""

import contextlib

import graphs
import numpy as np
import onnx
import pytest
from onnx import helper

from vdd_ros import inference
from vdd_ros.density import Draws
from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxExpert, OnnxPolicy, PolicyError, warm_up

K, H, DA = 3, 4, 7


def saved(tmp_path, data: bytes):
    path = tmp_path / "policy.onnx"
    path.write_bytes(data)
    return path


def test_network_equals_numpy(tmp_path):
    rng = np.random.default_rng(0)
    sizes = [14, 32, 32, K + K * H * DA]
    shapes = zip(sizes[:-1], sizes[1:], strict=True)
    weights = [rng.normal(0, 1 / np.sqrt(rows), (rows, columns)) for rows, columns in shapes]
    policy = OnnxPolicy(saved(tmp_path, graphs.mlp(weights, K, H, DA)))
    assert (policy.n_obs_steps, policy.n_experts, policy.horizon) == (2, K, H)
    assert (policy.observation_dim, policy.action_dim) == (7, DA)
    for _ in range(3):
        window = rng.normal(size=(2, 7))
        x = window.reshape(-1)
        for weight in weights[:-1]:
            x = np.tanh(x @ weight)
        y = x @ weights[-1]
        output = policy.infer(window)
        expected = y[:K] - np.log(np.exp(y[:K]).sum())
        np.testing.assert_allclose(output.log_gating, expected, atol=1e-5)
        np.testing.assert_allclose(output.means, y[K:].reshape(K, H, DA), atol=1e-5)


def test_an_answer_stays_when_the_next_one_is_given(tmp_path):
    weights = [np.random.default_rng(0).normal(size=(14, K + K * H * DA))]
    policy = OnnxPolicy(saved(tmp_path, graphs.mlp(weights, K, H, DA)))
    first = policy.infer(np.zeros((2, DA)))
    second = policy.infer(np.ones((2, DA)))
    for before, after in zip(first, second, strict=True):
        assert not np.allclose(before, after)


def test_noise_reaches_the_graph_and_is_asked_for(tmp_path):
    data = graphs.mixture(np.log([1.0]), np.zeros((1, H, DA)), noise=True)
    policy = OnnxPolicy(saved(tmp_path, data))
    noise = np.random.default_rng(0).normal(size=policy.noise_shape)
    np.testing.assert_allclose(policy.infer(np.zeros((2, DA)), noise).means[0], noise, atol=1e-6)
    with pytest.raises(PolicyError, match="noise"):
        policy.infer(np.zeros((2, DA)))


@pytest.mark.parametrize("data", [b"", b"not a graph", bytes(range(256)) * 40])
def test_corrupt_graph_is_refused_in_one_sentence(tmp_path, data):
    with pytest.raises(UserError, match="not a usable ONNX model") as refusal:
        OnnxPolicy(saved(tmp_path, data))
    assert "\n" not in str(refusal.value)


def failing(tmp_path) -> OnnxPolicy:
    """Where what is seen is beyond its table."""
    table = graphs.constant("table", np.zeros((1, 1, DA)))
    nodes = [
        helper.make_node("ReduceMax", ["window"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["index"], to=onnx.TensorProto.INT64),
        helper.make_node("Reshape", ["index", "one"], ["place"]),
        helper.make_node("Gather", ["table", "place"], ["means"], axis=0),
        helper.make_node("Identity", ["gate"], ["log_gating"]),
    ]
    one = onnx.numpy_helper.from_array(np.array([1]), "one")
    constants = [table, one, graphs.constant("gate", np.zeros(1))]
    outputs = {"log_gating": [1], "means": [1, 1, DA]}
    data = graphs.to_bytes(nodes, {"window": [2, DA]}, outputs, constants)
    return OnnxPolicy(saved(tmp_path, data))


def test_a_graph_that_fails_while_it_runs_is_told_as_such(tmp_path):
    policy = failing(tmp_path)
    assert not policy.infer(np.zeros((2, DA))).means.any()
    with pytest.raises(PolicyError, match="Gather"):
        policy.infer(np.full((2, DA), 7.0))
    warm_up(policy, np.zeros((2, DA)), 1)
    with pytest.raises(UserError, match="the policy cannot be evaluated .*: export it again"):
        warm_up(policy, np.full((2, DA), 7.0), 1)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a usable ONNX model"):
        OnnxPolicy(tmp_path / "none.onnx")


def test_other_signature_is_refused(tmp_path):
    nodes = [helper.make_node("Identity", ["window"], ["action"])]
    data = graphs.to_bytes(nodes, {"window": [2, 7]}, {"action": [2, 7]}, [])
    for kind in (OnnxPolicy, OnnxExpert):
        with pytest.raises(UserError, match=r"log_gating \(K,\)"):
            kind(saved(tmp_path, data))


def test_dynamic_axes_are_refused(tmp_path):
    model = onnx.load_from_string(graphs.mixture(np.log([1.0]), np.zeros((1, H, DA))))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "steps"
    with pytest.raises(UserError, match="dynamic axes"):
        OnnxPolicy(saved(tmp_path, model.SerializeToString()))


class Mixture:
    """The density of a policy whose means are `means` (K, D)."""

    def __init__(self, means, log_density=0.0, gating=(0.4, 0.6)):
        self.log_gating, self.means, self.log_density = np.log(gating), means, log_density

    def draw(self, window, count, rng):
        log_density = np.full((count, 2), self.log_density)
        return Draws(self.log_gating, self.means, np.zeros((count, 2, 6)), log_density)


@pytest.mark.parametrize(
    ("gating", "density", "said"),
    [
        ([0.4, 0.6], None, None),
        ([0.4, 0.6], Mixture(np.ones((2, 6))), None),
        ([0.4, 0.7], None, "adds up to 1.1"),
        ([0.4, 0.6], Mixture(np.zeros((2, 6))), "that of another policy"),
        ([0.4, 0.6], Mixture(np.ones((3, 6))), "that of another policy"),
        ([0.4, 0.6], Mixture(np.ones((2, 6)), gating=(0.6, 0.4)), "that of another policy"),
        ([0.4, 0.6], Mixture(np.ones((2, 6)), np.nan), "not finite"),
    ],
)
def test_a_policy_that_is_no_mixture_or_has_another_s_density_is_refused(
    tmp_path, gating, density, said
):
    path = tmp_path / "policy.onnx"
    path.write_bytes(graphs.mixture(np.log(gating), np.ones((2, 3, 2))))
    policy = OnnxPolicy(path, density)
    with pytest.raises(UserError, match=said) if said else contextlib.nullcontext():
        warm_up(policy, np.zeros((2, 7)), draws=3, calls=2)


@pytest.mark.parametrize(("within_s", "calls"), [(3600.0, 7), (0.0, 1)])
def test_a_slow_policy_is_warmed_up_by_fewer_calls(tmp_path, monkeypatch, within_s, calls):
    path = tmp_path / "policy.onnx"
    path.write_bytes(graphs.mixture(np.log([0.4, 0.6]), np.ones((2, 3, 2))))
    policy, made = OnnxPolicy(path), []
    infer = policy.infer
    monkeypatch.setattr(policy, "infer", lambda *args: (made.append(args), infer(*args))[1])
    monkeypatch.setattr(inference, "WARM_UP_S", within_s)
    warm_up(policy, np.zeros((2, 7)), draws=3, calls=7)
    assert len(made) == calls
