"""Messages from and to bytes: the same as ROS makes of them, however they are laid out."""

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vdd_ros.bag import RawMessage, typestore
from vdd_ros.cdr import joints_cdr, poses_cdr
from vdd_ros.contract import Contract
from vdd_ros.episode import decode
from vdd_ros.errors import UserError
from vdd_ros.nodes import wire
from vdd_ros.nodes.messages import command_message, fields_of, stamp_ns_of
from vdd_ros.nodes.wire import Decoder, Encoder

STAMP_NS = 1_700_000_000_123_456_789


@pytest.fixture
def no_ros(monkeypatch):
    """From here on nothing is taken apart by ROS."""

    def forbid():
        monkeypatch.setattr(wire, "deserialize_message", None)

    return forbid


def joint_state(names, rng, velocity=True, effort=False, frame="") -> JointState:
    message = JointState(name=names, position=rng.normal(size=len(names)).tolist())
    message.header.frame_id = frame
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(STAMP_NS, 10**9)
    if velocity:
        message.velocity = rng.normal(size=len(names)).tolist()
    if effort:
        message.effort = rng.normal(size=len(names)).tolist()
    return message


def assert_same(decoder: Decoder, data: bytes, message, contract: Contract) -> None:
    fields, stamp_ns = decoder.decode(data, 5)
    expected = fields_of(message, contract)
    assert fields.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(fields[name], values)
    assert stamp_ns == stamp_ns_of(message)


@pytest.mark.parametrize("velocity", [True, False])
@pytest.mark.parametrize("effort", [True, False])
@pytest.mark.parametrize("frame", ["", "base", "a_long_frame"])
def test_joint_states_are_read_like_ros_reads_them(contract, no_ros, velocity, effort, frame):
    """Shuffled, with a joint more, with and without velocities and efforts."""
    rng = np.random.default_rng(0)
    names = list(rng.permutation([*contract.joint_names, "gripper"]))
    decoder = Decoder(contract.streams["joint_state"], contract)
    made = [joint_state(names, rng, velocity, effort, frame) for _ in range(3)]
    assert_same(decoder, serialize_message(made[0]), made[0], contract)
    no_ros()
    for message in made:
        assert_same(decoder, serialize_message(message), message, contract)


def test_what_is_laid_out_in_another_way_is_still_right(contract):
    """Another order of the joints, of names as long; velocities where efforts were."""
    rng = np.random.default_rng(1)
    decoder = Decoder(contract.streams["joint_state"], contract)
    names = list(contract.joint_names)
    for _ in range(40):
        velocity, effort = rng.random(2) < 0.5
        message = joint_state(list(rng.permutation(names)), rng, velocity, effort)
        assert_same(decoder, serialize_message(message), message, contract)


def test_what_is_free_between_numbers_may_hold_anything(contract, no_ros):
    stream = contract.streams["joint_state"]
    data = joints_cdr(stream, contract, np.arange(7.0), STAMP_NS, np.ones(7))
    decoder = Decoder(stream, contract)
    decoder.decode(data, 5)
    no_ros()
    name = contract.joint_names[0].encode() + b"\0"
    free = slice(data.index(name) + len(name), data.index(name) + len(name) + -len(name) % 4)
    assert set(data[free]) == {0}
    noisy = bytearray(data)
    noisy[free] = b"\xaa" * len(data[free])
    np.testing.assert_array_equal(decoder.decode(bytes(noisy), 5)[0]["position"], np.arange(7.0))


def test_a_joint_that_is_gone_is_noticed(contract):
    rng = np.random.default_rng(3)
    decoder = Decoder(contract.streams["joint_state"], contract)
    names = list(contract.joint_names)
    decoder.decode(serialize_message(joint_state(names, rng)), 5)
    same_length = [*names[:-1], names[-1][:-1] + "x"]
    for wrong in (names[:-1], same_length, names[:1] * 7):
        with pytest.raises(UserError, match="joint"):
            decoder.decode(serialize_message(joint_state(wrong, rng)), 5)


def test_a_message_without_a_stamp_is_refused_whenever_it_comes(contract):
    decoder = Decoder(contract.streams["joint_state"], contract)
    message = joint_state(list(contract.joint_names), np.random.default_rng(4))
    decoder.decode(serialize_message(message), 5)
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    with pytest.raises(UserError, match="carry no stamp"):
        decoder.decode(serialize_message(message), 5)


@pytest.mark.parametrize("left", [0, 3, 4, 11, 30])
def test_what_is_cut_off_is_refused_in_one_sentence(contract, left):
    decoder = Decoder(contract.streams["joint_state"], contract)
    data = serialize_message(joint_state(list(contract.joint_names), np.random.default_rng(7)))
    for _ in range(2):  # before a layout is known, and after
        with pytest.raises(UserError, match="joint_states is broken"):
            decoder.decode(data[:left], 5)
        decoder.decode(data, 5)


def test_messages_of_the_other_byte_order_are_taken_apart_by_ros(contract):
    store = typestore()
    kind = "sensor_msgs/msg/JointState"
    data = joints_cdr(contract.streams["joint_state"], contract, np.arange(7.0), STAMP_NS)
    other = bytes(store.serialize_cdr(store.deserialize_cdr(data, kind), kind, little_endian=False))
    decoder = Decoder(contract.streams["joint_state"], contract)
    for _ in range(2):
        fields, stamp_ns = decoder.decode(other, 5)
        np.testing.assert_array_equal(fields["position"], np.arange(7.0))
        assert stamp_ns == STAMP_NS


def test_poses_are_read_like_ros_reads_them(no_ros):
    contract = Contract.from_yaml("config/panda_push.yaml")
    stream = next(one for one in contract.streams.values() if one.is_of_objects)
    rng, decoder = np.random.default_rng(5), Decoder(stream, contract)
    made = [poses_cdr(stream, contract, rng.normal(size=(2, 7)), STAMP_NS + k) for k in range(3)]
    messages = [deserialize_message(data, PoseArray) for data in made]
    decoder.decode(made[0], 5)
    no_ros()
    for data, message in zip(made, messages, strict=True):
        assert_same(decoder, data, message, contract)
    with pytest.raises(TypeError):  # one object too few: asked of ROS again
        decoder.decode(poses_cdr(stream, contract, np.ones((1, 7)), STAMP_NS), 5)


@pytest.mark.parametrize("name", ["robot_command", "policy_command", "teleop_command"])
def test_commands_are_what_ros_would_send(contract, name):
    rng, stream = np.random.default_rng(6), contract.streams[name]
    encoder = Encoder(stream, contract)
    for stamp_ns in (STAMP_NS, STAMP_NS + 1):
        position = rng.normal(size=7)
        kind = JointState if stream.has_header else Float64MultiArray
        sent = deserialize_message(encoder.encode(position, stamp_ns), kind)
        assert sent == command_message(stream, contract, position, stamp_ns)


def with_trajectories(contract: Contract) -> Contract:
    raw = contract.to_dict()
    raw["streams"]["robot_command"] |= {
        "type": "trajectory_msgs/msg/JointTrajectory",
        "timeline": "header",
    }
    return Contract.from_dict(raw, "test contract")


def test_trajectories_end_one_period_later_at_the_speed_of_the_commands(contract):
    """As a joint_trajectory_controller wants them: times rise, and velocities are there."""
    contract = with_trajectories(contract)
    encoder, period_ns = Encoder(contract.streams["robot_command"], contract), 10_000_000

    for move in (None, np.full(7, 0.02)):
        data = encoder.encode(np.arange(7.0), STAMP_NS, move)
        message = deserialize_message(data, JointTrajectory)
        assert message.joint_names == list(contract.joint_names) and len(message.points) == 1
        assert message.points[0].positions.tolist() == list(range(7))
        due = message.points[0].time_from_start
        assert stamp_ns_of(message) == STAMP_NS and (due.sec, due.nanosec) == (0, period_ns)
        velocity = 0.0 if move is None else 2.0
        np.testing.assert_allclose(message.points[0].velocities, velocity)


def test_of_a_trajectory_the_last_point_counts(contract):
    message = JointTrajectory(joint_names=list(contract.joint_names)[::-1])
    with pytest.raises(UserError, match="lacks"):
        fields_of(JointTrajectory(joint_names=["elbow"]), contract)
    assert fields_of(message, contract) == {}, "it has no point"
    for start in (0.0, 10.0):
        point = JointTrajectoryPoint(positions=(start + np.arange(7.0)).tolist())
        message.points.append(point)
    np.testing.assert_array_equal(fields_of(message, contract)["position"], 16.0 - np.arange(7.0))


def test_recorded_trajectories_are_the_same_bytes_and_are_read_again(contract):
    contract = with_trajectories(contract)
    stream, position = contract.streams["robot_command"], np.arange(7.0)
    data = joints_cdr(stream, contract, position, STAMP_NS, np.ones(7))
    live = deserialize_message(data, JointTrajectory)
    assert live == command_message(stream, contract, position, STAMP_NS, np.ones(7))
    told = decode(contract, [RawMessage("robot_command", data, 5, STAMP_NS)])["robot_command"]
    np.testing.assert_array_equal(told.fields["position"], [position])
    np.testing.assert_array_equal(told.fields["velocity"], np.ones((1, 7)))


@pytest.mark.parametrize("name", ["x" * 1000, "\0", "panda_joint1"])
def test_what_a_message_names_is_told_in_a_sentence_that_stays_short(contract, name):
    """It is logged, and published in /diagnostics once a second."""
    decoder = Decoder(contract.streams["joint_state"], contract)
    message = JointState(name=[name] * 900, position=[0.0] * 900)
    with pytest.raises(UserError, match="lacks") as refused:
        decoder.decode(serialize_message(message), 5)
    assert len(str(refused.value)) < 500


def test_a_huge_message_is_not_taken_apart(contract, no_ros):
    rng, stream = np.random.default_rng(0), contract.streams["joint_state"]
    huge = joint_state(list(contract.joint_names), rng)
    huge.effort = np.zeros(wire.LARGEST_BYTES // 8).tolist()
    data = serialize_message(huge)
    many = joint_state([*contract.joint_names, *(f"j{k}" for k in range(1000))], rng)
    with pytest.raises(UserError, match="names 1007 joints, at most 1000 are read"):
        Decoder(stream, contract).decode(serialize_message(many), 5)
    no_ros()
    with pytest.raises(UserError, match=f"at most {wire.LARGEST_BYTES} are read"):
        Decoder(stream, contract).decode(data, 5)
