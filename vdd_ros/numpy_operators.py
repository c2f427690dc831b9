"""ONNX's operators in numpy: of each, how a node becomes a result and the calls that refresh it.

`OPERATORS[kind](operands)` gives the result, an array whose place in memory stays, and one call, or
None where the result is another view of an operand and follows it by itself. Rows are given one
number more, a 1 behind their end, so that a product with a bias is one call of BLAS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from vdd_ros.onnx_file import DTYPES, Node

Call = Callable[[], object]
# one array, or one for each of several outputs
Result = tuple[Any, Call | None]
EPSILON = 1e-5  # ONNX's own, of a LayerNormalization that names none
MOST_NUMBERS = 1 << 24  # of one array; pictures of a window are far fewer


class Operands(NamedTuple):
    """values: of the node's inputs, None for one left out; fixed: which of them are constants."""

    node: Node
    values: list[Any]
    fixed: list[bool]

    def attribute(self, name: str, default: Any = None) -> Any:
        """By its name, or what ONNX says where it is not written."""
        return self.node.attributes.get(name, default)

    def constant(self, index: int, default: Any = None) -> Any:
        """An input that has to be known when the graph is opened, as plain Python."""
        if index >= len(self.values) or self.values[index] is None:
            return default
        if not self.fixed[index]:
            raise ValueError(f"{self.node.kind}: input {index} is no constant")
        return self.values[index].tolist()


def bounded(*sizes: int) -> None:
    """Raise ValueError where an array of so many rows, columns and so on is not to be made: a few
    bytes of a file can ask for more than there is memory."""
    if math.prod(sizes) > MOST_NUMBERS:
        raise ValueError(f"an array of shape {sizes}, more than {MOST_NUMBERS} numbers")


def room(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array for a result; one row has a 1 behind its end (see `extended`)."""
    bounded(*shape)
    if len(shape) == 2 and shape[0] == 1:
        whole = np.ones(shape[1] + 1, dtype)
        row = whole[None, :-1]
        whole.flags.writeable = False  # by this `extended` knows it; the row stays writable
        return row
    return np.zeros(shape, dtype)


def extended(row: np.ndarray) -> np.ndarray | None:
    """(n + 1,) a row (1, n) and the 1 behind it; None where there is none, or the row is another
    view of such an array than the one that `room` gave."""
    whole = row.base
    if row.shape[0] != 1 or not isinstance(whole, np.ndarray) or whole.flags.writeable:
        return None
    is_whole = whole.shape == (row.shape[1] + 1,) and row.strides[1] == whole.itemsize
    return whole if is_whole and row.ctypes.data == whole.ctypes.data else None


def _filled(function: Callable, *operands: np.ndarray) -> Result:
    """Of a numpy function that takes `out`."""
    shape = function(*operands)
    out = room(shape.shape, shape.dtype)
    return out, partial(function, *operands, out)


def _elementwise(function: Callable) -> Callable[[Operands], Result]:
    def build(operands: Operands) -> Result:
        bounded(*np.broadcast_shapes(*(np.shape(value) for value in operands.values)))
        return _filled(function, *operands.values)

    return build


def _viewed(view: Callable[[np.ndarray], np.ndarray], source: np.ndarray) -> Result:
    """Another view of the source; a copy where there is no such view."""
    found = view(source)
    if np.shares_memory(found, source):
        return found, None
    out = np.zeros(found.shape, found.dtype)
    shaped = out.reshape(source.shape)
    return out, partial(np.copyto, shaped, source)


def _composed(out: np.ndarray, *calls: Call) -> Result:
    def call() -> None:
        for one in calls:
            one()

    return out, call


def _sigmoid(operands: Operands) -> Result:
    """1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2, which never overflows."""
    (x,) = operands.values
    out, half = room(x.shape, x.dtype), x.dtype.type(0.5)

    def call() -> None:
        np.multiply(x, half, out)
        np.tanh(out, out)
        np.multiply(out, half, out)
        np.add(out, half, out)

    return out, call


def _erf(operands: Operands) -> Result:
    """numpy has none: number by number."""
    (x,) = operands.values
    out = room(x.shape, x.dtype)
    flat = out.reshape(-1)

    def call() -> None:
        flat[:] = [math.erf(one) for one in x.ravel().tolist()]

    return out, call


def _gelu(operands: Operands) -> Result:
    """x (1 + erf(x / sqrt(2))) / 2"""
    (x,) = operands.values
    if operands.attribute("approximate", "none") != "none":
        raise ValueError("Gelu by an approximation")
    out, half = room(x.shape, x.dtype), x.dtype.type(0.5)
    flat, root = out.reshape(-1), math.sqrt(0.5)

    def call() -> None:
        flat[:] = [1.0 + math.erf(root * one) for one in x.ravel().tolist()]
        np.multiply(out, x, out)
        np.multiply(out, half, out)

    return out, call


def _softplus(operands: Operands) -> Result:
    (x,) = operands.values
    return _filled(np.logaddexp, x, np.zeros_like(x))


def _log_softmax(operands: Operands) -> Result:
    """Over the last axis."""
    (x,) = operands.values
    if operands.attribute("axis", -1) not in (-1, x.ndim - 1):
        raise ValueError("LogSoftmax over another axis than the last")
    out = room(x.shape, x.dtype)

    def call() -> None:
        np.subtract(x, np.logaddexp.reduce(x, axis=-1, keepdims=True), out)

    return out, call


def _softmax(operands: Operands) -> Result:
    """Over the last axis."""
    out, refresh = _log_softmax(operands)
    assert refresh is not None
    return _composed(out, refresh, partial(np.exp, out, out))


def _gemm(operands: Operands) -> Result:
    """alpha A B + beta C; of one row and constants, one product with a matrix of [B C]."""
    a, b, *rest = operands.values
    c = rest[0] if rest else None
    if operands.attribute("transA", 0) or operands.attribute("alpha", 1.0) != 1.0:
        raise ValueError("Gemm with transA or alpha")
    if operands.attribute("transB", 0):
        b = b.T
    if c is not None and operands.attribute("beta", 1.0) != 1.0:
        raise ValueError("Gemm with beta")
    return _product(a, b, c, operands.fixed[1], c is None or operands.fixed[2])


def _matmul(operands: Operands) -> Result:
    a, b = operands.values
    if a.ndim == b.ndim == 2:
        return _product(a, b, None, operands.fixed[1], True)
    bounded(*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *a.shape[-2:-1], b.shape[-1])
    return _filled(np.matmul, a, b)


def _product(
    a: np.ndarray, b: np.ndarray, c: np.ndarray | None, b_fixed: bool, c_fixed: bool
) -> Result:
    """A B + C of two axes each."""
    dtype = np.result_type(a, b)
    out = room((a.shape[0], b.shape[1]), dtype)
    if a.shape[0] == 1 and b_fixed:
        row, whole = out[0], extended(a)
        if c is not None and c_fixed and whole is not None:
            both = np.asfortranarray(np.vstack([b, np.broadcast_to(c, (1, b.shape[1]))]).T)
            return out, partial(np.dot, both, whole, row)
        multiply = partial(np.dot, np.asfortranarray(b.T), a[0], row)
        return (out, multiply) if c is None else _composed(out, multiply, _adding(out, c))
    if b_fixed:
        b = np.ascontiguousarray(b)
    multiply = partial(np.matmul, a, b, out)
    return (out, multiply) if c is None else _composed(out, multiply, _adding(out, c))


def _adding(out: np.ndarray, c: np.ndarray) -> Call:
    return partial(np.add, out, c, out)


def _layer_norm(operands: Operands) -> Result:
    """Over the last axis; also the mean and 1 / std, where somebody asks for them."""
    x, scale, *rest = operands.values
    bias = rest[0] if rest else None
    if operands.attribute("axis", -1) not in (-1, x.ndim - 1):
        raise ValueError("LayerNormalization over another axis than the last")
    epsilon, size = operands.attribute("epsilon", EPSILON), x.shape[-1]
    out, share = room(x.shape, x.dtype), np.full(size, 1.0 / size, x.dtype)
    mean, factor = (np.zeros((*x.shape[:-1], 1), x.dtype) for _ in range(2))

    def call() -> None:
        np.matmul(x, share, mean[..., 0])
        np.subtract(x, mean, out)
        np.einsum("...i,...i->...", out, out, out=factor[..., 0])
        factor[...] = 1.0 / np.sqrt(factor / size + epsilon)
        np.multiply(out, factor, out)
        np.multiply(out, scale, out)
        if bias is not None:
            np.add(out, bias, out)

    return [out, mean, factor], call


def _sum_of_squares(operands: Operands) -> Result:
    """Of one whole row."""
    x = operands.values[0]
    if x.shape[0] != 1 or x.ndim != 2 or not operands.attribute("keepdims", 1):
        raise ValueError("ReduceSumSquare of other than one row")
    row, out = x[0], np.zeros((1, 1), x.dtype)
    return out, partial(np.dot, row, row, out.reshape(()))


def _reduced(function: Callable) -> Callable[[Operands], Result]:
    """Over the axes of its second input, or attribute."""

    def build(operands: Operands) -> Result:
        x = operands.values[0]
        axes = operands.constant(1, operands.attribute("axes"))
        axis = None if axes is None else tuple(axes)
        keep = bool(operands.attribute("keepdims", 1))
        out = np.asarray(function(x, axis=axis, keepdims=keep))
        return out, partial(function, x, axis=axis, keepdims=keep, out=out)

    return build


def _reshape(operands: Operands) -> Result:
    x, sizes = operands.values[0], operands.constant(1)
    if not operands.attribute("allowzero", 0):  # a 0 stands for the size that is there
        sizes = [x.shape[n] if size == 0 else size for n, size in enumerate(sizes)]
    return _viewed(lambda array: array.reshape(sizes), x)


def _unsqueeze(operands: Operands) -> Result:
    axes = operands.constant(1, operands.attribute("axes"))
    return _viewed(lambda array: np.expand_dims(array, tuple(axes)), operands.values[0])


def _squeeze(operands: Operands) -> Result:
    axes = operands.constant(1, operands.attribute("axes"))
    axis = None if axes is None else tuple(axes)
    return _viewed(lambda array: np.squeeze(array, axis), operands.values[0])


def _transpose(operands: Operands) -> Result:
    order = operands.attribute("perm")
    return _viewed(lambda array: np.transpose(array, order), operands.values[0])


def _expand(operands: Operands) -> Result:
    """In ONNX sizes of 1 give way on both sides."""
    x, sizes = operands.values[0], operands.constant(1)
    shape = np.broadcast_shapes(x.shape, tuple(sizes))
    bounded(*shape)
    return np.broadcast_to(x, shape), None


def _pad(operands: Operands) -> Result:
    """With a constant, all around."""
    x, amounts = operands.values[0], operands.constant(1)
    if operands.attribute("mode", "constant") != "constant" or len(operands.values) > 3:
        raise ValueError("Pad other than with a constant on all axes")
    widths = list(zip(amounts[: x.ndim], amounts[x.ndim :], strict=True))
    bounded(*(low + size + high for (low, high), size in zip(widths, x.shape, strict=True)))
    out = np.pad(x, widths, constant_values=operands.constant(2, 0.0))
    inside = tuple(slice(low, low + size) for (low, _), size in zip(widths, x.shape, strict=True))
    return out, partial(np.copyto, out[inside], x)


def _slice(operands: Operands) -> Result:
    x, starts, ends = operands.values[0], operands.constant(1), operands.constant(2)
    axes = operands.constant(3, list(range(len(starts))))
    steps = operands.constant(4, [1] * len(starts))
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        low = None if step < 0 and end < -x.shape[axis] else end
        index[axis] = slice(start, low, step)
    return x[tuple(index)], None


def _gather(operands: Operands) -> Result:
    """One place of an axis, or several; places that are inputs are looked up at each call."""
    x, places = operands.values
    axis = operands.attribute("axis", 0)
    if operands.fixed[1] and places.ndim == 0:
        return x[(slice(None),) * (axis % x.ndim) + (int(places),)], None
    bounded(*x.shape[:axis], *places.shape, *x.shape[axis:][1:])
    out = np.take(x, places, axis)
    return out, partial(np.take, x, places, axis, out)


def _concat(operands: Operands) -> Result:
    axis = operands.attribute("axis")
    parts = [np.asarray(value) for value in operands.values]
    bounded(sum(part.size for part in parts))
    shape = np.concatenate(parts, axis)
    out = room(shape.shape, shape.dtype)
    return out, partial(np.concatenate, parts, axis, out)


def _scatter(operands: Operands) -> Result:
    """ScatterND of constant places into constant data."""
    data, places, updates = operands.values
    if not (operands.fixed[0] and operands.fixed[1]):
        raise ValueError("ScatterND into other than constants")
    out, index = data.copy(), tuple(np.moveaxis(places, -1, 0))
    return out, partial(out.__setitem__, index, updates)


def _where(operands: Operands) -> Result:
    condition, x, y = operands.values
    bounded(*np.broadcast_shapes(condition.shape, x.shape, y.shape))
    out = np.where(condition, x, y)

    def call() -> None:
        np.copyto(out, y)
        np.copyto(out, x, where=condition)

    return out, call


def _cast(operands: Operands) -> Result:
    x = operands.values[0]
    out = room(x.shape, DTYPES[operands.attribute("to")])
    return out, partial(np.copyto, out, x, "unsafe")


def _filled_with(operands: Operands) -> Result:
    """ConstantOfShape."""
    value, sizes = operands.attribute("value", np.zeros(1, np.float32)), operands.constant(0)
    bounded(*sizes)
    return np.full(sizes, value.reshape(())), None


def _eye_like(operands: Operands) -> Result:
    rows, columns = operands.values[0].shape
    return np.eye(rows, columns, operands.attribute("k", 0), dtype=np.float32), None


def _clip(operands: Operands) -> Result:
    x, low, high = operands.values[0], operands.constant(1), operands.constant(2)
    out = room(x.shape, x.dtype)
    return out, partial(np.clip, x, low, high, out)


def _constant(operands: Operands) -> Result:
    """As a tensor; ONNX has other forms beside it."""
    value = operands.attribute("value")
    if not isinstance(value, np.ndarray):
        raise ValueError(f"Constant by {', '.join(operands.node.attributes)}")
    return value, None


def _same(operands: Operands) -> Result:
    return operands.values[0], None


def _split(operands: Operands) -> Result:
    x, axis = operands.values[0], operands.attribute("axis", 0)
    sizes = operands.constant(1)
    if sizes is not None:
        return np.split(x, np.cumsum(sizes)[:-1], axis), None
    count = len(operands.node.outputs)
    part = math.ceil(x.shape[axis] / count)
    return np.split(x, range(part, part * count, part), axis), None


OPERATORS: dict[str, Callable[[Operands], Result]] = {
    "Add": _elementwise(np.add),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _filled_with,
    "Cos": _elementwise(np.cos),
    "Div": _elementwise(np.divide),
    "Erf": _erf,
    "Exp": _elementwise(np.exp),
    "Expand": _expand,
    "EyeLike": _eye_like,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "Greater": _elementwise(np.greater),
    "Identity": _same,
    "LayerNormalization": _layer_norm,
    "Less": _elementwise(np.less),
    "Log": _elementwise(np.log),
    "LogSoftmax": _log_softmax,
    "MatMul": _matmul,
    "Max": _elementwise(np.maximum),
    "Min": _elementwise(np.minimum),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Pad": _pad,
    "Pow": _elementwise(np.power),
    "Reciprocal": _elementwise(np.reciprocal),
    "ReduceMax": _reduced(np.max),
    "ReduceMean": _reduced(np.mean),
    "ReduceSum": _reduced(np.sum),
    "ReduceSumSquare": _sum_of_squares,
    "Reshape": _reshape,
    "ScatterND": _scatter,
    "Sigmoid": _sigmoid,
    "Sin": _elementwise(np.sin),
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": _softplus,
    "Split": _split,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Tanh": _elementwise(np.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
