"""The text of a kinematic model, MJCF or URDF, reduced to what moves: bodies, joints and frames.

So a contract can carry its model into every episode and bundle, no mesh has to be there, and the
interface does not change with a colour. Nothing here needs a simulator.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bounded_file import read_text_up_to
from vdd_ros.errors import UserError

MJCF_KEPT = {"compiler", "default", "worldbody", "body", "frame", "joint", "freejoint", "site"}
URDF_KEPT = {"link", "joint", "parent", "child", "origin", "axis", "limit"}
MOVES_NOTHING = {
    "rgba", "material", "group", "user", "damping", "armature", "frictionloss", "stiffness",
    "springref", "springdamper", "margin", "range", "limited", "solreflimit", "solimplimit",
    "solreffriction", "solimpfriction", "actuatorfrcrange", "actuatorfrclimited",
    "actuatorgravcomp", "gravcomp",
}  # fmt: skip
COMPILER_KEPT = {"angle", "eulerseq", "autolimits"}
LARGEST_BYTES = 16 << 20
DEEPEST = 200  # parts within parts, of an arm a few for each joint
# What has neither mass nor shape is given some: only positions are asked for.
MASSLESS = {"boundmass": "1", "boundinertia": "1"}


class Names(NamedTuple):
    """What a model has: `frames` are bodies, links and sites."""

    joints: frozenset[str]
    frames: frozenset[str]


def with_model_text(raw: object, folder: Path) -> object:
    """A contract as read from a file in `folder`, with the text of its kinematic model in place of
    that file's name; raises UserError where it cannot be read."""
    kinematics = raw.get("kinematics") if isinstance(raw, dict) else None
    model = kinematics.get("model") if isinstance(kinematics, dict) else None
    if not isinstance(raw, dict) or not isinstance(model, str) or _is_text(model):
        return raw
    path = folder / model
    try:
        text = read_text_up_to(path, LARGEST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"kinematics.model {path} cannot be read ({error}): name an MJCF or URDF file, seen "
            "from the contract's folder"
        ) from None
    return raw | {"kinematics": {**raw["kinematics"], "model": text}}


def reduced(text: str) -> str:
    """A model without all that does not move anything, in canonical XML; raises ValueError for what
    is no model. What was reduced before stays as it is."""
    try:
        root = ET.fromstring(text)
        if _depth(root) > DEEPEST:
            raise ValueError(f"the model nests more than {DEEPEST} parts; name another")
    except ET.ParseError as error:
        raise ValueError(f"this is no XML ({error}); name an MJCF or URDF file") from None
    if root.tag == "mujoco":
        if next(root.iter("include"), None) is not None:
            raise ValueError("the model includes other files; write it into one (mj_saveLastXML)")
        _keep(root, MJCF_KEPT)
        for part in root.iter():
            for name in MOVES_NOTHING & part.attrib.keys():
                del part.attrib[name]
        _set_compiler(root, {})
    elif root.tag == "robot":
        _keep(root, URDF_KEPT)
        # without it, links on fixed joints, which tools are, would be merged into others
        _set_compiler(ET.SubElement(root, "mujoco"), {"fusestatic": "false"})
    else:
        raise ValueError(
            f"<{root.tag}> is neither MJCF nor URDF; name a file of <mujoco> or <robot>"
        )
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


def names_in(text: str) -> Names:
    """Joints and frames of a model that was reduced."""
    root = ET.fromstring(text)
    joints = {part.get("name", "") for part in root.iter("joint")}
    frames = {part.get("name", "") for tag in ("body", "site", "link") for part in root.iter(tag)}
    return Names(frozenset(joints - {""}), frozenset(frames - {""}))


def _depth(root: ET.Element) -> int:
    """How deep its parts nest; found level by level, as they may nest deeper than calls can."""
    depth, level = 0, [root]
    while level:
        depth, level = depth + 1, [child for part in level for child in part]
    return depth


def _is_text(model: str) -> bool:
    return model.lstrip().startswith("<")


def _keep(part: ET.Element, tags: set[str]) -> None:
    for child in list(part):
        if child.tag in tags:
            _keep(child, tags)
        else:
            part.remove(child)


def _set_compiler(parent: ET.Element, further: dict[str, str]) -> None:
    """One compiler element, with what decides about angles, and what makes up for what is gone."""
    kept: dict[str, str] = {}
    for found in parent.findall("compiler"):
        kept |= {name: value for name, value in found.attrib.items() if name in COMPILER_KEPT}
        parent.remove(found)
    ET.SubElement(parent, "compiler", {**kept, **MASSLESS, **further})
