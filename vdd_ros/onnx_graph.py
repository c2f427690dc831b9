"""OnnxGraph: a graph in onnxruntime with its inputs and outputs in buffers of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.graph import Graph, GraphError

DTYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32}
PIXEL_DTYPES = DTYPES | {"tensor(uint8)": np.uint8}


class OnnxGraph(Graph):
    """Usually one thread, no spinning; buffers allocated once and bound: an evaluation makes no
    array.

    inputs, outputs: float32 or, for a place in a list, int32, for pixels uint8.
    """

    def __init__(self, path: str | Path, threads: int = 1, dtypes: Mapping[str, type] = DTYPES):
        """threads: 0 for as many as there are processors. Raises UserError where the graph cannot
        be read, or has other types than these or no fixed shapes."""
        self._session, self._errors = open_session(path, threads)
        self._binding = self._session.io_binding()
        given, made = self._session.get_inputs(), self._session.get_outputs()
        self.inputs = {node.name: _buffer(node, path, dtypes) for node in given}
        self.outputs = {node.name: _buffer(node, path, dtypes) for node in made}
        for name, array in self.inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in self.outputs.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self) -> None:
        """Evaluate it. Raises GraphError."""
        try:
            self._session.run_with_iobinding(self._binding)
        except self._errors as error:
            raise GraphError(str(error)) from error


def open_session(path: str | Path, threads: int = 1) -> tuple:
    """(InferenceSession, the exception classes it may raise); threads: 0 for onnxruntime's own
    choice, which spins; raises UserError if unreadable."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    # With bound buffers a failing node of the graph raises RuntimeError, none of their own classes.
    errors: tuple[type[Exception], ...] = (RuntimeError,)
    errors += tuple(
        value
        for value in vars(state).values()
        if isinstance(value, type) and issubclass(value, Exception)
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised; said once is enough
    options.add_session_config_entry("session.intra_op.allow_spinning", "01"[threads != 1])
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except errors as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"{path} is not a usable ONNX model ({reason}): export it again") from None
    return session, errors


def _buffer(node, path: str | Path, dtypes: Mapping[str, type]) -> np.ndarray:
    dtype = dtypes.get(node.type)
    if dtype is None or not all(isinstance(size, int) for size in node.shape):
        raise UserError(
            f"{path}: {node.name} is {node.type} {node.shape}; it has to be float32 of fixed "
            "shape: export it again without dynamic axes"
        )
    return np.zeros(tuple(node.shape), dtype)
