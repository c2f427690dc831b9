"""What a source declaration says of its format: which keys hold what; nothing is guessed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DeclarationPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ObjectKeys(DeclarationPart):
    """Where poses of objects are, which become messages of `stream`: keys of their position, three
    numbers per object [m, base frame], and heading, two (`vdd_ros.poses`)."""

    stream: str
    position: str
    heading: str


class LeRobotFormat(DeclarationPart):
    """A folder of LeRobot's format; columns are the names of the numbers of two features.

    velocity: feature with the velocity of each number of `state` [its unit/s], in their order;
    success: feature that says in an episode's last frame whether it succeeded; names: of the
    numbers of `state` and `action`, for a dataset that has no names; images: camera of the contract
    -> feature of dtype video or image, whose pictures are that camera's.
    """

    kind: Literal["lerobot_v2.1", "lerobot_v3.0"]
    state: str = "observation.state"
    action: str = "action"
    velocity: str | None = None
    success: str | None = None
    names: tuple[str, ...] | None = None
    objects: ObjectKeys | None = None
    images: dict[str, str] = {}

    @model_validator(mode="after")
    def _are_two(self) -> LeRobotFormat:
        if self.state == self.action:
            raise ValueError(f"state and action are both {self.state!r}")
        return self


class RobosuiteFormat(DeclarationPart):
    """An HDF5 file of robosuite's demonstrations, which has neither names nor units.

    Row t of `states` is time, qpos, qvel at t; there are `n_positions` numbers in qpos. Columns:
    qpos0.. and finger_opening (distance of the two fingers, which are qpos7 and -qpos8) at t;
    next_qpos0.., those of row t + 1; action0.. of `actions`. What a person commanded, in
    these files a change of the tool's pose, is not a joint position; where the arm was one frame
    later is what a joint position command would have had to say.
    """

    kind: Literal["robosuite_hdf5"]
    env: str
    robot: str
    n_positions: Annotated[int, Field(ge=9)]


class RobomimicFormat(DeclarationPart):
    """An HDF5 file of robomimic's layout, which has neither names nor units nor times.

    Columns are arrays below a demonstration and a place in them: `obs/robot0_joint_pos[3]`,
    `next_obs/robot0_joint_pos[3]`, `actions[0]`. file: below the dataset's folder, where that is
    one; env: name that env_args must have; times: array of times [s], without it frames come at
    the declared rate; velocity: by array of positions the array of their velocities, [unit/s];
    success: attribute of a demonstration, or array whose last number is 1 where it succeeded; mask:
    filter key that names the demonstrations to read; images: camera of the contract -> array of
    its pictures.
    """

    kind: Literal["robomimic_hdf5"]
    file: str | None = None
    env: str | None = None
    times: str | None = None
    velocity: dict[str, str] = {}
    success: str | None = None
    mask: str | None = None
    objects: ObjectKeys | None = None
    images: dict[str, str] = {}


class TopicColumns(DeclarationPart):
    """A topic of JointState, JointTrajectory or Float64MultiArray; columns are names of joints.

    time: what stamps its samples, their header or when they were received; names: of the numbers of
    a Float64MultiArray, which has none.
    """

    topic: str
    time: Literal["header", "receive"]
    names: tuple[str, ...] | None = None


class Rosbag2Format(DeclarationPart):
    """A rosbag2 (folder, .mcap or .db3), or a folder of those, one episode each.

    state: measured positions; command: what the joints were told; as_is: stream of the contract ->
    topic of the same type, whose messages are taken byte for byte; other_joints: what is made of
    names in the messages that are neither declared nor ignored.
    """

    kind: Literal["rosbag2"]
    state: TopicColumns
    command: TopicColumns
    as_is: dict[str, str] = {}
    other_joints: Literal["refused", "ignored"] = "refused"

    @model_validator(mode="after")
    def _are_several(self) -> Rosbag2Format:
        if self.state.topic == self.command.topic:
            raise ValueError(f"state and command are both topic {self.state.topic!r}")
        return self


Format = Annotated[
    LeRobotFormat | RobosuiteFormat | RobomimicFormat | Rosbag2Format,
    Field(discriminator="kind"),
]
