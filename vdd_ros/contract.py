"""Contract: the facts of one robot and one task, read from YAML, checked, hashed.

Every episode, checkpoint and bundle carries the contract it was made with. `interface_hash` covers
what a policy is tied to (names, order, shapes, units, frames, meaning of an action, policy rate);
two parts whose hashes differ do not work together and are refused.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from vdd_ros.certificate_demands import CertificateDemands
from vdd_ros.contract_cameras import Camera
from vdd_ros.contract_images import (
    ObservedImage,
    cameras_missing,
    images_interface,
    require_images_agree,
)
from vdd_ros.contract_parts import (
    NUMBERS_PER_OBJECT,
    Action,
    Encoder,
    Frames,
    Joint,
    Kinematics,
    Latencies,
    ObservationPart,
    Rates,
    Stream,
    require_known,
)
from vdd_ros.errors import UserError
from vdd_ros.fields import Name, Part, Topic
from vdd_ros.joint_correction import ENCODER_STREAMS, JointCorrection, with_encoders
from vdd_ros.kinematic_model import names_in, with_model_text
from vdd_ros.latencies import with_latencies
from vdd_ros.parity_limits import ParityLimits
from vdd_ros.recording_limits import RecordingLimits
from vdd_ros.yaml_file import checked, read_extended

JOINT_TARGETS = "joint_position_target"
NUMBERS_PER_TOOL = 9  # position, and a rotation as six


class Contract(Part):
    """Facts of one robot and one task. Arrays are in the order of `joints`, or of `objects`.

    format_version: of the file's format; name: of robot and task; robot: whose calibration it
    takes, the same in the contracts of all tasks of one robot, its name where it says nothing;
    joints: those that are observed and commanded; frames: base and tool; rates: of control and
    policy; streams: topics by name, of which joint_state, policy_command and robot_command are
    needed, and teleop_command where somebody leads; cameras: recorded beside the streams; objects:
    names of what a stream of poses tells, in the order of its messages; observation: what a policy
    sees, in this order; images: what of the cameras is part of the observation, beside its numbers;
    action: what a policy puts out; kinematics: of an action that tells poses of tools; encoders: of
    joints whose encoders count otherwise, in a file also the name of a calibration, seen from the
    contract's folder; latency: how late things are, likewise; e_stop_topic: std_msgs/Bool, true
    while it is pressed; recording: what a demonstration may be like; parity: how much a policy may
    change with its precision; certificate: what a bundle's certificate has to say.
    """

    format_version: Literal[1]
    name: Name
    robot: Name | None = None
    joints: tuple[Joint, ...] = Field(min_length=1)
    frames: Frames
    rates: Rates
    streams: dict[str, Stream]
    cameras: dict[Name, Camera] = {}
    objects: tuple[str, ...] = ()
    observation: tuple[ObservationPart, ...] = Field(min_length=1)
    images: tuple[ObservedImage, ...] = ()
    action: Action
    kinematics: Kinematics | None = None
    encoders: dict[str, Encoder] = {}
    latency: Latencies | None = None
    e_stop_topic: Topic = "/e_stop"
    recording: RecordingLimits = RecordingLimits()
    parity: ParityLimits = ParityLimits()
    certificate: CertificateDemands = CertificateDemands()

    @model_validator(mode="after")
    def _names_agree(self) -> Contract:
        names = [joint.name for joint in self.joints]
        if len(set(names)) != len(names):
            raise ValueError(f"joint names repeat: {names}")
        parts: tuple[ObservationPart | Action, ...] = (*self.observation, self.action)
        for part in parts:
            if part.stream not in self.streams:
                raise ValueError(
                    f"{part.name} names the stream {part.stream!r}; declared are "
                    f"{sorted(self.streams)}"
                )
        for needed in ("joint_state", "policy_command", "robot_command"):
            if needed not in self.streams:
                raise ValueError(f"stream {needed!r} is missing")
        without = [joint.name for joint in self.joints if joint.jerk is None]
        if 0 < len(without) < len(self.joints):
            raise ValueError(f"jerk is limited for every joint or for none; {without[0]} has none")
        if self.rates.policy_hz > self.rates.control_hz:
            raise ValueError("policy_hz is above control_hz")
        for joint in self.encoders:
            require_known(f"joint {joint} of encoders", joint, names, "the joints")
        self._objects_agree()
        self._cameras_agree()
        require_images_agree(self.images, self.cameras)
        self._action_agrees()
        self._latency_agrees()
        if self.kinematics is not None:
            self._tools_agree(self.kinematics)
        return self

    def _objects_agree(self) -> None:
        if len(set(self.objects)) != len(self.objects):
            raise ValueError(f"object names repeat: {list(self.objects)}")
        if bool(self.objects) != any(stream.is_of_objects for stream in self.streams.values()):
            raise ValueError("objects and a stream of type PoseArray go together: write both")
        for part in self.observation:
            fields = self.streams[part.stream].fields
            if part.field not in fields:
                raise ValueError(
                    f"{part.name}: stream {part.stream!r} has no {part.field}, only "
                    f"{' and '.join(fields)}"
                )

    def _cameras_agree(self) -> None:
        topics = {stream.recorded_topic: name for name, stream in self.streams.items()}
        for name, camera in self.cameras.items():
            if name in self.streams:
                raise ValueError(f"camera {name} has the name of a stream: write another")
            infos = [] if camera.camera_info is None else [f"/{camera.camera_info.lstrip('/')}"]
            for topic in (camera.recorded_topic, *infos):
                if topic in topics:
                    raise ValueError(
                        f"camera {name} is on {topic}, and so is {topics[topic]}: correct one"
                    )
                topics[topic] = name
        packed = [name for name, camera in self.cameras.items() if camera.is_compressed]
        if packed and self.recording.of_images.compression != "none":
            raise ValueError(
                f"recording.images.compression is {self.recording.of_images.compression}, but "
                f"pictures of {', '.join(packed)} are compressed already: write none"
            )

    def _action_agrees(self) -> None:
        action = self.action
        if action.is_cartesian != (self.kinematics is not None):
            raise ValueError(
                f"kinematics and an action that tells poses of tools go together, and this one is "
                f"{action.meaning}: write both (tool_pose, relative_tool_pose), or neither"
            )
        for joint in action.absolute or ():
            require_known(f"joint {joint} of absolute", joint, self.joint_names, "the joints")
        if action.meaning != "absolute_position" and self.observed_joints is None:
            raise ValueError(
                f"an action that is {action.meaning} starts from the joint positions that the "
                "policy sees: observe position of joint_state"
            )

    def _latency_agrees(self) -> None:
        if self.latency is None:
            return
        for joint in self.latency.command_s:
            require_known(f"joint {joint} of latency", joint, self.joint_names, "the joints")
        for name in self.latency.stamp_s:
            require_known(f"{name} of latency", name, self.sources, "streams and cameras")

    def _tools_agree(self, kinematics: Kinematics) -> None:
        frames = names_in(kinematics.model).frames
        require_known(f"frames.base {self.frames.base}", self.frames.base, frames, "its frames")
        tools = [tool.frame for tool in kinematics.tools]
        require_known(f"frames.tool {self.frames.tool}", self.frames.tool, tools, "the tools")
        joints = {joint.name: joint for joint in self.joints}
        for tool in kinematics.tools:
            for name in tool.joints:
                require_known(f"joint {name} of tool {tool.frame}", name, joints, "the joints")
                if joints[name].unit == "fraction":
                    raise ValueError(
                        f"joint {name} moves tool {tool.frame}, but has a fraction for its unit: "
                        "write m or rad"
                    )
            for name, rest in zip(tool.joints, tool.posture or (), strict=False):
                if not joints[name].lower <= rest <= joints[name].upper:
                    raise ValueError(
                        f"posture {rest:g} of {name} is outside its limits, "
                        f"{joints[name].lower:g} to {joints[name].upper:g}"
                    )

    @classmethod
    def from_yaml(cls, path: str | Path) -> Contract:
        """Read and check a contract file; raises UserError naming the key, value and remedy."""
        folder = Path(path).parent
        raw = with_model_text(read_extended(path, "contract"), folder)
        if isinstance(raw, dict):
            raw = with_latencies(with_encoders(raw, folder), folder)
        return checked(cls, raw, str(path))

    @classmethod
    def from_dict(cls, raw: object, where: str = "contract") -> Contract:
        """Check a mapping, as read from YAML or JSON; raises UserError as `from_yaml` does."""
        return checked(cls, raw, where)

    def to_dict(self) -> dict:
        """The contract as plain JSON types; `from_dict` gives it back."""
        # one that says nothing of these is written, and hashed, as before there were any
        usual = {
            **{"cameras": {}, "images": (), "encoders": {}},
            **{"parity": ParityLimits(), "certificate": CertificateDemands()},
        }
        left_out = {name for name, value in usual.items() if getattr(self, name) == value}
        return self.model_dump(mode="json", exclude_none=True, exclude=left_out)

    def correction_of(self, stream: Stream) -> JointCorrection | None:
        """Between what messages of a stream count and the joints (Da,); None where they are the
        same. Whoever takes messages apart, or makes them, asks this and nothing else."""
        if not self.encoders or stream not in [self.streams[name] for name in ENCODER_STREAMS]:
            return None
        ones = [self.encoders.get(name, Encoder()) for name in self.joint_names]
        sign, offset = ([getattr(one, field) for one in ones] for field in ("sign", "offset"))
        return JointCorrection(np.array(sign, dtype=np.float64), np.array(offset))

    @property
    def robot_name(self) -> str:
        """Of the robot that is calibrated, whatever it does."""
        return self.robot or self.name

    @property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(joint.name for joint in self.joints)

    @property
    def n_joints(self) -> int:
        """Da: numbers of a joint position, target or command."""
        return len(self.joints)

    @property
    def action_dim(self) -> int:
        """A: numbers that a policy puts out for one step."""
        if self.kinematics is None:
            return self.n_joints
        return NUMBERS_PER_TOOL * len(self.kinematics.tools) + len(self.joints_beside_tools)

    @property
    def joints_beside_tools(self) -> tuple[str, ...]:
        """Joints that move no tool, such as a gripper's channel; all where there are no tools."""
        tools = () if self.kinematics is None else self.kinematics.tools
        moving = {joint for tool in tools for joint in tool.joints}
        return tuple(name for name in self.joint_names if name not in moving)

    @property
    def observed_joints(self) -> slice | None:
        """Which numbers of an observation (Do,) are the joints' positions; None: none are."""
        begin = 0
        for part in self.observation:
            size = self.size_of(part.stream, part.field)
            if (part.stream, part.field) == ("joint_state", "position"):
                return slice(begin, begin + size)
            begin += size
        return None

    @property
    def observation_dim(self) -> int:
        """Do: numbers of all observation parts together."""
        return sum(self.size_of(part.stream, part.field) for part in self.observation)

    def size_of(self, stream: str, field: str) -> int:
        """Numbers that one message of a stream tells of a field."""
        if self.streams[stream].is_of_objects:
            return len(self.objects) * NUMBERS_PER_OBJECT[field]
        return len(self.joints)

    @property
    def sources(self) -> dict[str, Stream | Camera]:
        """Streams, then cameras."""
        return {**self.streams, **self.cameras}

    @property
    def rates_hz(self) -> dict[str, float]:
        """How often messages of each stream and of each camera come."""
        return {name: source.rate_hz for name, source in self.sources.items()}

    @property
    def observed_cameras(self) -> tuple[str, ...]:
        """Names of those that images are of, sorted."""
        return tuple(sorted({image.camera for image in self.images}))

    @property
    def image_rates_hz(self) -> np.ndarray:
        """(C,) how often each image is another one."""
        return np.array([self.cameras[image.camera].rate_hz for image in self.images])

    @property
    def control_period_ns(self) -> int:
        return round(1e9 / self.rates.control_hz)

    @property
    def policy_period_ns(self) -> int:
        return round(1e9 / self.rates.policy_hz)

    def limit(self, name: str) -> np.ndarray:
        """(Da,) lower, upper [unit], velocity [unit/s], acceleration [unit/s^2] or jerk [unit/s^3]
        per joint; of jerk NaN where there is no limit, see `limits_jerk`."""
        return np.array([getattr(joint, name) for joint in self.joints], dtype=np.float64)

    def stamps_late_ns(self, name: str) -> int:
        """By which stamps of a stream or a camera are later than what they tell."""
        late_s = self.latency.stamp_s.get(name, 0.0) if self.latency else 0.0
        return round(late_s * 1e9)

    def timed_as(self, other: Contract) -> Contract:
        """The same with the latencies of another."""
        return self.model_copy(update={"latency": other.latency})

    @property
    def limits_jerk(self) -> bool:
        """Whether its joints have limits of jerk: all of them do, or none."""
        return self.joints[0].jerk is not None

    @property
    def tracking(self) -> np.ndarray:
        """(Da,) how far a joint may be from the last command for long [unit], inf: anywhere."""
        return np.array([joint.tracking or np.inf for joint in self.joints])

    @property
    def span(self) -> np.ndarray:
        """(Da,) range of each joint, upper minus lower [unit]."""
        return self.limit("upper") - self.limit("lower")

    def beyond(self, positions: np.ndarray, share: float = 0.0) -> np.ndarray:
        """(N, Da) -> (N, Da): outside the limits by more than that share of a joint's range."""
        margin = share * self.span
        too_low = positions < self.limit("lower") - margin
        return too_low | (positions > self.limit("upper") + margin)

    @property
    def interface_hash(self) -> str:
        """sha256 over what a policy is tied to; topics, QoS and limits are not part of it."""
        interface = {
            "joints": [(joint.name, joint.unit) for joint in self.joints],
            "frames": self.frames.model_dump(),
            "policy_hz": self.rates.policy_hz,
            "objects": list(self.objects),
            "observation": [part.model_dump() for part in self.observation],
            "action": self.action.model_dump(exclude_none=True),
        }
        if self.kinematics is not None:
            interface["kinematics"] = self.kinematics.model_dump(exclude_none=True)
        if self.images:
            interface["images"] = images_interface(self.images, self.cameras)
        return _hash_of(interface)

    @property
    def contract_hash(self) -> str:
        """sha256 over everything in the contract: recorded and compared, not a reason to refuse."""
        return _hash_of(self.to_dict())

    def require_same_interface(self, other: Contract, what: str) -> None:
        """Raise UserError when `other` (of `what`) describes another interface than this one."""
        if other.interface_hash == self.interface_hash:
            return
        mine, theirs = self.to_dict(), other.to_dict()
        keys = ("joints", "frames", "rates", "objects", "observation", "action", "kinematics")
        differing = [key for key in keys if mine.get(key) != theirs.get(key)]
        seen = [images_interface(one.images, one.cameras) for one in (self, other)]
        differing += ["images"] if seen[0] != seen[1] else []
        raise UserError(
            f"{what} was made for another interface ({other.name}, {other.interface_hash[:12]}) "
            f"than this robot's ({self.name}, {self.interface_hash[:12]}); they differ in "
            f"{', '.join(differing)}: use the contract it was made with, or train anew"
        )

    def require_same_recording(self, other: Contract, what: str) -> None:
        """As `require_same_interface`, but whatever an action means, and whichever part of a
        picture is seen: what is recorded are joint commands and whole pictures."""
        if other.interface_hash == self.interface_hash:
            return
        self.as_recorded().require_same_interface(other.as_recorded(), what)
        if lacking := cameras_missing(self.images, self.cameras, other.cameras):
            raise UserError(
                f"{what} lacks what the images of contract {self.name} are made of "
                f"({'; '.join(lacking)}): record with that contract, or correct its cameras"
            )

    def as_recorded(self) -> Contract:
        """The same robot and observations with an action of joint position targets, and without
        images: what decides whether recordings fit."""
        raw = self.to_dict()
        raw.pop("kinematics", None)
        raw.pop("images", None)
        raw["action"] = {"name": JOINT_TARGETS, "stream": self.action.stream}
        return Contract.from_dict(raw, f"contract {self.name}")


def _hash_of(value: dict) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
