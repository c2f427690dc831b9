"""Begin the contract of a robot with the joints and limits of its URDF.

What a URDF does not say is asked in a terminal, each time with a default that Enter takes;
elsewhere, and with --no-ask, the defaults are taken. The file says of each of them how to find out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
import yaml
from pydantic import TypeAdapter, ValidationError

from vdd_ros.contract import Contract
from vdd_ros.durable import create_text
from vdd_ros.errors import UserError
from vdd_ros.fields import Name, NotNegative, Part, Positive
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
Fault = Callable[[str], str | None]  # why an answer cannot be; None where it can
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
    """Of the contract; that of the URDF if not given."""
    state_topic: str | None = None
    """Where the robot tells its joints (sensor_msgs/JointState); joint_states if not given."""
    state_hz: float | None = None
    """How often; 100 if not given."""
    controller: Controller | None = None
    """Which of ros2_control's takes the commands; the first if not given."""
    command_topic: str | None = None
    """Its topic; the controller's usual one if not given."""
    control_hz: float | None = None
    """Commands a second; 100 if not given."""
    policy_hz: float | None = None
    """Steps of the policy a second; 10 if not given."""
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
        raise UserError(
            f"no joint of {args.urdf} is one of an arm: {reasons}; name the joints by --joints, or "
            "expand the xacro with the arm in it"
        )
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
    """What is told by options, else asked, else usual. Raises UserError for an option that cannot
    be; a person is asked again."""

    def text(question: str, told: str | None, usual: str, fault: Fault = no_fault) -> str:
        while True:
            answer = told or (asked(question, usual) if is_asked else usual)
            if (why := fault(answer)) is None:
                return answer
            if told or not is_asked:
                raise UserError(why)
            print(why)

    def link(question: str, told: str | None, usual: str) -> str:
        known = ", ".join(urdf.links[:LINKS_SHOWN])
        wrong = f"is no link of {args.urdf}: it has {known}"
        return text(
            question, told, usual, lambda name: None if name in urdf.links else f"{name} {wrong}"
        )

    def rate(option: str, question: str, told: float | None, usual: float) -> float:
        answer = None if told is None else str(told)
        return float(text(question, answer, f"{usual:g}", lambda hz: fault_of_rate(option, hz)))

    name = text(
        "name of the contract (a-z, 0-9, _)", args.name, usual_name(urdf.name), fault_of_name
    )
    base = link("the link that stands", args.base, joints[0].parent)
    tool = link("the link of the tool", args.tool, urdf.rigid_end(joints[-1].child))
    state_topic = text("topic of the joint states", args.state_topic, "joint_states")
    state_hz = rate("--state-hz", "how often they come [Hz]", args.state_hz, 100.0)
    controllers = " or ".join(CONTROLLERS)
    controller = text(
        f"who takes commands: {controllers}",
        args.controller,
        next(iter(CONTROLLERS)),
        lambda one: None if one in CONTROLLERS else f"{one!r} is not offered: choose {controllers}",
    )
    topic = f"{controller}/{CONTROLLERS[controller][0]}"
    command_topic = text("topic of the commands", args.command_topic, topic)
    control_hz = rate("--control-hz", "commands a second [Hz]", args.control_hz, 100.0)
    policy_hz = rate("--policy-hz", "steps of the policy a second [Hz]", args.policy_hz, 10.0)
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


def no_fault(answer: str) -> None:
    """Of what anything may be."""


def fault_of_name(answer: str) -> str | None:
    """Why no contract can be called so; None where one can."""
    try:
        TypeAdapter(Name).validate_python(answer)
    except ValidationError as error:
        return f"{answer!r}: {error.errors()[0]['ctx']['error']}"
    return None


def fault_of_rate(option: str, answer: str) -> str | None:
    """Why it is no rate; None where it is one."""
    try:
        rate_hz = float(answer)
    except ValueError:
        return f"{answer!r} is no number; write one, as 100"
    if 0.0 < rate_hz <= 10_000.0:
        return None
    return f"{option} is {rate_hz:g}; choose a rate above 0, up to 10000"


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
