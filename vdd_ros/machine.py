"""What this machine grants a robot program: real-time priority, memory, disk, clock.

Standard library only, so that it can also tell why nothing else works.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path
from typing import Literal, NamedTuple

GIGABYTE = 1e9
DISK_NEEDED = 5 * GIGABYTE
# adjtimex(2) returns this while no time server disciplines the clock
TIME_ERROR = 5
REALTIME_REMEDY = (
    "sudo groupadd -f realtime && sudo usermod -aG realtime $USER && "
    "printf '@realtime - rtprio 98\\n@realtime - memlock unlimited\\n' | "
    "sudo tee /etc/security/limits.d/realtime.conf, then log in again"
)


CONTAINER_REMEDY = (
    "start the container with --cap-add=sys_nice --ulimit rtprio=98 --ulimit memlock=-1"
)


class Check(NamedTuple):
    """One line of the report; `optional` is missing too, but only some machines need it."""

    name: str
    state: Literal["ok", "missing", "optional"]
    found: str
    why: str
    remedy: str


def judge(name: str, good: bool, found: str, why: str, remedy: str, needed: bool = True) -> Check:
    """A finished line: the remedy is kept only where something is missing."""
    state: Literal["ok", "missing", "optional"] = "missing" if needed else "optional"
    return Check(name, "ok" if good else state, found, why, "" if good else remedy)


def python_check(found: tuple[int, ...]) -> Check:
    """The interpreter's version against the supported ones."""
    return judge(
        "python",
        (3, 10) <= found[:2] <= (3, 13),
        ".".join(map(str, found)),
        "3.11 to 3.13 on a workstation, 3.10 or 3.12 on the robot",
        "make venv PYTHON=python3.12",
    )


def realtime_remedy() -> str:
    """In a container its starter decides, and no file in it."""
    inside = any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv"))
    return CONTAINER_REMEDY if inside else REALTIME_REMEDY


def realtime_check() -> Check:
    """Try to run at a real-time priority, and go back."""
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, before, parameters)
        granted = True
    except PermissionError:
        granted = False
    found = "SCHED_FIFO granted" if granted else "SCHED_FIFO refused"
    why = "keeps the control tick on time beside other programs"
    return judge("realtime", granted, found, why, realtime_remedy(), needed=False)


def memlock_check(soft: int) -> Check:
    """The limit on locked memory [bytes]; -1 is unlimited."""
    enough = soft == resource.RLIM_INFINITY or soft >= GIGABYTE
    found = "unlimited" if soft == resource.RLIM_INFINITY else f"{soft / 1e6:.0f} MB"
    why = "page faults delay the control tick"
    return judge("memlock", enough, found, why, realtime_remedy(), needed=False)


def disk_check(free: float) -> Check:
    """Free space [bytes] where results go."""
    found = f"{free / GIGABYTE:.1f} GB free"
    remedy = f"free {DISK_NEEDED / GIGABYTE:.0f} GB, or name another disk: vdd doctor --folder DIR"
    why = "a full disk ends a recording"
    return judge("disk", free >= DISK_NEEDED, found, why, remedy)


def clock_check() -> Check:
    """Whether a time server disciplines the clock; read only."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    good = state not in (-1, TIME_ERROR)
    found = "synchronised" if good else "not synchronised"
    why = "stamps of two computers can only be compared on synchronised clocks"
    return judge("clock", good, found, why, "sudo apt-get install -y chrony", needed=False)
