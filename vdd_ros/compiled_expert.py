"""CompiledExpert: expert.onnx by the kernel in native/expert.c, where that was built.

A robot's tick asks for a policy of 1.5 MB, whose products take less time than numpy's calls around
them. The kernel is built when the package is installed, where there is a C compiler, for any
processor of its kind; which instructions are used is decided when it is loaded.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.expert_constants import ExpertConstants, expert_constants
from vdd_ros.graph import GraphError

MODULE = "vdd_ros.expert_kernel"  # in whose place setup.py puts the library
ROWS = 64  # side by side in the kernel's weights
ALIGNMENT = 64  # [bytes], of a line of the processor's cache


class _Expert(ctypes.Structure):
    """As `Expert` of native/expert.c."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("dim", "steps", "waves", "products")),
        *((name, ctypes.c_long) for name in ("width", "blocks", "experts", "chunk")),
        ("epsilon", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("weights", "work", "window", "log_gating", "mean")),
    ]


@cache
def kernel() -> ctypes.PyDLL | None:
    """The library; None where it was not built."""
    found = importlib.util.find_spec(MODULE)
    if found is None or found.origin is None:
        return None
    # PyDLL: a call of 15 us is over before another thread would have had its turn
    library = ctypes.PyDLL(found.origin)
    for name in ("floats", "scratch"):
        getattr(library, name).restype = ctypes.c_long
    return library


def is_kernel_fast() -> bool:
    """Whether it is there and uses instructions with which it was seen to be faster than numpy."""
    library = kernel()
    return library is not None and library.level() > 0


class CompiledExpert:
    """As inference.OnnxExpert."""

    def __init__(self, source: str | Path | bytes, level: int | None = None):
        """level: of the kernel's instructions, the best there are if not given. Raises UserError
        where there is no kernel, or it is not a graph of this form."""
        library = kernel()
        if library is None:
            raise UserError(
                "the kernel of compiled experts is not there: install the package where there is a "
                "C compiler, or use the runtime numpy"
            )
        of = expert_constants(source)
        self.n_obs_steps, self.observation_dim = of.window_shape
        self.horizon, self.action_dim = of.chunk_shape
        self.n_experts = of.n_experts
        self._window = np.zeros(of.window_shape)
        self._log_gating = np.zeros(of.n_experts)
        self._mean = np.zeros(of.chunk_shape)
        self._weights = _weights(of)
        self._expert = _Expert(
            *(self.observation_dim, self.n_obs_steps, len(of.angles[0]), of.n_products),
            *(of.width, len(of.blocks), of.n_experts, self._mean.size, of.epsilon),
        )
        address = ctypes.addressof(self._expert)
        self._work = _aligned(library.scratch(ctypes.c_void_p(address)))
        arrays = {"weights": self._weights, "work": self._work, "window": self._window}
        arrays |= {"log_gating": self._log_gating, "mean": self._mean}
        for name, array in arrays.items():
            setattr(self._expert, name, array.ctypes.data)
        if library.floats(ctypes.c_void_p(address)) != self._weights.size:
            raise UserError("the kernel of compiled experts is another version's: install it again")
        self._run = library.evaluate
        self._run.restype = None
        self._given = ctypes.c_void_p(address)
        self._level = ctypes.c_int(library.level() if level is None else level)
        self._numbers = [ctypes.c_long(expert) for expert in range(of.n_experts)]

    def evaluate(self, window: np.ndarray, expert: int) -> tuple[np.ndarray, np.ndarray]:
        """As Expert.evaluate."""
        if window.shape != self._window.shape:
            raise GraphError(f"window has the shape {window.shape}, not {self._window.shape}")
        self._window[...] = window
        self._run(self._given, self._numbers[expert], self._level)
        return self._log_gating.copy(), self._mean.copy()


def _weights(of: ExpertConstants) -> np.ndarray:
    """All numbers in the order in which the kernel reads them."""
    width = -(-of.width // ROWS) * ROWS
    first = [(_padded(weight, width), _padded(bias, width)) for weight, bias in of.first]
    parts = [of.newest_mean, _rows(*of.angles)]
    parts.append(_rows(*(np.concatenate(part) for part in zip(*first, strict=True))))
    parts.append(_padded(of.shift, width))
    for wide, back in of.blocks:
        parts += [_rows(*wide)] if wide is not None else []
        parts.append(_rows(*back))
    parts += [_padded(one, width) for one in (of.last_scale, of.last_shift)]
    parts += [_rows(*head) for head in of.heads]
    flat = np.concatenate([part.ravel() for part in parts])
    weights = _aligned(flat.size)
    weights[:] = flat
    return weights


def _rows(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(out / ROWS, 1 + in, ROWS): the bias before the columns; zeros below."""
    whole = np.column_stack([bias, weight])
    whole = _padded(whole, -(-len(whole) // ROWS) * ROWS)
    return whole.reshape(-1, ROWS, whole.shape[1]).transpose(0, 2, 1)


def _padded(array: np.ndarray, rows: int) -> np.ndarray:
    return np.concatenate([array, np.zeros((rows - len(array), *array.shape[1:]))])


def _aligned(count: int) -> np.ndarray:
    """(count,) float32 zeros that begin with a line of the cache."""
    raw = np.zeros(count * 4 + ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % ALIGNMENT
    return raw[begin : begin + count * 4].view(np.float32)
