"""Whether an ONNX file is all there is of its graph, read without any library that would load it.

A tensor of a graph may say that its numbers are in another file, by any path. A bundle is opened
only where none does. This walks the protocol buffer (protobuf.dev, "Encoding") by the numbers of
onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DEEPEST = 100  # messages within messages, as protobuf's own readers allow
LARGEST_TAG = (1 << 32) - 1  # of larger ones other readers drop bits, and see another field
# message -> number of a field -> the message that it holds
WITHIN = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {
        **{5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph"},
        **{22: "SparseTensor", 23: "SparseTensor"},
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
NAME, EXTERNAL_DATA, DATA_LOCATION = 8, 13, 14  # of a Tensor


class Field(NamedTuple):
    """value: a number, or the bytes within."""

    number: int
    value: int | memoryview


def external_tensor(model: bytes) -> str | None:
    """Name of a tensor whose numbers are in another file, None where there is none; raises
    ValueError for what is no protocol buffer of a model."""
    return _external(memoryview(model), "Model", 0)


def _external(data: memoryview, message: str, depth: int) -> str | None:
    if depth > DEEPEST:
        raise ValueError(f"messages nest more than {DEEPEST} deep")
    fields = list(_fields(data))
    if message == "Tensor":
        return _name(fields) if any(_is_elsewhere(one) for one in fields) else None
    for one in fields:
        inner = WITHIN[message].get(one.number)
        if inner is not None and not isinstance(one.value, int):
            found = _external(one.value, inner, depth + 1)
            if found is not None:
                return found
    return None


def _name(fields: list[Field]) -> str:
    """Of a tensor, empty where it has none."""
    names = [one.value for one in fields if one.number == NAME and not isinstance(one.value, int)]
    return bytes(names[0]).decode(errors="replace") if names else ""


def _is_elsewhere(field: Field) -> bool:
    return field.number == EXTERNAL_DATA or (field.number == DATA_LOCATION and field.value != 0)


def _fields(data: memoryview) -> Iterator[Field]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag > LARGEST_TAG:
            raise ValueError(f"a field has the number {tag >> 3}")
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(data, at)
            yield Field(number, value)
            continue
        if wire == BYTES:
            size, at = _varint(data, at)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(data):
            raise ValueError("a field ends beyond its message")
        yield Field(number, data[at : at + size])
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number has no end")
