"""Graphs with data elsewhere are found by a reader of a hundred lines, as by ONNX's own library."""

from __future__ import annotations

import graphs
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from vdd_ros.onnx_scan import external_tensor

WHOLE = graphs.mixture(np.log([0.5, 0.5]), np.zeros((2, 8, 7)), noise=True)


def elsewhere(name: str = "far") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def as_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(elsewhere())


def as_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["far"], value=elsewhere()))


def within_a_branch(model: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["far"], value=elsewhere())
    branch = helper.make_graph([constant], "branch", [], [])
    node = helper.make_node("If", ["condition"], ["far"], then_branch=branch, else_branch=branch)
    model.graph.node.append(node)


def sparse(model: onnx.ModelProto) -> None:
    indices = numpy_helper.from_array(np.array([0, 1, 2]), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(elsewhere(), indices, [9]))


def within_a_function(model: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["far"], value=elsewhere())
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", [], ["far"], [constant], opset))


PLACES = [as_initializer, as_constant, within_a_branch, sparse, within_a_function]


@pytest.mark.parametrize("place", PLACES)
def test_data_elsewhere_is_found_wherever_it_is_named(place):
    model = onnx.load_model_from_string(WHOLE)
    assert external_tensor(WHOLE) is None
    place(model)
    assert external_tensor(model.SerializeToString()) == "far"


def test_a_whole_graph_with_branches_is_whole():
    model = onnx.load_model_from_string(WHOLE)
    near = numpy_helper.from_array(np.zeros(3, np.float32), "near")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["near"], value=near)], "branch", [], []
    )
    model.graph.node.append(
        helper.make_node("If", ["condition"], ["near"], then_branch=branch, else_branch=branch)
    )
    assert external_tensor(model.SerializeToString()) is None


def varint(value: int) -> bytes:
    data = b""
    while value > 0x7F:
        data, value = data + bytes([value & 0x7F | 0x80]), value >> 7
    return data + bytes([value])


def within(number: int, data: bytes) -> bytes:
    """A message that has another one in a field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def test_nesting_has_an_end():
    graph = b""
    for _ in range(2_000):
        graph = within(1, within(5, within(6, graph)))  # node, attribute, graph
    with pytest.raises(ValueError, match="nest more than 100 deep"):
        external_tensor(within(7, graph))


def test_no_number_of_a_field_hides_what_others_read():
    """onnxruntime keeps 32 bits of a tag: to it, this is field 7, the graph."""
    model = onnx.load_model_from_string(WHOLE)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    hidden = model.SerializeToString() + within(7 + (1 << 29), graph)
    session = onnxruntime.InferenceSession(hidden, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == ["log_gating", "means"]
    with pytest.raises(ValueError, match="a field has the number 536870919"):
        external_tensor(hidden)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told_as_no_graph(data):
    """Nothing but ValueError comes out of it."""
    try:
        name = external_tensor(data)
    except ValueError as error:
        assert str(error)
    else:
        assert name is None or isinstance(name, str)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_half_a_graph_is_none(part):
    with pytest.raises(ValueError, match="in the middle of a field|has no end"):
        external_tensor(WHOLE[: int(part * len(WHOLE))])
