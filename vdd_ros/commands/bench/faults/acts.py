"""What a scenario can do to a run: one function for each, a stage and the act's arguments in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.commands.bench.faults.stage import NODE, Stage

LEAD_PERIOD_S = 0.02
LED_BY = 0.3  # [rad]; all joints, in the time that a leader leads
BUSY = "import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


def change(stage: Stage, name: str) -> None:
    """A transition of the node under test."""
    stage.change(name)


def begin(stage: Stage, name: str) -> None:
    """A transition that is not waited for."""
    stage.event(name)
    stage.operator.begin_change(name)


def go_home(stage: Stage) -> None:
    """The arm is sent to where demonstrations began."""
    stage.operator.go_home()


def inject(stage: Stage) -> None:
    """What is judged begins here: all before is how it came to that."""
    stage.event("inject")


def press(stage: Stage, pressed: bool, reliable: bool = True) -> None:
    """The e-stop, by a publisher that keeps its last word, or by one that may lose any."""
    stage.operator.press(pressed, reliable)


def wait(stage: Stage, seconds: float) -> None:
    """Let it work."""
    time.sleep(seconds)


def relay(
    stage: Stage, stream: str, fault: str, value: Any = 0.0, joint: str = "", one_in: int = 1
) -> None:
    """Have a stream's relay do something, see `fault_relay`."""
    stage.operator.relay(stream, fault, value=value, joint=joint, one_in=one_in)


def end(stage: Stage, node: str, name: str) -> None:
    """A process, by a signal."""
    stage.ending.add(node)
    stage.nodes.signal(node, signal.Signals[name])


def stall(stage: Stage, seconds: float) -> None:
    """The node's process stands still."""
    stage.nodes.signal(NODE, signal.SIGSTOP)
    time.sleep(seconds)
    stage.nodes.signal(NODE, signal.SIGCONT)


def throttle(stage: Stage, seconds: float, stopped_s: float, running_s: float) -> None:
    """As under a quota: it runs for a while, then it does not, again and again."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        stall(stage, stopped_s)
        time.sleep(running_s)


def crowd(stage: Stage, programs: int, seconds: float) -> None:
    """The node shares one processor with busy programs, which end by themselves."""
    processors = os.sched_getaffinity(0)
    one, command = {min(processors)}, [sys.executable, "-c", BUSY.format(seconds=seconds)]
    _place(stage.nodes.pid(NODE), one)
    running = [subprocess.Popen(command) for _ in range(programs)]
    for program in running:
        os.sched_setaffinity(program.pid, one)
    for program in running:
        program.wait()
    _place(stage.nodes.pid(NODE), processors)


def _place(pid: int, processors: set[int]) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), processors)


def rival(stage: Stage, there: bool) -> None:
    """Another node that could send commands, and sends none."""
    stage.operator.advertise_commands(there)


def twin(stage: Stage) -> None:
    """Another node of the same name, which would drive the robot as well."""
    stage.start_twin()


def leave(stage: Stage) -> None:
    """The leader that drives through command_gate says nothing any more."""
    stage.leader.stop()


def truncate(stage: Stage, file: str) -> None:
    """Half of a file of the bundle is lost."""
    os.truncate(stage.bundle / file, (stage.bundle / file).stat().st_size // 2)


def remove(stage: Stage) -> None:
    """The bundle is gone."""
    shutil.rmtree(stage.bundle)


def lead(stage: Stage, seconds: float, kind: str) -> None:
    """A leader arm speaks for a while, from the last command sent on."""
    start, end_s = stage.commands()[-1], time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0.0:
        target = start + LED_BY * (1.0 - left_s / seconds)
        stage.operator.lead(*LEADERS[kind](target, time.time_ns()))
        time.sleep(LEAD_PERIOD_S)


# What a leader says of where it wants the arm (Da,) [unit], and since when [ns].
LEADERS: dict[str, Callable[[np.ndarray, int], tuple[np.ndarray, int]]] = {
    "good": lambda target, now_ns: (target, now_ns),
    "nan": lambda target, now_ns: (np.where(np.arange(len(target)), target, np.nan), now_ns),
    "far": lambda target, now_ns: (np.full_like(target, 1e6), now_ns),
    "late": lambda target, now_ns: (target, now_ns - 1_000_000_000),
    "future": lambda target, now_ns: (target, now_ns + 10_000_000_000),
    "empty": lambda target, now_ns: (target[:0], now_ns),
    "short": lambda target, now_ns: (target[:-1], now_ns),
}
ACTS: dict[str, Callable[..., None]] = {
    "change": change,
    "begin": begin,
    "go home": go_home,
    "inject": inject,
    "press": press,
    "wait": wait,
    "relay": relay,
    "end": end,
    "stall": stall,
    "throttle": throttle,
    "crowd": crowd,
    "rival": rival,
    "twin": twin,
    "leave": leave,
    "truncate": truncate,
    "remove": remove,
    "lead": lead,
}
