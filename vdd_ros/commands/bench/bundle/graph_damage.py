"""Graphs that a bundle's policy might be replaced by, made of its own: ONNX in, ONNX out."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def other_horizon(data: bytes) -> bytes:
    """The means of one step fewer."""
    model = onnx.load_model_from_string(data)
    means = _output(model, "means")
    experts, horizon, numbers = (dim.dim_value for dim in means.type.tensor_type.shape.dim)
    steps = numpy_helper.from_array(np.arange(horizon - 1), "steps")
    model.graph.initializer.append(steps)
    _rename(model, "means", "all_means")
    model.graph.node.append(helper.make_node("Gather", ["all_means", "steps"], ["means"], axis=1))
    shorter = helper.make_tensor_value_info(
        "means", TensorProto.FLOAT, [experts, horizon - 1, numbers]
    )
    means.CopyFrom(shorter)
    return model.SerializeToString()


def other_output(data: bytes) -> bytes:
    """Its gating by another name."""
    model = onnx.load_model_from_string(data)
    _rename(model, "log_gating", "gates")
    _output(model, "log_gating").name = "gates"
    return model.SerializeToString()


def external(data: bytes) -> bytes:
    """One tensor is read from a file of this machine."""
    model = onnx.load_model_from_string(data)
    tensor = max(model.graph.initializer, key=lambda one: one.ByteSize())
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return model.SerializeToString()


def not_a_number(data: bytes) -> bytes:
    """All means are NaN."""
    return _times(data, "means", np.float32(np.nan))


def gating_beyond_one(data: bytes) -> bytes:
    """Every log-probability is halved, so that probabilities add up to more."""
    return _times(data, "log_gating", np.float32(0.5))


def _times(data: bytes, output: str, factor: np.float32) -> bytes:
    model = onnx.load_model_from_string(data)
    _rename(model, output, f"own_{output}")
    model.graph.initializer.append(numpy_helper.from_array(np.array(factor), "factor"))
    model.graph.node.append(helper.make_node("Mul", [f"own_{output}", "factor"], [output]))
    return model.SerializeToString()


def _output(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(one for one in model.graph.output if one.name == name)


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Of a value, wherever it is made or used."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
