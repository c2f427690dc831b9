"""Messages to arrays and back: by name, sized, stamped as the contract says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes import messages

CONTRACT = Contract.from_yaml(Path(__file__).parents[1] / "config" / "panda_avoid.yaml")
NAMES = CONTRACT.joint_names
STAMP_NS = 1_700_000_000_123_456_789


def test_joints_are_matched_by_name_and_strangers_are_left_out():
    shuffled = [*NAMES[3:], "gripper", *NAMES[:3]]
    position = [float(index) for index in range(8)]
    message = JointState(name=shuffled, position=position, velocity=[10 * p for p in position])
    fields = messages.fields_of(message, CONTRACT)
    assert fields["position"].tolist() == [5.0, 6.0, 7.0, 0.0, 1.0, 2.0, 3.0]
    assert fields["velocity"].tolist() == [50.0, 60.0, 70.0, 0.0, 10.0, 20.0, 30.0]


def test_a_change_of_order_between_messages_is_followed():
    forth = JointState(name=list(NAMES), position=list(range(7)) * np.ones(1))
    back = JointState(name=list(reversed(NAMES)), position=list(range(7)) * np.ones(1))
    assert messages.fields_of(forth, CONTRACT)["position"].tolist() == list(range(7))
    assert messages.fields_of(back, CONTRACT)["position"].tolist() == list(range(6, -1, -1))


def test_a_field_that_the_message_does_not_carry_is_absent():
    fields = messages.fields_of(JointState(name=list(NAMES), position=[0.0] * 7), CONTRACT)
    assert set(fields) == {"position"}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (JointState(name=list(NAMES[:6]), position=[0.0] * 6), "panda_joint7"),
        (JointState(name=[*NAMES, NAMES[0]], position=[0.0] * 8), "more than once"),
        (JointState(name=list(NAMES), position=[0.0] * 6), "position has 6 values, expected 7"),
        (JointState(name=list(NAMES), velocity=[0.0] * 8), "velocity has 8 values, expected 7"),
        (Float64MultiArray(data=[0.0] * 6), "data has 6 values, expected 7"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(message, said):
    with pytest.raises(UserError, match=said):
        messages.fields_of(message, CONTRACT)


def test_numbers_that_are_not_finite_are_passed_on_as_they_came():
    message = Float64MultiArray(data=[float("nan")] + [0.0] * 6)
    assert np.isnan(messages.fields_of(message, CONTRACT)["position"][0])


def test_joint_state_message_survives_the_way_there_and_back():
    position, velocity = np.linspace(-1, 1, 7), np.linspace(2, 3, 7)
    message = messages.joint_state_message(NAMES, position, STAMP_NS, velocity)
    fields = messages.fields_of(message, CONTRACT)
    assert np.array_equal(fields["position"], position)
    assert np.array_equal(fields["velocity"], velocity)
    assert messages.stamp_ns_of(message) == STAMP_NS


@pytest.mark.parametrize("name", sorted(CONTRACT.streams))
def test_a_command_is_of_the_type_that_its_stream_declares(name):
    stream = CONTRACT.streams[name]
    message = messages.command_message(stream, CONTRACT, np.arange(7.0), STAMP_NS)
    assert type(message) is messages.message_class(stream.type)
    assert messages.fields_of(message, CONTRACT)["position"].tolist() == list(range(7))


def test_the_contract_says_which_stamp_counts():
    header, receive = CONTRACT.streams["joint_state"], CONTRACT.streams["robot_command"]
    message = messages.joint_state_message(NAMES, np.zeros(7), STAMP_NS)
    assert messages.sample_stamp_ns(header, message, 5) == STAMP_NS
    assert messages.sample_stamp_ns(receive, Float64MultiArray(), 5) == 5
    with pytest.raises(UserError, match="timeline: receive"):
        messages.sample_stamp_ns(header, JointState(), 5)


def test_qos_follows_the_contract():
    stream = CONTRACT.streams["joint_state"]
    assert messages.qos_of(stream).reliability == ReliabilityPolicy.BEST_EFFORT
    assert messages.qos_of(stream).depth == stream.depth
    assert messages.qos_of(stream, depth=500).depth == 500
    assert messages.qos_of(CONTRACT.streams["robot_command"]).reliability == (
        ReliabilityPolicy.RELIABLE
    )
    assert messages.latched_qos().durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_a_message_type_that_is_not_offered_is_named():
    with pytest.raises(UserError, match="sensor_msgs/msg/Imu.*JointState"):
        messages.message_class("sensor_msgs/msg/Imu")


def test_health_becomes_one_diagnostic_status():
    health = messages.Health("warn", "late", {"late_ticks": 3})
    message = messages.diagnostics_message("sim_node", health, STAMP_NS)
    status = message.status[0]
    assert (status.name, status.message, status.level) == (
        "sim_node",
        "late",
        DiagnosticStatus.WARN,
    )
    assert [(pair.key, pair.value) for pair in status.values] == [("late_ticks", "3")]
    assert messages.stamp_ns_of(message) == STAMP_NS
