"""What expert.onnx multiplies with what, read from the constants of the graph by their names.

Of a file that somebody else wrote no size is believed: whoever computes with these need not look
again. What they mean is in policies/expert_graph.py.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.onnx_file import UNREADABLE, OnnxModel, read_model

Linear = tuple[np.ndarray, np.ndarray]  # (out, in) and (out,), float64


class ExpertConstants(NamedTuple):
    """All float64. angles: of waves, from the offset of the newest reading; first: into the stream
    and, times W, into the first block, from waves, steps and offset; shift: of that block; blocks:
    into each, but for the first, and back to the stream; heads: for each expert the gating above
    its head, decoder and reference included, from steps, offset, products and hidden.
    """

    window_shape: tuple[int, int]
    chunk_shape: tuple[int, int]
    n_products: int
    epsilon: float
    newest_mean: np.ndarray
    angles: Linear
    first: tuple[Linear, Linear]
    shift: np.ndarray
    blocks: tuple[tuple[Linear | None, Linear], ...]
    last_scale: np.ndarray
    last_shift: np.ndarray
    heads: tuple[Linear, ...]

    @property
    def width(self) -> int:
        return len(self.shift)

    @property
    def n_experts(self) -> int:
        return len(self.heads)


def expert_constants(source: str | Path | bytes) -> ExpertConstants:
    """Raises UserError where it is not a graph of this form."""
    try:
        return _constants(read_model(source))
    except (*UNREADABLE, StopIteration) as error:
        name = "the model" if isinstance(source, bytes) else source
        raise UserError(f"{name} is no graph of an expert ({error}): export it again") from None


def _constants(model: OnnxModel) -> ExpertConstants:
    of = {name: array.astype(np.float64) for name, array in model.constants.items()}
    steps, dim = window = _two(model.inputs[0].shape)
    chunk = _two(model.outputs[1].shape)
    (experts,) = model.outputs[0].shape
    n_blocks = sum(name.endswith(".back") for name in of)
    n_products = dim * dim if "row" in of else 0
    _require_sizes(of, dim, (steps - 1) * dim, n_products, experts, chunk, n_blocks)
    norm = next(node for node in model.nodes if node.kind == "LayerNormalization")
    return ExpertConstants(
        window_shape=window,
        chunk_shape=chunk,
        n_products=n_products,
        epsilon=float(norm.attributes["epsilon"]),  # type: ignore[arg-type]
        newest_mean=of["newest_mean"],
        angles=_linear(of, "angles"),
        first=(_waves_first(of, "enter", dim), _waves_first(of, "block0.wide", dim)),
        shift=of["block0.shift"],
        blocks=tuple(
            (_linear(of, f"block{n}.wide") if n else None, _linear(of, f"block{n}.back"))
            for n in range(n_blocks)
        ),
        last_scale=of["last.scale"],
        last_shift=of["last.shift"],
        heads=_heads(of, (steps - 1) * dim, dim),
    )


def _two(shape: tuple[int, ...]) -> tuple[int, int]:
    first, second = shape
    if min(shape) < 1:
        raise ValueError(f"its window or chunk has the shape {shape}")
    return first, second


def _require_sizes(
    of: dict[str, np.ndarray],
    dim: int,
    moves: int,
    n_products: int,
    experts: int,
    chunk: tuple[int, int],
    n_blocks: int,
) -> None:
    """Raises ValueError where a constant is of another size than the window, the chunk and the
    number of experts make it, KeyError where it is missing."""
    width, waves = len(of["ones"]), len(of["angles"])
    features, numbers, rank = waves + dim + moves, math.prod(chunk), len(of["decoder"])
    wanted: dict[str, tuple[int, ...]] = {
        **{"newest_mean": (dim,), "angles": (waves, dim), "angles.bias": (waves,)},
        **{"enter": (width, features), "enter.bias": (width,)},
        **{"block0.wide": (width, features), "block0.wide.bias": (width,)},
        **dict.fromkeys(("block0.shift", "last.scale", "last.shift"), (width,)),
        **{"gating": (experts, width), "gating.bias": (experts,)},
        **{"heads": (experts, width, rank), "heads.bias": (experts, 1, rank)},
        **{"decoder": (rank, numbers), "reference.bias": (numbers,)},
        "reference": (numbers, dim + moves + n_products),
    }
    for n in range(n_blocks):
        wide = {} if n == 0 else {f"block{n}.wide": (width, width), f"block{n}.wide.bias": (width,)}
        wanted |= {**wide, f"block{n}.back": (width, width), f"block{n}.back.bias": (width,)}
    for name, shape in wanted.items():
        if of[name].shape != shape:
            raise ValueError(f"its {name} is of {of[name].shape}, not {shape}")
    if not n_blocks or not experts:
        raise ValueError(f"it has {n_blocks} blocks and {experts} experts")


def _linear(of: dict[str, np.ndarray], name: str) -> Linear:
    return of[name], of[f"{name}.bias"]


def _waves_first(of: dict[str, np.ndarray], name: str, dim: int) -> Linear:
    """In the graph the offset comes before waves and steps."""
    return np.roll(of[name], -dim, axis=1), of[f"{name}.bias"]


def _heads(of: dict[str, np.ndarray], moves: int, dim: int) -> tuple[Linear, ...]:
    decoder, gating = of["decoder"], of["gating"]
    offset, steps, products = np.split(of["reference"], [dim, dim + moves], axis=1)
    linear = np.hstack([steps, offset, products])
    above = np.hstack([np.zeros((len(gating), linear.shape[1])), gating])
    made = []
    for head, bias in zip(of["heads"], of["heads.bias"], strict=True):
        below = np.hstack([linear, (head @ decoder).T])
        biases = np.concatenate([of["gating.bias"], bias[0] @ decoder + of["reference.bias"]])
        made.append((np.vstack([above, below]), biases))
    return tuple(made)
