"""Contracts of actions that need more than joints: what is refused, and what ties a policy."""

from __future__ import annotations

import json

import pytest
import yaml
from raw_contracts import changed
from two_arms import CARTESIAN, CONFIG, MEANINGS, arm_with_gripper, one_arm, two_arms, written

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.kinematic_model import names_in, reduced

PANDA = (CONFIG / "kinematics" / "panda_rod.xml").read_text()


def raw_of(meaning: str = "tool_pose") -> dict:
    return one_arm(meaning).to_dict()


TOOL = "kinematics.tools.0"
VELOCITY = {"name": "v", "stream": "joint_state", "field": "velocity"}
REFUSED = {
    "an unknown meaning": ("action.meaning", "torque", ["action.meaning", "'velocity'", "torque"]),
    "no kinematics": ("kinematics", None, ["kinematics", "go together", "tool_pose"]),
    "kinematics for nothing": ("action.meaning", "velocity", ["go together", "or neither"]),
    "a file that is not there": (
        "kinematics.model",
        "no.xml",
        ["no.xml", "cannot be read", "URDF"],
    ),
    "no XML": ("kinematics.model", "<mujoco", ["kinematics.model", "this is no XML"]),
    "another XML": ("kinematics.model", "<sdf/>", ["<sdf> is neither MJCF nor URDF"]),
    "a part of a model": (
        "kinematics.model",
        '<mujoco><include file="a.xml"/></mujoco>',
        ["includes other files", "write it into one"],
    ),
    "a frame that is not there": (f"{TOOL}.frame", "tip", ["frame tip is not among the model's"]),
    "another tool in frames": ("frames.tool", "tip", ["frames.tool tip is not among the tools"]),
    "another base": ("frames.base", "table", ["frames.base table is not among its frames, panda"]),
    "a joint that is not there": (
        f"{TOOL}.joints.0",
        "waist",
        ["joint waist of tool panda_rod_tip is not among the model's joints, panda_joint1"],
    ),
    "a joint that is not the robot's": (
        "joints.0.name",
        "another",
        ["joint panda_joint1 of tool panda_rod_tip is not among the joints, another"],
    ),
    "a joint twice": (f"{TOOL}.joints.1", "panda_joint1", ["repeat"]),
    "a joint too few": (f"{TOOL}.joints", ["panda_joint1"], ["1 joints and a posture of 7"]),
    "a posture out of reach": (f"{TOOL}.posture.3", 1.0, ["posture 1 of panda_joint4", "-3.0718"]),
    "a fraction of an arm": (
        "joints.0",
        {"name": "panda_joint1", "unit": "fraction", "lower": 0, "upper": 1, "velocity": 1}
        | {"acceleration": 1},
        ["panda_joint1", "has a fraction for its unit"],
    ),
    "no tool": ("kinematics.tools", [], ["kinematics.tools", "at least 1 item"]),
    "an unknown key": ("kinematics.solver", "x", ["unknown key 'kinematics.solver'"]),
    "absolute for nothing": (
        "action.absolute",
        ["panda_joint1"],
        ["absolute is for relative_position and velocity"],
    ),
    "no joint positions": ("observation", [VELOCITY], ["observe position of joint_state"]),
}


@pytest.mark.parametrize(("place", "value", "said"), REFUSED.values(), ids=list(REFUSED))
def test_a_bad_contract_ends_in_one_sentence_and_exit_code_2(tmp_path, capsys, place, value, said):
    path = written(tmp_path, changed(raw_of(), place, value))
    assert cli.main(["contract", "show", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    for words in said:
        assert words in printed.err


def test_what_only_the_model_itself_can_tell_is_found_by_a_check_as_well(tmp_path, capsys):
    raw = raw_of()
    tool = raw["kinematics"]["tools"][0]
    tool["joints"], tool["posture"] = tool["joints"][1:], tool["posture"][1:]
    assert cli.main(["contract", "show", str(written(tmp_path, raw))]) == 2
    assert "moves panda_rod_tip within panda_link0" in capsys.readouterr().err


def test_the_same_tool_twice_is_refused():
    raw = raw_of()
    raw["kinematics"]["tools"] *= 2
    with pytest.raises(UserError, match="frames of tools repeat"):
        Contract.from_dict(raw)


@pytest.mark.parametrize("meaning", MEANINGS[1:3])
def test_what_stays_absolute_is_a_joint(meaning):
    raw = changed(raw_of(meaning), "action.absolute", ["finger"])
    with pytest.raises(UserError, match="joint finger of absolute is not among the joints, panda"):
        Contract.from_dict(raw)


def test_an_action_is_absolute_positions_where_nothing_is_said():
    raw = raw_of("absolute_position")
    expected = Contract.from_dict(raw)
    del raw["action"]["meaning"]
    assert Contract.from_dict(raw) == expected


def test_the_hash_of_a_contract_from_before_is_what_it_was(contract):
    known = "185fb9dc938c7984"
    assert contract.interface_hash.startswith(known)


@pytest.mark.parametrize("make", [one_arm, arm_with_gripper, two_arms])
@pytest.mark.parametrize("meaning", MEANINGS)
def test_contracts_survive_being_written_down(tmp_path, meaning, make):
    contract = make(meaning)
    assert Contract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract
    again = Contract.from_yaml(written(tmp_path, contract.to_dict()))
    assert again.contract_hash == contract.contract_hash


@pytest.mark.parametrize("meaning", MEANINGS)
def test_a_policy_is_tied_to_what_its_actions_mean_and_a_recording_is_not(meaning):
    contract = one_arm(meaning)
    for other in map(one_arm, MEANINGS):
        contract.require_same_recording(other, "episode x")
        if other.action.meaning == meaning:
            continue
        assert other.interface_hash != contract.interface_hash
        with pytest.raises(UserError, match="differ in action"):
            contract.require_same_interface(other, "bundle x")
    slower = changed(contract.to_dict(), "rates.policy_hz", 5.0)
    with pytest.raises(UserError, match="differ in rates"):
        contract.require_same_recording(Contract.from_dict(slower), "episode x")


@pytest.mark.parametrize(
    ("before", "after", "ties"),
    [
        ("0.316", "0.317", True),
        ("<!-- Kinematics", "<!-- Of", False),
        ("<joint ", '<geom size="0.1" mass="2"/><joint ', False),
        ("</mujoco>", '<asset><mesh file="none.stl"/></asset></mujoco>', False),
        ("  <body", "<body", False),
    ],
)
def test_a_policy_is_tied_to_the_lengths_of_the_arm_and_not_to_its_looks(before, after, ties):
    contract = one_arm("tool_pose")
    assert before in PANDA
    model = PANDA.replace(before, after)
    other = Contract.from_dict(changed(contract.to_dict(), "kinematics.model", model))
    assert (other.interface_hash != contract.interface_hash) is ties
    if ties:
        with pytest.raises(UserError, match="they differ in kinematics"):
            contract.require_same_interface(other, "bundle x")


def test_a_reduced_model_stays_as_it_is():
    once = reduced(PANDA)
    assert reduced(once) == once and "<!--" not in once
    assert names_in(once).joints == {f"panda_joint{number}" for number in range(1, 8)}
    assert {"panda_link0", "panda_rod_tip"} <= names_in(once).frames
    urdf = reduced('<robot name="a"><link name="b"/><gazebo/><joint name="c"/></robot>')
    assert reduced(urdf) == urdf and names_in(urdf) == ({"c"}, {"b"})


def test_a_model_is_looked_for_beside_its_contract(tmp_path):
    raw = yaml.safe_load((CONFIG / "panda_avoid_tool_pose.yaml").read_text())
    (tmp_path / "kinematics").mkdir()
    (tmp_path / "kinematics" / "panda_rod.xml").write_text(PANDA)
    raw["extends"] = str((CONFIG / "panda_avoid.yaml").resolve())
    moved = Contract.from_yaml(written(tmp_path, raw))
    assert moved.interface_hash == one_arm("tool_pose").interface_hash
    assert str(tmp_path) not in json.dumps(moved.to_dict())


@pytest.mark.parametrize("meaning", CARTESIAN)
def test_a_check_says_what_an_action_is(tmp_path, capsys, meaning):
    path = written(tmp_path, two_arms(meaning).to_dict())
    assert cli.main(["contract", "show", str(path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (
        f"action 20 ({meaning} of right_panda_rod_tip, left_panda_rod_tip, absolute left_gripper, "
        "right_gripper)"
    ) in told
