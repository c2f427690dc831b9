"""Measure how punctual robot commands are, beside a loop that does nothing but publish them.

In turns: bench_publisher (the least that Python can do), action_node with a student, and with its
teacher planning beside the ticks. All with every guard, the monitor, diagnostics and the flight
recorder on, joint states at 1 kHz from another process, and commands timed in a third one.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import arg

from vdd_ros.bundle import Bundle
from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.made import made, told
from vdd_ros.commands.bench.stand import (
    ANYWHERE,
    Stand,
    at_rates,
    begin_of,
    stand,
    wait_for_commands,
    words_of,
)
from vdd_ros.errors import UserError

if TYPE_CHECKING:
    from vdd_ros.nodes.command_observer import Observed

SETTLE_S = 2.0  # of a turn's beginning, when nodes are still being discovered
PERCENTILES = {"p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9}  # of the lateness
BARE, STUDENT, TEACHER = "bare", "student", "teacher-async"


@dataclass(frozen=True)
class Args:
    student: Annotated[Path | None, arg(metavar="BUNDLE")] = None
    """Folder of a student's bundle; without one a small student and its teacher are made."""
    teacher: Annotated[Path | None, arg(metavar="BUNDLE")] = None
    """Folder of its teacher's bundle; without one only the named student is measured."""
    rate: float = 500.0
    """Control ticks a second."""
    seconds: float = 30.0
    """So long each, all turns together."""
    turns: int = 3
    """In so many turns."""
    joint_rate: float = 1000.0
    """Joint states a second."""
    realtime_priority: int = 0
    """SCHED_FIFO priority of action_node's control thread; 0: none."""
    planning: Literal["auto", "inline", "thread"] = "auto"
    """Where the student plans, as action_node has it."""
    send_after: float = 0.0
    """Seconds from the beginning of a tick to the sending of its command; 0: once it is known."""
    seed: int = 0
    """Of the policies' draws."""


class Turn(NamedTuple):
    """cpu: share of a core that the sender used."""

    observed: Observed
    cpu: float


def main(args: Args) -> dict:
    """Print the figures; raises UserError where a bundle cannot be run."""
    if not (args.rate > 0.0 and args.seconds > 0.0 and args.joint_rate > 0.0 and args.turns > 0):
        raise UserError("rate, joint_rate, seconds and turns must be above 0: correct them")
    result = measure_control(*_policies(args), args)
    Console().print(control_table(result))
    for name, ratio in result["ratios"].items():
        print(f"{name} {ratio:.3f}")
    return result


def _policies(args: Args) -> tuple[Path, Path | None]:
    """Bundles of a student and, perhaps, its teacher: those that are named, or small ones."""
    if args.student is not None:
        return args.student, args.teacher
    if args.teacher is not None:
        raise UserError("a teacher is measured beside its student: name it with --student")
    policy = made()
    return policy.student, policy.teacher


def measure_control(student_folder: Path, teacher_folder: Path | None, args: Args) -> dict:
    """Rows, ratios and how they were obtained; the whole of the `--json` line."""
    student = Bundle.load(student_folder)
    contract = at_rates(student.contract, args.rate, args.joint_rate)
    position = begin_of(student)
    found: dict[str, list[Turn]] = {}
    with tempfile.TemporaryDirectory() as name, stand(Path(name), contract, position) as on:
        path = on.contract_path
        shared = {"contract": path, "start_tolerance": ANYWHERE, "autostart": True}
        shared |= {"realtime_priority": args.realtime_priority, "seed": args.seed}
        shared["send_after"] = args.send_after
        shared["most_missed"] = 0  # deadlines that are missed are what is to be measured
        runs: dict[str, tuple[str, dict[str, Any]]] = {
            BARE: (
                "bench_publisher",
                {"contract": path, "position": words_of(position)}
                | {"realtime_priority": args.realtime_priority},
            ),
            STUDENT: (
                "action_node",
                shared | {"bundle": student_folder.resolve(), "planning": args.planning},
            ),
        }
        if teacher_folder is not None:
            Bundle.load(teacher_folder, contract)
            asynchronous = {"bundle": teacher_folder.resolve(), "planning": "thread"}
            runs[TEACHER] = ("action_node", shared | asynchronous)
        for _ in range(args.turns):
            for row, (node, parameters) in runs.items():
                turn = _turn(on, node, parameters, args.seconds / args.turns)
                found.setdefault(row, []).append(turn)
    rows = [row_of(name, turns, args.rate) for name, turns in found.items()]
    return {
        "ok": all(row["stop_reason"] == "" for row in rows),
        "rate_hz": args.rate,
        "joint_rate_hz": args.joint_rate,
        "planning": args.planning,
        "policy": told(args.student is not None),
        "send_after_s": args.send_after,
        "rows": rows,
        "ratios": ratios_of(rows),
        **origin(args.seed),
    }


def _turn(on: Stand, node: str, parameters: dict[str, Any], seconds: float) -> Turn:
    """One node from its start to its end; what arrived in the middle."""
    nodes = on.nodes
    nodes.start(node, parameters)
    wait_for_commands(on, node)
    on.observer.observe(SETTLE_S)
    before_s, began_s = nodes.cpu_s(node), time.monotonic()
    observed = on.observer.observe(seconds)
    nodes.check()
    cpu = (nodes.cpu_s(node) - before_s) / (time.monotonic() - began_s)
    nodes.end_one(node)
    if len(observed.commands_ns) < 2:
        reason = observed.state.get("stop_reason") or "no reason is known"
        raise UserError(f"{node} stopped before it was measured ({reason}): is the machine busy?")
    return Turn(observed, cpu)


def row_of(name: str, turns: list[Turn], rate_hz: float) -> dict:
    """Figures of all turns of one sender. Lateness is an interval less the period; missed: more
    than half a period late, as a share (docs/metrics.md)."""
    intervals = np.concatenate([np.diff(turn.observed.commands_ns) for turn in turns]) * 1e-6
    period_ms = 1e3 / rate_hz
    lateness = intervals - period_ms
    ways = np.concatenate([latencies_us(turn.observed) for turn in turns])
    states = [turn.observed.state for turn in turns]
    reasons = [state.get("stop_reason", "") for state in states]
    infer = states[-1].get("infer_p50_us", "")
    return {
        "name": name,
        "commands": int(len(intervals) + len(turns)),
        **{key: float(np.percentile(lateness, p)) for key, p in PERCENTILES.items()},
        "max_ms": float(lateness.max()),
        "p99_interval_ms": float(np.percentile(intervals, 99)),
        "missed": float(np.mean(2.0 * lateness > period_ms)),
        "cpu": float(np.mean([turn.cpu for turn in turns])),
        "tick_to_command_us": _p50_p99(ways[:, 0]),
        "observation_to_command_us": _p50_p99(ways[:, 1]),
        "plan_p50_us": float(infer) if infer not in ("", "None") else None,
        "stop_reason": next((reason for reason in reasons if reason), ""),
    }


def latencies_us(observed: Observed) -> np.ndarray:
    """(M, 2) to the arrival of the command sent just before a wish: from the tick that the wish is
    of, and from the stamp of the newest sample that its plan was made of."""
    place = np.searchsorted(observed.commands_ns, observed.wishes_ns) - 1
    known = place >= 0
    way = (observed.commands_ns[place[known]] - observed.ticks_ns[known]) * 1e-3
    return np.stack([way, way + observed.ages_s[known] * 1e6], axis=1)


def _p50_p99(values: np.ndarray) -> dict[str, float | None]:
    told = values[np.isfinite(values)]
    return {
        key: float(np.percentile(told, p)) if told.size else None
        for key, p in (("p50", 50), ("p99", 99))
    }


def ratios_of(rows: list[dict]) -> dict[str, float]:
    """Of each policy over the bare publisher; those of the student have the short names."""
    bare, *others = rows
    ratios = {}
    for row in others:
        of = "" if row["name"] == STUDENT else f"{row['name']}_"
        ratios[f"{of}p99_interval_over_bare"] = row["p99_interval_ms"] / bare["p99_interval_ms"]
        ratios[f"{of}p99_lateness_over_bare"] = row["p99_ms"] / bare["p99_ms"]
        ratios[f"{of}missed_minus_bare"] = row["missed"] - bare["missed"]
    return ratios


def control_table(result: dict) -> Table:
    """One line per sender."""
    heads = ["lateness p50 ms", "p99", "p99.9", "max", "missed", "CPU"]
    heads += ["tick to command p50 / p99 us", "observation to command"]
    right = [Column(head, justify="right") for head in heads]
    title = f"commands at {result['rate_hz']:g} Hz, joint states at {result['joint_rate_hz']:g} Hz"
    table = Table("sender", *right, title=title)
    for row in result["rows"]:
        times = [f"{row[key]:.3f}" for key in (*PERCENTILES, "max_ms")]
        shares = f"{row['missed']:.2%}", f"{row['cpu']:.0%}"
        ways = [row[name].values() for name in ("tick_to_command_us", "observation_to_command_us")]
        told = ["-" if p50 is None else f"{p50:.0f} / {p99:.0f}" for p50, p99 in ways]
        table.add_row(row["name"], *times, *shares, *told)
    return table
