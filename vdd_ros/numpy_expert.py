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
from vdd_ros.graph import GraphError
from vdd_ros.onnx_file import UNREADABLE, OnnxModel, read_model

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
            for expert in range(self.n_experts):  # products of other sizes are told at once
                self.evaluate(np.zeros((self.n_obs_steps, self.observation_dim)), expert)
        except (*UNREADABLE, ArithmeticError, StopIteration) as error:
            name = "the model" if isinstance(source, bytes) else source
            raise UserError(f"{name} is no graph of an expert ({error}): export it again") from None


def _compiled(model: OnnxModel) -> Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]:
    """The evaluation, with all that it needs in variables of its own."""
    of = {name: array.astype(np.float64) for name, array in model.constants.items()}
    steps, dim = window_shape = model.inputs[0].shape
    width, blocks = len(of["ones"]), sum(name.endswith(".back") for name in of)
    norm = next(node for node in model.nodes if node.kind == "LayerNormalization")
    epsilon = float(norm.attributes["epsilon"])  # type: ignore[arg-type]
    experts, shape = model.outputs[0].shape[0], model.outputs[1].shape
    n_waves, moves = len(of["angles"]), (steps - 1) * dim
    n_products = dim * dim if "row" in of else 0
    terms = dim + moves + n_products
    declared = n_waves + dim + moves, terms, math.prod(shape), experts
    if declared != (of["enter"].shape[1], *of["reference"].shape[::-1], len(of["gating"])):
        raise ValueError("its matrices are of another window, chunk or number of experts")

    # What is made of a window, side by side, so that nothing is copied from one place to another:
    # waves, steps, offset, 1, products, hidden. The first four are multiplied by the first layer,
    # offset and 1 by the angles, all but the waves by gating and head.
    kept = np.ones(n_waves + moves + dim + 1 + n_products + width, F32)
    ends = np.cumsum([n_waves, moves, dim, 1, n_products, width])
    waves, moved, offset, _, products, hidden = np.split(kept, ends[:-1])
    moved, products = moved.reshape(steps - 1, dim), products.reshape(-1, dim)
    features, seen, reading = kept[: ends[3]], kept[n_waves:], kept[ends[1] : ends[3]]
    column, row = offset[:, None], offset[None]

    mean = of["newest_mean"].astype(F32)
    wave = _columns(of["angles"], of["angles.bias"]).dot
    first_weights = np.vstack([of["enter"], of["block0.wide"] / 2.0])
    first_bias = np.concatenate([of["enter.bias"], of["block0.wide.bias"] / 2.0])
    in_order = np.roll(first_weights, -dim, axis=1)  # offset behind waves and steps
    first = _columns(in_order, first_bias).dot
    # one after the other, so that x and W x are one product, and W x w + shift is another
    stream = np.empty(3 * width, F32)
    stream[2 * width :] = of["block0.shift"] / 2.0
    x, both, by = stream[:width], stream[: 2 * width], np.ones(2, F32)
    bend = stream[width:].reshape(2, width).T.dot
    wides = [
        _columns(of[f"block{n}.wide"] / 2.0, of[f"block{n}.wide.bias"] / 2.0).dot
        for n in range(1, blocks)
    ]
    backs = [_columns(of[f"block{n}.back"], of[f"block{n}.back.bias"]).dot for n in range(blocks)]
    first_back, later_blocks = backs[0], list(zip(wides, backs[1:], strict=True))
    normed, bent = np.ones(width + 1, F32), np.ones(width + 1, F32)
    normed_x, bent_x = normed[:width], bent[:width]
    u, added = np.empty(width, F32), np.empty(width, F32)
    last_scale = (of["last.scale"] / 2.0).astype(F32)
    last = np.empty((2, width), F32)
    last[1] = of["last.shift"] / 2.0
    last_x, bend_last = last[0], last.T.dot

    answer = np.empty(experts + math.prod(shape), F32)
    logits, chunk = answer[:experts], answer[experts:].reshape(shape)
    heads = [one.dot for one in _heads(of, moves, dim)]
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


def _heads(of: dict[str, np.ndarray], moves: int, dim: int) -> list[np.ndarray]:
    """Of each expert (K + H*A, terms): the gating above its head, behind the decoder, with the
    reference. Terms: steps, offset, 1, products, hidden."""
    decoder, reference = of["decoder"], of["reference"]
    offset, steps, products = np.split(reference, [dim, dim + moves], axis=1)
    gating, experts = of["gating"], len(of["heads"])
    unseen = np.zeros((len(gating), dim + moves)), np.zeros((len(gating), products.shape[1]))
    above = np.hstack([unseen[0], of["gating.bias"][:, None], unseen[1], gating])
    made = []
    for one in range(experts):
        bias = of["heads.bias"][one, 0] @ decoder + of["reference.bias"]
        head = (of["heads"][one] @ decoder).T
        below = np.hstack([steps, offset, bias[:, None], products, head])
        made.append(np.asfortranarray(np.vstack([above, below]), F32))
    return made


def _columns(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(out, in + 1): weights (out, in) and a bias (out,), in the order in which BLAS reads them."""
    return np.asfortranarray(np.column_stack([weight, bias]), F32)
