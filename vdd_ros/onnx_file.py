"""OnnxModel: what an ONNX file says, read without the onnx package, and nothing run of it.

The file is protocol buffers. What is read here are the fields of onnx.proto that a graph with float
and integer constants needs.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.protobuf import Damaged, fields, varint

# numbers of TensorProto.DataType
DTYPES = {
    **{1: np.float32, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_},
    **{10: np.float16, 11: np.float64},
}
# A field of two bytes takes 250 here, an integer of two 36; nodes and constants are thousands, and
# large tables raw bytes.
MOST_FIELDS, MOST_PACKED = 1 << 18, 1 << 21
# what reading bytes that say something else than expected may raise
UNREADABLE = (
    *(OSError, ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError),
    *(struct.error, MemoryError),
)
Message = dict[int, list]
Value = np.ndarray | float | int | str | list


class Node(NamedTuple):
    """inputs: names, empty where one is left out."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Value]


class Port(NamedTuple):
    """dtype: None where it is none of DTYPES; shape: 0 for an axis of no fixed size."""

    name: str
    dtype: type | None
    shape: tuple[int, ...]


class OnnxModel(NamedTuple):
    """nodes: in an order in which they can be run; constants: by name, read-only."""

    nodes: list[Node]
    constants: dict[str, np.ndarray]
    inputs: list[Port]
    outputs: list[Port]


def read_model(source: str | Path | bytes) -> OnnxModel:
    """Raises UserError where it cannot be read."""
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        return _model(memoryview(data))
    except UNREADABLE as error:
        name = "the model" if isinstance(source, bytes) else source
        raise UserError(f"{name} is not a usable ONNX model ({error}): export it again") from None


def _model(data: memoryview) -> OnnxModel:
    (graph_bytes,) = _fields(data).get(7, [b""])[-1:]
    graph = _fields(memoryview(graph_bytes))
    if 1 not in graph or 12 not in graph:
        raise Damaged("it has no graph with nodes and outputs")
    constants = dict(_tensor(_fields(tensor)) for tensor in graph.get(5, []))
    inputs = [port for port in map(_port, graph.get(11, [])) if port.name not in constants]
    return OnnxModel(
        [_node(_fields(node)) for node in graph[1]],
        constants,
        inputs,
        [_port(port) for port in graph[12]],
    )


def _node(node: Message) -> Node:
    domain = _text(node, 7)
    if domain not in ("", "ai.onnx"):
        raise Damaged(f"it uses operators of {domain!r}")
    attributes = dict(_attribute(_fields(one)) for one in node.get(5, []))
    return Node(_text(node, 4), _texts(node, 1), _texts(node, 2), attributes)


def _attribute(attribute: Message) -> tuple[str, Value]:
    name, kind = _text(attribute, 1), attribute.get(20, [0])[-1]
    if kind == 1:
        return name, struct.unpack("<f", attribute[2][-1])[0]
    if kind == 2:
        return name, _signed(attribute[3][-1])
    if kind == 3:
        return name, _text(attribute, 4)
    if kind == 4:
        return name, _tensor(_fields(attribute[5][-1]))[1]
    if kind == 6:
        return name, _numbers(attribute.get(7, []), np.float32).tolist()
    if kind == 7:
        return name, [_signed(one) for one in _varints(attribute.get(8, []))]
    raise Damaged(f"attribute {name!r} is of kind {kind}")


def _tensor(tensor: Message) -> tuple[str, np.ndarray]:
    name, dims = _text(tensor, 8), [_signed(one) for one in _varints(tensor.get(1, []))]
    dtype = DTYPES.get(tensor.get(2, [0])[-1])
    if dtype is None or 13 in tensor or tensor.get(14, [0])[-1]:
        raise Damaged(f"{name!r} is of type {tensor.get(2)}, or kept in another file")
    if 9 in tensor:
        values = np.frombuffer(tensor[9][-1], np.dtype(dtype).newbyteorder("<"))
    elif dtype is np.float32:
        values = _numbers(tensor.get(4, []), np.float32)
    elif dtype is np.float64:
        values = _numbers(tensor.get(10, []), np.float64)
    else:
        field = 7 if dtype is np.int64 else 5
        values = np.array([_signed(one) for one in _varints(tensor.get(field, []))], np.int64)
        values = values.astype(np.uint16).view(np.float16) if dtype is np.float16 else values
    if min(dims, default=0) < 0:  # which numpy takes for whatever is left
        raise Damaged(f"{name!r} is of shape {dims}")
    array = values.astype(dtype).reshape(dims)
    array.flags.writeable = False
    return name, array


def _port(data: memoryview) -> Port:
    port = _fields(data)
    kind = _fields(_last(_fields(_last(port, 2)), 1))
    shape = [_fields(axis).get(1, [0])[-1] for axis in _fields(_last(kind, 2)).get(1, [])]
    if not all(isinstance(size, int) for size in shape):
        raise Damaged(f"{_text(port, 1)!r} has an axis whose size is no number")
    dtype = DTYPES.get(kind.get(1, [0])[-1])
    return Port(_text(port, 1), dtype, tuple(shape))


def _fields(data: memoryview) -> Message:
    """What a message says, by field number, in the order of the file."""
    message: Message = {}
    for count, (number, value) in enumerate(fields(data)):
        if count == MOST_FIELDS:
            raise Damaged(f"a part of it has more than {MOST_FIELDS} fields")
        message.setdefault(number, []).append(value)
    return message


def _varints(values: list) -> list[int]:
    """Of a repeated field: one by one, or packed."""
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            found.append(number)
            if len(found) > MOST_PACKED:
                raise Damaged(f"a list of more than {MOST_PACKED} integers")
    return found


def _numbers(values: list, dtype: type) -> np.ndarray:
    """Of a repeated field of fixed size: one by one, or packed."""
    return np.frombuffer(b"".join(values), np.dtype(dtype).newbyteorder("<"))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _last(message: Message, number: int) -> memoryview:
    return message[number][-1] if number in message else memoryview(b"")


def _text(message: Message, number: int) -> str:
    return bytes(_last(message, number)).decode()


def _texts(message: Message, number: int) -> list[str]:
    return [bytes(one).decode() for one in message.get(number, [])]
