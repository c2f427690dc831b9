"""Compare a contract with the robot that runs now: topics, types, rates, joints, QoS, frames.

It listens for a few seconds and sends nothing. Exit code 0: all fits; 1: something does not, and
the table says what to do; 2: the contract is none, or ROS is not there.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.live_check import findings
from vdd_ros.live_look import Finding
from vdd_ros.processes import require_domain

if TYPE_CHECKING:
    from vdd_ros.live_look import Look

LONGEST_S = 600.0
MARKS = {"fits": "[green]fits[/]", "wrong": "[red]WRONG[/]", "note": "[yellow]note[/]"}


@dataclass(frozen=True)
class Args:
    contract: Positional[Path]
    """The contract, a YAML file."""
    seconds: float = 4.0
    """How long it listens; rates below 1 Hz need longer."""
    namespace: str = ""
    """Of the nodes that will use the contract, as `left` of one of two arms."""
    domain: int | None = None
    """ROS_DOMAIN_ID; that of the environment if not given."""


def main(args: Args) -> dict:
    """Print a line for each thing that was compared; `ok` is False where one does not fit."""
    contract = Contract.from_yaml(args.contract)
    require_domain(args.domain)
    if not 0.5 <= args.seconds <= LONGEST_S:
        raise UserError(f"--seconds is {args.seconds:g}; choose 0.5 to {LONGEST_S:g}")
    look = look_at(contract, args)
    found = list(findings(contract, look)) if look.nodes else [nobody(args.domain)]
    Console().print(table_of(found, contract.name), highlight=False)
    count = Counter(finding.state for finding in found)
    wrong = count["wrong"]
    print(
        f"{wrong} wrong, {count['note']} to note, {count['fits']} fit; {len(look.nodes)} nodes seen"
    )
    return {
        "ok": not wrong,
        "file": args.contract,
        "contract": contract.name,
        "nodes": list(look.nodes),
        "findings": [finding._asdict() for finding in found],
    }


def look_at(contract: Contract, args: Args) -> Look:
    """What is to be seen; raises UserError without ROS."""
    try:
        from vdd_ros.nodes.graph_look import GraphLook
    except ImportError as error:
        raise UserError(
            f"ROS 2 cannot be imported ({str(error).splitlines()[0]}): source its setup file, and "
            "see what `vdd doctor` says"
        ) from None
    from rclpy.exceptions import InvalidNamespaceException

    try:
        with GraphLook(contract, args.namespace, args.domain) as graph:
            return graph.look(args.seconds)
    except InvalidNamespaceException:
        raise UserError(f"--namespace {args.namespace!r} is none: write one as left") from None


def nobody(domain: int | None) -> Finding:
    """What to do where no other node is seen at all."""
    told = os.environ.get("ROS_DOMAIN_ID", "0") if domain is None else str(domain)
    return Finding(
        "wrong",
        "graph",
        "nodes",
        f"no other node is seen in domain {told}",
        "start the robot's driver; compare ROS_DOMAIN_ID, RMW_IMPLEMENTATION and "
        "ROS_AUTOMATIC_DISCOVERY_RANGE of both shells; `vdd doctor` tries the middleware",
    )


def table_of(found: list[Finding], title: str) -> Table:
    """One row each; what is wrong has a second line that says what to do."""
    table = Table("", "of", "what", Column("found", overflow="fold"), title=title, show_lines=False)
    for one in found:
        told = f"{one.found}\n[bold]->[/] {one.remedy}" if one.remedy else one.found
        table.add_row(MARKS[one.state], one.of, one.what, told)
    return table
