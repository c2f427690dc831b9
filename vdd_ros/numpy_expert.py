"""NumpyExpert: expert.onnx in numpy, written out, where every call of numpy counts.

A call of a small array costs 0.2 us, and all products of a usual student 15: so biases are columns
of the matrices, for which every vector that is multiplied has a 1 behind its end, silu(2 u) =
u tanh(u) + u with the 2 in the weights, and the gating is read together with the expert's head.
What is multiplied with what is in policies/expert_graph.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.onnx_file import OnnxModel, read_model
from vdd_ros.onnx_graph import GraphError

F32 = np.float32


class NumpyExpert:
    """As inference.OnnxExpert."""

    def __init__(self, source: str | Path | bytes):
        """Raises UserError where it is not a graph of this form."""
        model = read_model(source)
        try:
            self.n_obs_steps, self.observation_dim = model.inputs[0].shape
            self.horizon, self.action_dim = model.outputs[1].shape
            (self.n_experts,) = model.outputs[0].shape
            self.evaluate = _compiled(model)
        except (KeyError, IndexError, ValueError) as error:
            name = "the model" if isinstance(source, bytes) else source
            raise UserError(f"{name} is no graph of an expert ({error}): export it again") from None


def _compiled(model: OnnxModel) -> Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]:
    """The evaluation, with all that it needs in variables of its own."""
    of = {name: array.astype(np.float64) for name, array in model.constants.items()}
    steps, dim = window_shape = model.inputs[0].shape
    shape, size = model.outputs[1].shape, math.prod(model.outputs[1].shape)
    experts, width = model.outputs[0].shape[0], len(of["ones"])
    epsilon = next(n for n in model.nodes if n.kind == "LayerNormalization").attributes["epsilon"]
    angles, blocks = of["angles"], sum(name.endswith(".back") for name in of)
    moves = (steps - 1) * dim
    has_products = "row" in of

    # [offset 1], and what is made of it: [offset waves steps 1]
    offset, features = np.ones(dim + 1, F32), np.ones(dim + angles.shape[0] + moves + 1, F32)
    mean = of["newest_mean"].astype(F32)
    wave = _columns(angles, of["angles.bias"])
    reading, waves = features[:dim], features[dim : dim + angles.shape[0]]
    moved = features[dim + angles.shape[0] : -1].reshape(steps - 1, dim)

    enter = [_columns(of["enter"], of["enter.bias"])]
    enter.append(_columns(of["block0.wide"] / 2.0, of["block0.wide.bias"] / 2.0))
    first = np.asfortranarray(np.vstack(enter))
    # one after the other, so that x and W x are one product, and W x w + shift is another
    kept = np.empty(3 * width, F32)
    kept[2 * width :] = of["block0.shift"] / 2.0
    x, both, wide = kept[:width], kept[: 2 * width], kept[width:].reshape(2, width).T
    wides = [
        _columns(of[f"block{n}.wide"] / 2.0, of[f"block{n}.wide.bias"] / 2.0)
        for n in range(1, blocks)
    ]
    backs = [_columns(of[f"block{n}.back"], of[f"block{n}.back.bias"]) for n in range(blocks)]
    normed, bent = np.ones(width + 1, F32), np.ones(width + 1, F32)
    normed_x, bent_x = normed[:width], bent[:width]
    u, added = np.empty(width, F32), np.empty(width, F32)
    last_scale = (of["last.scale"] / 2.0).astype(F32)
    last = np.empty((2, width), F32).T
    last[:, 1] = of["last.shift"] / 2.0
    last_x, by = last[:, 0], np.ones(2, F32)

    # [hidden 1 offset steps products] by [gating; head] of each expert
    reference = of["reference"]
    seen = np.ones(width + 1 + reference.shape[1], F32)
    hidden, seen_offset = seen[:width], seen[width + 1 : width + 1 + dim]
    seen_moves = seen[width + 1 + dim : width + 1 + dim + moves].reshape(steps - 1, dim)
    products = seen[width + 1 + dim + moves :].reshape(-1, dim)
    heads = np.zeros((experts, experts + size, len(seen)))
    heads[:, :experts, : width + 1] = _columns(of["gating"], of["gating.bias"])
    head = of["heads"] @ of["decoder"], of["heads.bias"] @ of["decoder"] + of["reference.bias"]
    heads[:, experts:, :width] = head[0].swapaxes(1, 2)
    heads[:, experts:, width] = head[1][:, 0]
    heads[:, experts:, width + 1 :] = reference
    matrices = [np.asfortranarray(one, F32) for one in heads]
    answer = np.empty(experts + size, F32)
    logits, chunk = answer[:experts], answer[experts:].reshape(shape)

    add, multiply, subtract, dot = np.add, np.multiply, np.subtract, np.dot
    tanh, sin, exp, log, sqrt = np.tanh, np.sin, math.exp, math.log, math.sqrt
    offset_x, column, row = offset[:dim], offset[:dim, None], offset[None, :dim]
    float64, copy = np.float64, np.array
    first_back = backs[0]
    later_blocks = list(zip(wides, backs[1:], strict=True))

    def evaluate(window: np.ndarray, expert: int) -> tuple[np.ndarray, np.ndarray]:
        """As Expert.evaluate."""
        if window.shape != window_shape:
            raise GraphError(f"window has the shape {window.shape}, not {window_shape}")
        reading[:] = window[-1]
        subtract(reading, mean, offset_x)
        reading[:] = offset_x
        dot(wave, offset, waves)
        sin(waves, waves)
        if moves:
            moved[:] = window[1:] - window[:-1]
        dot(first, features, both)
        by[0] = 1.0 / sqrt(x.dot(x) / width + epsilon)
        dot(wide, by, u)
        tanh(u, bent_x)
        multiply(bent_x, u, bent_x)
        add(bent_x, u, bent_x)
        dot(first_back, bent, added)
        add(x, added, x)
        for into, back in later_blocks:
            multiply(x, 1.0 / sqrt(x.dot(x) / width + epsilon), normed_x)
            dot(into, normed, u)
            tanh(u, bent_x)
            multiply(bent_x, u, bent_x)
            add(bent_x, u, bent_x)
            dot(back, bent, added)
            add(x, added, x)
        by[0] = 1.0 / sqrt(x.dot(x) / width + epsilon)
        multiply(x, last_scale, last_x)
        dot(last, by, u)
        tanh(u, hidden)
        multiply(hidden, u, hidden)
        add(hidden, u, hidden)
        seen_offset[:] = offset_x
        if moves:
            seen_moves[:] = moved
        if has_products:
            multiply(column, row, products)
        dot(matrices[expert], seen, answer)
        found = logits.tolist()
        largest = max(found)
        total = log(sum([exp(one - largest) for one in found])) + largest
        return copy([one - total for one in found]), chunk.astype(float64)

    return evaluate


def _columns(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(out, in + 1): weights (out, in) and a bias (out,), in the order in which BLAS reads them."""
    return np.asfortranarray(np.column_stack([weight, bias]), F32)
