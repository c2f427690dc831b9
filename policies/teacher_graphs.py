"""The teacher's Euler sampler as one ONNX graph: every step written out, or ONNX's Loop operator.

Both are put together from three exported pieces, because tracing a hundred steps takes minutes:

    enter   window (To, Do), noise (1, R)    -> cond (1, C), x (1, R)
    step    x, cond, sigma (1,), ratio (1,)  -> after (1, R)
    leave   x, window                        -> means (1, H, Da)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.export import Units, to_onnx


class Enter(nn.Module):
    """Contract units to the network's, and the noise to where sampling starts."""

    def __init__(self, normalizer: Normalizer, sigma_max: float):
        super().__init__()
        self.units, self.sigma_max = Units(normalizer), sigma_max

    def forward(self, window: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.units.features(window), self.sigma_max * noise


class Step(nn.Module):
    """One step of samplers.euler, from sigma to ratio * sigma."""

    def __init__(self, denoiser: Denoiser):
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x: Tensor, cond: Tensor, sigma: Tensor, ratio: Tensor) -> Tensor:
        clean = self.denoiser(x, sigma, cond)
        return clean + ratio * (x - clean)


class Leave(nn.Module):
    """The network's units back to the contract's."""

    def __init__(self, normalizer: Normalizer):
        super().__init__()
        self.units = Units(normalizer)

    def forward(self, x: Tensor, window: Tensor) -> Tensor:
        return self.units.chunk(x, self.units.features(window))


class Pieces(NamedTuple):
    """The three graphs above, each a whole model whose graph bears the piece's name."""

    enter: onnx.ModelProto
    step: onnx.ModelProto
    leave: onnx.ModelProto


class Schedule(NamedTuple):
    """sigmas: (n, 1), where each step starts; ratios: (n, 1), its end divided by its start."""

    sigmas: np.ndarray
    ratios: np.ndarray

    @classmethod
    def through(cls, sigmas: Tensor) -> Schedule:
        """sigmas: (n + 1,) from the largest to 0, as `SamplerConfig.sigmas` has them."""
        nodes = sigmas.double().numpy()
        columns = (nodes[:-1, None], (nodes[1:] / nodes[:-1])[:, None])
        return cls(*(column.astype(np.float32) for column in columns))


def export_pieces(
    denoiser: Denoiser, normalizer: Normalizer, sigma_max: float, window_shape: tuple[int, int]
) -> Pieces:
    """Export the three graphs of a teacher."""
    enter, step, leave = Enter(normalizer, sigma_max), Step(denoiser), Leave(normalizer)
    window, noise = torch.zeros(window_shape), torch.zeros(1, normalizer.sizes[-1])
    cond, x = enter(window, noise)
    sigma, ratio = torch.ones(1), torch.ones(1)  # two tensors: one given twice becomes one input
    graphs = (
        to_onnx(enter, (window, noise), ["window", "noise"], ["cond", "x"]),
        to_onnx(step, (x, cond, sigma, ratio), ["x", "cond", "sigma", "ratio"], ["after"]),
        to_onnx(leave, (x, window), ["x", "window"], ["means"]),
    )
    pieces = Pieces(*map(onnx.load_from_string, graphs))
    for name, piece in pieces._asdict().items():
        piece.graph.name = name
    return pieces


def unrolled(pieces: Pieces, schedule: Schedule) -> bytes:
    """policy.onnx with the steps one after the other; they share one copy of the weights."""
    nodes: list[NodeProto] = []
    constants = _weights(pieces.step)
    for index, (sigma, ratio) in enumerate(zip(*schedule, strict=True)):
        names = {"cond": "cond", "x": f"x{index}", "after": f"x{index + 1}"}
        for name, value in (("sigma", sigma), ("ratio", ratio)):
            names[name] = f"{name}{index}"
            constants.append(numpy_helper.from_array(value, names[name]))
        nodes += _nodes(pieces.step, names, f"step{index}/")
    return _policy(pieces, nodes, constants, len(schedule.sigmas))


def looped(pieces: Pieces, schedule: Schedule) -> bytes:
    """policy.onnx with ONNX's Loop operator around one step."""
    same = {name: name for name in ("x", "cond", "sigma", "ratio", "after")}
    nodes = [
        helper.make_node("Gather", ["sigmas", "index"], ["sigma"]),
        helper.make_node("Gather", ["ratios", "index"], ["ratio"]),
        helper.make_node("Identity", ["go_on"], ["still"]),
        *_nodes(pieces.step, same, "step/"),
    ]
    index = helper.make_tensor_value_info("index", TensorProto.INT64, [])
    go_on, still = (
        helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("go_on", "still")
    )
    x, after = pieces.step.graph.input[0], pieces.step.graph.output[0]
    body = helper.make_graph(nodes, "body", [index, go_on, x], [still, after])
    steps = len(schedule.sigmas)
    loop = helper.make_node("Loop", ["steps", "", "x0"], [f"x{steps}"], body=body)
    constants = {"sigmas": schedule.sigmas, "ratios": schedule.ratios, "steps": np.array(steps)}
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return _policy(pieces, [loop], _weights(pieces.step) + tensors, steps)


def _policy(pieces: Pieces, sampler: list[NodeProto], constants: list, steps: int) -> bytes:
    """enter, then `sampler` from x0 to x<steps>, then leave."""
    outside = {name: name for name in ("window", "noise", "cond", "means")}
    nodes = [
        *_nodes(pieces.enter, outside | {"x": "x0"}, "enter/"),
        *sampler,
        *_nodes(pieces.leave, outside | {"x": f"x{steps}"}, "leave/"),
        helper.make_node("Identity", ["only_one"], ["log_gating"]),
    ]
    constants = [*_weights(pieces.enter), *constants, *_weights(pieces.leave)]
    constants.append(numpy_helper.from_array(np.zeros(1, np.float32), "only_one"))
    log_gating = helper.make_tensor_value_info("log_gating", TensorProto.FLOAT, [1])
    outputs = [log_gating, *pieces.leave.graph.output]
    graph = helper.make_graph(nodes, "teacher", pieces.enter.graph.input, outputs, constants)
    model = helper.make_model(
        graph, opset_imports=pieces.step.opset_import, ir_version=pieces.step.ir_version
    )
    return model.SerializeToString()


def _nodes(piece: onnx.ModelProto, names: Mapping[str, str], prefix: str) -> list[NodeProto]:
    """A copy of a piece's nodes: its inputs and outputs take `names`, what is between a prefix."""
    renamed = {weight.name: _weight_name(piece, weight) for weight in piece.graph.initializer}
    renamed |= names
    copies = []
    for node in piece.graph.node:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = prefix + node.name
        copy.ClearField("metadata_props")  # the exporter's stack traces: most of a long graph
        copy.input[:] = [name and renamed.get(name, prefix + name) for name in node.input]
        copy.output[:] = [name and renamed.get(name, prefix + name) for name in node.output]
        copies.append(copy)
    return copies


def _weights(piece: onnx.ModelProto) -> list[TensorProto]:
    """A copy of a piece's constants under names of their own."""
    copies = []
    for weight in piece.graph.initializer:
        copy = TensorProto()
        copy.CopyFrom(weight)
        copy.name = _weight_name(piece, weight)
        copies.append(copy)
    return copies


def _weight_name(piece: onnx.ModelProto, weight: TensorProto) -> str:
    return f"{piece.graph.name}.{weight.name}"
