"""Whether an ONNX file is all there is of its graph, read without any library that would load it.

A tensor of a graph may say that its numbers are in another file, by any path. A bundle is opened
only where none does. All messages are walked, by the numbers of onnx.proto, also those of which no
runtime here makes anything (onnx_file.py).
"""

from __future__ import annotations

from vdd_ros.protobuf import fields

DEEPEST = 100  # messages within messages, as protobuf's own readers allow
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


def external_tensor(model: bytes) -> str | None:
    """Name of a tensor whose numbers are in another file, None where there is none; raises
    ValueError for what is no protocol buffer of a model."""
    return _external(memoryview(model), "Model", 0)


def _external(data: memoryview, message: str, depth: int) -> str | None:
    if depth > DEEPEST:
        raise ValueError(f"messages nest more than {DEEPEST} deep")
    if message == "Tensor":
        return _name(data) if any(_is_elsewhere(*one) for one in fields(data)) else None
    for number, value in fields(data):  # never all at once: an empty field takes two bytes
        inner = WITHIN[message].get(number)
        if inner is not None and not isinstance(value, int):
            external = _external(value, inner, depth + 1)
            if external is not None:
                return external
    return None


def _name(tensor: memoryview) -> str:
    """Empty where it has none."""
    for number, value in fields(tensor):
        if number == NAME and not isinstance(value, int):
            return bytes(value).decode(errors="replace")
    return ""


def _is_elsewhere(number: int, value: int | memoryview) -> bool:
    return number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0)
