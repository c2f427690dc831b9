"""Begin the contract of a robot with the joints and limits of its URDF.

What a URDF does not say is asked in a terminal, each time with a default that Enter takes;
elsewhere, and with --no-ask, the defaults are taken. The file says of each of them how to find out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
import yaml

from vdd_ros.contract import Contract
from vdd_ros.durable import create_text
from vdd_ros.errors import UserError
from vdd_ros.fields import NotNegative, Part, Positive
from vdd_ros.new_contract import (
    CONTROLLERS,
    Draft,
    Known,
    contract_text,
    fault_of,
    left_out_text,
    usual_joints,
    usual_name,
)
from vdd_ros.urdf import Urdf, UrdfJoint, read_urdf
from vdd_ros.yaml_file import checked, read_map

LINKS_SHOWN = 40
Controller = Literal["forward_position_controller", "joint_trajectory_controller"]


@dataclass(frozen=True)
class Args:
    urdf: Path
    """The robot's URDF; xacro has to be expanded first."""
    out: Path
    """The contract to write, a YAML file that is not there yet."""
    joints: tuple[str, ...] = ()
    """The joints, in the order of commands; left out: those from `base` to `tool` where these are
    told, else all that move and are of no gripper."""
    base: str | None = None
    """The link that stands."""
    tool: str | None = None
    """The link that the task is done with."""
    name: str | None = None
    """Of the contract."""
    state_topic: str | None = None
    """Where the robot tells its joints (sensor_msgs/JointState)."""
    state_hz: float | None = None
    """How often."""
    controller: Controller | None = None
    """Which of ros2_control's takes the commands."""
    command_topic: str | None = None
    """Its topic."""
    control_hz: float | None = None
    """Commands a second."""
    policy_hz: float | None = None
    """Steps of the policy a second."""
    joint_limits: Path | None = None
    """A MoveIt configuration's joint_limits.yaml: accelerations, which no URDF has."""
    ask: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: in a terminal)")] = True
    """Ask for what is not told above."""


class JointLimits(Part):
    """Of one joint, as MoveIt's setup assistant writes it."""

    model_config = Part.model_config | {"extra": "ignore"}

    has_velocity_limits: bool = False
    max_velocity: Positive | None = None
    has_acceleration_limits: bool = False
    max_acceleration: NotNegative | None = None
    has_jerk_limits: bool = False
    max_jerk: Positive | None = None


def main(args: Args) -> dict:
    """Write the contract; raises UserError, and writes nothing, where something does not fit."""
    if args.out.exists() or args.out.is_symlink():
        raise UserError(f"{args.out} is there already and is never overwritten: name another --out")
    if not args.out.parent.is_dir():
        raise UserError(f"the folder {args.out.parent} is not there: make it, or name another")
    urdf = read_urdf(args.urdf)
    joints, left_out = chosen(urdf, args)
    draft = decided(urdf, joints, args, is_asked=args.ask and sys.stdin.isatty())
    text = contract_text(draft)
    contract = Contract.from_dict(yaml.safe_load(text), f"a contract of {args.urdf}")
    try:
        create_text(args.out, text)
    except FileExistsError:
        raise UserError(f"{args.out} was made by somebody else meanwhile: name another") from None
    for line in left_out_text(left_out):
        print(line)
    print(f"{args.out}: {contract.n_joints} joints, {draft.base} to {draft.tool}")
    if not is_chain(urdf, draft):
        print(
            f"not all of its joints lie between {draft.base} and {draft.tool}: if these are "
            "several arms, or a head is among them, name what is meant by --joints, or --base and "
            "--tool"
        )
    print(
        "next: read the file's comments and correct what is not so, start the robot's driver, then"
    )
    print(f"  vdd contract check {args.out}")
    return {
        "ok": True,
        "file": args.out,
        "name": contract.name,
        "joints": list(contract.joint_names),
        "left_out": left_out,
        "base": draft.base,
        "tool": draft.tool,
    }


def chosen(urdf: Urdf, args: Args) -> tuple[list[UrdfJoint], dict[str, str]]:
    """The joints of the contract, and why others are left out."""
    for option, link in (("base", args.base), ("tool", args.tool)):
        if link is not None and link not in urdf.links:
            raise UserError(
                f"--{option} {link}: {args.urdf} has no such link: name one of {_links(urdf)}"
            )
    joints, left_out = usual_joints(urdf)
    if args.joints:
        known = {joint.name: joint for joint in urdf.joints}
        moving = ", ".join(one.name for one in urdf.joints if one.moves) or "none that moves"
        if unknown := [name for name in args.joints if name not in known]:
            raise UserError(f"no joint {unknown[0]!r} in {args.urdf}: name some of {moving}")
        if len(set(args.joints)) != len(args.joints):
            raise UserError(f"--joints names one twice: {' '.join(args.joints)}; name each once")
        joints, left_out = [known[name] for name in args.joints], {}
    elif args.tool is not None:
        path = urdf.path(args.base or root_of(urdf), args.tool)
        if path is None:
            raise UserError(f"{args.base} does not carry {args.tool}: name a --base that does")
        joints, left_out = [one for one in path if one.moves and not one.mimics], {}
    if not joints:
        reasons = "; ".join(left_out_text(left_out)) or "nothing in it moves"
        raise UserError(f"no joint of {args.urdf} is one of an arm: {reasons}")
    for joint in joints:
        if fault := fault_of(joint):
            raise UserError(f"{args.urdf}: joint {joint.name} cannot be taken: {fault}")
    return joints, left_out


def _links(urdf: Urdf) -> str:
    return ", ".join(urdf.links[:LINKS_SHOWN])


def root_of(urdf: Urdf) -> str:
    """The link that no joint carries."""
    carried = {joint.child for joint in urdf.joints}
    return next((link for link in urdf.links if link not in carried), urdf.links[0])


def decided(urdf: Urdf, joints: list[UrdfJoint], args: Args, is_asked: bool) -> Draft:
    """What is told by options, else asked, else usual."""

    def text(question: str, told: str | None, usual: str) -> str:
        return told or (asked(question, usual) if is_asked else usual)

    def number(question: str, told: float | None, usual: float) -> float:
        answer = str(told) if told is not None else str(usual)
        if told is None and is_asked:
            answer = asked(question, answer)
        try:
            return float(answer)
        except ValueError:
            raise UserError(f"{question}: {answer!r} is no number; write one, as 100") from None

    name = text("name of the contract (a-z, 0-9, _)", args.name, usual_name(urdf.name))
    base = text("the link that stands", args.base, joints[0].parent)
    tool = text("the link of the tool", args.tool, urdf.rigid_end(joints[-1].child))
    for link in (base, tool):
        if link not in urdf.links:
            raise UserError(
                f"{link} is no link of {args.urdf}: it has {', '.join(urdf.links[:40])}"
            )
    state_topic = text("topic of the joint states", args.state_topic, "joint_states")
    state_hz = number("how often they come [Hz]", args.state_hz, 100.0)
    controllers = " or ".join(CONTROLLERS)
    usual = next(iter(CONTROLLERS))
    controller = text(f"who takes commands: {controllers}", args.controller, usual)
    if controller not in CONTROLLERS:
        raise UserError(f"controller {controller!r} is not offered: choose {controllers}")
    topic = f"{controller}/{CONTROLLERS[controller][0]}"
    command_topic = text("topic of the commands", args.command_topic, topic)
    control_hz = number("commands a second [Hz]", args.control_hz, 100.0)
    policy_hz = number("steps of the policy a second [Hz]", args.policy_hz, 10.0)
    for what, rate_hz in (("state", state_hz), ("control", control_hz), ("policy", policy_hz)):
        if not 0.0 < rate_hz <= 10_000.0:
            raise UserError(f"--{what}-hz is {rate_hz:g}; choose a rate above 0, up to 10000")
    return Draft(
        name,
        args.urdf.name,
        tuple(joints),
        base,
        tool,
        state_topic,
        state_hz,
        controller,
        command_topic,
        control_hz,
        policy_hz,
        {} if args.joint_limits is None else known_limits(args.joint_limits),
    )


def asked(question: str, usual: str) -> str:
    """A person's answer; `usual` where it is empty."""
    try:
        return input(f"{question} [{usual}]: ").strip() or usual
    except EOFError:
        raise UserError(f"{question}: no answer came; add --no-ask to take the defaults") from None


def known_limits(path: Path) -> dict[str, Known]:
    """By joint, what a MoveIt joint_limits.yaml says."""
    raw = read_map(path, "file of joint limits").get("joint_limits")
    if not isinstance(raw, dict):
        raise UserError(f"{path} has no map `joint_limits`: name a MoveIt joint_limits.yaml")
    found = {}
    for name, values in raw.items():
        one = checked(JointLimits, values, f"{path}: {name}")
        found[str(name)] = Known(
            one.max_velocity if one.has_velocity_limits else None,
            (one.max_acceleration or None) if one.has_acceleration_limits else None,
            one.max_jerk if one.has_jerk_limits else None,
        )
    return found


def is_chain(urdf: Urdf, draft: Draft) -> bool:
    """Whether every joint of the contract moves the tool within the base."""
    path = urdf.path(draft.base, draft.tool) or ()
    return {joint.name for joint in draft.joints} <= {joint.name for joint in path}
