"""Device files of teleoperation: those that are shipped, and what is wrong with others."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from raw_contracts import changed
from two_arms import CONFIG

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.teleop.build import follower_of, motion_of
from vdd_ros.teleop.cartesian import Cartesian, read_model
from vdd_ros.teleop.device import LeaderDevice, read_device
from vdd_ros.teleop.following import Following
from vdd_ros.teleop.jog import Jog
from vdd_ros.teleop.joystick import Joystick
from vdd_ros.teleop.keys import Keys
from vdd_ros.teleop.leader_map import LeaderMap

TELEOP = CONFIG / "teleop"
# every shipped device, a contract it is for, and how it moves the follower
SHIPPED = {
    "leader_panda": ("panda_avoid", Following),
    "leader_panda_hand": ("panda_hand", Following),
    "gamepad": ("panda_gripper", Cartesian),
    "spacemouse": ("panda_push", Cartesian),
    "keyboard": ("panda_block_push", Cartesian),
    "keyboard_panda_joints": ("panda_hand", Jog),
    "twist": ("panda_avoid_tool_pose", Cartesian),
}


def contract_named(name: str) -> Contract:
    return Contract.from_yaml(CONFIG / f"{name}.yaml")


def raw_of(name: str) -> dict:
    return yaml.safe_load((TELEOP / f"{name}.yaml").read_text())


def test_every_shipped_device_is_tried_here():
    assert {path.stem for path in TELEOP.glob("*.yaml")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_device_fits_its_contract(name):
    device = read_device(TELEOP / f"{name}.yaml")
    contract = contract_named(SHIPPED[name][0])
    model = read_model(CONFIG / "kinematics" / "panda_tools.yaml")
    motion = motion_of(device, contract, model)
    assert isinstance(motion, SHIPPED[name][1])
    follower = follower_of(device, contract, motion, hold=True)
    assert follower.tick(0.0) is None


@pytest.mark.parametrize("name", ["panda_avoid", "panda_hand"])
def test_one_gamepad_does_for_an_arm_with_and_without_a_gripper(name):
    device, contract = read_device(TELEOP / "gamepad.yaml"), contract_named(name)
    stick = Joystick(device, contract)
    buttons = np.zeros(21, dtype=int)
    buttons[[9, 0]] = 1
    reading = stick.read([0.0] * 6, buttons)
    assert reading.wanted is True and reading.grip == 0.0


REFUSED = {
    "another source": ("gamepad", "source", "joystick", "source is 'joystick'; choose one of"),
    "an unknown key": ("gamepad", "speed", 1.0, "unknown key 'speed'"),
    "no version": ("gamepad", "format_version", None, "missing 'format_version'"),
    "an axis too many": ("gamepad", "motion.0.axis", 6, "axis 6 is beyond n_axes 6"),
    "axis and button": ("gamepad", "motion.0.button", 3, "name an axis or a button"),
    "a button twice": ("gamepad", "let_go_button", 9, "button 9 is named twice"),
    "a key for a button": ("gamepad", "gripper.close", "a", "gripper.close"),
    "open is close": ("gamepad", "gripper.open", 0, "button 0 is named twice"),
    "a whole deadband": ("gamepad", "deadband", 1.0, "deadband"),
    "no rate": ("gamepad", "motion.0.rate", float("nan"), "motion.0.rate"),
    "a topic with a space": ("gamepad", "topic", "a b", "topic"),
    "a key that is taken": ("keyboard", "motion.0.key", "q", "key 'q' is taken"),
    "a key twice": ("keyboard", "motion.0.key", "s", "key 's' is named twice"),
    "two keys in one": ("keyboard", "motion.0.key", "up", "motion.0.key"),
    "a sign of two": ("leader_panda", "joints.panda_joint1.sign", 2, "sign"),
    "half a range": ("leader_panda", "joints.panda_joint1.span", [0, 1], "span and means go"),
    "a speed above one": ("leader_panda", "take_up.speed", 1.5, "take_up.speed"),
    "there before lost": ("leader_panda", "take_up.within", 0.6, "is not below lost"),
    "no patience": ("twist", "timeout_s", 0.0, "timeout_s"),
}


@pytest.mark.parametrize(("name", "place", "value", "said"), REFUSED.values(), ids=list(REFUSED))
def test_a_bad_file_ends_in_one_sentence(tmp_path, name, place, value, said):
    path = tmp_path / "device.yaml"
    path.write_text(yaml.safe_dump(changed(raw_of(name), place, value)))
    with pytest.raises(UserError) as told:
        read_device(path)
    assert said in str(told.value) and "device.yaml" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_range_and_a_sign_are_two_ways_to_say_it():
    raw = raw_of("leader_panda")
    joint = {"leader": "a", "sign": -1, "span": [0, 1], "means": [1, 0]}
    raw["joints"]["panda_joint1"] = joint
    with pytest.raises(ValueError, match="take the place of sign"):
        LeaderDevice.model_validate(raw)
    raw["joints"]["panda_joint1"] = {"leader": "a", "span": [1, 1], "means": [1, 0]}
    with pytest.raises(ValueError, match="is one point"):
        LeaderDevice.model_validate(raw)


@pytest.mark.parametrize(
    ("held", "name", "said"),
    [
        ([], "panda_hand", r"missing \['panda_gripper'\]"),
        (["panda_joint1"], "panda_avoid", r"repeated \['panda_joint1'\]"),
        (["waist"], "panda_avoid", r"unknown \['waist'\]"),
    ],
)
def test_each_joint_is_led_or_held_once(held, name, said):
    device = LeaderDevice.model_validate(raw_of("leader_panda") | {"held": held})
    with pytest.raises(UserError, match=said):
        LeaderMap(device, contract_named(name))


def test_a_joint_that_the_robot_has_not_is_not_moved():
    contract = contract_named("g1_bottle")
    with pytest.raises(UserError, match="moves 'panda_joint1' of motion is not among the joints"):
        Keys(read_device(TELEOP / "keyboard_panda_joints.yaml"), contract)
    mixed = changed(raw_of("keyboard"), "motion.0.moves", "panda_joint1")
    device = type(read_device(TELEOP / "keyboard.yaml")).model_validate(mixed)
    with pytest.raises(UserError, match="name joints, or only x, y, z, roll"):
        Keys(device, contract_named("panda_avoid"))


def test_a_gripper_of_several_has_to_be_named():
    device = read_device(TELEOP / "gamepad.yaml")
    contract = contract_named("g1_bottle")
    motion = Jog(contract)
    with pytest.raises(UserError, match="gripper is not named, and g1_bottle has left_hand_pinky"):
        follower_of(device, contract, motion, hold=True)
    named = changed(device.model_dump(), "gripper.joint", "finger")
    with pytest.raises(UserError, match="gripper is finger, and g1_bottle has no such joint"):
        follower_of(type(device).model_validate(named), contract, motion, hold=True)


def test_without_kinematics_a_twist_is_refused_with_what_to_do():
    device = read_device(TELEOP / "twist.yaml")
    with pytest.raises(UserError, match=r"has no kinematics.*kinematics/panda_tools\.yaml"):
        motion_of(device, contract_named("panda_avoid"), None)


def test_kinematics_that_do_not_have_the_tool_are_told(tmp_path):
    path = tmp_path / "k.yaml"
    raw = yaml.safe_load((CONFIG / "kinematics" / "panda_tools.yaml").read_text())
    raw["model"] = str(CONFIG / "kinematics" / "panda_tools.xml")
    raw["tools"] = raw["tools"][:1]
    path.write_text(yaml.safe_dump(raw))
    device, model = read_device(TELEOP / "twist.yaml"), read_model(path)
    with pytest.raises(UserError, match="frames.tool panda_hand_tcp is not among the tools"):
        motion_of(device, contract_named("panda_hand"), model)
    path.write_text(yaml.safe_dump(raw | {"solver": "x"}))
    with pytest.raises(UserError, match="unknown key 'solver'"):
        read_model(path)
    path.write_text(yaml.safe_dump(raw | {"model": "none.xml"}))
    with pytest.raises(UserError, match=r"none\.xml"):
        read_model(path)
