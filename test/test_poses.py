"""Poses of objects: headings against scipy, and the same numbers whichever way a message came."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray
from rclpy.serialization import deserialize_message
from scipy.spatial.transform import Rotation

from vdd_ros.bag import RawMessage, header_stamp_ns
from vdd_ros.cdr import joints_cdr, poses_cdr
from vdd_ros.contract import Contract
from vdd_ros.episode import decode
from vdd_ros.errors import UserError
from vdd_ros.nodes.messages import fields_of, poses_message, stamp_ns_of
from vdd_ros.poses import fields_of_poses, pose_array

STAMP_NS = 1_700_000_000_123_456_789


@pytest.fixture(scope="module")
def contract(contract_path) -> Contract:
    return Contract.from_yaml(contract_path.with_name("panda_push.yaml"))


@pytest.fixture
def poses() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.hstack([rng.normal(size=(2, 3)), Rotation.random(2, rng).as_quat()])


def test_headings_are_the_first_column_of_the_rotation(poses):
    fields = fields_of_poses(poses)
    turned = Rotation.from_quat(poses[:, 3:]).as_matrix()
    np.testing.assert_allclose(fields["heading"].reshape(2, 2), turned[:, :2, 0], atol=1e-12)
    np.testing.assert_array_equal(fields["position"].reshape(2, 3), poses[:, :3])


def test_a_quaternion_its_negative_and_its_double_are_one_heading(poses):
    for factor in (-1.0, 2.0):
        scaled = poses * np.array([1, 1, 1, *[factor] * 4])
        np.testing.assert_allclose(
            fields_of_poses(scaled)["heading"], fields_of_poses(poses)["heading"], atol=1e-12
        )


def test_no_rotation_at_all_is_not_finite(poses):
    poses[0, 3:] = 0.0
    assert np.isnan(fields_of_poses(poses)["heading"][:2]).all()


def test_bytes_without_ros_are_those_of_ros(contract, poses):
    data = poses_cdr(contract.streams["objects"], contract, poses, STAMP_NS)
    message = deserialize_message(data, PoseArray)
    np.testing.assert_array_equal(pose_array(message), poses)
    assert stamp_ns_of(message) == header_stamp_ns(data) == STAMP_NS
    assert message.header.frame_id == contract.frames.base
    assert poses_message(poses, contract.frames.base, STAMP_NS) == message


def test_a_recording_gives_what_a_live_message_gives(contract, poses):
    data = poses_cdr(contract.streams["objects"], contract, poses, STAMP_NS)
    streams = decode(contract, [RawMessage("objects", data, STAMP_NS + 5, STAMP_NS)])["objects"]
    live = fields_of(deserialize_message(data, PoseArray), contract)
    assert live.keys() == streams.fields.keys()
    for field, values in live.items():
        np.testing.assert_array_equal(streams.fields[field], values[None])
    assert streams.stamps_ns.tolist() == [STAMP_NS]


def test_poses_that_are_too_few_are_refused_live_and_counted_in_a_recording(contract, poses):
    one = poses[:1]
    with pytest.raises(UserError, match="1 poses came, expected 2: one for each of red_block"):
        fields_of(poses_message(one, "base", STAMP_NS), contract)
    data = poses_cdr(contract.streams["objects"], contract, one, STAMP_NS)
    streams = decode(contract, [RawMessage("objects", data, STAMP_NS, STAMP_NS)])["objects"]
    assert len(streams) == 0 and streams.incomplete == 1
    assert streams.fields["heading"].shape == (0, 4)


@pytest.mark.parametrize("name", ["joint_state", "robot_command"])
def test_joints_come_back_from_their_bytes(contract, name):
    position = np.arange(7) / 10
    data = joints_cdr(contract.streams[name], contract, position, STAMP_NS)
    streams = decode(contract, [RawMessage(name, data, STAMP_NS, STAMP_NS)])[name]
    np.testing.assert_array_equal(streams.fields["position"], position[None])
