"""Small ONNX policies for tests, with the signature of every exported policy."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F32 = TensorProto.FLOAT


def constant(name: str, value) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, dtype=np.float32), name)


def to_bytes(nodes, inputs: dict, outputs: dict, constants: list, opset: int = 17) -> bytes:
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info(name, F32, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, F32, shape) for name, shape in outputs.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def mixture(
    log_gating: np.ndarray,
    means: np.ndarray,
    *,
    observation_dim: int = 7,
    n_obs_steps: int = 2,
    relative: bool = False,
    noise: bool = False,
    nan_above: float | None = None,
) -> bytes:
    """A policy that ignores what it sees, with the given log_gating (K,) and means (K, H, Da).

    relative: the means are added to the newest observation; noise: noise (H, Da) is added to them;
    nan_above: everything is NaN once the first number of the newest observation is above this.
    """
    k, h, da = means.shape
    index = numpy_helper.from_array(np.array([n_obs_steps - 1]), "newest_row")
    nodes = [helper.make_node("Gather", ["window", "newest_row"], ["newest"], axis=0)]
    constants = [index, constant("gating", log_gating), constant("plan", means)]
    nodes.append(helper.make_node("Identity", ["gating"], ["log_gating"]))
    terms = ["plan"]
    if relative:
        terms.append("newest")
    inputs = {"window": [n_obs_steps, observation_dim]}
    if noise:
        inputs["noise"] = [h, da]
        terms.append("noise")
    if nan_above is not None:
        first = numpy_helper.from_array(np.array([0]), "first")
        constants += [first, constant("bound", [[nan_above]]), constant("zero", 0.0)]
        nodes += [
            helper.make_node("Gather", ["newest", "first"], ["q"], axis=1),
            helper.make_node("Sub", ["bound", "q"], ["room"]),
            helper.make_node("Sqrt", ["room"], ["root"]),
            helper.make_node("Mul", ["root", "zero"], ["nothing"]),
        ]
        terms.append("nothing")
    for count, term in enumerate(terms[1:]):
        nodes.append(helper.make_node("Add", [terms[0], term], [f"sum{count}"]))
        terms[0] = f"sum{count}"
    nodes.append(helper.make_node("Identity", [terms[0]], ["means"]))
    return to_bytes(nodes, inputs, {"log_gating": [k], "means": [k, h, da]}, constants)


def mlp(weights: list[np.ndarray], k: int, h: int, da: int, n_obs_steps: int = 2) -> bytes:
    """A network: flat window, tanh layers `weights`, then K log-gates and K H Da numbers."""
    do = weights[0].shape[0] // n_obs_steps
    flat = numpy_helper.from_array(np.array([1, -1]), "flat")
    shapes = [("gate_shape", [k]), ("means_shape", [k, h, da]), ("sizes", [k, k * h * da])]
    constants = [flat, *(numpy_helper.from_array(np.array(v), n) for n, v in shapes)]
    nodes = [helper.make_node("Reshape", ["window", "flat"], ["x0"])]
    for layer, weight in enumerate(weights):
        constants.append(constant(f"w{layer}", weight))
        nodes.append(helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"y{layer}"]))
        last = layer == len(weights) - 1
        kind = "Identity" if last else "Tanh"
        nodes.append(helper.make_node(kind, [f"y{layer}"], [f"x{layer + 1}"]))
    nodes += [
        helper.make_node("Split", [f"x{len(weights)}", "sizes"], ["g", "m"], axis=1),
        helper.make_node("LogSoftmax", ["g"], ["log_g"], axis=1),
        helper.make_node("Reshape", ["log_g", "gate_shape"], ["log_gating"]),
        helper.make_node("Reshape", ["m", "means_shape"], ["means"]),
    ]
    outputs = {"log_gating": [k], "means": [k, h, da]}
    return to_bytes(nodes, {"window": [n_obs_steps, do]}, outputs, constants)
