"""Graph: an exported graph that is opened, whatever evaluates it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

Shapes = dict[str, tuple[int, ...]]


class GraphError(RuntimeError):
    """The graph could not be evaluated."""


class Graph(ABC):
    """inputs, outputs: arrays by name; what is written into the former is read at the next `run`,
    which overwrites the latter."""

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    @property
    def signature(self) -> tuple[Shapes, Shapes]:
        """Shapes of inputs and of outputs, by name."""
        inputs, outputs = (
            {name: array.shape for name, array in arrays.items()}
            for arrays in (self.inputs, self.outputs)
        )
        return inputs, outputs

    def give(self, name: str, values: np.ndarray) -> None:
        """Write an input; raises GraphError for another shape, which numpy might make fit."""
        buffer = self.inputs[name]
        if values.shape != buffer.shape:
            raise GraphError(f"{name} has the shape {values.shape}, not {buffer.shape}")
        buffer[...] = values

    @abstractmethod
    def run(self) -> None:
        """Evaluate it. Raises GraphError."""
