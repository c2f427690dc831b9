"""Joint trajectories as ROS sends them, which is not as rosbags expects them."""

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosbags.serde import SerdeError

from vdd_ros.bag import RawMessage, deserialized
from vdd_ros.contract import Contract
from vdd_ros.episode import decode
from vdd_ros.nodes.messages import command_message

TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"


@pytest.fixture
def contract():
    raw = Contract.from_yaml("config/panda_avoid.yaml").to_dict()
    raw["streams"]["robot_command"] |= {"type": TRAJECTORY, "timeline": "header"}
    return Contract.from_dict(raw)


def test_commands_that_are_trajectories_are_samples_of_an_episode(contract):
    stream = contract.streams["robot_command"]
    made = [
        command_message(stream, contract, np.arange(7.0) + k, 10**9 + k, np.full(7, 0.5))
        for k in range(3)
    ]
    messages = [RawMessage("robot_command", serialize_message(one), 5, 5) for one in made]
    data = decode(contract, messages)["robot_command"]
    assert len(data) == 3 and data.incomplete == 0
    np.testing.assert_array_equal(data.fields["position"][2], np.arange(7.0) + 2)
    np.testing.assert_array_equal(data.fields["velocity"][0], np.full(7, 0.5))
    np.testing.assert_array_equal(data.stamps_ns, 10**9 + np.arange(3))


@pytest.mark.parametrize("change", [lambda data: data[:60], lambda data: data + bytes(32)])
def test_what_is_cut_off_or_goes_on_is_none(contract, change):
    stream = contract.streams["robot_command"]
    message = command_message(stream, contract, np.arange(7.0), 1, np.zeros(7))
    with pytest.raises(SerdeError):
        deserialized(change(serialize_message(message)), TRAJECTORY)
