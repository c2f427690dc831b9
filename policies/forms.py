"""Forms that a policy can run in, beside the bundle's own: torch, a Python loop, and mere BLAS."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from torch import nn

from vdd_ros.inference import PolicyOutput
from vdd_ros.onnx_file import read_model
from vdd_ros.onnx_graph import open_session
from vdd_ros.policies.teacher_graphs import Pieces, Schedule

Opened = TypeVar("Opened")


class Eager:
    """A policy as torch runs it."""

    def __init__(self, module: nn.Module):
        self._module = module.eval()

    def infer(self, window: np.ndarray, noise: np.ndarray | None = None) -> PolicyOutput:
        """As OnnxPolicy.infer."""
        return PolicyOutput(*self.outputs(*([window] if noise is None else [window, noise])))

    @torch.inference_mode()
    def outputs(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Of inputs in float32, computed in it, as float64."""
        outputs = self._module(*(torch.tensor(array, dtype=torch.float32) for array in inputs))
        return [output.numpy().astype(np.float64) for output in outputs]


class StepByStep:
    """A Python loop over the step graph. Each step has its own binding, so nothing is copied."""

    def __init__(self, pieces: Pieces, schedule: Schedule):
        ports = [port for piece in pieces for port in (*piece.graph.input, *piece.graph.output)]
        self._arrays = {port.name: np.zeros(_shape(port), np.float32) for port in ports}
        x, after = self._arrays["x"], self._arrays["after"]
        sessions = [opened(open_session, piece.SerializeToString())[0] for piece in pieces]
        self._runs = [self._bound(sessions[0], {})]
        for sigma, ratio in zip(*schedule, strict=True):
            given = {"x": x, "after": after, "sigma": sigma, "ratio": ratio}
            self._runs.append(self._bound(sessions[1], given))
            x, after = after, x
        self._runs.append(self._bound(sessions[2], {"x": x}))

    def _bound(self, session, others: dict[str, np.ndarray]) -> tuple:
        """The session with a binding to the common arrays and, by the same names, `others`."""
        binding, arrays = session.io_binding(), self._arrays | others
        for port in session.get_inputs():
            array = arrays[port.name]
            binding.bind_input(port.name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for port in session.get_outputs():
            array = arrays[port.name]
            binding.bind_output(port.name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return session, binding, others  # ORT keeps no reference to what is bound

    def infer(self, window: np.ndarray, noise: np.ndarray) -> PolicyOutput:
        """As OnnxPolicy.infer."""
        self._arrays["window"][...] = window
        self._arrays["noise"][...] = noise
        for session, binding, _ in self._runs:
            session.run_with_iobinding(binding)
        return PolicyOutput(np.zeros(1), self._arrays["means"].astype(np.float64))


class Compiled:
    """A policy as torch.compile makes it, which takes a while at the first call."""

    def __init__(self, module: nn.Module):
        self._call = torch.compile(module.eval())

    @torch.no_grad()
    def infer(self, window: np.ndarray) -> PolicyOutput:
        """As OnnxPolicy.infer."""
        outputs = self._call(torch.tensor(window, dtype=torch.float32))
        return PolicyOutput(*(output.numpy().astype(np.float64) for output in outputs))


class Floor:
    """One Fortran BLAS product per matrix of a graph, into memory that is kept: by columns, or by
    rows, which is the faster of the two on some machines."""

    def __init__(self, graph: bytes):
        from scipy.linalg.blas import sgemv

        self._sgemv = sgemv
        self.layers = [_product(matrix) for matrix in matrices(graph)]
        self._by_rows = [(np.asfortranarray(a.T), x, y) for a, x, y in self.layers]
        self._nothing = [_product(np.ones((1, 1), np.float32)) for _ in self.layers]

    def by_columns(self) -> None:
        """Every product once."""
        for a, x, y in self.layers:
            self._sgemv(1.0, a, x, 0.0, y, overwrite_y=1)

    def by_rows(self) -> None:
        """Every product once."""
        for a, x, y in self._by_rows:
            self._sgemv(1.0, a, x, 0.0, y, overwrite_y=1, trans=1)

    def call_only(self) -> None:
        """As many calls that have nothing to do: what Python and f2py add."""
        for a, x, y in self._nothing:
            self._sgemv(1.0, a, x, 0.0, y, overwrite_y=1)


def matrices(graph: bytes) -> list[np.ndarray]:
    """The matrices (out, in) that a graph multiplies by, in the order of its nodes: constants, and
    of a stack of which it takes one the first."""
    model = read_model(graph)
    taken = {node.outputs[0]: node.inputs[0] for node in model.nodes if node.kind == "Gather"}
    found = []
    for node in model.nodes:
        if node.kind in ("Gemm", "MatMul"):
            matrix = model.constants.get(node.inputs[1])
            if matrix is None and taken.get(node.inputs[1]) in model.constants:
                matrix = model.constants[taken[node.inputs[1]]][0]
            if matrix is not None:
                found.append(matrix if node.attributes.get("transB") else matrix.T)
    return found


def opened(opener: Callable[[Path], Opened], model: bytes) -> Opened:
    """What `opener` makes of a model, which it reads from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        path.write_bytes(model)
        return opener(path)


def _product(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A matrix in column-major order with an x to multiply and a y for the result."""
    rows, columns = matrix.shape
    a = np.asfortranarray(matrix, np.float32)
    return a, np.ones(columns, np.float32), np.zeros(rows, np.float32)


def _shape(port: onnx.ValueInfoProto) -> list[int]:
    return [size.dim_value for size in port.type.tensor_type.shape.dim]
