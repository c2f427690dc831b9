"""Messages as the bytes that they are on the wire, without ROS."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from vdd_ros.bag import typestore
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.contract_parts import Stream

NOTHING = np.zeros(0)
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
NS_PER_S = 1_000_000_000


def joints_cdr(
    stream: Stream,
    contract: Contract,
    position: np.ndarray,
    stamp_ns: int,
    velocity: np.ndarray = NOTHING,
) -> bytes:
    """Joints (Da,) in the contract's order, as the message type of a stream; for the robot's own
    streams as its encoders count."""
    store = typestore()
    if (correction := contract.correction_of(stream)) is not None:
        position = correction.encoders(position)
        velocity = correction.sign * velocity if velocity.size else velocity
    if stream.type == TRAJECTORY:
        message = _trajectory(contract, position, stamp_ns, velocity)
    elif stream.has_header:
        message = store.types[stream.type](
            header=_header(stamp_ns, ""),
            name=list(contract.joint_names),
            position=position,
            velocity=velocity,
            effort=NOTHING,
        )
    else:
        layout = store.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
        message = store.types[stream.type](layout=layout, data=position)
    return bytes(store.serialize_cdr(message, stream.type))


def poses_cdr(stream: Stream, contract: Contract, poses: np.ndarray, stamp_ns: int) -> bytes:
    """A PoseArray of (objects, 7) position [m] and quaternion x, y, z, w in the base frame."""
    store = typestore()
    point, quaternion, pose = (
        store.types[f"geometry_msgs/msg/{name}"] for name in ("Point", "Quaternion", "Pose")
    )
    message = store.types[stream.type](
        header=_header(stamp_ns, contract.frames.base),
        poses=[pose(point(*row[:3]), quaternion(*row[3:])) for row in poses.tolist()],
    )
    return bytes(store.serialize_cdr(message, stream.type))


def image_cdr(camera: Camera, pixels: np.ndarray, stamp_ns: int) -> bytes:
    """Pixels (height, width, 3) uint8, red, green, blue, as a camera of a contract publishes them;
    of mono8 the mean of the three."""
    store = typestore()
    header = _header(stamp_ns, camera.frame)
    if camera.is_compressed:
        return file_cdr(camera, _packed(camera.encoding, pixels), stamp_ns)
    if camera.encoding == "mono8":
        pixels = pixels.mean(axis=2).astype(np.uint8)[:, :, None]
    elif camera.encoding == "bgr8":
        pixels = pixels[:, :, ::-1]
    height, width, depth = pixels.shape
    message = store.types[camera.type](
        header,
        height,
        width,
        camera.encoding,
        0,
        width * depth,
        np.ascontiguousarray(pixels).ravel(),
    )
    return bytes(store.serialize_cdr(message, camera.type))


def file_cdr(camera: Camera, file: bytes, stamp_ns: int) -> bytes:
    """A file of the camera's encoding, as a compressed camera publishes it."""
    store = typestore()
    data = np.frombuffer(file, dtype=np.uint8)
    message = store.types[camera.type](_header(stamp_ns, camera.frame), camera.encoding, data)
    return bytes(store.serialize_cdr(message, camera.type))


def _packed(encoding: str, pixels: np.ndarray) -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, format=encoding)
    return file.getvalue()


def _trajectory(contract: Contract, position: np.ndarray, stamp_ns: int, velocity: np.ndarray):
    """One point, to be reached a control period after the stamp."""
    types = typestore().types
    duration = types["builtin_interfaces/msg/Duration"]
    point = types["trajectory_msgs/msg/JointTrajectoryPoint"](
        positions=position,
        velocities=velocity if velocity.size else np.zeros_like(position),
        accelerations=NOTHING,
        effort=NOTHING,
        time_from_start=duration(*divmod(contract.control_period_ns, NS_PER_S)),
    )
    return types[TRAJECTORY](
        header=_header(stamp_ns, ""), joint_names=list(contract.joint_names), points=[point]
    )


def _header(stamp_ns: int, frame: str):
    types = typestore().types
    time = types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, NS_PER_S))
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame)
