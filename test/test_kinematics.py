"""Kinematics: beside robosuite's Panda, at the ends of an arm's reach, and of other models."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import robosuite
from scipy.spatial.transform import Rotation
from two_arms import HOME, arm_with_gripper, one_arm, two_arms

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.kinematics import Kinematics, ToolPoses

CONTRACT = one_arm("tool_pose")
LOWER, UPPER = CONTRACT.limit("lower"), CONTRACT.limit("upper")
REACH = CONTRACT.limit("velocity") / CONTRACT.rates.policy_hz
START = np.array(HOME)


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics(CONTRACT)


def at(poses: ToolPoses, offset, steps: int) -> ToolPoses:
    """The first of these poses, moved by an offset [m], again and again."""
    positions = poses.positions[:1] + np.asarray(offset)
    return ToolPoses(np.repeat(positions, steps, 0), np.repeat(poses.rotations[:1], steps, 0))


def assert_continuous(found: np.ndarray, start: np.ndarray) -> None:
    moves = np.diff(found, axis=0, prepend=start[None])
    assert (np.abs(moves) <= REACH + 1e-9).all()
    assert not CONTRACT.beyond(found).any() and np.isfinite(found).all()


def test_the_models_tool_is_where_robosuites_is(kinematics):
    from vdd_ros.sim.demonstrators.panda_arm import PandaArm

    arm = PandaArm("RodGripper")
    joints = np.random.default_rng(0).uniform(LOWER, UPPER, (50, 7))
    found = kinematics.forward(joints).positions[:, 0]
    # robosuite's flange is half a millimetre off the manufacturer's
    np.testing.assert_allclose(found, [arm.tip(one) for one in joints], atol=1e-3)


@pytest.mark.parametrize(
    "offset", [(2, 0, 0.3), (0, 2, 0), (0, 0, -2), (0, 0, 3), (-2, 0, 0), (1e6, -1e6, 1e6)]
)
def test_what_is_out_of_reach_is_approached_and_then_held(kinematics, offset):
    home = kinematics.forward(START[None])
    asked = at(home, offset, 24)
    found = kinematics.inverse(asked, START)
    assert_continuous(found, START)
    reached = kinematics.forward(found).positions[:, 0]
    # along the way there: of what is far away only the direction counts
    along = (reached - home.positions[0, 0]) @ (np.array(offset) / np.linalg.norm(offset))
    assert along[0] > 0.01 and along[-1] > 0.15
    assert along[-1] >= along.max() - 0.05, "and not given up again"
    assert np.abs(np.diff(found[-4:], axis=0)).max() < 0.05, "nor trembling"


@pytest.mark.parametrize(
    "way", [(1, 0, 0.3), (1, 0.5, 0), (0.6, -0.6, -0.2), (0, 0, 1), (0.5, 0, -1)]
)
def test_a_motion_past_the_end_of_reach_comes_back(kinematics, way):
    """Out to where the arm is stretched, and in again: no elbow that turns over on the way."""
    home = kinematics.forward(START[None])
    out = 0.6 * np.sin(np.linspace(0, np.pi, 60))[:, None, None]
    asked = ToolPoses(home.positions + out * way, np.repeat(home.rotations, 60, 0))
    found = kinematics.inverse(asked, START)
    assert_continuous(found, START)
    off = np.linalg.norm(kinematics.forward(found).positions - asked.positions, axis=-1)
    assert off.max() > 0.02 and off[-1] < 1e-3
    # and the elbow soon is where it would have stayed
    stays = at(home, 0.0, 12)
    later, never = (kinematics.inverse(stays, begin)[-1] for begin in (found[-1], START))
    np.testing.assert_allclose(later, never, atol=1e-3)


@pytest.mark.parametrize(("angle", "left"), [(-2.9, 0.5), (np.pi, 15.0)])
def test_half_a_turn_at_once_is_a_continuous_path(kinematics, angle, left):
    """Of exactly half a turn either way is the shorter one, and one is barred by joint 7."""
    home = kinematics.forward(START[None])
    about = home.rotations @ Rotation.from_rotvec([0, 0, angle]).as_matrix()
    asked = ToolPoses(np.repeat(home.positions, 30, 0), np.repeat(about, 30, 0))
    found = kinematics.inverse(asked, START)
    assert_continuous(found, START)
    got = kinematics.forward(found[-1:])
    off = Rotation.from_matrix(got.rotations[0, 0].T @ about[0, 0]).magnitude()
    assert np.degrees(off) < left
    assert np.linalg.norm(got.positions - home.positions) < 0.04


def test_an_arm_that_stands_outside_its_limits_is_brought_inside(kinematics):
    start = START.copy()
    start[3] = UPPER[3] + 0.03
    found = kinematics.inverse(at(kinematics.forward(START[None]), 0.0, 3), start)
    assert not CONTRACT.beyond(found).any()


def test_a_hundred_random_poses_one_after_another_stay_within_limits(kinematics):
    rng = np.random.default_rng(2)
    poses = kinematics.forward(rng.uniform(LOWER, UPPER, (100, 7)))
    assert_continuous(kinematics.inverse(poses, START), START)


def test_where_the_contract_names_no_posture_the_elbow_stays_where_it_is():
    raw = CONTRACT.to_dict()
    del raw["kinematics"]["tools"][0]["posture"]
    free, leaning = Kinematics(Contract.from_dict(raw)), Kinematics(CONTRACT)
    bent = leaning.inverse(at(leaning.forward(START[None]), [0.1, 0.1, 0], 20), START)[-1]
    bent[2] += 0.5
    stays = at(leaning.forward(bent[None]), 0.0, 20)
    np.testing.assert_allclose(free.inverse(stays, bent)[-1], bent, atol=1e-3)
    assert abs(leaning.inverse(stays, bent)[-1] - bent).max() > 0.1


URDF = """<robot name="slide">
  <link name="base"><visual><geometry><mesh filename="package://none/a.stl"/></geometry></visual></link>
  <link name="carriage"/><link name="arm"/><link name="tip"/><link name="lamp"/>
  <joint name="x" type="prismatic"><parent link="base"/><child link="carriage"/>
    <origin xyz="0 0 0.5"/><axis xyz="1 0 0"/><limit lower="0" upper="1" effort="1" velocity="1"/>
  </joint>
  <joint name="turn" type="revolute"><parent link="carriage"/><child link="arm"/>
    <axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
  <joint name="mount" type="fixed"><parent link="arm"/><child link="tip"/>
    <origin xyz="0.3 0 0"/></joint>
  <joint name="nod" type="revolute"><parent link="carriage"/><child link="lamp"/>
    <axis xyz="0 1 0"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint>
  <transmission name="t"/>
</robot>"""


def slide(model: str = URDF, **changes) -> Contract:
    raw = CONTRACT.to_dict()
    limits = {"lower": -2.0, "upper": 2.0, "velocity": 20.0, "acceleration": 5.0}
    raw["joints"] = [
        {"name": "x", "unit": "m", **limits},
        {"name": "turn", "unit": "rad", **limits},
    ]
    raw["frames"] = {"base": "base", "tool": "tip"}
    raw["kinematics"] = {"model": model, "tools": [{"frame": "tip", "joints": ["x", "turn"]}]}
    return Contract.from_dict(raw | changes)


def test_a_urdf_with_meshes_that_are_not_here_and_a_tool_on_a_fixed_joint():
    contract = slide()
    kinematics = Kinematics(contract)
    poses = kinematics.forward(np.array([[0.2, 0.0], [0.4, np.pi / 2]]))
    np.testing.assert_allclose(poses.positions[:, 0], [[0.5, 0, 0.5], [0.4, 0.3, 0.5]], atol=1e-12)
    found = kinematics.inverse(poses, np.array([0.1, 0.1]))
    np.testing.assert_allclose(found, [[0.2, 0.0], [0.4, np.pi / 2]], atol=1e-3)
    assert "mesh" not in contract.kinematics.model and "transmission" not in contract.to_dict()


def test_of_an_arm_that_can_only_do_some_of_it_comes_the_nearest():
    """Up is nowhere to go for a slide and a turn."""
    kinematics = Kinematics(slide())
    poses = kinematics.forward(np.array([[0.2, 0.3]]))
    found = kinematics.inverse(at(poses, [0, 0, 0.4], 5), np.array([0.0, 0.0]))
    np.testing.assert_allclose(found[-1], [0.2, 0.3], atol=2e-3)


def test_the_joints_of_a_tool_are_those_that_move_it():
    raw = slide().to_dict()["kinematics"]["tools"][0]
    for joints, told in ((["x"], "x, turn moves tip"), (["x", "turn", "nod"], "x, turn moves tip")):
        tools = {"model": URDF, "tools": [raw | {"joints": joints}]}
        limits = {"lower": -1.0, "upper": 1.0, "velocity": 1.0, "acceleration": 5.0}
        more = [*slide().to_dict()["joints"], {"name": "nod", "unit": "rad", **limits}]
        with pytest.raises(UserError, match=f"{told} within base, .*: name the same"):
            Kinematics(slide(kinematics=tools, joints=more))
    frames = {"base": "arm", "tool": "tip"}
    with pytest.raises(UserError, match="nothing moves tip within arm"):
        Kinematics(slide(frames=frames))
    frames = {"base": "lamp", "tool": "tip"}
    with pytest.raises(UserError, match="lamp is moved by nod, which does not move tip: name a"):
        Kinematics(slide(frames=frames))


def test_a_base_that_is_carried_along_is_where_poses_are_seen_from():
    """From the carriage the slide moves nothing."""
    tools = [{"frame": "tip", "joints": ["turn"]}]
    frames = {"base": "carriage", "tool": "tip"}
    contract = slide(frames=frames, kinematics={"model": URDF, "tools": tools})
    kinematics = Kinematics(contract)
    poses = kinematics.forward(np.array([[0.1, 0.0], [0.9, 0.0], [0.5, np.pi / 2]]))
    expected = [[0.3, 0, 0], [0.3, 0, 0], [0, 0.3, 0]]
    np.testing.assert_allclose(poses.positions[:, 0], expected, atol=1e-12)
    found = kinematics.inverse(poses, np.array([0.7, 0.1]))
    np.testing.assert_allclose(found, [[0.7, 0], [0.7, 0], [0.7, np.pi / 2]], atol=1e-3)
    assert contract.joints_beside_tools == ("x",)


def test_a_joint_of_another_kind_than_its_unit_is_told():
    joints = [one | {"unit": "rad"} for one in slide().to_dict()["joints"]]
    with pytest.raises(UserError, match="x is in rad, and of another kind"):
        Kinematics(slide(joints=joints))


def test_a_model_that_mujoco_does_not_take_is_told_in_one_sentence():
    broken = URDF.replace('axis xyz="1 0 0"', 'axis xyz="0 0 0"')
    with pytest.raises(UserError, match="the kinematic model of contract .* is not usable") as told:
        Kinematics(slide(broken))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("library", ["mink", "mujoco"])
def test_without_the_library_it_is_said_how_to_get_it(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        UserError, match=rf"{library} is needed: pip install 'vdd_ros\[cartesian\]'"
    ):
        Kinematics(CONTRACT)


def test_a_model_of_others_with_shapes_meshes_and_motors_is_taken():
    """robosuite's own Panda, with its joints renamed to the contract's."""
    folder = Path(robosuite.__file__).parent / "models" / "assets" / "robots" / "panda"
    text = (folder / "robot.xml").read_text().replace('name="joint', 'name="panda_joint')
    raw = CONTRACT.to_dict() | {"frames": {"base": "link0", "tool": "right_hand"}}
    raw["kinematics"] = raw["kinematics"] | {"model": text}
    raw["kinematics"]["tools"][0]["frame"] = "right_hand"
    theirs, ours = Kinematics(Contract.from_dict(raw)), Kinematics(CONTRACT)
    joints = np.random.default_rng(3).uniform(LOWER, UPPER, (20, 7))
    hand, tip = theirs.forward(joints), ours.forward(joints)
    along = hand.positions + 0.18 * hand.rotations[..., 2]
    np.testing.assert_allclose(along, tip.positions, atol=1e-3)
    np.testing.assert_allclose(hand.rotations, tip.rotations, atol=1e-3)


def test_what_moves_no_tool_stays_as_it_is():
    contract = arm_with_gripper("tool_pose")
    kinematics = Kinematics(contract)
    start = np.insert(START, 3, 0.7)
    found = kinematics.inverse(at(kinematics.forward(start[None]), [0.05, 0, 0], 4), start)
    np.testing.assert_array_equal(found[:, 3], 0.7)
    assert np.abs(found[-1] - start).max() > 0.02


def test_one_arm_out_of_reach_does_not_hold_up_the_other():
    contract = two_arms("tool_pose")
    kinematics = Kinematics(contract)
    start = np.tile(np.append(START, 0.5), 2)
    asked = at(kinematics.forward(start[None]), [[3.0, 0, 0], [0.05, 0, 0]], 12)
    found = kinematics.forward(kinematics.inverse(asked, start)[-1:])
    off = np.linalg.norm(found.positions - asked.positions[-1:], axis=-1)[0]
    assert off[0] > 1.0 and off[1] < 1e-3
