"""What a URDF says of a robot's joints: their order, their limits, and what they move."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bounded_file import read_text_up_to
from vdd_ros.errors import UserError
from vdd_ros.xml_text import parsed

LARGEST_BYTES = 32 * (1 << 20)
MOVING = ("revolute", "continuous", "prismatic")
KINDS = (*MOVING, "fixed", "floating", "planar")
OF_A_CAMERA = re.compile(r"camera|optical|realsense|(^|_)cam(_|\d|$)")
XACRO = "{http://www.ros.org/wiki/xacro}"
EXPAND = "expand it first: ros2 run xacro xacro FILE.urdf.xacro -o FILE.urdf"


class UrdfJoint(NamedTuple):
    """One <joint>: limits in rad or m, None where the file says nothing. lower, upper: the narrower
    of <limit> and <safety_controller>; mimics: the joint that it follows, None where it is free."""

    name: str
    kind: str
    parent: str
    child: str
    lower: float | None = None
    upper: float | None = None
    velocity: float | None = None
    effort: float | None = None
    mimics: str | None = None

    @property
    def moves(self) -> bool:
        return self.kind in MOVING


class Urdf(NamedTuple):
    """A robot: `joints` in the file's order."""

    name: str
    joints: tuple[UrdfJoint, ...]
    links: tuple[str, ...]

    def joint(self, name: str) -> UrdfJoint:
        """One by its name; KeyError where there is none."""
        return {joint.name: joint for joint in self.joints}[name]

    def path(self, base: str, tool: str) -> tuple[UrdfJoint, ...] | None:
        """The joints from one link to another that it carries, in order; None where it does not."""
        above = {joint.child: joint for joint in self.joints}
        found: list[UrdfJoint] = []
        link = tool
        while link != base:
            if link not in above or len(found) > len(self.joints):
                return None
            found.append(above[link])
            link = above[link].parent
        return tuple(reversed(found))

    def rigid_end(self, link: str) -> str:
        """The link furthest from this one of all that fixed joints hold to it, such as tool0, but
        for cameras: their frames are often further out than any tool."""
        fixed = [
            (one.parent, one.child)
            for one in self.joints
            if one.kind == "fixed" and not OF_A_CAMERA.search(one.child.lower())
        ]
        ends = [(0, link)]
        for depth, at in ends:  # which grows meanwhile
            held = [child for parent, child in fixed if parent == at]
            ends += [(depth + 1, child) for child in held if depth < len(self.joints)]
        return max(ends, key=lambda end: end[0])[1]


def read_urdf(path: Path) -> Urdf:
    """The robot in a file; raises UserError where there is none."""
    try:
        text = read_text_up_to(path, LARGEST_BYTES)
    except FileNotFoundError:
        raise UserError(f"no URDF at {path}: name an existing file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: name a URDF, which is XML") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a URDF file") from None
    try:
        return urdf_of(text)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def urdf_of(text: str) -> Urdf:
    """The robot in a text; raises ValueError with a clause that says what to do."""
    try:
        root = parsed(text)
    except ValueError as error:
        if "unbound prefix" in str(error) and "<xacro:" in text:
            raise ValueError(f"this is xacro, not URDF: {EXPAND}") from None
        raise
    if any(str(part.tag).startswith(XACRO) for part in root.iter()):
        raise ValueError(f"this is xacro, not URDF: {EXPAND}")
    if root.tag != "robot":
        raise ValueError(f"its root is <{root.tag}>, that of a URDF is <robot>: name a URDF file")
    links = tuple(_named(part, "link") for part in root.findall("link"))
    joints = tuple(_joint(part) for part in root.findall("joint"))
    _require_once("links", links)
    _require_once("joints", [joint.name for joint in joints])
    _require_tree(joints, links)
    return Urdf(root.get("name") or "robot", joints, links)


def _joint(part: ET.Element) -> UrdfJoint:
    name = _named(part, "joint")
    kind = part.get("type")
    if kind not in KINDS:
        raise ValueError(f"joint {name} has the type {kind!r}; write one of {', '.join(KINDS)}")
    ends = {}
    for end in ("parent", "child"):
        found = part.find(end)
        link = None if found is None else found.get("link")
        if link is None:
            raise ValueError(f"joint {name} has no <{end} link=...>: add it")
        ends[end] = link
    limit, soft, mimic = part.find("limit"), part.find("safety_controller"), part.find("mimic")
    lowers = [_number(name, limit, "lower"), _number(name, soft, "soft_lower_limit")]
    uppers = [_number(name, limit, "upper"), _number(name, soft, "soft_upper_limit")]
    # a controller without soft limits says 0 and 0, as the format has it
    if lowers[1] == uppers[1]:
        lowers, uppers = lowers[:1], uppers[:1]
    return UrdfJoint(
        name,
        kind,
        **ends,
        lower=max((one for one in lowers if one is not None), default=None),
        upper=min((one for one in uppers if one is not None), default=None),
        velocity=_number(name, limit, "velocity"),
        effort=_number(name, limit, "effort"),
        mimics=None if mimic is None else mimic.get("joint") or "another",
    )


def _named(part: ET.Element, what: str) -> str:
    name = part.get("name")
    if not name:
        raise ValueError(f"a <{what}> has no name: add one")
    return name


def _number(joint: str, part: ET.Element | None, key: str) -> float | None:
    text = None if part is None else part.get(key)
    if text is None:
        return None
    if "${" in text:
        raise ValueError(f"joint {joint}: {key} is {text!r}, which is xacro: {EXPAND}")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"joint {joint}: {key} is {text!r}, write a number") from None
    if not math.isfinite(value):
        raise ValueError(f"joint {joint}: {key} is {text}, write a finite number")
    return value


def _require_once(what: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{what} of one name: {', '.join(twice)}; rename all but one")


def _require_tree(joints: tuple[UrdfJoint, ...], links: tuple[str, ...]) -> None:
    carried = Counter(joint.child for joint in joints)
    for joint in joints:
        for link in (joint.parent, joint.child):
            if link not in links:
                raise ValueError(
                    f"joint {joint.name} names the link {link}, which is not there: add it"
                )
        if carried[joint.child] > 1:
            raise ValueError(f"link {joint.child} hangs on several joints; a URDF is a tree")
