"""The launch files by `ros2 launch` itself, where a ROS installation brings it."""

from __future__ import annotations

import re
import subprocess

import pytest
from harness import CONTRACT_PATH, ROOT, environment, free_domain, running, wait_for
from recordings import HOME
from robots import steady_bundle

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.robot_calibration import RobotCalibration

pytest.importorskip("ros2launch", reason="`ros2 launch` is not on PyPI: it comes with ROS")
FILES = sorted(path.name for path in (ROOT / "launch").glob("*.launch.py"))


def launched(name: str, **arguments) -> list[str]:
    words = [f"{key}:={value}" for key, value in arguments.items()]
    return ["ros2", "launch", "vdd_ros", f"{name}.launch.py", *words]


def assert_ended_cleanly(output: str) -> None:
    started = set(re.findall(r"\[(\w+-\d+)\]: process started", output))
    assert started
    assert started == set(re.findall(r"\[(\w+-\d+)\]: process has finished cleanly", output))


@pytest.mark.parametrize("name", FILES)
def test_arguments_are_shown(name):
    words = ["ros2", "launch", "vdd_ros", name, "--show-args"]
    done = subprocess.run(words, env=environment(0), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    declared = re.findall(
        r'DeclareLaunchArgument\(\s*"(\w+)"', (ROOT / "launch" / name).read_text()
    )
    assert set(declared) <= set(re.findall(r"^    '(\w+)':", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("contract", ["", "none.yaml"])
@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("record_demos", {"teleop": "keyboard"}),
        ("run_policy", {"bundle": "bundle"}),
        ("calibrate", {"kind": "drift"}),
    ],
)
def test_a_real_robot_without_its_contract_starts_nothing(name, needed, contract, tmp_path):
    command = launched(name, **needed, **({"contract": tmp_path / contract} if contract else {}))
    with free_domain() as domain, running(command, domain) as launch:
        assert launch.wait(100.0) == 1, launch.output
        told = f"contract:={tmp_path / contract} is no file" if contract else "add contract:=FILE"
        assert launch.output.count(told) == 1
        assert "process started" not in launch.output
        assert "read in a terminal of its own" not in launch.output


def test_a_real_robot_has_the_contract_that_is_named(tmp_path):
    own = tmp_path / "my_robot.yaml"
    own.write_text("no contract\n")
    command = launched("record_demos", contract=own, page="false", directory=tmp_path / "saved")
    with free_domain() as domain, running(command, domain) as launch:
        launch.wait(100.0)
        assert str(own) in launch.output
        assert "panda_avoid" not in launch.output
        assert "exit code 2" in launch.output


def test_demonstrations_are_recorded_by_themselves(tmp_path):
    command = launched(
        "record_demos", sim="true", demonstrator="scripted", episodes=2, page="false",
        directory=tmp_path / "saved",
    )  # fmt: skip
    with free_domain() as domain, running(command, domain) as launch:
        assert launch.wait(200.0) == 0, launch.output
        assert_ended_cleanly(launch.output)
    store = EpisodeStore(tmp_path / "saved")
    assert len(store.list()) == 2
    simulated = Contract.from_yaml(CONTRACT_PATH)
    assert all(store.load(name).contract == simulated for name in store.list())
    assert all(len(store.load(name).streams["robot_command"]) > 50 for name in store.list())


def test_an_arm_that_moves_itself_is_calibrated(tmp_path):
    command = launched(
        "calibrate", kind="latency", sim="true", joints="panda_joint4", seconds=4.0,
        calibration=tmp_path / "robot", directory=tmp_path / "recorded",
    )  # fmt: skip
    with free_domain() as domain, running(command, domain) as launch:
        assert launch.wait(200.0) == 0, launch.output
        assert_ended_cleanly(launch.output)
    assert 0.0 < RobotCalibration.read(tmp_path / "robot").latency["panda_joint4"].delay_s < 0.2


def test_a_policy_drives_and_all_of_it_ends_when_asked(tmp_path):
    bundle = steady_bundle(tmp_path / "bundle", Contract.from_yaml(CONTRACT_PATH), HOME)
    command = launched("run_policy", bundle=bundle, sim="true", flights=tmp_path / "flights")
    with free_domain() as domain, running(command, domain) as launch:
        wait_for(lambda: "configured in" in launch.output, "the node to be configured")
        wait_for(lambda: "seed 0: " in launch.output, "the end of an episode")
        launch.end()
        assert_ended_cleanly(launch.output)


def test_what_is_not_a_bundle_ends_everything(tmp_path):
    command = launched("run_policy", bundle=tmp_path / "none", sim="true")
    with free_domain() as domain, running(command, domain) as launch:
        assert launch.wait(100.0) == 0, "ros2 launch says so of every end"
        assert "none/bundle.json is missing: there is no such folder" in launch.output
        assert "exit code 2" in launch.output
