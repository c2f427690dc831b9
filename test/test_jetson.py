"""What a Jetson is given: locks that resolve, a service that stops an arm, checks of doctor."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gpu_stand_in
import pytest

from vdd_ros import engine_identity
from vdd_ros.engine_identity import driver_text, parsed_release
from vdd_ros.gpu_checks import cuda_check, jetpack_check, tensorrt_check

ROOT = Path(__file__).resolve().parents[1]
LAUNCH_KILLS_AFTER_S = 10  # ros2 launch: 5 s after SIGINT follows SIGTERM, 5 s later SIGKILL
GLIBC_2 = range(17, 36)  # JetPack 6 is Ubuntu 22.04, with glibc 2.35


@pytest.fixture
def gpu(monkeypatch) -> gpu_stand_in.Driver:
    return gpu_stand_in.installed(monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(("python", "cuda"), [("310", "12"), ("312", "13")])
def test_locks_resolve_for_a_jetson(tmp_path, python, cuda):
    """Every pin has a wheel for aarch64. This asks the package index, as `make venv` does, and
    fails where there is none."""
    lock = ROOT / "requirements" / f"robot-jetson-py{python}.txt"
    platforms = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in GLIBC_2)]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-input"]
    command += ["--target", str(tmp_path), "--only-binary", ":all:", "--implementation", "cp"]
    command += ["--python-version", python, "--disable-pip-version-check", "-r", str(lock)]
    command += [word for platform in platforms for word in ("--platform", platform)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"is the package index reached? {done.stderr[-800:]}"
    would = done.stdout[done.stdout.index("Would install") :].split()[2:]
    assert len(would) == len(lock.read_text().splitlines())
    assert any(one.startswith(f"cuda-bindings-{cuda}.") for one in would)


@pytest.mark.parametrize("python", ["310", "312"])
def test_a_jetson_has_all_that_any_robot_has(python):
    folder = ROOT / "requirements"
    robot, jetson = (
        set((folder / f"robot-{kind}py{python}.txt").read_text().splitlines())
        for kind in ("", "jetson-")
    )
    added = {pin.split("==")[0] for pin in jetson - robot}
    assert robot < jetson and added == {"cuda-bindings", "cuda-pathfinder"}


def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "config" / "systemd" / "vdd-policy@.service")
    return parser["Service"]


def test_the_service_gives_the_arm_time_to_come_to_rest():
    """systemd kills only after launch has had its time to ask twice and to kill."""
    told = service()
    assert told["KillSignal"] == "SIGINT" and told["KillMode"] == "mixed"
    assert int(told["TimeoutStopSec"]) >= LAUNCH_KILLS_AFTER_S + 5
    assert told["Restart"] == "no"


def test_the_service_verifies_before_it_starts_and_passes_known_arguments():
    told = service()
    assert 'vdd verify "$BUNDLE"' in told["ExecStartPre"]
    launch = (ROOT / "launch" / "run_policy.launch.py").read_text()
    for name in re.findall(r" (\w+):=", told["ExecStart"]):
        assert f'DeclareLaunchArgument("{name}"' in launch or f'"{name}",' in launch
    page = (ROOT / "docs" / "jetson.md").read_text()
    for variable in set(re.findall(r"\$([A-Z_]+)", told["ExecStart"] + told["ExecStartPre"])):
        assert f"{variable}=" in page, variable


def test_the_service_calls_what_a_workspace_has_in_its_path():
    """`vdd` is not: scripts are installed where `ros2 run` looks for them, and nothing else."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["install"]["install_scripts"] == "$base/lib/vdd_ros"
    told = service()
    for line in ("ExecStartPre", "ExecStart"):
        assert re.search(r"exec (\S+)", told[line])[1] == "ros2"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_reads_the_service(tmp_path):
    path = tmp_path / "vdd-policy@left.service"
    text = (ROOT / "config" / "systemd" / "vdd-policy@.service").read_text()
    path.write_text(text.replace("User=vdd", f"User={os.getuid()}"))
    done = subprocess.run(
        ["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=60
    )
    assert path.name not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("line", "release"),
    [
        (
            "# R36 (release), REVISION: 4.0, GCID: 37537400, BOARD: generic, EABI: aarch64",
            "L4T 36.4.0",
        ),
        ("# R39 (release), REVISION: 2.0, GCID: 1, BOARD: generic", "L4T 39.2.0"),
        ("something else", None),
        ("# R36 (release)", None),
    ],
)
def test_the_release_of_jetson_linux_is_read(line, release):
    found = parsed_release(line)
    # REVISION 4.0 of R36 is 36.4.0, and 2.0 of R39 is 39.2.0
    assert found == release


@pytest.mark.parametrize(
    ("release", "state", "name"),
    [
        ("L4T 36.4.0", "ok", "JetPack 6.1"),
        ("L4T 36.4.3", "ok", "JetPack 6.2"),
        ("L4T 36.4.9", "ok", "JetPack 6.2 or newer"),
        ("L4T 39.2.0", "ok", "JetPack 7.2"),
        ("L4T 36.3.0", "optional", "JetPack 6.0"),
        ("L4T 35.4.1", "optional", "JetPack of an unknown version"),
    ],
)
def test_doctor_tells_a_jetpack_that_is_too_old(release, state, name):
    check = jetpack_check(release, "NVIDIA Jetson AGX Orin Developer Kit")
    assert check.state == state and check.found.startswith(f"{name} ({release}) on NVIDIA Jetson")
    assert ("install JetPack 6.1 or newer" in check.remedy) == (state != "ok")


def test_doctor_tells_a_machine_without_a_gpu_from_one_with():
    assert jetpack_check(None, None).state == "ok"
    for check in (cuda_check(), tensorrt_check()):
        assert check.state == "ok" or (check.state == "optional" and check.found and check.remedy)


def test_doctor_tells_the_gpu(gpu):
    check = cuda_check()
    assert check.state == "ok" and check.found.startswith("Orin")
    assert "compute capability 8.7, CUDA 12.6" in check.found
    assert "6.4 of 8.6 GB free" in check.found
    assert tensorrt_check() == check._replace(name="tensorrt", found="10.3.0")


def test_a_version_of_cuda_is_told_as_people_write_it():
    assert driver_text(12060).startswith("CUDA 12.6") and driver_text(13020).startswith("CUDA 13.2")


def test_a_driver_is_told_by_what_the_system_says_of_it(tmp_path, monkeypatch):
    """Of a Jetson by its release, as CUDA says the same for many; else by its kernel module."""
    release, module = tmp_path / "nv_tegra_release", tmp_path / "version"
    monkeypatch.setattr(engine_identity, "L4T", release)
    monkeypatch.setattr(engine_identity, "KERNEL_MODULE", module)
    assert driver_text(12060) == "CUDA 12.6"
    module.write_text("570.86.15\n")
    assert driver_text(12080) == "CUDA 12.8 kernel 570.86.15"
    release.write_text("")
    assert driver_text(12080) == "CUDA 12.8 kernel 570.86.15", "a file that says nothing"
    release.write_text("# R36 (release), REVISION: 4.0, GCID: 37537400, BOARD: generic\n")
    assert driver_text(12060) == "CUDA 12.6 L4T 36.4.0"
