"""A thread that keeps time: absolute deadlines, a priority and a processor of its own."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

MCL_CURRENT, MCL_FUTURE = 1, 2  # of mlockall(2)
# How long another thread of this process may hold the interpreter when the control thread wakes up.
SWITCH_INTERVAL_S = 0.0005


class Wake(NamedTuple):
    """due_ns: when a period began; now_ns: when it was noticed; monotonic time [ns]."""

    due_ns: int
    now_ns: int


def pace(period_ns: int) -> Iterator[Wake]:
    """Yield once a period, sleeping to absolute deadlines.

    Deadlines that passed while the consumer was busy are left out, never made up for in a burst.
    """
    due_ns = time.monotonic_ns()
    while True:
        behind_ns = time.monotonic_ns() - due_ns
        if behind_ns > 0:
            due_ns += behind_ns // period_ns * period_ns
        else:
            sleep_until(due_ns)
        yield Wake(due_ns, time.monotonic_ns())
        due_ns += period_ns


def sleep_until(time_ns: int) -> None:
    """Sleep to a monotonic time [ns]; not at all where it has passed."""
    left_ns = time_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns * 1e-9)


def claim(priority: int, cpu: int) -> list[str]:
    """Give the calling thread SCHED_FIFO at `priority` (0: leave) and processor `cpu` (-1: leave).

    Returns one sentence for each thing that the system did not permit.
    """
    refused = []
    if cpu >= 0:
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError as error:
            refused.append(f"processor {cpu} cannot be claimed ({error.strerror})")
    if priority > 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except OSError as error:
            refused.append(
                f"priority SCHED_FIFO {priority} is not permitted ({error.strerror}); "
                "allow it with rtprio in /etc/security/limits.conf"
            )
    return refused


def lock_memory() -> list[str]:
    """Keep all memory of this process from being swapped out; a sentence if that is not permitted.

    Not where the permission is for a limited amount: what is allocated later would then fail.
    """
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        why = "memory cannot be locked (the limit of memlock is finite)"
    elif ctypes.CDLL(None, use_errno=True).mlockall(MCL_CURRENT | MCL_FUTURE):
        why = f"memory cannot be locked ({os.strerror(ctypes.get_errno())})"
    else:
        return []
    return [f"{why}; allow it with memlock unlimited in /etc/security/limits.conf"]


def give_back_memory() -> None:
    """Return to the system what was freed but kept: files that were read, checked and closed leave
    a good part of a node's memory behind in the C library."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(ctypes.c_size_t(0))


@contextmanager
def undisturbed():
    """No garbage collection by surprise, and quick hand-over between threads."""
    before = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        gc.enable()
        gc.unfreeze()
