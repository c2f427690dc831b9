"""`vdd calibrate latency` and `gripper` on recorded episodes, from the folder to the file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pictures import camera, contract_with, recorder_with
from recordings import CONTRACT, HOME, ROOT, SECOND, STARTED, array_cdr, joint_state_cdr

from vdd_ros import cli
from vdd_ros.calibration.excitation import STEPS, excitation
from vdd_ros.cdr import image_cdr
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.robot_calibration import RobotCalibration

MS = 1_000_000
HAND = Contract.from_yaml(ROOT / "config" / "panda_gripper.yaml")
JOINT = CONTRACT.joint_names[3]
LATE_S, CAMERA_LATE_S = 0.0432, 0.0617


def at(motion, time_s: float) -> np.ndarray:
    return np.array([np.interp(time_s, motion.times_s, one) for one in motion.targets.T])


@pytest.fixture(scope="module")
def excited(tmp_path_factory):
    """A folder with an episode in which a joint is excited, seen by a camera whose stamps are
    late: the brighter the further it has turned."""
    folder, seeing = tmp_path_factory.mktemp("excited"), contract_with({"front": camera("front")})
    motion = excitation(CONTRACT, HOME, (3,), share=0.3, reach=0.2, seconds=6.0)
    recorder = recorder_with(seeing, folder)
    recorder.start(SECOND, STARTED)
    rng = np.random.default_rng(0)
    shade = np.linspace(100.0, 300.0, 24 * 32).reshape(24, 32, 1)
    for tick in range(int(motion.times_s[-1] * 200)):
        now, time_s = SECOND + tick * 5 * MS, tick * 5e-3
        measured = at(motion, time_s - LATE_S) + rng.normal(0.0, 1e-4, 7)
        recorder.add("joint_state", joint_state_cdr(now, measured), now)
        if tick % 2 == 0:
            recorder.add("robot_command", array_cdr(at(motion, time_s)), now)
        if tick % 7 == 0:  # every 35 ms
            turned = at(motion, time_s - LATE_S - CAMERA_LATE_S)[3] - HOME[3]
            pixels = np.clip(120.0 + turned * shade + rng.normal(0.0, 2.0, (24, 32, 3)), 0, 255)
            shown = image_cdr(seeing.cameras["front"], pixels.astype(np.uint8), now)
            recorder.cameras.add("front", shown, now + 5 * MS)
    recorder.save(SECOND + round(motion.times_s[-1] * SECOND))
    return folder


def test_latencies_go_from_episodes_to_the_file_and_into_contracts(excited, tmp_path, capsys):
    robot = tmp_path / "robot"
    assert cli.main(["calibrate", "latency", str(excited), "--into", str(robot), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = {row["name"]: row for row in told["rows"]}
    assert rows[JOINT]["latency_ms"] == pytest.approx(1e3 * LATE_S, abs=0.3)
    assert rows["front"]["latency_ms"] == pytest.approx(1e3 * CAMERA_LATE_S, abs=2.0)
    assert "is told to move through 0 rad" in rows[CONTRACT.joint_names[0]]["why"]
    found = RobotCalibration.read(robot).latency
    assert found.keys() == {JOINT, "front"} and found["front"].between == ("joint_state", "front")
    path = tmp_path / "contract.yaml"
    path.write_text(f"extends: {ROOT}/config/panda_cameras.yaml\nlatency: robot\n")
    latency = Contract.from_yaml(path).latency
    assert latency.command_s[JOINT] == pytest.approx(LATE_S, abs=3e-4)
    assert latency.stamp_s["front"] == pytest.approx(CAMERA_LATE_S, abs=2e-3)


def test_a_joint_that_was_asked_for_and_did_not_move_is_a_failure(excited, tmp_path, capsys):
    words = ["calibrate", "latency", str(excited / "episode_0001"), "--names"]
    assert cli.main([*words, JOINT]) == 0
    assert cli.main([*words, CONTRACT.joint_names[0]]) == 1
    assert "move it, or excite it" in capsys.readouterr().out
    assert cli.main([*words, "elbow"]) == 2
    assert "no joint or camera elbow" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main(["calibrate", "latency", str(tmp_path / "empty")]) == 2
    assert "no episode in" in capsys.readouterr().err


def test_a_gripper_goes_from_episodes_to_the_file(tmp_path, capsys):
    """Its fingers meet at .1 and are open at .9 of what it is told."""
    recorder = DemoRecorder(HAND, tmp_path / "steps", "episode", "lift")
    recorder.start(SECOND, STARTED)
    arm = np.append(HOME, 0.0)
    for tick in range(len(STEPS) * 24):  # 1.2 s each at 20 Hz
        now, command = SECOND + tick * 50 * MS, STEPS[tick // 24]
        told = arm + command * np.eye(8)[7]
        done = arm + np.clip(command, 0.1, 0.9) * np.eye(8)[7]
        states = joint_state_cdr(now, done, names=HAND.joint_names)
        recorder.add("joint_state", states, now)
        recorder.add("robot_command", array_cdr(told), now)
    recorder.save(now)
    words = ["calibrate", "gripper", str(tmp_path / "steps"), "--into", str(tmp_path / "robot")]
    assert cli.main([*words, "--widths", "0:0", "1:.08", "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[-1])["row"]
    assert (row["closed"], row["open"], row["opens"]) == pytest.approx((0.1, 0.9, 1))
    assert (row["force_free"], row["fully_open"]) == pytest.approx((0.1, 0.9), abs=1e-3)
    section = RobotCalibration.read(tmp_path / "robot").grippers["panda_gripper"]
    assert section.width_per_command_m == pytest.approx(0.08)
    assert cli.main([*words, "--widths", "wide"]) == 2
    assert "write command:metres" in capsys.readouterr().err
    assert cli.main([*words, "--widths", "0:0", "nan:.08"]) == 2
    assert "are numbers" in capsys.readouterr().err
    assert cli.main([*words, "--widths", "0:.08", "1:0"]) == 2
    told = capsys.readouterr().err
    assert "by the widths panda_gripper opens with smaller commands" in told
    assert len(list((tmp_path / "robot").iterdir())) == 1
    other = ["--contract", str(ROOT / "config" / "panda_avoid.yaml"), "--joint", JOINT]
    assert cli.main([*words, *other]) == 2
    assert "name the contract of their robot" in capsys.readouterr().err
