"""ROS parameters, declared from and read into a frozen dataclass.

@dataclass(frozen=True)
class SimParameters:
    contract: str = parameter("", "path of the contract YAML", required=True)
    seed: int = parameter(0, "seed of the episodes", lower=0)

settings = read_parameters(node, SimParameters)
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node

from vdd_ros.errors import UserError

T = TypeVar("T")
UNBOUNDED_INT = 2**62
UNBOUNDED_FLOAT = 1e300


def parameter(
    default: Any,
    description: str,
    *,
    lower: float | None = None,
    upper: float | None = None,
    choices: tuple[str, ...] = (),
    required: bool = False,
) -> Any:
    """A dataclass field that is a ROS parameter of the type of `default`: bool, int, float or str.

    lower and upper bound a number, `choices` a text; a `required` text may not stay empty.
    """
    metadata = {
        "description": description,
        "lower": lower,
        "upper": upper,
        "choices": choices,
        "required": required,
    }
    return field(default=default, metadata=metadata)


def read_parameters(node: Node, kind: type[T]) -> T:
    """Declare every field of `kind` on `node` and read what was set; raises UserError.

    The parameters are read-only afterwards: a node is set up once.
    """
    items = fields(kind)  # type: ignore[arg-type]  # there is no name for "a dataclass"
    return kind(**{item.name: _read(node, item) for item in items})


def _read(node: Node, item) -> Any:
    default, meta = item.default, item.metadata
    # Dynamic typing lets `10` stand for the float 10.0; the type is checked here, with a sentence.
    descriptor = ParameterDescriptor(
        description=meta["description"],
        read_only=True,
        dynamic_typing=True,
        additional_constraints=f"one of {list(meta['choices'])}" if meta["choices"] else "",
    )
    if type(default) is int:
        descriptor.integer_range = [
            IntegerRange(from_value=v[0], to_value=v[1], step=0)
            for v in _bounds(meta, UNBOUNDED_INT)
        ]
    if type(default) is float:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=v[0], to_value=v[1])
            for v in _bounds(meta, UNBOUNDED_FLOAT)
        ]
    try:
        value = node.declare_parameter(item.name, default, descriptor).value
    except ParameterException as error:
        raise UserError(f"parameter {item.name} ({meta['description']}): {error}") from None
    return _checked(item.name, value, default, meta)


def _bounds(meta, unbounded) -> list[tuple]:
    if meta["lower"] is None and meta["upper"] is None:
        return []
    lower = -unbounded if meta["lower"] is None else meta["lower"]
    upper = unbounded if meta["upper"] is None else meta["upper"]
    return [(type(unbounded)(lower), type(unbounded)(upper))]


def _checked(name: str, value: Any, default: Any, meta) -> Any:
    if type(default) is float and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise UserError(
            f"parameter {name} is {value!r}, write a {type(default).__name__}: "
            f"{meta['description']}"
        )
    if meta["choices"] and value not in meta["choices"]:
        raise UserError(f"parameter {name} is {value!r}; choose one of {list(meta['choices'])}")
    if meta["required"] and not value:
        raise UserError(f"parameter {name} is not set; it is needed, set it: {meta['description']}")
    for bound, outside in (("lower", -1), ("upper", 1)):
        if meta[bound] is not None and (value - meta[bound]) * outside > 0:
            raise UserError(
                f"parameter {name} is {value}, beyond its {bound} bound {meta[bound]}: correct it"
            )
    return value
