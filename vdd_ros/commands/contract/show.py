"""Check a contract's file, and show its joints, streams and hashes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from vdd_ros.action_space import action_space
from vdd_ros.contract import Contract


@dataclass(frozen=True)
class Args:
    file: Positional[Path]
    """The contract, a YAML file."""


def main(args: Args) -> dict:
    """Print the contract as tables; raises UserError where the file is not a valid contract, or its
    kinematic model cannot be used here."""
    contract = Contract.from_yaml(args.file)
    action_space(contract)
    console = Console()
    console.print(joint_table(contract), stream_table(contract))
    if contract.cameras:
        console.print(camera_table(contract))
    if contract.images:
        console.print(image_table(contract))
    console.print(
        f"policy {contract.rates.policy_hz:g} Hz, control {contract.rates.control_hz:g} Hz; "
        f"observation {contract.observation_dim}, action {contract.action_dim} "
        f"({action_text(contract)})",
        highlight=False,
    )
    # printed plainly: a wrapped hash cannot be copied
    print(f"interface_hash {contract.interface_hash}")
    print(f"contract_hash  {contract.contract_hash}")
    return {
        "ok": True,
        "file": args.file,
        "name": contract.name,
        "joints": list(contract.joint_names),
        "observation_dim": contract.observation_dim,
        "action_dim": contract.action_dim,
        "meaning": contract.action.meaning,
        "interface_hash": contract.interface_hash,
        "contract_hash": contract.contract_hash,
    }


def action_text(contract: Contract) -> str:
    """What an action's numbers are, in the order in which they come."""
    action, kinematics = contract.action, contract.kinematics
    tools = () if kinematics is None else tuple(tool.frame for tool in kinematics.tools)
    absolute = contract.joints_beside_tools if tools else action.absolute or ()
    of = f" of {', '.join(tools)}" if tools else ""
    return action.meaning + of + (f", absolute {', '.join(absolute)}" if absolute else "")


def joint_table(contract: Contract) -> Table:
    """One row per joint, in the contract's order, in the joint's own unit."""
    names = ["lower", "upper", "velocity /s", "acceleration /s²"]
    # headings give way first: names that are cut off cannot be told from one another
    name = Column("joint", no_wrap=True, overflow="fold")
    table = Table(name, "unit", *names, *(["jerk /s³"] if contract.limits_jerk else []))
    for joint in contract.joints:
        bounds = (joint.lower, joint.upper, joint.velocity, joint.acceleration, joint.jerk)
        figures = (f"{bound:g}" for bound in bounds if bound is not None)
        table.add_row(joint.name, joint.unit, *figures)
    table.title = contract.name
    return table


def stream_table(contract: Contract) -> Table:
    """One row per stream: topic, rate [Hz], largest age [ms], whose clock."""
    table = Table("stream", Column("topic", overflow="fold"), "Hz", "max age ms", "stamps")
    for name, stream in contract.streams.items():
        age = f"{stream.max_age_s * 1e3:g}"
        table.add_row(name, stream.topic, f"{stream.rate_hz:g}", age, stream.timeline)
    return table


def camera_table(contract: Contract) -> Table:
    """One row per camera: topic, what its pictures are like, rate [Hz], largest age [ms]."""
    table = Table("camera", Column("topic", overflow="fold"), "pictures", "Hz", "max age ms")
    for name, camera in contract.cameras.items():
        pictures = f"{camera.encoding} {camera.width}x{camera.height}"
        age = f"{camera.max_age_s * 1e3:g}"
        table.add_row(name, camera.topic, pictures, f"{camera.rate_hz:g}", age)
    return table


def image_table(contract: Contract) -> Table:
    """One row per image of the observation: the part of a picture, and what becomes of it."""
    table = Table("image", "camera", "part [px]", "seen as [px]", "delay ms")
    for image in contract.images:
        left, top, right, bottom = image.box(contract.cameras[image.camera])
        part, size = f"{left},{top} to {right},{bottom}", f"{image.width}x{image.height}"
        table.add_row(image.name, image.camera, part, size, f"{image.delay_s * 1e3:g}")
    return table
