"""Contract: the facts of one robot and one task, read from YAML, checked, hashed.

Every episode, checkpoint and bundle carries the contract it was made with. `interface_hash` covers
what a policy is tied to (names, order, shapes, units, frames, meaning of an action, policy rate);
two parts whose hashes differ do not work together and are refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vdd_ros.errors import UserError
from vdd_ros.recording_limits import RecordingLimits
from vdd_ros.yaml_file import checked, read_yaml

FORMAT_VERSION = 1
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
# Revolute limits of real arms lie within a few turns; a larger bound is a number in degrees.
LARGEST_ANGLE = 4.0 * math.pi
LARGEST_SPEED = 8.0 * math.pi  # [rad/s]; likewise
FIELDS = {
    "sensor_msgs/msg/JointState": ("position", "velocity"),
    "std_msgs/msg/Float64MultiArray": ("position",),
    "trajectory_msgs/msg/JointTrajectory": ("position", "velocity"),
    "geometry_msgs/msg/PoseArray": ("position", "heading"),
}
NUMBERS_PER_OBJECT = {"position": 3, "heading": 2}
TOPIC = r"^/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Joint(_Part):
    """One joint (or channel) with its unit and its limits; limits are mandatory.

    unit: rad (revolute), m (prismatic) or fraction (0 to 1, hands and grippers).
    lower, upper: position limits [unit]; velocity [unit/s]; acceleration [unit/s^2]; jerk
    [unit/s^3], None where it is not limited. tracking: how far from the last command the joint may
    be for half a second [unit]; None where that is not watched, as of a gripper that holds
    something.
    """

    name: str = Field(min_length=1)
    unit: Literal["rad", "m", "fraction"]
    lower: Finite
    upper: Finite
    velocity: Positive
    acceleration: Positive
    jerk: Positive | None = None
    tracking: Positive | None = None

    @model_validator(mode="after")
    def _limits_make_sense(self) -> Joint:
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        if self.unit == "rad" and max(abs(self.lower), abs(self.upper)) > LARGEST_ANGLE:
            raise ValueError(
                f"limits [{self.lower}, {self.upper}] look like degrees; write radians "
                f"(at most {LARGEST_ANGLE:.2f})"
            )
        if self.unit == "rad" and self.velocity > LARGEST_SPEED:
            raise ValueError(
                f"velocity {self.velocity} looks like degrees; write radians per second "
                f"(at most {LARGEST_SPEED:.2f})"
            )
        if self.unit == "fraction" and (self.lower < 0.0 or self.upper > 1.0):
            raise ValueError("a fraction lies between 0 and 1")
        return self


class Frames(_Part):
    base: str
    tool: str


class Rates(_Part):
    """control_hz: ticks of the control loop; policy_hz: spacing of steps in a window [Hz]."""

    control_hz: Positive
    policy_hz: Positive


class Stream(_Part):
    """One topic: where it is, when its samples count, and how old the newest may be.

    topic: with a slash at its beginning the same for every node, without one in the namespace of
    the node that uses it, so that two arms with one contract are two namespaces.
    """

    topic: str = Field(pattern=TOPIC)
    type: Literal[
        "sensor_msgs/msg/JointState",
        "std_msgs/msg/Float64MultiArray",
        "trajectory_msgs/msg/JointTrajectory",
        "geometry_msgs/msg/PoseArray",
    ]
    rate_hz: Positive
    max_age_s: Positive
    timeline: Literal["header", "receive"]
    reliability: Literal["reliable", "best_effort"] = "reliable"
    depth: Annotated[int, Field(ge=1, le=1000)] = 4

    @model_validator(mode="after")
    def _has_the_stamp(self) -> Stream:
        if self.timeline == "header" and not self.has_header:
            raise ValueError("Float64MultiArray has no header; write timeline: receive")
        return self

    @property
    def recorded_topic(self) -> str:
        """As recordings have it, whatever the namespace: one contract's episodes are alike."""
        return f"/{self.topic.lstrip('/')}"

    @property
    def has_header(self) -> bool:
        return self.type != "std_msgs/msg/Float64MultiArray"

    @property
    def fields(self) -> tuple[str, ...]:
        """What a message of this stream tells of each of its subjects."""
        return FIELDS[self.type]

    @property
    def is_of_objects(self) -> bool:
        """Whether its subjects are the contract's objects; those of every other are its joints."""
        return self.type == "geometry_msgs/msg/PoseArray"


class ObservationPart(_Part):
    """One block of the observation vector: a field of a stream.

    field: position or velocity, one number per joint; of a stream of object poses position, three
    numbers per object [m, base frame], or heading, two: cosine and sine of its angle about the base
    frame's z axis, as far as the object stands upright.
    delay_s: how long before the tick it is looked up. Longer than a message takes to arrive, and
    every process (policy, recorder) has the same sample by then; 0: whatever has arrived.
    """

    name: str
    stream: str
    field: Literal["position", "velocity", "heading"]
    delay_s: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = 0.0


class Action(_Part):
    """What a policy's output means: absolute joint position targets, learned from `stream`."""

    name: str
    stream: str
    meaning: Literal["absolute_position"]


class Contract(_Part):
    """Facts of one robot and one task. Arrays are in the order of `joints`, or of `objects`.

    objects: names of what a stream of poses tells, in the order of its messages.
    """

    format_version: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    joints: tuple[Joint, ...] = Field(min_length=1)
    frames: Frames
    rates: Rates
    streams: dict[str, Stream]
    objects: tuple[str, ...] = ()
    observation: tuple[ObservationPart, ...] = Field(min_length=1)
    action: Action
    e_stop_topic: str = Field("/e_stop", pattern=TOPIC)
    recording: RecordingLimits = RecordingLimits()

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
        self._objects_agree()
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

    @classmethod
    def from_yaml(cls, path: str | Path) -> Contract:
        """Read and check a contract file; raises UserError naming the key, value and remedy."""
        return read_yaml(path, cls, "contract")

    @classmethod
    def from_dict(cls, raw: object, where: str = "contract") -> Contract:
        """Check a mapping, as read from YAML or JSON; raises UserError as `from_yaml` does."""
        return checked(cls, raw, where)

    def to_dict(self) -> dict:
        """The contract as plain JSON types; `from_dict` gives it back."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(joint.name for joint in self.joints)

    @property
    def action_dim(self) -> int:
        """Da: one number per joint."""
        return len(self.joints)

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
    def control_period_ns(self) -> int:
        return round(1e9 / self.rates.control_hz)

    @property
    def policy_period_ns(self) -> int:
        return round(1e9 / self.rates.policy_hz)

    def limit(self, name: str) -> np.ndarray:
        """(Da,) lower, upper [unit], velocity [unit/s], acceleration [unit/s^2] or jerk [unit/s^3]
        per joint; of jerk NaN where there is no limit, see `limits_jerk`."""
        return np.array([getattr(joint, name) for joint in self.joints], dtype=np.float64)

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
            "action": self.action.model_dump(),
        }
        text = json.dumps(interface, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def contract_hash(self) -> str:
        """sha256 over everything in the contract: recorded and compared, not a reason to refuse."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def require_same_interface(self, other: Contract, what: str) -> None:
        """Raise UserError when `other` (of `what`) describes another interface than this one."""
        if other.interface_hash == self.interface_hash:
            return
        mine, theirs = self.to_dict(), other.to_dict()
        differing = [
            key
            for key in ("joints", "frames", "rates", "objects", "observation", "action")
            if mine[key] != theirs[key]
        ]
        raise UserError(
            f"{what} was made for another interface ({other.name}, {other.interface_hash[:12]}) "
            f"than this robot's ({self.name}, {self.interface_hash[:12]}); they differ in "
            f"{', '.join(differing)}: use the contract it was made with, or train anew"
        )
