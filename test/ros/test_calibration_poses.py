"""Still poses over ROS: an arm that drives itself, a rendered camera, a leader's targets."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import drawing
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import ROOT, Observer, free_domain, running_node, wait_for
from planted_arms import rendered_lens
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Board
from vdd_ros.calibration.intrinsics import read_camera_info, write_camera_info
from vdd_ros.calibration.planted_view import facing
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.recorded import chain_of
from vdd_ros.contract import Contract
from vdd_ros.nodes.calibrate_choice import choosing, end_choosing
from vdd_ros.nodes.calibration_parameters import CalibrationParameters
from vdd_ros.robot_calibration import RobotCalibration

cv2 = pytest.importorskip("cv2")
BOARD = Board(columns=7, rows=5, square_m=0.03, marker_m=0.022)
FOVY_RAD, VIEWS = 0.8, 9
LENS = rendered_lens(640, 480, FOVY_RAD)
COMMANDS = "/forward_position_controller/commands"


@pytest.fixture(scope="module")
def facts(tmp_path_factory) -> dict[str, Path]:
    """Files: a contract with a camera and the arm's model, the board, the camera's intrinsics."""
    folder = tmp_path_factory.mktemp("facts")
    raw = Contract.from_yaml(ROOT / "config" / "panda_cameras.yaml").to_dict()
    posed = Contract.from_yaml(ROOT / "config" / "panda_avoid_tool_pose.yaml").to_dict()
    raw |= {name: posed[name] for name in ("kinematics", "action")}
    raw["cameras"] = {"front": raw["cameras"]["front"] | {"rate_hz": 10.0}}
    for stream in raw["streams"].values():  # other tests may have the processor for a while
        stream["max_age_s"] = 2.0
    files = {name: folder / f"{name}.yaml" for name in ("contract", "board", "front")}
    files["contract"].write_text(json.dumps(Contract.from_dict(raw).to_dict()))
    files["board"].write_text(yaml.safe_dump(BOARD.model_dump(exclude_none=True)))
    write_camera_info(files["front"], "front", LENS)
    return files


def node(domain: int, facts, folder: Path, kind: str, **more):
    settings = {"contract": facts["contract"], "kind": kind, "drive": True}
    settings |= {"calibration": folder / "robot", "directory": folder / "poses", **more}
    return running_node("calibration_node", domain, settings)


def robot(domain: int, facts):
    """Simulator and gate, in real time: who renders is slow, and simulated time does not wait."""
    given = {"contract": facts["contract"]}
    scene = given | {"task": "avoid"}
    return running_node("sim_node", domain, scene), running_node("command_gate", domain, given)


@pytest.mark.slow
def test_a_camera_beside_the_arm_is_found_by_an_arm_that_drives_itself(facts, tmp_path):
    gl = drawing.gl()
    looks = {"contract": facts["contract"], "camera": "front", "board": facts["board"]}
    looks |= {"fovy": FOVY_RAD}
    given = {"camera": "front", "board": facts["board"], "camera_info": facts["front"]}
    given |= {"mounting": "eye_to_hand", "poses": VIEWS, "reach": 0.25}
    with free_domain() as domain, Observer(domain) as observer:
        sim, gate = robot(domain, facts)
        sent = observer.listen(Float64MultiArray, COMMANDS)
        with (
            sim,
            gate,
            running_node("sim_camera_node", domain, looks, MUJOCO_GL=gl),
            node(domain, facts, tmp_path, "hand_eye", **given) as calibration,
        ):
            assert calibration.wait(240.0) == 0, calibration.output
            assert "the camera's place is then known to" in calibration.output, "it was chosen"
    contract = Contract.from_yaml(facts["contract"])
    moves = np.abs(np.diff([message.data for message in sent], axis=0)).max(axis=0)
    assert (moves * contract.rates.control_hz <= contract.limit("velocity") + 1e-6).all()
    (folder,) = (tmp_path / "poses").iterdir()
    log = PoseLog.read(folder)
    assert len(log.poses) == VIEWS
    camera, _ = facing(chain_of(contract).poses(log.joints()[:1])[0], BOARD, "eye_to_hand")
    found = RobotCalibration.read(tmp_path / "robot").hand_eye["front"]
    assert rigid.distance_between(found.camera.matrix, camera) < 5e-3
    assert np.degrees(rigid.angle_between(found.camera.matrix, camera)) < 0.5
    assert found.camera.child_frame == contract.cameras["front"].frame


@pytest.mark.slow
def test_a_camera_s_lens_is_found_by_an_arm_that_drives_itself(facts, tmp_path):
    gl, info = drawing.gl(), tmp_path / "front.yaml"
    looks = {"contract": facts["contract"], "camera": "front", "board": facts["board"]}
    given = {"camera": "front", "board": facts["board"], "camera_info": info}
    with free_domain() as domain:
        sim, gate = robot(domain, facts)
        with (
            sim,
            gate,
            running_node("sim_camera_node", domain, looks | {"fovy": FOVY_RAD}, MUJOCO_GL=gl),
            node(
                domain, facts, tmp_path, "intrinsics", poses=12, reach=0.3, share=0.12, **given
            ) as calibration,
        ):
            assert calibration.wait(300.0) == 0, calibration.output
    (folder,) = (tmp_path / "poses").iterdir()
    assert len(PoseLog.read(folder).poses) == 12
    found = RobotCalibration.read(tmp_path / "robot").intrinsics["front"]
    assert abs(found.fx - LENS.focal) < 4.0 * found.std[0] < 0.1 * LENS.focal
    np.testing.assert_allclose(read_camera_info(info).matrix, found.matrix)


def test_joints_are_compared_with_their_leader_s_wherever_both_stand(facts, tmp_path):
    with free_domain() as domain:
        sim, gate = robot(domain, facts)
        with (
            sim,
            gate,
            node(domain, facts, tmp_path, "joints", poses=8, task="avoid") as calibration,
        ):
            assert calibration.wait(120.0) == 0, calibration.output
            assert "says nothing of a leader's joints" in calibration.output
    leader = RobotCalibration.read(tmp_path / "robot").leader
    assert all(one.sign == 1 and abs(one.offset) < 0.02 for one in leader.joints.values())


def test_the_e_stop_ends_it_between_poses(facts, tmp_path):
    with free_domain() as domain, Observer(domain) as observer:
        sim, gate = robot(domain, facts)
        with sim, gate, node(domain, facts, tmp_path, "joints", poses=50) as calibration:
            wait_for(lambda: "pose 3 of 50" in calibration.output, "the arm to be under way")
            observer.hold_e_stop()
            assert calibration.wait(60.0) == 1, calibration.output
            assert "the e-stop is pressed; nothing more is sent" in calibration.output
    assert not (tmp_path / "robot").exists()
    (folder,) = (tmp_path / "poses").iterdir()
    assert len(PoseLog.read(folder).poses) >= 2, "what was taken stays"


def test_a_gate_that_has_stopped_says_why(facts, tmp_path):
    with free_domain() as domain, Observer(domain) as observer:
        words = observer.listen(DiagnosticArray, "/diagnostics")
        sim, gate = robot(domain, facts)
        with sim, gate:
            observer.call(SetBool, "/command_gate/e_stop", SetBool.Request(data=True))
            says = lambda: [  # noqa: E731
                one.message
                for each in list(words)
                for one in each.status
                if one.message.startswith("stopped")
            ]
            wait_for(says, "the gate to say that it has stopped")
            with node(domain, facts, tmp_path, "joints", poses=50) as calibration:
                assert calibration.wait(60.0) == 1, calibration.output
                assert f"its gate has {says()[0]}" in calibration.output, calibration.output


def test_a_choice_that_nobody_wants_any_more_is_waited_for_by_nobody():
    contract = Contract.from_yaml(ROOT / "config" / "panda_avoid.yaml")
    begin = np.zeros(contract.n_joints)
    pool = choosing((contract, CalibrationParameters(kind="joints"), begin, None))
    thought = pool.submit(time.sleep, 3600.0)
    wait_for(thought.running, "the process to think")
    end_choosing(pool)
    assert isinstance(thought.exception(), BrokenProcessPool)


def test_one_that_is_killed_leaves_no_process_behind(facts, tmp_path):
    with free_domain() as domain:
        sim, gate = robot(domain, facts)
        with sim, gate, node(domain, facts, tmp_path, "joints", poses=50) as calibration:
            wait_for(lambda: "pose 2 of 50" in calibration.output, "a pose to be chosen")
            pid = calibration.process.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            assert children, "who chooses is a process of its own"
            assert calibration.end(signal.SIGKILL) == -signal.SIGKILL
            wait_for(
                lambda: not any(Path(f"/proc/{child}").exists() for child in children),
                "its processes to end",
            )


def test_what_is_not_known_is_told_at_once(facts, tmp_path):
    with free_domain() as domain, node(domain, facts, tmp_path, "joints", poses=5) as calibration:
        assert calibration.wait() == 2
        assert "poses is 5; joints takes 8 at least" in calibration.output
    given = {"camera": "front", "board": facts["board"]}
    with free_domain() as domain, node(domain, facts, tmp_path, "hand_eye", **given) as calibration:
        assert calibration.wait() == 2
        assert "intrinsics of front are not known: run `vdd calibrate" in calibration.output
    given |= {"camera_info": facts["front"]}
    with (
        free_domain() as domain,
        node(domain, facts, tmp_path, "intrinsics", **given) as calibration,
    ):
        assert calibration.wait() == 2
        assert "front.yaml is there already" in calibration.output
    given = {"camera": "side", "board": facts["board"]}
    with free_domain() as domain, node(domain, facts, tmp_path, "hand_eye", **given) as calibration:
        assert calibration.wait() == 2
        assert "camera 'side' is none of contract" in calibration.output
