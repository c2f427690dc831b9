"""NumpyGraph: an exported graph in numpy alone, as OnnxGraph is one in onnxruntime.

When it is opened, every node becomes a call of numpy that writes into an array of its own; an
evaluation makes these calls, and few arrays. What needs no call is settled then: constants, and
other views of what is already there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.graph import Graph, GraphError
from vdd_ros.numpy_operators import MOST_NUMBERS, OPERATORS, Call, Operands, room
from vdd_ros.onnx_file import UNREADABLE, OnnxModel, Port, read_model

MOST_IN_ALL = 1 << 28  # numbers of all results; a teacher of 100 steps has a tenth of it


class NumpyGraph(Graph):
    """In arrays of numpy."""

    def __init__(self, source: str | Path | bytes):
        """Raises UserError where the graph cannot be read, has inputs of no fixed shape or an
        operator that is not known here."""
        model = read_model(source)
        name = "the model" if isinstance(source, bytes) else source
        self.inputs = {port.name: _buffer(port, name) for port in model.inputs}
        try:
            with np.errstate(all="ignore"):  # all inputs are 0 while it is opened
                self._calls, arrays = compiled(model, self.inputs)
            self.outputs = {port.name: arrays[port.name] for port in model.outputs}
        except UNREADABLE as error:
            raise UserError(
                f"{name} cannot be run in numpy ({error}): install onnxruntime"
            ) from None

    def run(self) -> None:
        """Evaluate it. Raises GraphError."""
        try:
            for call in self._calls:
                call()
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            raise GraphError(str(error)) from error


def compiled(
    model: OnnxModel, inputs: Mapping[str, np.ndarray]
) -> tuple[list[Call], dict[str, np.ndarray]]:
    """The calls of an evaluation, and every array by name; raises KeyError or ValueError for what
    is not known here."""
    arrays: dict[str, np.ndarray | None] = {**model.constants, **inputs, "": None}
    fixed = {*model.constants, ""}
    calls: list[Call] = []
    made = 0
    for node in model.nodes:
        known = [name in fixed for name in node.inputs]
        operands = Operands(node, [arrays[name] for name in node.inputs], known)
        if node.kind not in OPERATORS:
            raise ValueError(f"operator {node.kind}")
        results, call = OPERATORS[node.kind](operands)
        results = results if isinstance(results, list) else [results]
        if call is not None:
            made += sum(one.size for one in results)
            if made > MOST_IN_ALL:
                raise ValueError(f"more than {MOST_IN_ALL} numbers in all")
        arrays.update(zip(node.outputs, results, strict=False))  # some are left out
        if call is not None:
            call()
        if all(known):
            fixed.update(node.outputs)
        elif call is not None:
            calls.append(call)
    del arrays[""]
    return calls, {name: array for name, array in arrays.items() if array is not None}


def _buffer(port: Port, name: str | Path) -> np.ndarray:
    is_fixed = 0 < math.prod(port.shape) <= MOST_NUMBERS
    if port.dtype not in (np.float32, np.int32) or not is_fixed:
        raise UserError(
            f"{name}: {port.name} is {port.dtype} {port.shape}; it has to be float32 of fixed "
            "shape: export it again without dynamic axes"
        )
    return room(port.shape, port.dtype)
