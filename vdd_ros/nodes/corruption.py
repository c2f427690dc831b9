"""What can be wrong with a message, one function for each: a message in, changed in place.

`fault_relay` applies them to what it passes on. `value` and `joint` are what the fault is told to
use, where it uses any.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from vdd_ros.nodes.messages import stamp_ns_of, time_message

Corrupt = Callable[[Any, Any, str], None]
DEGREES = 57.29577951308232


def set_position(message: Any, value: float, joint: str) -> None:
    """Of one joint, or of all."""
    for place, name in enumerate(message.name):
        if joint in ("", name):
            message.position[place] = value


def set_velocity(message: Any, value: float, joint: str) -> None:
    """Of one joint, or of all."""
    for place, name in enumerate(message.name):
        if joint in ("", name):
            message.velocity[place] = value


def add_position(message: Any, value: float, joint: str) -> None:
    """To one joint, or to all."""
    for place, name in enumerate(message.name):
        if joint in ("", name):
            message.position[place] += value


def in_degrees(message: Any, value: float, joint: str) -> None:
    """As a driver that does not know radians."""
    message.position = [position * DEGREES for position in message.position]


def without_joint(message: Any, value: float, joint: str) -> None:
    """One joint less, everywhere."""
    place = list(message.name).index(joint)
    for field in ("name", "position", "velocity"):
        setattr(message, field, [x for n, x in enumerate(getattr(message, field)) if n != place])


def rename_joint(message: Any, value: float, joint: str) -> None:
    """A joint of another robot in its place."""
    message.name = [f"other_{name}" if name == joint else name for name in message.name]


def repeat_joint(message: Any, value: float, joint: str) -> None:
    """The first joint has another's name."""
    message.name = [joint, *list(message.name)[1:]]


def turn_round(message: Any, value: float, joint: str) -> None:
    """All that it tells, in another order: nothing is wrong with it."""
    for field in ("name", "position", "velocity"):
        setattr(message, field, list(getattr(message, field))[::-1])


def shorten(message: Any, value: float, joint: str) -> None:
    """Fewer positions than names."""
    message.position = list(message.position)[:-1]


def lengthen(message: Any, value: float, joint: str) -> None:
    """More positions than names."""
    message.position = [*message.position, value]


def empty(message: Any, value: float, joint: str) -> None:
    """Nothing but a header."""
    for field in message.get_fields_and_field_types():
        if field != "header":
            setattr(message, field, [])


def shift_stamp(message: Any, value: float, joint: str) -> None:
    """By seconds."""
    message.header.stamp = time_message(max(1, stamp_ns_of(message) + round(value * 1e9)))


def without_stamp(message: Any, value: float, joint: str) -> None:
    """As publishers that do not stamp."""
    message.header.stamp = time_message(0)


def place_object(message: Any, value: list[float], joint: str) -> None:
    """The first object somewhere else."""
    point = message.poses[0].position
    point.x, point.y, point.z = value


def lose_object(message: Any, value: float, joint: str) -> None:
    """One pose less."""
    message.poses = list(message.poses)[:-1]


def repeat_object(message: Any, value: float, joint: str) -> None:
    """One pose more."""
    message.poses = [*message.poses, message.poses[-1]]


def lose_rows(message: Any, value: float, joint: str) -> None:
    """A picture of fewer rows, and nothing wrong with it but that."""
    message.height = int(value)
    message.data = message.data[: message.step * message.height]


def lose_pixels(message: Any, value: float, joint: str) -> None:
    """All but a share of a picture's bytes, which it still says that it has."""
    message.data = message.data[: int(len(message.data) * value)]


def call_encoding(message: Any, value: str, joint: str) -> None:
    """The same bytes under another name."""
    message.encoding = value


def blacken(message: Any, value: float, joint: str) -> None:
    """As under a cap."""
    message.data = array("B", bytes(len(message.data)))


def dim(message: Any, value: float, joint: str) -> None:
    """A share of the light, and none of it red."""
    levels = bytes(int(level * value) for level in range(256))
    data = bytearray(bytes(message.data).translate(levels))
    data[::3] = bytes(len(data[::3]))
    message.data = array("B", data)


CORRUPTIONS: dict[str, Corrupt] = {
    one.__name__: one
    for one in (
        set_position,
        set_velocity,
        add_position,
        in_degrees,
        without_joint,
        rename_joint,
        repeat_joint,
        turn_round,
        shorten,
        lengthen,
        empty,
        shift_stamp,
        without_stamp,
        place_object,
        lose_object,
        repeat_object,
        lose_rows,
        lose_pixels,
        call_encoding,
        blacken,
        dim,
    )
}
