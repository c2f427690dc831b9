"""What a thread asks of the system to keep time, and what is said where it is not given."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest

from vdd_ros import realtime


def test_a_priority_that_is_given_is_asked_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *given: asked.append(given))
    assert realtime.claim(priority=50, cpu=-1) == []
    ((pid, policy, parameters),) = asked
    assert (pid, policy, parameters.sched_priority) == (0, os.SCHED_FIFO, 50)


def test_what_the_system_refuses_is_told_each_with_what_allows_it():
    affinity, priority = realtime.claim(priority=1000, cpu=1 << 20)
    assert affinity.startswith(f"processor {1 << 20} cannot be claimed (")
    assert priority.startswith("priority SCHED_FIFO 1000 is not permitted (")
    assert priority.endswith("allow it with rtprio in /etc/security/limits.conf")


@pytest.mark.parametrize(
    ("fault", "told"),
    [(0, []), (12, [f"memory cannot be locked ({os.strerror(12)}); allow it with memlock"])],
)
def test_memory_is_locked_where_all_of_it_may_be(monkeypatch, fault, told):
    """All that there is and all that will be."""
    asked = []

    def lock(flags):
        asked.append(flags)
        ctypes.set_errno(fault)
        return -1 if fault else 0

    everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda which: everything)
    library = SimpleNamespace(mlockall=lock)
    monkeypatch.setattr(realtime.ctypes, "CDLL", lambda name, use_errno: library)
    found = realtime.lock_memory()
    assert asked == [realtime.MCL_CURRENT | realtime.MCL_FUTURE]
    assert [one[: len(start)] for one, start in zip(found, told, strict=True)] == told


RETURNED = """
from pathlib import Path
from vdd_ros.realtime import give_back_memory

def resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

many = [bytes(2000) for _ in range(60_000)]  # 120 MB, of pieces that are never mapped alone
last = bytes(2000)  # above them all, so that the heap cannot become shorter
many.clear()
kept = resident()
give_back_memory()
print(kept - resident(), last[:1])
"""


def test_what_was_freed_goes_back_to_the_system():
    done = subprocess.run(
        [sys.executable, "-c", RETURNED], capture_output=True, text=True, check=True
    )
    assert int(done.stdout.split()[0]) > 90_000  # kB
