"""Encoders that count otherwise: observations and commands are corrected, by the same numbers."""

from __future__ import annotations

import ast
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import yaml
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.serde import SerdeError

from vdd_ros.bag import RawMessage, typestore
from vdd_ros.calibration_parts import JointOffset, JointOffsets, Residuals, Source
from vdd_ros.cdr import joints_cdr
from vdd_ros.contract import Contract
from vdd_ros.episode import decode
from vdd_ros.errors import UserError
from vdd_ros.nodes.messages import command_message, fields_of, joint_state_message, message_class
from vdd_ros.nodes.wire import Decoder, Encoder
from vdd_ros.robot_calibration import RobotCalibration

ROOT = Path(__file__).resolve().parent.parent
PLAIN = Contract.from_yaml(ROOT / "config/panda_avoid.yaml")
NAMES = PLAIN.joint_names
SIGN = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0])
OFFSET = np.array([0.1, 0.2, 0.0, -0.3, 1.5, 0.0, -0.7])
ENCODERS = {n: {"sign": int(s), "offset": o} for n, s, o in zip(NAMES, SIGN, OFFSET, strict=True)}
CONTRACT = Contract.from_dict({**PLAIN.to_dict(), "encoders": ENCODERS})
TRAJECTORY = Contract.from_dict(
    {
        **CONTRACT.to_dict(),
        "streams": {
            **CONTRACT.to_dict()["streams"],
            "robot_command": {
                **CONTRACT.to_dict()["streams"]["robot_command"],
                "type": "trajectory_msgs/msg/JointTrajectory",
                "timeline": "header",
            },
        },
    }
)
TARGET = np.array([0.3, -0.4, 0.5, -1.6, 0.7, 1.8, -0.9])
STAMP_NS = 1_700_000_000_000_000_000


class ArmWithOtherEncoders:
    """Does as it is told and tells where it is, as its encoders count; knows nothing of vdd_ros."""

    def __init__(self, contract: Contract):
        self._stream = contract.streams["robot_command"]
        self.joints = np.zeros(7)

    def obey(self, data: bytes) -> None:
        message = deserialize_message(data, message_class(self._stream.type))
        counted = message.points[-1].positions if hasattr(message, "points") else message.data
        self.joints = SIGN * np.array(counted) + OFFSET

    def tell(self) -> bytes:
        counted, speed = SIGN * (self.joints - OFFSET), SIGN * np.ones(7)
        return serialize_message(joint_state_message(NAMES, counted, STAMP_NS, speed))


def by_message(contract, target):
    stream = contract.streams["robot_command"]
    return serialize_message(command_message(stream, contract, target, STAMP_NS))


def by_wire(contract, target):
    return Encoder(contract.streams["robot_command"], contract).encode(target, STAMP_NS)


def by_cdr(contract, target):
    return joints_cdr(contract.streams["robot_command"], contract, target, STAMP_NS)


def read_by_message(contract, data, name):
    stream = contract.streams[name]
    return fields_of(deserialize_message(data, message_class(stream.type)), contract, stream)


def read_by_wire(contract, data, name):
    decoder = Decoder(contract.streams[name], contract)
    decoder.decode(data, STAMP_NS)
    return decoder.decode(data, STAMP_NS)[0]  # once by ROS, once by where numbers stand


def as_sent(data: bytes, kind: str) -> bytes:
    """Without the bytes that rclpy's `serialize_message` leaves at the end, and no publisher."""
    for end in range(len(data), len(data) - 8, -1):
        try:
            typestore().deserialize_cdr(data[:end], kind)
        except SerdeError:
            continue
        return data[:end]
    raise AssertionError("no such message")


def read_by_recording(contract, data, name):
    message = RawMessage(name, as_sent(data, contract.streams[name].type), STAMP_NS, STAMP_NS)
    found = decode(contract, [message])[name].fields
    return {field: values[0] for field, values in found.items()}


@pytest.mark.parametrize("contract", [CONTRACT, TRAJECTORY])
@pytest.mark.parametrize("send", [by_message, by_wire, by_cdr])
@pytest.mark.parametrize("read", [read_by_message, read_by_wire, read_by_recording])
def test_an_arm_goes_where_it_is_sent_and_is_seen_there(contract, send, read):
    """A command and the joint state that answers it agree, and the arm really is there."""
    arm = ArmWithOtherEncoders(contract)
    command = send(contract, TARGET)
    arm.obey(command)
    np.testing.assert_allclose(arm.joints, TARGET, atol=1e-12)
    seen = read(contract, arm.tell(), "joint_state")
    np.testing.assert_allclose(seen["position"], TARGET, atol=1e-12)
    np.testing.assert_allclose(seen["velocity"], 1.0, atol=1e-12)
    told = read(contract, bytes(command), "robot_command")
    np.testing.assert_allclose(told["position"], TARGET, atol=1e-12, err_msg="as recorded")


def test_a_move_is_turned_with_its_joint():
    data = Encoder(TRAJECTORY.streams["robot_command"], TRAJECTORY).encode(
        TARGET, STAMP_NS, np.full(7, 0.01)
    )
    found = deserialize_message(data, message_class("trajectory_msgs/msg/JointTrajectory"))
    np.testing.assert_allclose(found.points[0].velocities, SIGN * 1.0, atol=1e-9)


@pytest.mark.parametrize("name", ["teleop_command", "policy_command"])
def test_commands_between_nodes_are_joints_already(name):
    stream = CONTRACT.streams[name]
    message = command_message(stream, CONTRACT, TARGET, STAMP_NS)
    np.testing.assert_array_equal(message.position, TARGET)
    np.testing.assert_array_equal(fields_of(message, CONTRACT, stream)["position"], TARGET)


def test_every_node_says_of_which_stream_a_message_is():
    """Without it a message would be taken for one that needs no correction."""
    without = []
    for path in sorted((ROOT / "vdd_ros/nodes").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "fields_of":
                without += [f"{path.name}:{node.lineno}"] * (len(node.args) != 3)
    assert not without


def test_offsets_are_no_part_of_what_a_policy_is_tied_to():
    assert CONTRACT.interface_hash == PLAIN.interface_hash
    assert CONTRACT.contract_hash != PLAIN.contract_hash
    assert Contract.from_dict(CONTRACT.to_dict()) == CONTRACT
    assert "encoders" not in PLAIN.to_dict(), "hashes of contracts without any stay as they were"


def calibrated(folder: Path, robot: str = "panda", joint: str = "panda_joint2") -> None:
    residuals = Residuals(unit="rad", rms=0, median=0, p95=0, worst=0)
    joints = {joint: JointOffset(unit="rad", sign=-1, offset=0.25, std=0, residuals=residuals)}
    section = JointOffsets(
        made="2026-05-31T12:00:00+00:00",
        source=Source(method="made up", count=5),
        joints=joints,
        covariance=((0.0,),),
    )
    made = RobotCalibration(robot=robot, contract_hash="abc", encoders=section)
    made.write(folder, datetime(2026, 5, 31, tzinfo=timezone.utc))


def contract_beside(folder: Path) -> Path:
    path = folder / "robot.yaml"
    path.write_text(yaml.safe_dump({**PLAIN.to_dict(), "encoders": "calibration"}))
    return path


def test_a_contract_takes_the_newest_calibration_of_a_folder(tmp_path):
    path = contract_beside(tmp_path)
    (tmp_path / "calibration").mkdir()
    assert Contract.from_yaml(path) == PLAIN, "not calibrated so far"
    calibrated(tmp_path / "calibration")
    found = Contract.from_yaml(path).encoders
    assert {name: (one.sign, one.offset) for name, one in found.items()} == {
        "panda_joint2": (-1, 0.25)
    }


@pytest.mark.parametrize(
    ("spoilt", "complaint"),
    [
        ({"robot": "other"}, "calibration of other, not of panda: name that"),
        ({"joint": "elbow"}, "has the joint elbow, which the contract has not"),
    ],
)
def test_a_calibration_of_another_robot_is_refused(tmp_path, spoilt, complaint):
    calibrated(tmp_path / "calibration", **spoilt)
    with pytest.raises(UserError, match=complaint):
        Contract.from_yaml(contract_beside(tmp_path))


@pytest.mark.parametrize("key", ["encoders", "latency"])
@pytest.mark.parametrize("wrong", [{"joints": 7}, {"joints": None}, {"streams": 7}])
def test_a_contract_that_is_none_is_told_whatever_calibration_it_names(tmp_path, key, wrong):
    (tmp_path / "none").mkdir()
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump({**PLAIN.to_dict(), **wrong, key: "none"}))
    with pytest.raises(UserError, match=f"{path}: {next(iter(wrong))}(: Input should| is no map)"):
        Contract.from_yaml(path)


def test_a_calibration_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="calibration file at"):
        Contract.from_yaml(contract_beside(tmp_path))
