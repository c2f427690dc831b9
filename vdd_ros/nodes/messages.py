"""ROS messages to arrays and back: the only file that knows the fields of a message.

Arrays are float64 in the contract's order, times are int nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion
from rclpy.duration import Duration as TimeSpan
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vdd_ros.bag import Recorded
from vdd_ros.cdr import NS_PER_S
from vdd_ros.command_gate import standing_ns
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Stream
from vdd_ros.errors import MissingJoint, UserError
from vdd_ros.poses import fields_of_poses, pose_array

MOST_JOINTS = 1000  # that a message may name; of more the places are not looked for
TOLD = 200  # characters of what a message names, in a sentence that is logged and published
MESSAGE_CLASSES = {
    "sensor_msgs/msg/JointState": JointState,
    "std_msgs/msg/Float64MultiArray": Float64MultiArray,
    "trajectory_msgs/msg/JointTrajectory": JointTrajectory,
    "geometry_msgs/msg/PoseArray": PoseArray,
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
}
RELIABILITY = {
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
}


def message_class(type_name: str) -> type:
    """The message class of a contract's type; raises UserError for a type not offered."""
    if type_name not in MESSAGE_CLASSES:
        raise UserError(
            f"message type {type_name!r} is not offered; use one of {sorted(MESSAGE_CLASSES)}"
        )
    return MESSAGE_CLASSES[type_name]


def qos_of(stream: Recorded, depth: int | None = None) -> QoSProfile:
    """QoS of a stream as the contract says it; `depth` overrides its own (a recorder's queue)."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth or stream.depth,
        reliability=RELIABILITY[stream.reliability],
        durability=DurabilityPolicy.VOLATILE,
    )


def command_qos(contract: Contract, name: str) -> QoSProfile:
    """QoS of who publishes commands of a stream: as `qos_of`, but what has not arrived within its
    `max_age_s` never does, and of a robot's commands what the arm has come to rest without. After a
    network was cut the middleware would repeat what was sent meanwhile, and the arm jump to where
    it was to go long ago."""
    stream = contract.streams[name]
    lifespan_ns = round(stream.max_age_s * NS_PER_S)
    if name == "robot_command":
        lifespan_ns = min(lifespan_ns, standing_ns(contract.control_period_ns))
    qos = qos_of(stream)
    qos.lifespan = TimeSpan(nanoseconds=lifespan_ns)
    return qos


def latched_qos() -> QoSProfile:
    """Reliable, and whoever comes late still gets the last message."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def fields_of(message, contract: Contract, stream: Stream | None = None) -> dict[str, np.ndarray]:
    """What a message of a stream tells, by field, in contract order: of joints 'position' and,
    where it has it, 'velocity', each (Da,); of objects 'position' and 'heading', see
    `fields_of_poses`.

    A JointState is matched by name, whatever its order and whatever else it names, and so is a
    JointTrajectory, of which the last point counts; a Float64MultiArray holds the positions in the
    contract's order, a PoseArray the objects in theirs. Raises UserError where a joint is missing
    or named twice, or where the number of values does not fit. Values are passed on as they came:
    whether they are finite is asked by whoever takes them. Encoders are corrected, where the
    contract says so; stream: None of a message that nobody corrects.
    """
    told = _told(message, contract)
    correction = None if stream is None else contract.correction_of(stream)
    return told if correction is None else correction.fields(told)


def _told(message, contract: Contract) -> dict[str, np.ndarray]:
    if isinstance(message, PoseArray):
        if len(message.poses) != len(contract.objects):
            raise UserError(
                f"{len(message.poses)} poses came, expected {len(contract.objects)}: one for each "
                f"of {', '.join(contract.objects)}"
            )
        return fields_of_poses(pose_array(message))
    if isinstance(message, Float64MultiArray):
        return {"position": _sized(np.array(message.data), contract.n_joints, "data")}
    if isinstance(message, JointTrajectory):
        last = message.points[-1] if message.points else JointTrajectoryPoint()
        return _joint_fields(message.joint_names, last.positions, last.velocities, contract)
    return _joint_fields(message.name, message.position, message.velocity, contract)


def _joint_fields(names, position, velocity, contract: Contract) -> dict[str, np.ndarray]:
    if len(names) > MOST_JOINTS:
        raise UserError(f"the message names {len(names)} joints, at most {MOST_JOINTS} are read")
    places = places_of(tuple(names), contract.joint_names)
    return {
        field: _sized(np.array(values), len(names), field)[places]
        for field, values in (("position", position), ("velocity", velocity))
        if len(values)
    }


def stamp_ns_of(message) -> int:
    """The header's stamp [ns]."""
    return message.header.stamp.sec * NS_PER_S + message.header.stamp.nanosec


def sample_stamp_ns(stream: Stream, message, received_ns: int) -> int:
    """When a message was true [ns], on the timeline that the contract declares for its stream.

    Raises UserError for a stream with `timeline: header` whose publisher does not stamp.
    """
    if stream.timeline == "receive":
        return received_ns
    return require_stamp(stream, stamp_ns_of(message))


def require_stamp(stream: Stream, stamp_ns: int) -> int:
    """The stamp of a header; raises UserError where the publisher left it empty."""
    if stamp_ns == 0:
        raise UserError(
            f"messages on {stream.topic} carry no stamp; let their publisher stamp them, or write "
            "timeline: receive for this stream in the contract"
        )
    return stamp_ns


def time_message(time_ns: int) -> Time:
    """Nanoseconds as the ROS time message."""
    return Time(sec=time_ns // NS_PER_S, nanosec=time_ns % NS_PER_S)


def clock_message(time_ns: int) -> Clock:
    """What a simulator publishes on /clock."""
    return Clock(clock=time_message(time_ns))


def joint_state_message(
    joint_names: tuple[str, ...],
    position: np.ndarray,
    stamp_ns: int,
    velocity: np.ndarray | None = None,
) -> JointState:
    """A stamped JointState; position and velocity are (joints,) in the order of `joint_names`."""
    message = JointState(name=list(joint_names), position=position.tolist())
    message.header.stamp = time_message(stamp_ns)
    if velocity is not None:
        message.velocity = velocity.tolist()
    return message


def poses_message(poses: np.ndarray, frame: str, stamp_ns: int) -> PoseArray:
    """A stamped PoseArray of (N, 7), position [m] and quaternion x, y, z, w, in a frame."""
    message = PoseArray(
        poses=[
            Pose(
                position=Point(**dict(zip("xyz", row[:3], strict=True))),
                orientation=Quaternion(**dict(zip("xyzw", row[3:], strict=True))),
            )
            for row in poses.tolist()
        ]
    )
    message.header.stamp, message.header.frame_id = time_message(stamp_ns), frame
    return message


def command_message(
    stream: Stream,
    contract: Contract,
    position: np.ndarray,
    stamp_ns: int,
    velocity: np.ndarray | None = None,
) -> JointState | Float64MultiArray | JointTrajectory:
    """Joint position targets (Da,) [unit] as the message type that `stream` declares, for the robot
    as its encoders count.

    velocity: (Da,) [unit/s] that the arm is to have there, for a trajectory; None for none. Its one
    point is to be reached one control period after the stamp, when the next one is due.
    """
    kind, names = message_class(stream.type), contract.joint_names
    if (correction := contract.correction_of(stream)) is not None:
        position = correction.encoders(position)
        velocity = None if velocity is None else correction.sign * velocity
    if kind is Float64MultiArray:
        return Float64MultiArray(data=position.tolist())
    if kind is JointState:
        return joint_state_message(names, position, stamp_ns)
    point = JointTrajectoryPoint(positions=position.tolist())
    point.velocities = np.zeros_like(position).tolist() if velocity is None else velocity.tolist()
    point.time_from_start = Duration(nanosec=contract.control_period_ns % NS_PER_S)
    point.time_from_start.sec = contract.control_period_ns // NS_PER_S
    message = JointTrajectory(joint_names=list(names), points=[point])
    message.header.stamp = time_message(stamp_ns)
    return message


def shadow_topic(stream: Stream) -> str:
    """Below the name of a node in shadow, where it says what it would have sent."""
    return f"shadow/{stream.topic.lstrip('/')}"


class Health(NamedTuple):
    """One line of /diagnostics. level: 'ok', 'warn', 'error' or 'stale'; values: shown as text."""

    level: str
    message: str
    values: Mapping[str, object]


LEVELS = {
    "ok": DiagnosticStatus.OK,
    "warn": DiagnosticStatus.WARN,
    "error": DiagnosticStatus.ERROR,
    "stale": DiagnosticStatus.STALE,
}


def diagnostics_message(name: str, health: Health, stamp_ns: int) -> DiagnosticArray:
    """`health` of the part called `name` as a DiagnosticArray of one status."""
    status = DiagnosticStatus(
        level=LEVELS[health.level],
        name=name,
        message=health.message,
        values=[KeyValue(key=key, value=str(value)) for key, value in health.values.items()],
    )
    message = DiagnosticArray(status=[status])
    message.header.stamp = time_message(stamp_ns)
    return message


def _sized(values: np.ndarray, size: int, what: str) -> np.ndarray:
    if values.shape != (size,):
        raise UserError(
            f"{what} has {len(values)} values, expected {size}: send one for each joint"
        )
    return values


@lru_cache(maxsize=64)
def places_of(names: tuple[str, ...], joint_names: tuple[str, ...]) -> np.ndarray:
    """(joints,) where each joint of the contract stands in a message; MissingJoint for one that is
    missing or named twice."""
    missing = [name for name in joint_names if name not in names]
    if missing:
        raise MissingJoint(
            f"the message names {str(list(names)):.{TOLD}} and lacks {missing}: every joint of the "
            "contract must be in it, correct its publisher or the contract"
        )
    repeated = [name for name in joint_names if names.count(name) > 1]
    if repeated:
        raise MissingJoint(f"the message names {repeated} more than once: correct its publisher")
    return np.array([names.index(name) for name in joint_names])
