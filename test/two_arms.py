"""Contracts of every meaning of an action: one arm, one with a gripper, two with one each."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from vdd_ros.contract import Contract

CONFIG = Path(__file__).resolve().parents[1] / "config"
MEANINGS = (
    "absolute_position",
    "relative_position",
    "velocity",
    "tool_pose",
    "relative_tool_pose",
)
CARTESIAN = MEANINGS[3:]
SIDES = {"left": 0.3, "right": -0.3}  # y of each arm's base [m]
HOME = (0.0, 0.2, 0.0, -2.3, 0.0, 2.5, 0.8)  # [rad]
GRIPPER = {"unit": "fraction", "lower": 0, "upper": 1, "velocity": 5, "acceleration": 100}


def one_arm(meaning: str) -> Contract:
    name = "panda_avoid_tool_pose" if meaning in CARTESIAN else "panda_avoid"
    raw = Contract.from_yaml(CONFIG / f"{name}.yaml").to_dict()
    raw["action"]["meaning"] = meaning
    return Contract.from_dict(raw)


def arm_with_gripper(meaning: str) -> Contract:
    """The gripper between the joints of the arm, where it is easily taken for one of them."""
    raw = one_arm(meaning).to_dict()
    raw["joints"].insert(3, {"name": "gripper", **GRIPPER})
    if meaning in ("relative_position", "velocity"):
        raw["action"]["absolute"] = ["gripper"]
    return Contract.from_dict(raw)


def two_arms(meaning: str) -> Contract:
    """Left arm, its gripper, right arm, its gripper; the tools are told right before left."""
    single = one_arm("tool_pose").to_dict()
    raw = single | {"joints": [], "name": "two_pandas", "frames": {"base": "torso"}}
    for side in SIDES:
        raw["joints"] += [one | {"name": f"{side}_{one['name']}"} for one in single["joints"]]
        raw["joints"].append({"name": f"{side}_gripper", **GRIPPER})
    raw["frames"]["tool"] = "right_panda_rod_tip"
    raw["action"]["meaning"] = meaning
    raw.pop("kinematics")
    if meaning in ("relative_position", "velocity"):
        raw["action"]["absolute"] = [f"{side}_gripper" for side in SIDES]
    if meaning in CARTESIAN:
        raw["kinematics"] = {"model": two_arm_model(), "tools": [tool_of("right"), tool_of("left")]}
    return Contract.from_dict(raw)


def tool_of(side: str) -> dict:
    return {
        "frame": f"{side}_panda_rod_tip",
        "joints": [f"{side}_panda_joint{number}" for number in range(1, 8)],
        "posture": list(HOME),
    }


def two_arm_model() -> str:
    """MJCF: a torso that stands turned in the world, with a Panda on either side."""
    text = (CONFIG / "kinematics" / "panda_rod.xml").read_text()
    arm = re.search(r"<worldbody>(.*)</worldbody>", text, re.DOTALL).group(1)
    arms = "".join(
        f'<body pos="0 {y} 0" euler="{-y} 0 0">{arm.replace("panda_", f"{side}_panda_")}</body>'
        for side, y in SIDES.items()
    )
    return (
        '<mujoco><compiler angle="radian"/><worldbody>'
        f'<body name="torso" pos="1 2 0.5" euler="0 0 0.7">{arms}</body></worldbody></mujoco>'
    )


def written(folder: Path, raw: dict) -> Path:
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path
