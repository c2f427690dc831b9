"""NumpyGraph against onnxruntime, on every kind of graph that is exported; what it refuses."""

from __future__ import annotations

import tracemalloc

import graphs
import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from vdd_ros.errors import UserError
from vdd_ros.graph import GraphError
from vdd_ros.normalizer import Normalizer
from vdd_ros.numpy_graph import NumpyGraph
from vdd_ros.onnx_file import read_model
from vdd_ros.onnx_graph import OnnxGraph
from vdd_ros.onnx_scan import external_tensor
from vdd_ros.policies.export import student_graphs, teacher_graph
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher

DIM, HORIZON = 3, 4
WEIGHTS = [np.ones((14, 5 + 5 * 4 * 7)) / 14.0]  # of a network of one layer


def normalizer_of(steps: int) -> Normalizer:
    rng = np.random.default_rng(steps)
    windows = rng.normal(size=(60, steps, DIM)).cumsum(1)
    chunks = windows[:, -1:] ** 2 + rng.normal(size=(60, HORIZON, DIM)) * [0.05, 0.3, 1.0]
    return Normalizer.fit(windows, chunks, 7, rng)


def student_of(normalizer: Normalizer, **settings) -> GaussianMoE:
    torch.manual_seed(2)
    config = StudentConfig(n_experts=3, width=16, bottleneck=4, rank=2, **settings)
    student = GaussianMoE(config, *normalizer.sizes).eval()
    for name in ("gating", "log_scale", "follow", "factor"):
        if hasattr(student, name):
            torch.nn.init.normal_(getattr(student, name).weight, std=0.3)
    return student


def exported(kind: str) -> list[bytes]:
    """policy.onnx, and density.onnx of a student."""
    what, _, form = kind.partition(" ")
    normalizer = normalizer_of(2 if form in ("transformer", "low-rank", "edm") else 1)
    shape = (1 + len(normalizer.difference_std), DIM)
    if what == "teacher":
        config = TeacherConfig(
            horizon=HORIZON, width=16, blocks=1, prediction=form, n_obs_steps=shape[0],
            net="transformer" if form == "v" else "mlp",
        )  # fmt: skip
        teacher = make_teacher(config, *normalizer.sizes).eval()
        torch.nn.init.normal_(teacher.net.leave.weight, std=0.2)
        sampler = SamplerConfig("heun", 3)
        return [teacher_graph(teacher, normalizer, NoiseConfig(), sampler, shape, 2)]
    settings = {"trunk": form} if form in ("mlp", "transformer") else {"covariance": form}
    return list(student_graphs(student_of(normalizer, **settings), normalizer, shape))


def both(data: bytes, tmp_path) -> tuple[NumpyGraph, OnnxGraph]:
    path = tmp_path / "graph.onnx"
    path.write_bytes(data)
    return NumpyGraph(path), OnnxGraph(path)


@pytest.mark.parametrize(
    "kind",
    [
        *("student mlp", "student transformer", "student low-rank"),
        *("teacher edm", "teacher v"),
    ],
)
def test_every_exported_graph_gives_what_it_gives_in_onnxruntime(kind, tmp_path):
    rng = np.random.default_rng(0)
    for data in exported(kind):
        ours, theirs = both(data, tmp_path)
        assert ours.signature == theirs.signature
        for _ in range(100):
            for name, shape in ours.signature[0].items():
                values = rng.normal(size=shape)
                ours.give(name, values)
                theirs.give(name, values)
            ours.run()
            theirs.run()
            for name, expected in theirs.outputs.items():
                bound = 2e-5 * max(1.0, float(np.abs(expected).max()))
                np.testing.assert_allclose(ours.outputs[name], expected, atol=bound, err_msg=name)


def test_the_file_says_what_the_onnx_package_reads():
    data = exported("student mlp")[1]
    ours, theirs = read_model(data), onnx.load_from_string(data)
    assert [node.kind for node in ours.nodes] == [node.op_type for node in theirs.graph.node]
    for mine, node in zip(ours.nodes, theirs.graph.node, strict=True):
        assert (mine.inputs, mine.outputs) == (list(node.input), list(node.output))
        read = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        assert mine.attributes.keys() == read.keys()
        for name, value in read.items():
            if not isinstance(value, onnx.TensorProto):
                assert mine.attributes[name] == value
    assert ours.constants.keys() == {tensor.name for tensor in theirs.graph.initializer}
    for tensor in theirs.graph.initializer:
        found, expected = ours.constants[tensor.name], onnx.numpy_helper.to_array(tensor)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("values", [np.array([1, -2, 1 << 40]), np.array([-1.5, 2.25])])
def test_numbers_are_read_whether_raw_or_one_by_one(values):
    """The exporter writes raw bytes; helpers of the onnx package often do not."""
    kind = onnx.TensorProto.INT64 if values.dtype.kind == "i" else onnx.TensorProto.FLOAT
    typed = helper.make_tensor("table", kind, values.shape, values)
    assert not typed.raw_data
    nodes = [helper.make_node("Identity", ["window"], ["action"])]
    data = graphs.to_bytes(nodes, {"window": [2, 7]}, {"action": [2, 7]}, [typed])
    np.testing.assert_array_equal(read_model(data).constants["table"], values)


@pytest.mark.parametrize("length", [0, 1, 10, 100, 1000, -100, -1])
def test_a_file_cut_anywhere_is_refused_in_one_sentence(length, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(graphs.mlp(WEIGHTS, 5, 4, 7)[:length])
    with pytest.raises(UserError, match="not a usable ONNX model") as refusal:
        NumpyGraph(path)
    assert "\n" not in str(refusal.value)


def test_bytes_changed_at_random_are_refused_or_run(tmp_path):
    """Whatever they say, nothing but a UserError or a GraphError comes of them."""
    data = graphs.mlp(WEIGHTS, 5, 4, 7)
    rng, outcomes = np.random.default_rng(0), set()
    for _ in range(300):
        changed = bytearray(data)
        for place in rng.integers(0, 400, size=3):
            changed[-place] = rng.integers(256)
        try:
            with np.errstate(all="ignore"):
                NumpyGraph(bytes(changed)).run()
            outcomes.add("run")
        except (UserError, GraphError):
            outcomes.add("refused")
    assert outcomes == {"run", "refused"}


def test_an_operator_that_is_not_known_is_named():
    nodes = [helper.make_node("Asinh", ["window"], ["action"])]
    data = graphs.to_bytes(nodes, {"window": [2, 7]}, {"action": [2, 7]}, [])
    with pytest.raises(UserError, match="Asinh.*install onnxruntime"):
        NumpyGraph(data)


def test_a_place_beyond_its_table_is_told_while_it_runs():
    table = graphs.constant("table", np.zeros((1, 1, 7)))
    nodes = [
        helper.make_node("ReduceMax", ["window"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["index"], to=onnx.TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["means"], axis=0),
    ]
    data = graphs.to_bytes(nodes, {"window": [2, 7]}, {"means": [1, 7]}, [table])
    graph = NumpyGraph(data)
    graph.run()
    graph.give("window", np.full((2, 7), 7.0))
    with pytest.raises(GraphError):
        graph.run()


def test_other_shapes_are_refused_as_in_onnxruntime():
    graph = NumpyGraph(graphs.mixture(np.log([1.0]), np.zeros((1, 4, 7))))
    with pytest.raises(GraphError, match="shape"):
        graph.give("window", np.zeros((1, 7)))


def integers(name: str, *values: int) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.array(values), name)


def behind_a_row(first: list[onnx.NodeProto], shape: list[int], *constants) -> bytes:
    """A graph in which a product with a bias takes the row (1, 7) that the first nodes make."""
    rng = np.random.default_rng(3)
    tensors = [graphs.constant("W", rng.normal(size=(7, 2))), graphs.constant("c", [5.0, 6.0])]
    nodes = [*first, helper.make_node("Gemm", ["row", "W", "c"], ["action"])]
    return graphs.to_bytes(nodes, {"window": shape}, {"action": [1, 2]}, [*tensors, *constants])


ROWS = {
    "read backwards": behind_a_row(
        [helper.make_node("Slice", ["window", "last", "before", "axis", "back"], ["row"])],
        [1, 7],
        *(integers("last", -1), integers("before", -100), integers("axis", 1)),
        integers("back", -1),
    ),
    "a part of one that is longer": behind_a_row(
        [
            helper.make_node("ReduceSum", ["window", "rows"], ["sums"], keepdims=0),
            helper.make_node("Slice", ["sums", "from", "to"], ["part"]),
            helper.make_node("Unsqueeze", ["part", "rows"], ["row"]),
        ],
        [2, 8],
        *(integers("rows", 0), integers("from", 0), integers("to", 7)),
    ),
    "one number for all": behind_a_row(
        [
            helper.make_node("Slice", ["window", "from", "to", "axis"], ["one"]),
            helper.make_node("Expand", ["one", "shape"], ["row"]),
        ],
        [1, 7],
        *(integers("from", 0), integers("to", 1), integers("axis", 1), integers("shape", 1, 7)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_a_bias_stays_one_whatever_view_its_row_is(row, tmp_path):
    ours, theirs = both(ROWS[row], tmp_path)
    values = np.random.default_rng(4).normal(size=ours.inputs["window"].shape)
    for graph in (ours, theirs):
        graph.give("window", values)
        graph.run()
    np.testing.assert_allclose(ours.outputs["action"], theirs.outputs["action"], atol=1e-5)


@pytest.mark.parametrize(("steps", "experts"), [(1, 1), (1, 3), (2, 1)])
def test_one_joint_and_one_step_are_enough(steps, experts, tmp_path):
    """Nothing is left of the covariance beside the chunk's one direction."""
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(60, steps, 1)).cumsum(1)
    chunks = windows[:, -1:] ** 2 + rng.normal(size=(60, 1, 1))
    normalizer = Normalizer.fit(windows, chunks, 1, rng)
    config = StudentConfig(n_experts=experts, width=16, bottleneck=4, rank=2)
    student = GaussianMoE(config, *normalizer.sizes).eval()
    for data in student_graphs(student, normalizer, (steps, 1)):
        ours, theirs = both(data, tmp_path)
        for window in rng.normal(size=(20, steps, 1)):
            for graph in (ours, theirs):
                graph.give("window", window)
                graph.run()
            for name, expected in theirs.outputs.items():
                assert ours.outputs[name].shape == expected.shape
                np.testing.assert_allclose(ours.outputs[name], expected, atol=2e-5, rtol=2e-5)


MANY = 1 << 30
LARGE = {
    "ConstantOfShape": [helper.make_node("ConstantOfShape", ["sizes"], ["made"])],
    "Expand": [helper.make_node("Expand", ["window", "sizes"], ["made"])],
    "Pad": [helper.make_node("Pad", ["window", "around"], ["made"])],
    "Add": [
        helper.make_node("Reshape", ["table", "standing"], ["column"]),
        helper.make_node("Add", ["table", "column"], ["made"]),
    ],
    "Concat": [helper.make_node("Concat", ["table"] * 2000, ["made"], axis=0)],
    "Gather": [helper.make_node("Gather", ["table", "places"], ["made"])],
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_few_bytes_do_not_take_gigabytes(kind):
    tensors = [
        *(integers("sizes", 1, MANY), integers("around", 0, 0, 0, MANY)),
        *(integers("standing", -1, 1), integers("places", *[0] * 10_000)),
        graphs.constant("table", np.zeros(10_000)),
    ]
    if kind == "Gather":
        tensors[-1] = graphs.constant("table", np.zeros((2, 5000)))
    total = helper.make_node("ReduceMax", ["made"], ["most"], keepdims=0)
    nodes = [*LARGE[kind], total, helper.make_node("Add", ["window", "most"], ["action"])]
    data = graphs.to_bytes(nodes, {"window": [1, 1]}, {"action": [1, 1]}, tensors)
    with pytest.raises(UserError, match="more than 16777216 numbers"):
        NumpyGraph(data)


def test_many_arrays_are_too_many_in_all(monkeypatch):
    monkeypatch.setattr("vdd_ros.numpy_graph.MOST_IN_ALL", 1 << 20)
    nodes = [helper.make_node("ConstantOfShape", ["sizes"], ["0"])]
    nodes += [helper.make_node("Add", ["window", str(n)], [str(n + 1)]) for n in range(20)]
    nodes += [helper.make_node("ReduceMax", ["20"], ["action"])]
    sizes = [integers("sizes", 1 << 8, 1 << 8)]
    data = graphs.to_bytes(nodes, {"window": [1, 1]}, {"action": [1, 1]}, sizes)
    with pytest.raises(UserError, match="in all"):
        NumpyGraph(data)


def test_what_says_its_size_in_no_number_is_refused():
    model = onnx.load_from_string(graphs.mlp(WEIGHTS, 5, 4, 7))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 77
    told = model.SerializeToString()
    assert told.count(b"\x08\x4d") == 1
    with pytest.raises(UserError, match="whose size is no number"):
        NumpyGraph(told.replace(b"\x08\x4d", b"\x0a\x00"))


def test_a_table_of_less_than_nothing_is_refused():
    model = onnx.load_from_string(graphs.mlp(WEIGHTS, 5, 4, 7))
    model.graph.initializer[0].dims[0] = -1
    with pytest.raises(UserError, match="is of shape .-1"):
        NumpyGraph(model.SerializeToString())


def message(number: int, body: bytes) -> bytes:
    """A field that holds another message."""
    size, digits = len(body), []
    while size > 0x7F:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *digits, size]) + body


SWOLLEN = {
    "fields": (message(7, b"\x2a\x00" * (1 << 14)), "more than 1024 fields"),
    "integers": (
        message(7, message(5, message(7, b"\x01" * (1 << 14)) + b"\x10\x07") + b"\x0a\x00\x62\x00"),
        "more than 1024 integers",
    ),
}


@pytest.mark.parametrize("kind", SWOLLEN)
def test_a_file_that_swells_when_it_is_read_is_refused(kind, monkeypatch):
    """Each field becomes an object that is a hundred times as large."""
    monkeypatch.setattr("vdd_ros.onnx_file.MOST_FIELDS", 1024)
    monkeypatch.setattr("vdd_ros.onnx_file.MOST_PACKED", 1024)
    data, told = SWOLLEN[kind]
    tracemalloc.start()
    try:
        external_tensor(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
        with pytest.raises(UserError, match=told):
            read_model(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def single(kind: str, inputs: list[str], constants: list, shape=(1, 6), **attributes) -> bytes:
    """A graph of one operator, on one row."""
    nodes = [
        helper.make_node(kind, inputs, ["made"], **attributes),
        helper.make_node("Add", ["made", "nothing"], ["action"]),
    ]
    constants = [*constants, graphs.constant("nothing", np.zeros(shape))]
    return graphs.to_bytes(nodes, {"window": shape}, {"action": shape}, constants, opset=20)


ROW = graphs.constant("row", np.linspace(-1.0, 1.0, 6)[None])
LEVELS = [graphs.constant("low", -0.5), graphs.constant("high", 0.25)]
# what exporters of other versions write for the same networks
SAME = {
    "Erf": single("Erf", ["window"], []),
    "Clip": single("Clip", ["window", "low", "high"], LEVELS),
    "ReduceSumSquare": single("ReduceSumSquare", ["window", "axes"], [integers("axes", 1)]),
    "Constant": single("Constant", [], [], value=ROW),
}


@pytest.mark.parametrize("kind", SAME)
def test_what_other_exporters_write_is_what_it_is_in_onnxruntime(kind, tmp_path):
    ours, theirs = both(SAME[kind], tmp_path)
    for values in np.random.default_rng(1).normal(size=(5, *ours.inputs["window"].shape)):
        for graph in (ours, theirs):
            graph.give("window", values)
            graph.run()
        found, expected = ours.outputs["action"], theirs.outputs["action"]
        np.testing.assert_allclose(found, expected, atol=1e-6)


TABLE = [graphs.constant("table", np.ones((6, 6)))]
ONES = [graphs.constant("ones", np.ones(6))]
FORMS = {
    "Gelu by an approximation": single("Gelu", ["window"], [], approximate="tanh"),
    "LogSoftmax over another axis than the last": single("LogSoftmax", ["window"], [], axis=0),
    "Gemm with transA or alpha": single("Gemm", ["window", "table"], TABLE, alpha=2.0),
    "Gemm with beta": single("Gemm", ["window", "table", "ones"], TABLE + ONES, beta=0.5),
    "LayerNormalization over another axis than the last": single(
        "LayerNormalization", ["window", "ones"], ONES, axis=0
    ),
    "ReduceSumSquare of other than one row": single(
        "ReduceSumSquare", ["window"], [], shape=(2, 6)
    ),
    "Constant by value_ints": single("Constant", [], [], value_ints=[1, 2]),
    "Clip: input 1 is no constant": single("Clip", ["window", "window", "window"], []),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_is_not_computed_is_refused_in_one_sentence(form):
    """It would compute something else without a word."""
    with pytest.raises(UserError, match=f"cannot be run in numpy .{form}.: install onnxruntime$"):
        NumpyGraph(FORMS[form])
