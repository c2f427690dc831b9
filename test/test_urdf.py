"""What is read of URDFs, and how those that cannot be used are refused."""

from __future__ import annotations

import pytest
from urdfs import LIMIT, SMALL, joint, real, robot

from vdd_ros.errors import UserError
from vdd_ros.kinematic_model import reduced
from vdd_ros.urdf import read_urdf, urdf_of

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE robot [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;">]><robot name="&c;"/>'
)
FILE = '<!DOCTYPE robot SYSTEM "file:///etc/passwd"><robot name="x"/>'
XACRO = '<robot xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:include filename="x"/></robot>'
REFUSED = {
    "no XML": ("name: yaml", ["this is no XML", "name another file"]),
    "nothing": ("", ["this is no XML"]),
    "an entity bomb": (BOMB, ["document type", "remove it"]),
    "another file": (FILE, ["document type", "remove it"]),
    "a bottomless file": ("<robot>" * 5000, ["nests more than 200 parts"]),
    "xacro": (XACRO, ["this is xacro", "ros2 run xacro xacro"]),
    "xacro undeclared": ("<robot><xacro:property/></robot>", ["this is xacro", "ros2 run xacro"]),
    "xacro in a number": (
        robot(joint("j", "revolute", "base", "a", '<limit lower="${-pi}" upper="1"/>')),
        ["joint j", "lower", "xacro"],
    ),
    "MJCF": ("<mujoco/>", ["<mujoco>", "name a URDF file"]),
    "no type": (robot(joint("j", "hinge", "base", "a")), ["joint j", "'hinge'", "revolute"]),
    "no child": (
        robot('<joint name="j" type="fixed"><parent link="base"/></joint>'),
        ["joint j has no <child link=...>: add it"],
    ),
    "no name": (robot('<joint type="fixed"/>'), ["a <joint> has no name: add one"]),
    "no number": (
        robot(joint("j", "revolute", "base", "a", '<limit lower="low" upper="1"/>')),
        ["joint j: lower is 'low', write a number"],
    ),
    "not finite": (
        robot(joint("j", "revolute", "base", "a", '<limit lower="-1" upper="inf"/>')),
        ["joint j: upper is inf, write a finite number"],
    ),
    "a joint twice": (
        robot(joint("j", "revolute", "base", "a"), joint("j", "revolute", "a", "b")),
        ["joints of one name: j", "rename"],
    ),
    "a link twice": (robot(links=("base", "base")), ["links of one name: base", "rename"]),
    "no such link": (robot(joint("j", "fixed", "base", "z")), ["joint j", "link z"]),
    "no tree": (
        robot(joint("j", "fixed", "base", "a"), joint("k", "fixed", "b", "a")),
        ["link a hangs on several joints"],
    ),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_usable_urdf_is_refused_in_one_sentence(tmp_path, text, said):
    path = tmp_path / "robot.urdf"
    path.write_text(text)
    with pytest.raises(UserError) as told:
        read_urdf(path)
    assert str(told.value).startswith(f"{path}: ") and "\n" not in str(told.value)
    for words in said:
        assert words in str(told.value)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(UserError, match="no URDF at"):
        read_urdf(tmp_path / "none.urdf")
    (tmp_path / "binary.urdf").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="no text in UTF-8"):
        read_urdf(tmp_path / "binary.urdf")
    with pytest.raises(UserError, match="Is a directory.*name a URDF file"):
        read_urdf(tmp_path)


@pytest.mark.parametrize("text", [BOMB, FILE], ids=["bomb", "file"])
def test_a_contracts_model_declares_no_entities_either(text):
    with pytest.raises(ValueError, match="document type"):
        reduced(text)


def test_every_kind_of_joint_is_read():
    urdf = urdf_of(SMALL)
    assert urdf.name == "Arm-2"
    turn, roll, slide, flange, left, right = urdf.joints
    assert (turn.lower, turn.upper, turn.velocity, turn.effort) == (-2.5, 2.0, 1.5, 40.0)
    assert (roll.kind, roll.lower, roll.upper, roll.velocity) == ("continuous", None, None, 3.0)
    assert slide.moves and not flange.moves
    assert (left.mimics, right.mimics) == (None, "left_finger")


def test_soft_limits_count_where_they_are_narrower_and_are_any():
    soft = '<safety_controller k_velocity="1" soft_lower_limit="-1.0" soft_upper_limit="9.0"/>'
    none = '<safety_controller k_velocity="1"/>'
    zero = '<safety_controller k_velocity="1" soft_lower_limit="0" soft_upper_limit="0"/>'
    found = urdf_of(
        robot(
            joint("j", "revolute", "base", "a", LIMIT + soft),
            joint("k", "revolute", "a", "b", LIMIT + none),
            joint("l", "revolute", "b", "c", LIMIT + zero),
        )
    ).joints
    assert [(one.lower, one.upper) for one in found] == [(-1.0, 2.0), (-2.5, 2.0), (-2.5, 2.0)]


def test_paths_and_rigid_ends_follow_the_tree():
    urdf = urdf_of(SMALL)
    path = urdf.path("base", "tool0")
    assert path is not None
    assert [one.name for one in path] == ["turn", "roll", "slide", "flange"]
    assert urdf.path("base", "base") == ()
    assert urdf.path("tool0", "base") is None and urdf.path("left", "right") is None
    assert urdf.rigid_end("c") == "tool0" and urdf.rigid_end("a") == "a"


def test_a_camera_is_no_tool_however_far_out_it_is():
    links = ("wrist", "tool0", "gripper", "wrist_camera", "lens", "color_optical_frame", "cam_2")
    urdf = urdf_of(
        robot(
            joint("a", "fixed", "wrist", "tool0", ""),
            joint("b", "fixed", "tool0", "gripper", ""),
            joint("c", "fixed", "tool0", "wrist_camera", ""),
            joint("d", "fixed", "wrist_camera", "lens", ""),
            joint("e", "fixed", "lens", "color_optical_frame", ""),
            joint("f", "fixed", "gripper", "cam_2", ""),
            links=links,
        )
    )
    assert urdf.rigid_end("wrist") == "gripper"


def test_links_in_a_circle_come_to_an_end():
    urdf = urdf_of(robot(joint("j", "fixed", "a", "b"), joint("k", "fixed", "b", "a")))
    assert urdf.path("base", "a") is None
    assert urdf.rigid_end("a") in ("a", "b")


def test_a_real_robot_is_read():
    urdf = read_urdf(real("panda_arm_hand"))
    assert [one.name for one in urdf.joints if one.moves][:7] == [
        f"panda_joint{number}" for number in range(1, 8)
    ]
    assert urdf.joint("panda_joint4").upper == -0.0698
    assert urdf.rigid_end("panda_link7") == "panda_hand"
