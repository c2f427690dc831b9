"""expert.onnx, folded in float64: against the student in torch, in all three ways to run it."""

from __future__ import annotations

import shutil

import graphs
import numpy as np
import onnx
import pytest
import torch

from vdd_ros.compiled_expert import CompiledExpert, kernel
from vdd_ros.errors import UserError
from vdd_ros.expert_constants import expert_constants
from vdd_ros.graph import GraphError
from vdd_ros.normalizer import Normalizer
from vdd_ros.numpy_expert import NumpyExpert
from vdd_ros.numpy_graph import NumpyGraph
from vdd_ros.onnx_file import read_model
from vdd_ros.onnx_graph import OnnxGraph
from vdd_ros.policies.expert_graph import expert_graph
from vdd_ros.policies.export import ActingStudent
from vdd_ros.policies.moe import GaussianMoE, StudentConfig

DIM, HORIZON, EXPERTS = 3, 4, 5


def made(
    steps: int, degree: int, blocks: int, width: int = 24, horizon: int = HORIZON
) -> tuple[GaussianMoE, Normalizer, np.ndarray]:
    """A student with norms that do something, its normalizer, and windows (N, To, Do)."""
    rng = np.random.default_rng(steps)
    windows = [2.0, -1.0, 0.3] + rng.normal(size=(300, steps, DIM)).cumsum(1) * [0.1, 1.0, 0.02]
    chunks = windows[:, -1:] ** 2 + rng.normal(size=(300, horizon, DIM)) * [0.05, 0.3, 1.0]
    normalizer = Normalizer.fit(windows, chunks, 7, rng, degree=degree)
    torch.manual_seed(blocks)
    config = StudentConfig(n_experts=EXPERTS, width=width, blocks=blocks, bottleneck=4)
    student = GaussianMoE(config, *normalizer.sizes).eval()
    torch.nn.init.normal_(student.gating.weight, std=0.5)
    for norm in (*(block.norm for block in student.trunk.blocks), student.trunk.norm):
        torch.nn.init.normal_(norm.weight, mean=1.0, std=0.3)
        torch.nn.init.normal_(norm.bias, std=0.3)
    return student, normalizer, windows


def ways(data: bytes, tmp_path):
    """(window, expert) -> log_gating, mean by name of the runtime."""
    path = tmp_path / "expert.onnx"
    path.write_bytes(data)

    def by(graph):
        def evaluate(window, expert):
            graph.give("window", window)
            graph.give("expert", np.array(expert))
            graph.run()
            return graph.outputs["log_gating"].copy(), graph.outputs["mean"].copy()

        return evaluate

    return {
        "onnxruntime": by(OnnxGraph(path)),
        "numpy, node by node": by(NumpyGraph(path)),
        "numpy": NumpyExpert(path).evaluate,
        **{f"compiled, {n}": CompiledExpert(path, n).evaluate for n in kernel_levels()},
    }


def kernel_levels() -> range:
    """What the kernel can use on this processor. It is there wherever there is a C compiler."""
    library = kernel()
    if library is None and shutil.which("cc") is None:
        return range(0)
    assert library is not None, "make venv builds it"
    return range(library.level() + 1)


@pytest.mark.parametrize(
    ("steps", "degree", "blocks"), [(1, 2, 2), (2, 2, 1), (3, 1, 3), (2, 0, 2), (1, 0, 1)]
)
def test_every_runtime_gives_the_student_s_gating_and_the_mean_of_one_expert(
    steps, degree, blocks, tmp_path
):
    student, normalizer, windows = made(steps, degree, blocks)
    acting = ActingStudent(student, normalizer).double()
    windows = windows.astype(np.float32).astype(np.float64)  # as every graph is given them
    for name, evaluate in ways(expert_graph(student, normalizer, (steps, DIM)), tmp_path).items():
        for number, window in enumerate(windows):
            with torch.no_grad():
                log_gating, means = (part.numpy() for part in acting(torch.tensor(window)))
            expert = number % EXPERTS
            found_gating, found_mean = evaluate(window, expert)
            np.testing.assert_allclose(found_gating, log_gating, atol=3e-5, err_msg=name)
            bound = 1e-5 * max(1.0, float(np.abs(means).max()))
            np.testing.assert_allclose(found_mean, means[expert], atol=bound, err_msg=name)


@pytest.mark.parametrize(("width", "horizon"), [(64, 20), (100, 41), (129, 43)])
def test_compiled_is_as_in_numpy_whatever_the_sizes(width, horizon):
    """Its rows come in sixties, and those of a network or a chunk do not have to."""
    student, normalizer, windows = made(2, 2, 2, width, horizon)
    graph = expert_graph(student, normalizer, (2, DIM))
    told = NumpyExpert(graph)
    for level in kernel_levels():
        compiled = CompiledExpert(graph, level)
        for number, window in enumerate(windows[:20]):
            found, wanted = (one.evaluate(window, number % EXPERTS) for one in (compiled, told))
            np.testing.assert_allclose(found[0], wanted[0], atol=3e-5)
            bound = 1e-5 * max(1.0, float(np.abs(wanted[1]).max()))
            np.testing.assert_allclose(found[1], wanted[1], atol=bound)
        kept = compiled.evaluate(windows[0], 0)[1]
        compiled.evaluate(windows[1], 1)
        np.testing.assert_array_equal(kept, compiled.evaluate(windows[0], 0)[1])
        with pytest.raises(GraphError, match="has the shape"):
            compiled.evaluate(np.zeros((3, DIM)), 0)
        assert not np.isfinite(compiled.evaluate(np.full((2, DIM), np.nan), 0)[1]).any()


def test_fewer_numbers_are_read_than_the_network_has(tmp_path):
    """The first block's matrix is gone, and of the heads all but one."""
    student, normalizer, _ = made(1, 2, 2)
    model = read_model(expert_graph(student, normalizer, (1, DIM)))
    width = student.config.width
    square = [name for name, one in model.constants.items() if one.shape == (width, width)]
    assert square == ["block0.back", "block1.wide", "block1.back"]
    assert model.constants["heads"].shape == (EXPERTS, width, normalizer.sizes[2])


def test_a_student_that_is_no_perceptron_has_none():
    _, normalizer, _ = made(2, 2, 1)
    config = StudentConfig(n_experts=2, width=16, blocks=1, trunk="transformer")
    student = GaussianMoE(config, *normalizer.sizes)
    assert expert_graph(student, normalizer, (2, DIM)) is None


def test_a_policy_s_graph_is_no_graph_of_an_expert():
    with pytest.raises(UserError, match="no graph of an expert"):
        NumpyExpert(graphs.mixture(np.log([1.0]), np.zeros((1, 4, 7))))


def altered(name: str, values: np.ndarray | None) -> bytes:
    """A graph of an expert with another constant; of None, without its layer norms."""
    student, normalizer, _ = made(2, 2, 2)
    model = onnx.load_from_string(expert_graph(student, normalizer, (2, DIM)))
    if values is None:
        kept = [node for node in model.graph.node if node.op_type != name]
        del model.graph.node[:]
        model.graph.node.extend(kept)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), name))
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("LayerNormalization", None),
        ("ones", np.float32(1.0)),  # where a row of them belongs
        ("newest_mean", np.zeros(DIM + 1)),
        ("last.scale", np.ones(25)),
        ("block1.wide", np.ones((24, 25))),
        ("heads", np.ones((EXPERTS, 23, 7))),
        ("heads", np.ones((EXPERTS - 1, 24, 7))),
        ("gating", np.ones((EXPERTS + 1, 24))),
    ],
)
def test_matrices_that_do_not_fit_are_told_when_it_is_opened(name, values):
    """Not by the first tick."""
    for kind in (NumpyExpert, CompiledExpert)[: 1 + bool(kernel_levels())]:
        with pytest.raises(UserError, match="no graph of an expert"):
            kind(altered(name, values))


@pytest.mark.parametrize("place", ["window", "mean"])
def test_a_window_or_chunk_of_terabytes_is_refused(place):
    student, normalizer, _ = made(2, 2, 2)
    model = onnx.load_from_string(expert_graph(student, normalizer, (2, DIM)))
    port = model.graph.input[0] if place == "window" else model.graph.output[1]
    port.type.tensor_type.shape.dim[1].dim_value = 1 << 40
    with pytest.raises(UserError, match="no graph of an expert .its "):
        expert_constants(model.SerializeToString())
