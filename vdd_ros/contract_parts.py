"""The parts of a contract, each checked on its own: joints, frames, rates, streams, observation,
action and kinematics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vdd_ros.fields import Finite, Part, Positive, Topic
from vdd_ros.kinematic_model import names_in, reduced

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


class Joint(Part):
    """One joint (or channel) with its unit and its limits; limits are mandatory.

    name: as joint states call it; unit: rad (revolute), m (prismatic) or fraction (0 to 1, hands
    and grippers); lower, upper: position limits [unit]; velocity: limit [unit/s]; acceleration:
    limit [unit/s^2]; jerk: limit [unit/s^3], None where it is not limited; tracking: how far from
    the last command the joint may be for half a second [unit], None where that is not watched, as
    of a gripper that holds something.
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


class Encoder(Part):
    """joint = sign * encoder + offset, see `joint_correction.py`.

    sign: -1 where the encoder counts the other way round; offset: of the joint [unit].
    """

    sign: Literal[1, -1] = 1
    offset: Finite = 0.0


class Frames(Part):
    """base: the frame that poses are told in; tool: the frame that is moved."""

    base: str
    tool: str


class Rates(Part):
    """control_hz: ticks of the control loop; policy_hz: spacing of steps in a window [Hz]."""

    control_hz: Positive
    policy_hz: Positive


class Stream(Part):
    """One topic: where it is, when its samples count, and how old the newest may be.

    topic: with a slash at its beginning the same for every node, without one in the namespace of
    the node that uses it, so that two arms with one contract are two namespaces; type: of its
    messages; rate_hz: how often they come [Hz]; max_age_s: how old the newest may be before
    whoever needs it stops [s]; timeline: whether a sample counts from its stamp (header) or from
    when it came (receive); reliability, depth: of the quality of service that it is read or
    published with.
    """

    topic: Topic
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


class ObservationPart(Part):
    """One block of the observation vector: a field of a stream.

    name: of the block, part of what a policy is tied to; stream: one of the contract's; field:
    position or velocity, one number per joint; of a stream of object poses position, three
    numbers per object [m, base frame], or heading, two: cosine and sine of its angle about the base
    frame's z axis, as far as the object stands upright.
    delay_s: how long before the tick it is looked up [s]. Longer than a message takes to arrive,
    and every process (policy, recorder) has the same sample by then; 0: whatever has arrived.
    """

    name: str
    stream: str
    field: Literal["position", "velocity", "heading"]
    delay_s: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = 0.0


class Latencies(Part):
    """What was measured of how late things are [s], as by `vdd calibrate latency`.

    command_s: by joint, from a command until the joint is where it says; stamp_s: by stream or
    camera, how much later its stamps are than those that joint_state would give the same moment.
    """

    command_s: dict[str, Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]] = {}
    stamp_s: dict[str, Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]] = {}


class Action(Part):
    """What a policy's output means. It is learned from the joint position commands of `stream`, and
    before anything else looks at it, it is joint position targets again (`action_space.py`).

    name: of it, part of what a policy is tied to; stream: the commands that are learned, those
    that the robot was sent; meaning: of its numbers, see docs/actions.md; absolute: joints that are
    absolute positions beside relative ones or velocities, as a gripper is better; in a Cartesian
    meaning all that move no tool are.

    Meanings, with the anchor being the joint positions in the newest row of what the policy sees:
    absolute_position    joint position targets [unit]
    relative_position    the same minus the anchor, one anchor for all steps of a chunk [unit]
    velocity             joint velocities [unit/s], each over one policy period, added up from the
                         anchor
    tool_pose            for each tool its position [m] and rotation (6 numbers, `rotations.py`) in
                         the base frame, then the joints that move no tool, as absolute positions
    relative_tool_pose   the same, but poses in the frame that the tool has at the anchor
    """

    name: str
    stream: str
    meaning: Literal[
        "absolute_position", "relative_position", "velocity", "tool_pose", "relative_tool_pose"
    ] = "absolute_position"
    absolute: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _absolute_has_a_use(self) -> Action:
        if self.absolute and self.meaning not in ("relative_position", "velocity"):
            raise ValueError(
                f"absolute is for relative_position and velocity; with {self.meaning} leave it out"
            )
        return self

    @property
    def is_cartesian(self) -> bool:
        """Whether it tells poses of tools, for which a kinematic model is needed."""
        return self.meaning in ("tool_pose", "relative_tool_pose")


class Tool(Part):
    """One tool whose pose an action tells.

    frame: body, link or site of the model; joints: all that move it within the base frame.
    posture: joint positions [unit] that it leans towards where its joints can hold a pose in many
    ways, as those of an arm of seven can; None: where they are.
    """

    frame: str
    joints: tuple[str, ...] = Field(min_length=1)
    posture: tuple[Finite, ...] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Tool:
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"joints of tool {self.frame} repeat: {list(self.joints)}")
        if self.posture is not None and len(self.posture) != len(self.joints):
            raise ValueError(
                f"tool {self.frame} has {len(self.joints)} joints and a posture of "
                f"{len(self.posture)}; write one number for each"
            )
        return self


class Kinematics(Part):
    """How joints move tools.

    model: an MJCF or URDF file, seen from the contract's folder; in memory and in every recording
    and bundle its text, reduced to what moves (`kinematic_model.py`). Its joints have the
    contract's names, and their limits are the contract's. tools: those whose poses actions tell.
    """

    model: str
    tools: tuple[Tool, ...] = Field(min_length=1)

    @field_validator("model")
    @classmethod
    def _reduce(cls, text: str) -> str:
        return reduced(text)

    @model_validator(mode="after")
    def _model_has_them(self) -> Kinematics:
        frames = [tool.frame for tool in self.tools]
        if len(set(frames)) != len(frames):
            raise ValueError(f"frames of tools repeat: {frames}")
        known = names_in(self.model)
        for tool in self.tools:
            require_known(f"frame {tool.frame}", tool.frame, known.frames, "the model's frames")
            for joint in tool.joints:
                what = f"joint {joint} of tool {tool.frame}"
                require_known(what, joint, known.joints, "the model's joints")
        return self


def require_known(what: str, name: str, known: Iterable[str], where: str) -> None:
    """Raise ValueError where a name is not among those of a place."""
    names = sorted(known)
    if name not in names:
        raise ValueError(f"{what} is not among {where}, {', '.join(names)}")
