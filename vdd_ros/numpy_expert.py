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

from vdd_ros.expert_constants import ExpertConstants, expert_constants
from vdd_ros.graph import GraphError

F32 = np.float32


class NumpyExpert:
    """As inference.OnnxExpert."""

    def __init__(self, source: str | Path | bytes):
        """Raises UserError where it is not a graph of this form."""
        constants = expert_constants(source)
        self.n_obs_steps, self.observation_dim = constants.window_shape
        self.horizon, self.action_dim = constants.chunk_shape
        self.n_experts = constants.n_experts
        self.evaluate = _compiled(constants)


def _compiled(of: ExpertConstants) -> Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]:
    """The evaluation, with all that it needs in variables of its own."""
    steps, dim = window_shape = of.window_shape
    experts, shape, epsilon = of.n_experts, of.chunk_shape, of.epsilon
    width, n_waves, n_products = of.width, len(of.angles[0]), of.n_products
    moves = (steps - 1) * dim

    # What is made of a window, side by side, so that nothing is copied from one place to another:
    # waves, steps, offset, 1, products, hidden. The first four are multiplied by the first layer,
    # offset and 1 by the angles, all but the waves by gating and head.
    kept = np.ones(n_waves + moves + dim + 1 + n_products + width, F32)
    ends = np.cumsum([n_waves, moves, dim, 1, n_products, width])
    waves, moved, offset, _, products, hidden = np.split(kept, ends[:-1])
    moved, products = moved.reshape(steps - 1, dim), products.reshape(-1, dim)
    features, seen, reading = kept[: ends[3]], kept[n_waves:], kept[ends[1] : ends[3]]
    column, row = offset[:, None], offset[None]

    mean = of.newest_mean.astype(F32)
    wave = _columns(*of.angles).dot
    (enter, enter_bias), (wide_first, wide_bias) = of.first
    first_bias = np.concatenate([enter_bias, wide_bias / 2.0])
    first = _columns(np.vstack([enter, wide_first / 2.0]), first_bias).dot
    # one after the other, so that x and W x are one product, and W x w + shift is another
    stream = np.empty(3 * width, F32)
    stream[2 * width :] = of.shift / 2.0
    x, both, by = stream[:width], stream[: 2 * width], np.ones(2, F32)
    bend = stream[width:].reshape(2, width).T.dot
    backs = [_columns(*back).dot for _, back in of.blocks]
    wides = [_columns(wide[0] / 2.0, wide[1] / 2.0).dot for wide, _ in of.blocks if wide]
    first_back, later_blocks = backs[0], list(zip(wides, backs[1:], strict=True))
    normed, bent = np.ones(width + 1, F32), np.ones(width + 1, F32)
    normed_x, bent_x = normed[:width], bent[:width]
    u, added = np.empty(width, F32), np.empty(width, F32)
    last_scale = (of.last_scale / 2.0).astype(F32)
    last = np.empty((2, width), F32)
    last[1] = of.last_shift / 2.0
    last_x, bend_last = last[0], last.T.dot

    answer = np.empty(experts + math.prod(shape), F32)
    logits, chunk = answer[:experts], answer[experts:].reshape(shape)
    heads = [_columns(*head, moves + dim).dot for head in of.heads]
    square, inverse = x.dot, 1.0 / width
    add, multiply, subtract, tanh, sin = np.add, np.multiply, np.subtract, np.tanh, np.sin
    exp, log, sqrt, float64, copy = math.exp, math.log, math.sqrt, np.float64, np.array

    def evaluate(window: np.ndarray, expert: int) -> tuple[np.ndarray, np.ndarray]:
        """As Expert.evaluate."""
        if window.shape != window_shape:
            raise GraphError(f"window has the shape {window.shape}, not {window_shape}")
        offset[:] = window[-1]
        subtract(offset, mean, offset)
        wave(reading, waves)
        sin(waves, waves)
        if moves:
            moved[:] = window[1:] - window[:-1]
        first(features, both)
        by[0] = 1.0 / sqrt(float(square(x)) * inverse + epsilon)
        bend(by, u)
        tanh(u, bent_x)
        multiply(bent_x, u, bent_x)
        add(bent_x, u, bent_x)
        first_back(bent, added)
        add(x, added, x)
        for wide, back in later_blocks:
            multiply(x, 1.0 / sqrt(float(square(x)) * inverse + epsilon), normed_x)
            wide(normed, u)
            tanh(u, bent_x)
            multiply(bent_x, u, bent_x)
            add(bent_x, u, bent_x)
            back(bent, added)
            add(x, added, x)
        by[0] = 1.0 / sqrt(float(square(x)) * inverse + epsilon)
        multiply(x, last_scale, last_x)
        bend_last(by, u)
        tanh(u, hidden)
        multiply(hidden, u, hidden)
        add(hidden, u, hidden)
        if n_products:
            multiply(column, row, products)
        heads[expert](seen, answer)
        found = logits.tolist()
        largest = max(found)
        total = log(sum([exp(one - largest) for one in found])) + largest
        return copy([one - total for one in found]), chunk.astype(float64)

    return evaluate


def _columns(weight: np.ndarray, bias: np.ndarray, place: int | None = None) -> np.ndarray:
    """(out, in + 1): weights (out, in) and a bias (out,), at the end or in another place, in the
    order in which BLAS reads them."""
    place = weight.shape[1] if place is None else place
    return np.asfortranarray(np.insert(weight, place, bias, axis=1), F32)
