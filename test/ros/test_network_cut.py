"""DDS itself dies while an arm swings: its network is cut, in a network namespace of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness import environment

PROGRAM = Path(__file__).with_name("network_cut.py")
NAMESPACE = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
NO_SHARED_MEMORY = "mount -t tmpfs -o size=4k,ro none /dev/shm"
WITHIN = 2e-3  # rad; 5 times what a first command may move by, and less than an arm at full speed


def alone(command: str) -> subprocess.CompletedProcess:
    words = [*NAMESPACE, "sh", "-c", f"{NO_SHARED_MEMORY} && {command}"]
    env = environment(domain=1)  # there is nobody else in this network
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_an_arm_whose_network_was_cut_holds_and_is_not_sent_on_when_it_is_back():
    if (refused := alone("true")).returncode:  # as where AppArmor reserves user namespaces
        pytest.skip(f"only root may cut a network here: {refused.stderr.strip()}")
    ended = alone(f"exec {sys.executable} {PROGRAM} 3")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (row,) = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert row["began"] and row["reason"] in ("JOINTS_STALE", "OBSERVATION_STALE")
    # what was sent to nobody is not repeated
    assert row["last_command_s"] < 0.1 and not row["faults"] and row["moves"] < WITHIN
    assert row["drives_again"] and row["first_step"] < WITHIN
