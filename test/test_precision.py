"""Graphs in half precision and in integers: what changes, by how much, and what must not."""

from __future__ import annotations

import exported_graphs
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from vdd_ros.errors import UserError
from vdd_ros.numpy_graph import NumpyGraph
from vdd_ros.policies.precision import as_measured, in_precision, products_of_weights

CHANGED = ("Gemm", "MatMul", "Conv", "ConvTranspose")


def layer(weight: np.ndarray, bias: np.ndarray, name: str = "net.weight") -> bytes:
    """x (1, C) -> x W + b."""
    nodes = [helper.make_node("Gemm", ["window", name, "net.bias"], ["means"], name="product")]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, len(weight)])],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, [1, weight.shape[1]])],
        [numpy_helper.from_array(weight, name), numpy_helper.from_array(bias, "net.bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def run(graph: bytes, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.fixture
def numbers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(16, 8)), rng.normal(size=8)
    return tuple(part.astype(np.float32) for part in (weight, bias, rng.normal(size=(50, 16))))


def test_half_precision_rounds_what_is_multiplied_and_the_sum(numbers):
    """Weights, inputs and sums are float16; as measured, and not as onnxruntime would have it."""
    weight, bias, rows = numbers
    graph = in_precision(layer(weight, bias), "fp16", [])
    half = [part.astype(np.float16).astype(np.float64) for part in (weight, bias, rows)]
    expected = (half[2] @ half[0] + half[1]).astype(np.float16)
    without_rounding = rows @ half[0] + half[1]
    found, skipped = (
        np.array([run(one, window=row[None])["means"][0] for row in rows])
        for one in (as_measured(graph), graph)
    )
    assert np.abs(found - expected).max() < 1e-2 * np.abs(without_rounding - expected).max()
    # a version that rounds by itself makes `as_measured` unnecessary
    np.testing.assert_allclose(skipped, without_rounding, atol=1e-5)


def test_integers_are_those_of_recorded_windows(numbers):
    """x and each column of W are multiples of their largest number / 127."""
    weight, bias, rows = numbers
    graph = in_precision(layer(weight, bias), "int8", [{"window": row[None]} for row in rows])
    of_rows, of_columns = np.abs(rows).max() / 127, np.abs(weight).max(0) / 127
    rounded = np.round(weight / of_columns) * of_columns
    for row in rows[:10]:
        expected = (np.clip(np.round(row / of_rows), -127, 127) * of_rows) @ rounded + bias
        np.testing.assert_allclose(run(graph, window=row[None])["means"][0], expected, atol=1e-4)


def test_float32_is_the_graph_itself(numbers):
    graph = layer(*numbers[:2])
    assert in_precision(graph, "fp32", []) is graph


@pytest.mark.parametrize(
    "name", ["units.decoder", "transpose_1", "student.gating.weight", "student.follow.weight"]
)
def test_units_and_what_becomes_a_density_keep_their_precision(numbers, name):
    model = onnx.load_model_from_string(layer(*numbers[:2], name))
    assert products_of_weights(model) == []


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("name", exported_graphs.NAMES)
def test_only_products_with_weights_change(name, precision):
    """Every other number of a real graph is float32, layer norms and log-densities among them."""
    made = exported_graphs.made(name)
    graph = in_precision(made.graph, precision, made.inputs)
    before, after = (onnx.load_model_from_string(one) for one in (made.graph, graph))
    chosen = products_of_weights(before)
    assert chosen
    types = types_of(after)
    narrow = {TensorProto.FLOAT16, TensorProto.INT8}
    for node in after.graph.node:
        if node.op_type in ("Cast", "QuantizeLinear", "DequantizeLinear"):
            continue
        if precision == "fp16" and node.name in chosen:
            assert types[node.output[0]] == TensorProto.FLOAT16, node.name
        else:
            told = {types.get(one) for one in (*node.input, *node.output) if one}
            assert not told & narrow, f"{node.op_type} {node.name}"
    borders = [
        [one.type.tensor_type.elem_type for one in (*given.graph.input, *given.graph.output)]
        for given in (before, after)
    ]
    assert borders[0] == borders[1] and set(borders[0]) <= {TensorProto.FLOAT, TensorProto.UINT8}
    if precision == "int8":
        quantized = [node for node in after.graph.node if node.op_type == "DequantizeLinear"]
        assert len(quantized) >= 2 * len(chosen) - len(chosen)  # inputs may be shared
        zeros = [i for i in after.graph.initializer if i.name.endswith("zero_point")]
        assert all(not numpy_helper.to_array(zero).any() for zero in zeros)


@pytest.mark.parametrize(("precision", "bound"), [("fp16", 0.01), ("int8", 0.3)])
@pytest.mark.parametrize("name", exported_graphs.NAMES)
def test_a_graph_stays_close_to_itself(name, precision, bound):
    made = exported_graphs.made(name)
    graph = in_precision(made.graph, precision, made.inputs)
    for inputs in made.inputs[:5]:
        expected, found = run(made.graph, **inputs), run(as_measured(graph), **inputs)
        key = "features" if name.startswith("encoder") else "means"
        difference = np.abs(found[key] - expected[key]).max()
        assert 0.0 < difference < bound * np.abs(expected[key]).max()


def test_the_same_graph_gives_the_same_bytes():
    made = exported_graphs.made(exported_graphs.NAMES[0])
    for precision in ("fp16", "int8"):
        first, again = (in_precision(made.graph, precision, made.inputs) for _ in range(2))
        assert first == again


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    told = {
        one.name: one.type.tensor_type.elem_type
        for one in (*graph.value_info, *graph.input, *graph.output)
    }
    return told | {one.name: one.data_type for one in graph.initializer}


def test_numpy_names_what_it_lacks_for_integers(numbers):
    graph = in_precision(layer(*numbers[:2]), "int8", [{"window": numbers[2][:1]}])
    with pytest.raises(UserError, match="operator (Q|DeQ|Deq)uantizeLinear.*install onnxruntime"):
        NumpyGraph(graph)
