"""expert.onnx: what acting needs at a usual tick, the gating and the mean of the expert followed.

    window (To, Do), expert () int32  ->  log_gating (K,), mean (H, Da)

The student's perceptron in float64 algebra, stored in float32, with fewer weights to read:

- The standard deviations that readings are divided by are in the weights behind them.
- LayerNorm takes off the mean of what it is given. Here every layer that adds to the residual
  stream has no mean, and LayerNorm's own scale and shift are in the weights behind it.
- Before the first block the stream is E f + e with f the features of the window, far fewer than the
  width: W (E f + e) is one product with W E.
- Of the heads only that of one expert is read.

`vdd_ros/numpy_expert.py` reads the same constants by their names.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper
from torch import nn

from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.numpy_expert import NumpyExpert
from vdd_ros.policies.forms import Eager
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.nets import Trunk

BOUND, CHECKED = 1e-4, 100  # [contract unit]; windows that a graph is checked on
OPSET, IR_VERSION = 18, 8  # of LayerNormalization, read by onnxruntime 1.14


def require_student_s_own(expert_onnx: bytes, acting: nn.Module, windows: np.ndarray) -> None:
    """Raises UserError where the graph tells another gating or mean after some window (N, To, Do)
    than the student in torch does."""
    graph, network = NumpyExpert(expert_onnx), Eager(acting)
    for window in windows[:CHECKED]:
        log_gating, means = network.infer(window)
        for expert, mean in enumerate(means):
            found_gating, found_mean = graph.evaluate(window, expert)
            off = (
                np.abs(found_mean - mean).max(),
                np.abs(np.exp(found_gating) - np.exp(log_gating)).max(),
            )
            if not all(one <= BOUND for one in off):  # a NaN is not
                raise UserError(
                    f"the graph of expert {expert} differs from torch by {off[0]:.2g} in the mean "
                    f"and {off[1]:.2g} in the gating, {BOUND:g} is allowed: report it"
                )


class Builder:
    """Nodes and constants of a graph, in the order in which they are told."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: ArrayLike) -> str:
        """Floats in float32, integers in int64."""
        array = np.asarray(values)
        dtype = np.float32 if array.dtype.kind == "f" else np.int64
        self.constants.append(numpy_helper.from_array(array.astype(dtype), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        """The name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def silu(self, x: str, name: str) -> str:
        """x sigmoid(x)"""
        return self.node("Mul", [x, self.node("Sigmoid", [x], f"{name}/sigmoid")], name)

    def linear(self, x: str, name: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """x W + b for weights (in, out)."""
        names = [self.constant(name, weight.T), self.constant(f"{name}.bias", bias)]
        return self.node("Gemm", [x, *names], f"{name}/out", transB=1)


def expert_graph(
    student: GaussianMoE, normalizer: Normalizer, window_shape: tuple[int, int]
) -> bytes | None:
    """None of a student whose trunk is no perceptron: its graph has all experts."""
    trunk = student.trunk
    if not isinstance(trunk, Trunk):
        return None
    build = Builder()
    features = _features(build, trunk, normalizer, window_shape)
    hidden = _trunk(build, trunk, normalizer, features)
    logits = build.linear(hidden, "gating", *_affine(student.gating))
    log_gating = build.node("LogSoftmax", [logits], "gating/log", axis=-1)
    build.node("Reshape", [log_gating, build.constant("experts", [-1])], "log_gating")
    centre = _centre(build, normalizer)
    experts, shape = student.config.n_experts, normalizer.chunk_mean.shape
    weight, bias = _affine(student.mean)
    heads = weight.reshape(len(weight), experts, -1).swapaxes(0, 1)
    names = [
        build.constant("heads", heads),
        build.constant("heads.bias", bias.reshape(experts, 1, -1)),
    ]
    head, head_bias = (build.node("Gather", [name, "expert"], f"{name}/one") for name in names)
    normalized = build.node("Gemm", [hidden, head, head_bias], "normalized")
    decoder = build.constant("decoder", normalizer.decoder.T)
    chunk = build.node("Gemm", [normalized, decoder, centre], "chunk")
    build.node("Reshape", [chunk, build.constant("chunk_shape", list(shape))], "mean")
    return _model(build, window_shape, experts, shape)


def _features(
    build: Builder, trunk: Trunk, normalizer: Normalizer, window_shape: tuple[int, int]
) -> str:
    """(1, features): offset of the newest reading, its waves, and the steps to it."""
    steps, dim = window_shape
    newest = "window"
    if steps > 1:
        newest = build.node("Gather", ["window", build.constant("newest", [steps - 1])], "reading")
    build.node("Sub", [newest, build.constant("newest_mean", normalizer.newest_mean)], "offset")
    octaves = trunk.observation.newest.frequencies.double().numpy()
    angles = np.kron(np.eye(dim), octaves) / normalizer.newest_std[:, None]
    phases = np.repeat([0.0, np.pi / 2.0], angles.shape[1])  # a cosine is a sine a quarter later
    waves = build.linear("offset", "angles", np.hstack([angles, angles]), phases)
    parts = ["offset", build.node("Sin", [waves], "waves")]
    if steps > 1:
        bounds = {"from_0": [0], "from_1": [1], "to_last": [steps - 1], "to_end": [steps]}
        names = {name: build.constant(name, at) for name, at in bounds.items()}
        rows = names["from_0"]  # axis 0
        later = build.node("Slice", ["window", names["from_1"], names["to_end"], rows], "later")
        earlier = build.node(
            "Slice", ["window", names["from_0"], names["to_last"], rows], "earlier"
        )
        moved = build.node("Sub", [later, earlier], "moved")
        parts.append(build.node("Reshape", [moved, build.constant("flat", [1, -1])], "steps"))
    return build.node("Concat", parts, "features", axis=1)


def _trunk(build: Builder, trunk: Trunk, normalizer: Normalizer, features: str) -> str:
    """(1, width): what the heads share."""
    enter, enter_bias = _centred(trunk.enter)
    scales = np.ones(len(enter))
    scales[: len(normalizer.newest_std)] = normalizer.newest_std
    scales[len(scales) - normalizer.difference_std.size :] = normalizer.difference_std.ravel()
    enter = enter / scales[:, None]
    build.constant("ones", np.ones(trunk.enter.out_features))
    x = build.linear(features, "enter", enter, enter_bias)
    for index, block in enumerate(trunk.blocks):
        name = f"block{index}"
        weight, shift = _behind(block.norm, block.wide)
        if index == 0:  # W (E f + e) / std, with W E as one matrix
            wide = build.linear(features, f"{name}.wide", enter @ weight, enter_bias @ weight)
            scaled = build.node("Div", [wide, _std(build, x, block.norm.eps)], f"{name}/scaled")
            hidden = build.node("Add", [scaled, build.constant(f"{name}.shift", shift)], name)
        else:
            parts, eps = [x, "ones"], block.norm.eps
            normed = build.node("LayerNormalization", parts, f"{name}/n", axis=-1, epsilon=eps)
            hidden = build.linear(normed, f"{name}.wide", weight, shift)
        back = build.linear(
            build.silu(hidden, f"{name}/silu"), f"{name}.back", *_centred(block.back)
        )
        x = build.node("Add", [x, back], f"{name}/sum")
    scale, shift = _affine_of_norm(trunk.norm)
    names = [x, build.constant("last.scale", scale), build.constant("last.shift", shift)]
    last = build.node("LayerNormalization", names, "last", axis=-1, epsilon=trunk.norm.eps)
    return build.silu(last, "hidden")


def _std(build: Builder, x: str, epsilon: float) -> str:
    """(1, 1) of x, which has no mean. LayerNormalization could tell as well, by an output that
    TensorRT does not know."""
    squares = build.node("Mul", [x, x], "squares")
    mean = build.node("ReduceMean", [squares, build.constant("axis", [-1])], "variance")
    apart = build.node("Add", [mean, build.constant("epsilon", epsilon)], "variance/apart")
    return build.node("Sqrt", [apart], "std")


def _centre(build: Builder, normalizer: Normalizer) -> str:
    """(1, H*Da): the reference motion and the mean of what goes beyond it."""
    dim = len(normalizer.newest_mean)
    reference, mean = normalizer.reference.copy(), normalizer.chunk_mean.ravel()
    std, steps = normalizer.newest_std, normalizer.difference_std.ravel()
    linear = np.concatenate([std, steps])
    reference[1 : 1 + len(linear)] /= linear[:, None]
    terms = ["offset", "steps"] if len(steps) else ["offset"]
    if len(reference) > 1 + len(linear):
        reference[1 + len(linear) :] /= np.outer(std, std).reshape(-1, 1)
        column = build.node(
            "Reshape", ["offset", build.constant("column", [dim, 1])], "offset/column"
        )
        square = build.node("Mul", [column, "offset"], "offset/square")
        name = build.constant("row", [1, dim * dim])
        terms.append(build.node("Reshape", [square, name], "products"))
    row = build.node("Concat", terms, "terms", axis=1)
    return build.linear(row, "reference", reference[1:], reference[0] + mean)


def _model(
    build: Builder, window_shape: tuple[int, int], experts: int, chunk_shape: tuple[int, ...]
) -> bytes:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        build.nodes,
        "expert",
        [
            info("window", TensorProto.FLOAT, window_shape),
            info("expert", TensorProto.INT32, []),
        ],
        [
            info("log_gating", TensorProto.FLOAT, [experts]),
            info("mean", TensorProto.FLOAT, chunk_shape),
        ],
        build.constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _affine(layer) -> tuple[np.ndarray, np.ndarray]:
    """(in, out) and (out,) of a linear layer, float64."""
    return layer.weight.detach().double().numpy().T, layer.bias.detach().double().numpy()


def _centred(layer) -> tuple[np.ndarray, np.ndarray]:
    """A linear layer whose result has its mean taken off."""
    weight, bias = _affine(layer)
    return weight - weight.mean(1, keepdims=True), bias - bias.mean()


def _affine_of_norm(norm) -> tuple[np.ndarray, np.ndarray]:
    return norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()


def _behind(norm, layer) -> tuple[np.ndarray, np.ndarray]:
    """A linear layer with the scale and shift of the LayerNorm before it."""
    scale, shift = _affine_of_norm(norm)
    weight, bias = _affine(layer)
    return scale[:, None] * weight, shift @ weight + bias
