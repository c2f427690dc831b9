"""The wire format of protocol buffers (protobuf.dev, "Encoding"), which ONNX files are written in.

A message is pairs of a field's number and a value, which is an integer or bytes. What the bytes
are, another message, text or packed numbers, says the reader's own table.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
LONGEST = 10  # bytes of a number
LARGEST_TAG = (1 << 32) - 1  # of larger ones other readers drop bits, and see another field


class Damaged(ValueError):
    """Bytes that are no message, or one with parts that are not read here."""


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field, in the order of the file. Raises Damaged."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag > LARGEST_TAG:
            raise Damaged(f"a field has the number {tag >> 3}")
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        if wire == BYTES:
            size, at = varint(data, at)
        elif wire in FIXED_SIZES:
            size = FIXED_SIZES[wire]
        else:
            raise Damaged(f"field {number} is of wire type {wire}")
        if at + size > len(data):
            raise Damaged("it ends in the middle of a field")
        yield number, data[at : at + size]
        at += size


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends. Raises Damaged."""
    value = 0
    for place, byte in enumerate(data[at : at + LONGEST]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise Damaged("a number has no end")
