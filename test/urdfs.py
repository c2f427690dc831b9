"""Robots as URDF text: a small one of every kind of joint, and real ones that robosuite brings."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

SHORT = '<limit lower="0" upper="0.4" velocity="0.2" effort="1"/>'
LIMIT = '<limit lower="-2.5" upper="2.0" velocity="1.5" effort="40"/>'


def joint(name: str, kind: str, parent: str, child: str, inside: str = LIMIT) -> str:
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f"{inside}</joint>"
    )


def robot(*parts: str, links: tuple[str, ...] = ("base", "a", "b", "c")) -> str:
    joined = "".join(f'<link name="{link}"/>' for link in links) + "".join(parts)
    return f'<?xml version="1.0"?>\n<robot name="Arm-2">{joined}</robot>'


# an arm of three joints with a rigid tool, and a gripper of two fingers, one of which mimics
SMALL = robot(
    joint("turn", "revolute", "base", "a"),
    joint("roll", "continuous", "a", "b", '<limit velocity="3" effort="9"/>'),
    joint(
        "slide", "prismatic", "b", "c", '<limit lower="0" upper="0.4" velocity="0.2" effort="1"/>'
    ),
    joint("flange", "fixed", "c", "tool0", ""),
    joint("left_finger", "prismatic", "tool0", "left"),
    joint("right_finger", "prismatic", "tool0", "right", f'{LIMIT}<mimic joint="left_finger"/>'),
    # other elements name joints as well, with their own meaning
    '<ros2_control name="x" type="system"><joint name="turn"/></ros2_control>',
    links=("base", "a", "b", "c", "tool0", "left", "right"),
)


def real(name: str) -> Path:
    """A URDF of bullet's, which robosuite has beside its own models."""
    spec = find_spec("robosuite")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "models" / "assets" / "bullet_data"
    return next(folder.glob(f"*/urdf/{name}.urdf"))
