"""The contract of a new robot, as text that a person reads and goes on with.

Joints and limits are those of its URDF; what a URDF does not say is assumed on the careful side,
and a comment says how to find out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import yaml

from vdd_ros.contract_parts import LARGEST_ANGLE, LARGEST_SPEED
from vdd_ros.urdf import Urdf, UrdfJoint

RISE_S = 0.5  # in which a joint may reach its velocity limit, where no acceleration is known
CAREFUL_SPEED = {"rad": 0.5, "m": 0.1}  # [unit/s] where no believable velocity is known
TRACKING = {"rad": 0.3, "m": 0.05}  # [unit] as of the contracts in config/
ONE_TURN = 6.2832
# joints of hands: a policy commands a gripper as one channel, not finger by finger
OF_A_HAND = re.compile(
    r"finger|gripper|knuckle|thumb|jaw|claw|pinky|(^|_)(hand|index|middle|ring)(_|\d|$)"
)
CONTROLLERS = {
    "forward_position_controller": ("commands", "std_msgs/msg/Float64MultiArray", "receive"),
    "joint_trajectory_controller": (
        "joint_trajectory",
        "trajectory_msgs/msg/JointTrajectory",
        "header",
    ),
}
HEAD = """\
# Facts of one robot and one task. Units are SI; angles are radians. An unknown key is an error.
# Begun from {source} by `vdd contract new`: read each comment, correct what is not so.
#   vdd contract show FILE     what it says
#   vdd contract check FILE    whether the robot that runs now is like that
format_version: 1
name: {name}
robot: {name}  # whose calibration is meant, whatever the task

"""
OF_JOINTS = """\
# lower, upper, velocity: of the URDF, the narrower of its hard and its soft limits. The robot is
#   never sent beyond them. Narrow them to what the task needs.
# acceleration: no URDF has it. {acceleration}
#   Too much, and the arm shakes or its controller stops it; too little, and it follows late and
#   takes long to stop (velocity / acceleration seconds).
# jerk: {jerk}
# tracking: an arm that is further from its last command than this [unit] for half a second is
#   stopped. About what it lags behind at full speed, and a little more.
# effort: of the URDF, for the reader. Nothing here commands it.
"""
ASSUMED = f"""\
Here every joint may reach its velocity in {RISE_S:g} s. The true limit is in
#   the maker's data sheet, or max_acceleration in joint_limits.yaml of its MoveIt configuration,
#   which `vdd contract new --joint-limits` reads."""
READ = "This is that of the file of limits that was named."
NO_JERK = """\
not limited. Where the maker gives limits (in m/s^3 or rad/s^3), add `jerk: ...` to every
#   joint."""
OF_A_GRIPPER = """\
  # A gripper that is commanded with the arm, on the same topics, is one more joint, 0 is closed:
  # - {name: gripper, unit: fraction, lower: 0.0, upper: 1.0, velocity: 2.0, acceleration: 20.0}
"""
OF_THE_TOOL = "  # what the task is done with; taken: the end of what is fixed to the last joint"
OF_RATES = """\
rates:
  control_hz: {control_hz}  # commands to the robot a second; at most its controller's update_rate
  policy_hz: {policy_hz}  # steps of observations and of actions a second

"""
OF_STREAMS = """\
# rate_hz: what is declared of each topic; `ros2 topic hz TOPIC` measures it. A recording with less
#   than nine tenths of it is a warning, with less than half of it a failure.
# max_age_s: older than this and the policy stops.
# timeline: header where the publisher stamps its messages when they are true, else receive.
# reliability: best_effort hears every publisher; reliable only such as are reliable themselves.
# Topics without a slash at their beginning lie in the namespace of the nodes that use them.
"""
OF_CAMERAS = """
# A camera to record, and what a policy is to see of it: remove `# ` from the lines that follow.
#   Without images it is only recorded. `ros2 topic echo --once --no-arr TOPIC` tells encoding,
#   size and frame.
# cameras:
#   front:
#     topic: front/image_raw
#     type: sensor_msgs/msg/Image  # or CompressedImage, encoding jpeg or png
#     encoding: rgb8  # or bgr8, mono8
#     width: 640
#     height: 480
#     rate_hz: 30.0
#     max_age_s: 0.2
#     timeline: header
#     frame: front_optical_frame  # z away from the camera, x to its right
# images:
#   - {name: front, camera: front, width: 128, height: 96, delay_s: 0.03}
"""
END = """
observation:
  # looked up 10 ms before the tick: by then every process has the same sample
  - {name: joint_position, stream: joint_state, field: position, delay_s: 0.01}

action:  # absolute joint position targets, as sent to the robot
  name: joint_position_target
  stream: robot_command
  meaning: absolute_position

e_stop_topic: /e_stop  # std_msgs/Bool of anyone: true stops the arm
"""


class Known(NamedTuple):
    """What a MoveIt joint_limits.yaml says of a joint [unit/s, /s^2, /s^3]; None where nothing."""

    velocity: float | None = None
    acceleration: float | None = None
    jerk: float | None = None


class Draft(NamedTuple):
    """What is decided of a new contract. known: by joint, from where more than a URDF is known."""

    name: str
    source: str
    joints: tuple[UrdfJoint, ...]
    base: str
    tool: str
    state_topic: str
    state_hz: float
    controller: str
    command_topic: str
    control_hz: float
    policy_hz: float
    known: dict[str, Known] = {}


def usual_name(robot: str) -> str:
    """A contract's name out of a robot's."""
    plain = re.sub(r"[^a-z0-9]+", "_", robot.lower()).strip("_")
    return plain if re.match(r"[a-z]", plain) else f"robot_{plain}".rstrip("_")


def usual_joints(urdf: Urdf) -> tuple[list[UrdfJoint], dict[str, str]]:
    """The joints of the arm, and of each further one that could move why it is none of them."""
    chosen, left_out = [], {}
    for joint in urdf.joints:
        if joint.kind in ("floating", "planar"):
            left_out[joint.name] = f"it is {joint.kind}"
        elif joint.moves and joint.mimics:
            left_out[joint.name] = f"it mimics {joint.mimics}"
        elif joint.moves and OF_A_HAND.search(joint.name.lower()):
            left_out[joint.name] = "by its name it is of a gripper or a hand"
        elif joint.moves:
            chosen.append(joint)
    return chosen, left_out


def unit_of(joint: UrdfJoint) -> str:
    """The contract's unit of what the URDF tells in."""
    return "m" if joint.kind == "prismatic" else "rad"


def fault_of(joint: UrdfJoint) -> str | None:
    """Why a joint cannot be in a contract, and what to do; None where it can."""
    if not joint.moves:
        return f"it is {joint.kind}: name one that moves"
    if joint.mimics:
        return f"it mimics {joint.mimics}: name that one alone"
    if joint.kind == "continuous":
        return None
    if joint.lower is None or joint.upper is None:
        return (
            f"it is {joint.kind} and has no <limit lower=... upper=... effort=... velocity=.../>: "
            "add it to the URDF from the maker's data sheet, or leave the joint out by --joints"
        )
    if not joint.lower < joint.upper:
        return f"its limits are {joint.lower:g} to {joint.upper:g}: correct them in the URDF"
    if unit_of(joint) == "rad" and max(abs(joint.lower), abs(joint.upper)) > LARGEST_ANGLE:
        return (
            f"its limits, {joint.lower:g} to {joint.upper:g}, look like degrees: a URDF has "
            f"radians (at most {LARGEST_ANGLE:.2f}), correct them there"
        )
    return None


def contract_text(draft: Draft) -> str:
    """The YAML file."""
    known = [draft.known.get(joint.name, Known()) for joint in draft.joints]
    assumed = any(one.acceleration is None for one in known)
    has_jerk = all(one.jerk is not None for one in known)
    joints = zip(draft.joints, known, strict=True)
    return "".join(
        [
            HEAD.format(source=_printable(draft.source), name=draft.name),
            OF_JOINTS.format(
                acceleration=ASSUMED if assumed else READ, jerk=READ if has_jerk else NO_JERK
            ),
            "joints:  # in the order of every joint array, and of a command's numbers\n",
            *(_joint_line(joint, one, has_jerk) for joint, one in joints),
            OF_A_GRIPPER,
            "\nframes:  # links of the URDF\n",
            f"  base: {_scalar(draft.base)}\n",
            f"  tool: {_scalar(draft.tool)}{OF_THE_TOOL}\n\n",
            OF_RATES.format(control_hz=draft.control_hz, policy_hz=draft.policy_hz),
            OF_STREAMS,
            "streams:\n",
            *_streams(draft),
            OF_CAMERAS,
            END,
        ]
    )


def _joint_line(joint: UrdfJoint, known: Known, has_jerk: bool) -> str:
    unit, notes = unit_of(joint), []
    lower, upper = joint.lower, joint.upper
    if joint.kind == "continuous":
        lower, upper = -ONE_TURN, ONE_TURN
        notes.append("continuous in the URDF: one turn either way of zero, as a contract has ends")
    velocities = [one for one in (joint.velocity, known.velocity) if one is not None and one > 0.0]
    velocity = min(velocities, default=None)
    if velocity is None or (unit == "rad" and velocity > LARGEST_SPEED):
        found = "none" if velocity is None else f"{velocity:g}"
        velocity = CAREFUL_SPEED[unit]
        notes.append(f"velocity is assumed, the URDF says {found}: see the data sheet")
    if joint.effort:
        notes.append(f"effort {joint.effort:g} {'N' if unit == 'm' else 'N m'}")
    limits = {
        "name": joint.name,
        "unit": unit,
        "lower": lower,
        "upper": upper,
        "velocity": velocity,
        "acceleration": known.acceleration or round(velocity / RISE_S, 6),
        **({"jerk": known.jerk} if has_jerk else {}),
        "tracking": TRACKING[unit],
    }
    comment = f"  # {'; '.join(notes)}" if notes else ""
    return f"  - {_flow(limits)}{comment}\n"


def _streams(draft: Draft) -> list[str]:
    _, command_type, timeline = CONTROLLERS[draft.controller]
    joint_state, stamped = "sensor_msgs/msg/JointState", "header"
    control = draft.control_hz
    return [
        _stream("joint_state", draft.state_topic, joint_state, draft.state_hz, stamped)
        + "    reliability: best_effort\n    depth: 8\n",
        _stream("teleop_command", "teleop/command", joint_state, control, stamped, patience=2.0),
        _stream("policy_command", "policy/command", joint_state, control, stamped),
        _stream("robot_command", draft.command_topic, command_type, control, timeline),
    ]


def _stream(
    name: str, topic: str, kind: str, rate_hz: float, timeline: str, patience: float = 1.0
) -> str:
    age_s = round(patience * max(0.1, 4.0 / rate_hz), 3)
    return (
        f"  {name}:\n    topic: {topic}\n    type: {kind}\n    rate_hz: {rate_hz}\n"
        f"    max_age_s: {age_s}\n    timeline: {timeline}\n"
    )


def _flow(values: dict) -> str:
    text = yaml.safe_dump(
        values, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    )
    return text.strip()


def _scalar(text: str) -> str:
    """A name as YAML has it, also where it looks like something else."""
    return _flow({"name": text})[len("{name: ") : -1]


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def left_out_text(left_out: dict[str, str]) -> Sequence[str]:
    """One line for each joint that was left out."""
    return [f"left out: {name}, as {why}; --joints names it" for name, why in left_out.items()]
