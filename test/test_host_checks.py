"""What `vdd doctor` makes of a machine: found, why it matters, the command that mends it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vdd_ros import cli, machine
from vdd_ros.host_checks import (
    buffers_check,
    drawing_check,
    folder_checks,
    governor_check,
    host_checks,
    preemption_check,
    ros_environment_check,
    system_check,
)
from vdd_ros.machine import Check

NOBODY = 65534
GLIBC = ("glibc", "2.36")
JUDGED = {
    "Debian": (system_check("Linux", "x86_64", GLIBC), "ok", ""),
    "a Jetson": (system_check("Linux", "aarch64", ("glibc", "2.35")), "ok", ""),
    "a Mac": (system_check("Darwin", "arm64", ("", "")), "missing", "container"),
    "an old one": (system_check("Linux", "x86_64", ("glibc", "2.17")), "missing", "Debian 12"),
    "musl": (system_check("Linux", "x86_64", ("", "")), "missing", "Debian 12"),
    "a usual kernel": (
        preemption_check("6.1", "#1 SMP PREEMPT_DYNAMIC"),
        "optional",
        "realtime-kernel",
    ),
    "a real-time kernel": (preemption_check("6.1-rt", "#1 SMP PREEMPT_RT Debian"), "ok", ""),
    "a thrifty processor": (governor_check(["powersave\n"]), "optional", "cpupower"),
    "one of several": (governor_check(["performance\n", "ondemand\n"]), "optional", "cpupower"),
    "a steady processor": (governor_check(["performance\n"] * 4), "ok", ""),
    "a virtual machine": (governor_check([]), "ok", ""),
    "Linux's own buffers": (buffers_check(212_992), "optional", "net.core.rmem_max=8388608"),
    "large buffers": (buffers_check(1 << 22), "ok", ""),
    "no drawing": (drawing_check([]), "optional", "libegl1"),
    "drawing": (drawing_check(["osmesa"]), "ok", ""),
    "ROS": (ros_environment_check({"ROS_DOMAIN_ID": "42"}, "rmw_x"), "ok", ""),
    "a domain too far": (ros_environment_check({"ROS_DOMAIN_ID": "233"}, "x"), "missing", "export"),
    "no domain": (ros_environment_check({"ROS_DOMAIN_ID": "mine"}, "x"), "missing", "export"),
}


@pytest.mark.parametrize(("check", "state", "remedy"), JUDGED.values(), ids=list(JUDGED))
def test_each_check_says_what_to_do_where_something_lacks(check, state, remedy):
    assert check.state == state and check.found and check.why
    assert remedy in check.remedy and bool(check.remedy) is (state != "ok")


def test_what_decides_who_is_found_is_told():
    def found(environ: dict[str, str]) -> str:
        return ros_environment_check(environ, "rmw_zenoh_cpp").found

    assert found({}) == "no ROS_DISTRO, rmw_zenoh_cpp, domain 0, reach SUBNET"
    assert "this machine only" in found({"ROS_LOCALHOST_ONLY": "1"})
    assert "this machine only" in found({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"})
    assert "jazzy" in found({"ROS_DISTRO": "jazzy"})


def test_a_folder_of_results_has_to_be_there_and_to_be_ones_own(tmp_path):
    (fine,) = folder_checks(tmp_path, 1e12)
    assert (fine.name, fine.state) == ("disk", "ok")
    (gone,) = folder_checks(tmp_path / "gone", None)
    assert gone.state == "missing" and f"mkdir -p {tmp_path / 'gone'}" in gone.remedy


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write everywhere, so for the length of the block it is somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_a_folder_that_may_not_be_written_is_told():
    with tempfile.TemporaryDirectory() as name:  # pytest's own let nobody else in
        Path(name).chmod(0o555)
        with nobody():
            shut, _ = folder_checks(Path(name), 1e12)
    assert shut.state == "missing" and "chown" in shut.remedy


def test_a_missing_folder_is_a_finding_and_no_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vdd_ros.commands.doctor.ros_checks", lambda: iter(()))  # tested elsewhere
    assert cli.main(["doctor", "--folder", str(tmp_path / "none"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["name"] for one in told["checks"] if one["state"] == "missing"] == ["folder"]


def test_this_machine_is_told_completely():
    found = list(host_checks())
    assert [one.name for one in found] == ["system", "preemption", "governor", "buffers", "drawing"]
    assert found[0].state == "ok", "these tests run where vdd does"
    assert all(isinstance(one, Check) and one.found for one in found)


def test_in_a_container_its_starter_is_told(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == "/.dockerenv")
    assert "--ulimit rtprio=98" in machine.memlock_check(65536).remedy
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert "/etc/security/limits.d" in machine.memlock_check(65536).remedy
