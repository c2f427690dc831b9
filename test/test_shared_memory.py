"""What killed ROS programs leave in shared memory: found, told apart from what is in use."""

import fcntl
import subprocess
import sys
import time

import pytest

from vdd_ros.processes import free_domain, isolated
from vdd_ros.shared_memory import FOLDER, left_behind, remove

PORT = ("fastdds_port7661", "fastdds_port7661_el", "sem.fastdds_port7661_mutex")
OTHER = ("fastdds_port17413", "sem.fastdds_port17413_mutex")
SEGMENT = ("fastdds_0005ef32501743b8", "fastdds_0005ef32501743b8_el")
FOREIGN = ("lttng-ust-wait-6", "fastdds_portable", "sem.other_mutex", "fastdds_port7661.txt")
NODE = """
import rclpy
rclpy.init()
node = rclpy.create_node("killed")
print("here", flush=True)
rclpy.spin(node)
"""


@pytest.fixture
def folder(tmp_path):
    for name in PORT + OTHER + SEGMENT + FOREIGN:
        (tmp_path / name).touch()
    return tmp_path


def names(files):
    return {file.name for file in files}


def test_what_nobody_holds_is_left_behind(folder):
    assert names(left_behind(folder=folder)) == {*PORT, *OTHER, *SEGMENT}
    assert names(left_behind(1, folder)) == set(PORT)
    assert names(left_behind(40, folder)) == set(OTHER) and left_behind(2, folder) == []
    assert remove(left_behind(folder=folder)) == 7
    assert names(folder.iterdir()) == set(FOREIGN)
    assert remove([folder / "gone"]) == 0


@pytest.mark.parametrize("kind", [fcntl.LOCK_EX, fcntl.LOCK_SH])
@pytest.mark.parametrize("suffix", ["_el", "_sl"])
def test_what_somebody_holds_is_not(folder, kind, suffix):
    with (folder / f"{PORT[0]}{suffix}").open("w") as lock:
        fcntl.flock(lock, kind)
        assert names(left_behind(folder=folder)) == {*OTHER, *SEGMENT}
    assert set(PORT) <= names(left_behind(folder=folder))


def test_without_shared_memory_nothing_is_left(tmp_path):
    assert left_behind(folder=tmp_path / "none") == []


def test_a_node_holds_its_ports_until_it_is_killed():
    domain = free_domain()
    assert left_behind(domain) == []
    words = [sys.executable, "-c", NODE]
    with subprocess.Popen(words, env=isolated(domain), stdout=subprocess.PIPE) as node:
        assert node.stdout.readline() == b"here\n"
        there = list(FOLDER.glob(f"*fast*_port{7411 + 250 * domain}*"))
        assert there and left_behind(domain) == []
        node.kill()
    deadline = time.monotonic() + 10.0
    while not set(there) <= set(left_behind(domain)):
        assert time.monotonic() < deadline
    assert free_domain() and remove(left_behind(domain)) >= len(there)
