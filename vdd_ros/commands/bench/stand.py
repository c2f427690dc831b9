"""What benches of the action node have in common: a robot, a flight recorder and an observer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import yaml

from vdd_ros.bundle import Bundle
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.processes import Nodes, free_domain

if TYPE_CHECKING:
    from vdd_ros.nodes.command_observer import CommandObserver, Observed

START_S, POLL_S = 60.0, 0.5
PATIENCE_S = 2.0
ANYWHERE = 1e6  # [unit]; in its later turns the arm does not begin where demonstrations did


class Stand(NamedTuple):
    """Processes that run, who times commands, and the contract that all of them have."""

    nodes: Nodes
    observer: CommandObserver
    contract_path: Path


def at_rates(contract: Contract, control_hz: float, joint_hz: float) -> Contract:
    """A contract with other rates of the control loop and of the joint states, and patience: the
    robot of this stand is a process that starves while others start, and a run that is timed is not
    to be stopped by what is timed. `vdd bench faults` is about stops."""
    raw = contract.to_dict()
    raw["rates"]["control_hz"] = control_hz
    raw["streams"]["joint_state"]["rate_hz"] = joint_hz
    for name in ("robot_command", "policy_command"):
        raw["streams"][name]["rate_hz"] = control_hz
    for name in ("joint_state", "policy_command"):
        raw["streams"][name]["max_age_s"] = max(PATIENCE_S, raw["streams"][name]["max_age_s"])
    return Contract.from_dict(raw, f"contract {contract.name} at {control_hz:g} Hz")


def begin_of(bundle: Bundle) -> np.ndarray:
    """(Da,) the middle of where demonstrations began, or of the ranges if nobody knows [unit]."""
    start, contract = bundle.start, bundle.contract
    if start is None:
        return (contract.limit("lower") + contract.limit("upper")) / 2.0
    return start.middle


def words_of(position: np.ndarray) -> str:
    """Joints as a parameter of a node."""
    return " ".join(f"{x:.6f}" for x in position)


@contextmanager
def stand(folder: Path, contract: Contract, position: np.ndarray) -> Iterator[Stand]:
    """A robot and a flight recorder, and who times the commands, in a ROS domain of their own."""
    from vdd_ros.nodes.command_observer import CommandObserver

    path, domain = folder / "contract.yaml", free_domain()
    path.write_text(yaml.safe_dump(contract.to_dict()), encoding="utf-8")
    with Nodes(folder / "log", domain) as nodes, CommandObserver(domain, contract) as observer:
        nodes.start("bench_robot", {"contract": path, "position": words_of(position)})
        nodes.start("flight_recorder_node", {"contract": path, "directory": folder / "flights"})
        yield Stand(nodes, observer, path)


def wait_for_commands(stand: Stand, node: str) -> None:
    """Until a node that was started sends commands; raises UserError where it does not, or has
    stopped before it did."""
    end_s = time.monotonic() + START_S
    while not len((observed := stand.observer.observe(POLL_S)).commands_ns):
        stand.nodes.check()
        if observed.state.get("stop_reason") or time.monotonic() > end_s:
            require_running(node, observed)


def require_running(node: str, observed: Observed) -> None:
    """Raise UserError, with the reason, where a run has stopped."""
    reason = observed.state.get("stop_reason", "")
    if reason or not len(observed.commands_ns):
        told = [reason or "no reason is known", observed.state.get("stop_detail", "")]
        raise UserError(f"{node} stopped ({', '.join(filter(None, told))}): is the machine busy?")
