"""Device: what an operator holds, as declared in config/teleop/; units and signs are declared,
never guessed.

    source: leader      an arm whose joints the follower's go to (sensor_msgs/JointState)
            joy         a gamepad or a SpaceMouse (sensor_msgs/Joy)
            keyboard    keys of a plain terminal
            twist       velocities of the tool (geometry_msgs/TwistStamped)
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import require_known
from vdd_ros.errors import UserError
from vdd_ros.fields import Finite, NotNegative, Part, Positive, Topic
from vdd_ros.yaml_file import checked, read_extended

DIRECTIONS = ("x", "y", "z", "roll", "pitch", "yaw")
# keys that mean the same for every keyboard
STOP, LET_GO, QUIT, HELP, FASTER, SLOWER = " ", "0", "q", "h", "+", "-"
RESERVED = (STOP, LET_GO, QUIT, HELP, FASTER, SLOWER)

Share = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=0)]
Key = Annotated[str, Field(min_length=1, max_length=1)]
Frame = Literal["base", "tool"]


class TakeUp(Part):
    """How the follower comes to a leader that is elsewhere.

    speed: share of the velocity limits on the way; within: how near is there [unit]; lost: how far
    behind a leader it has to come anew, slowly [unit].
    """

    speed: Share = 0.2
    within: Positive = 0.02
    lost: Positive = 0.5

    @model_validator(mode="after")
    def _is_ordered(self) -> TakeUp:
        if self.within >= self.lost:
            raise ValueError(f"within {self.within:g} is not below lost {self.lost:g}")
        return self


class LeaderJoint(Part):
    """One joint of the follower: sign * scale * (the leader's joint) + offset; or, of a range,
    `span` of the leader is `means` of the follower, linear between and constant beyond."""

    leader: str = Field(min_length=1)
    sign: Literal[1, -1] = 1
    scale: Positive = 1.0
    offset: Finite = 0.0
    span: tuple[Finite, Finite] | None = None
    means: tuple[Finite, Finite] | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> LeaderJoint:
        if (self.span is None) != (self.means is None):
            raise ValueError("span and means go together: write both, or neither")
        if self.span is None or self.means is None:
            return self
        if self.span[0] == self.span[1] or self.means[0] == self.means[1]:
            raise ValueError(f"span {list(self.span)} or means {list(self.means)} is one point")
        if (self.sign, self.scale, self.offset) != (1, 1.0, 0.0):
            raise ValueError("span and means take the place of sign, scale and offset")
        return self


class Pedal(Part):
    """A clutch beside a leader: a button in a Joy message, such as that of a foot switch.

    timeout_s: after such a silence it counts as let go of.
    """

    topic: Topic = "joy"
    button: Number
    timeout_s: Positive = 0.25


class LeaderDevice(Part):
    """joints: by the contract's names; held: those that no joint of the leader moves. calibrated:
    when the calibration was made that signs and offsets have in them. follow:
    absolute (to where the leader is) or relative (by what it moves while the clutch is closed; a
    gripper is absolute all the same). play: what the leader's joints may move without the
    follower [rad, m]. pedal: None for ~/engage and ~/release."""

    format_version: Literal[1]
    source: Literal["leader"]
    topic: Topic
    timeout_s: Positive = 0.15
    follow: Literal["absolute", "relative"] = "absolute"
    take_up: TakeUp = TakeUp()
    play: NotNegative = 0.0
    pedal: Pedal | None = None
    joints: dict[str, LeaderJoint] = Field(min_length=1)
    held: tuple[str, ...] = ()
    calibrated: str | None = None

    def require_fits(self, contract: Contract) -> None:
        """Raise UserError unless each joint of the contract is led, or held, once."""
        named = [*self.joints, *self.held]
        missing = [name for name in contract.joint_names if name not in named]
        foreign = sorted(set(named) - set(contract.joint_names))
        twice = sorted({name for name in named if named.count(name) > 1})
        if missing or foreign or twice:
            raise UserError(
                f"the device's joints and held do not name each joint of {contract.name} once: "
                f"missing {missing}, unknown {foreign}, repeated {twice}; correct the device file"
            )


class Grip(Part):
    """What opens and closes a gripper. joint: the contract's only fraction, where it is not named;
    speed: share of its velocity limit."""

    joint: str | None = None
    speed: Share = 0.3


class ButtonGrip(Grip):
    """By buttons of a joystick."""

    close: Number
    open: Number


class KeyGrip(Grip):
    """By keys of a keyboard."""

    close: Key
    open: Key


class JoyMove(Part):
    """An axis, or a button, and what it moves: x, y, z [m/s], roll, pitch, yaw (about x, y, z)
    [rad/s], or a joint of the contract [unit/s]; `rate` at an axis' 1, so its sign is the
    direction."""

    axis: Number | None = None
    button: Number | None = None
    moves: str
    rate: Finite

    @model_validator(mode="after")
    def _is_one_of_two(self) -> JoyMove:
        if (self.axis is None) == (self.button is None):
            raise ValueError("name an axis or a button, one of them")
        return self


class JoyDevice(Part):
    """n_axes: what a message has, others are refused. frame: in which directions are told.
    deadband: share of an axis' way that moves nothing. enable_button: has to be held, None: moving
    an axis is enough. Names as x are of the tool that the contract's frames name."""

    format_version: Literal[1]
    source: Literal["joy"]
    topic: Topic = "joy"
    timeout_s: Positive = 0.25
    n_axes: Annotated[int, Field(ge=0)]
    frame: Frame = "base"
    deadband: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    enable_button: Number | None = None
    let_go_button: Number | None = None
    gripper: ButtonGrip | None = None
    motion: tuple[JoyMove, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _numbers_fit(self) -> JoyDevice:
        for move in self.motion:
            if move.axis is not None and move.axis >= self.n_axes:
                raise ValueError(f"axis {move.axis} is beyond n_axes {self.n_axes}; count from 0")
        used = [move.button for move in self.motion if move.button is not None]
        used += [self.gripper.close, self.gripper.open] if self.gripper else []
        used += [one for one in (self.enable_button, self.let_go_button) if one is not None]
        if twice := [one for one in used if used.count(one) > 1]:
            raise ValueError(f"button {twice[0]} is named twice")
        return self


class KeyMove(Part):
    """A key and what it moves, as of JoyMove."""

    key: Key
    moves: str
    rate: Finite


class KeyboardDevice(Part):
    """pulse_s: how long a key acts; a terminal tells no key that is let go, and repeats one that is
    held."""

    format_version: Literal[1]
    source: Literal["keyboard"]
    frame: Frame = "base"
    pulse_s: Positive = 0.15
    gripper: KeyGrip | None = None
    motion: tuple[KeyMove, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _keys_are_free(self) -> KeyboardDevice:
        keys = [move.key for move in self.motion]
        keys += [self.gripper.close, self.gripper.open] if self.gripper else []
        for key in keys:
            if key in RESERVED or not key.isprintable():
                raise ValueError(f"key {key!r} is taken: {', '.join(map(repr, RESERVED))} are")
            if keys.count(key) > 1:
                raise ValueError(f"key {key!r} is named twice")
        return self


class Largest(Part):
    """Of a twist: linear [m/s], angular [rad/s]; a faster one is slowed in its direction."""

    linear: Positive = 0.25
    angular: Positive = 1.0


class TwistDevice(Part):
    """frame_id of a message is the contract's base or tool frame; the twist is of the tool's
    origin."""

    format_version: Literal[1]
    source: Literal["twist"]
    topic: Topic
    timeout_s: Positive = 0.2
    largest: Largest = Largest()


Device = LeaderDevice | JoyDevice | KeyboardDevice | TwistDevice
KINDS: dict[str, type[Device]] = {
    "leader": LeaderDevice,
    "joy": JoyDevice,
    "keyboard": KeyboardDevice,
    "twist": TwistDevice,
}


def read_device(path: str | Path) -> Device:
    """Read and check a device file; raises UserError naming the key, value and remedy."""
    raw = read_extended(path, "teleoperation device")
    source = raw.get("source") if isinstance(raw, dict) else None
    if not isinstance(source, str) or source not in KINDS:
        raise UserError(f"{path}: source is {source!r}; choose one of {', '.join(KINDS)}")
    return checked(KINDS[source], raw, str(path))


def is_cartesian(device: JoyDevice | KeyboardDevice, contract: Contract) -> bool:
    """Whether a device moves the tool, not joints; raises UserError for a mixture, or for what
    is neither."""
    names = [move.moves for move in device.motion]
    if all(name in DIRECTIONS for name in names):
        return True
    try:
        for name in names:
            require_known(f"moves {name!r} of motion", name, contract.joint_names, "the joints")
    except ValueError as error:
        raise UserError(
            f"{error} of {contract.name}; name joints, or only {', '.join(DIRECTIONS)}"
        ) from None
    return False
