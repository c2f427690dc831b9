"""calibration_node beside simulator, gate and recorder, each in a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
from datetime import datetime, timezone
from pathlib import Path

import drawing
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import CONTRACT_PATH, Observer, free_domain, running_node, wait_for
from rclpy.qos import DurabilityPolicy, QoSProfile
from recordings import HOME
from robots import lossless_contract
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from vdd_ros import cli
from vdd_ros.calibration.drift import reference
from vdd_ros.calibration.latency import Measured
from vdd_ros.calibration.leader_drift import RestOffset
from vdd_ros.calibration.recordings import keep
from vdd_ros.calibration_parts import (
    HandEye,
    JointOffset,
    JointOffsets,
    Residuals,
    Source,
    Transform,
)
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.nodes.messages import NS_PER_S, joint_state_message, message_class, qos_of
from vdd_ros.nodes.static_frames import transform_message
from vdd_ros.robot_calibration import RobotCalibration, latest_of
from vdd_ros.teleop.device import read_device
from vdd_ros.teleop.leader_map import LeaderMap

CONTRACT = Contract.from_yaml(CONTRACT_PATH)
COMMANDS = CONTRACT.streams["robot_command"].topic
JOINT = "panda_joint4"
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@contextlib.contextmanager
def robot(domain: int, folder: Path, contract=CONTRACT_PATH, task="avoid", **sim):
    """Simulator, gate and recorder, as fast as the machine is."""
    facts = {"contract": contract, "use_sim_time": True}
    scene = {"contract": contract, "task": task, "time_base": "sim", **sim}
    with (
        running_node("sim_node", domain, scene),
        running_node("command_gate", domain, facts),
        running_node(
            "recorder_node", domain, facts | {"directory": folder / "recorded"}
        ) as recorder,
    ):
        yield recorder


def calibrate(domain: int, folder: Path, kind: str, contract=CONTRACT_PATH, **more):
    settings = {"contract": contract, "use_sim_time": True, "kind": kind}
    settings |= {"calibration": folder / "robot", "directory": folder / "recorded"}
    return running_node("calibration_node", domain, settings | more)


def test_latency_is_measured_within_every_limit_and_a_planted_delay_is_what_it_grows_by(tmp_path):
    found, contract = [], tmp_path / "contract.yaml"
    lossless_contract(contract, CONTRACT_PATH)  # a lost command would look like a jump
    for late_s in (0.0, 0.04):
        folder = tmp_path / f"{late_s}"
        with (
            free_domain() as domain,
            robot(domain, folder, contract, command_delay_s=late_s),
            calibrate(
                domain, folder, "latency", contract, drive=True, joints=JOINT, seconds=5.0
            ) as node,
        ):
            assert node.wait(120.0) == 0, node.output
            assert "moves 1 joints" in node.output and "wrote" in node.output
        found.append(RobotCalibration.read(folder / "robot").latency[JOINT])
        store = EpisodeStore(folder / "recorded")
        (name,) = store.list()
        assert name in found[-1].source.data[0], "what it was estimated from stays"
        # as the recorder heard them: the node waits for it, and moves before others are discovered
        commands = store.load(name).streams["robot_command"].fields["position"]
        moves = np.diff(commands, axis=0) * CONTRACT.rates.control_hz
        assert (np.abs(moves) <= CONTRACT.limit("velocity") + 1e-6).all()
        force = np.diff(moves, axis=0) * CONTRACT.rates.control_hz
        assert (np.abs(force) <= CONTRACT.limit("acceleration") + 1e-6).all()
        assert (np.ptp(commands, axis=0) > 0.01).sum() == 1, "one joint was meant"
    early, late = found
    assert late.delay_s - early.delay_s == pytest.approx(0.04, abs=1e-3)
    assert late.between == ("robot_command", "joint_state")


@pytest.mark.slow
def test_cameras_that_are_stamped_as_the_joints_are_are_not_late(tmp_path):
    """The simulator draws what its joint states of the same stamp say."""
    contract = CONTRACT_PATH.with_name("panda_stack_1_images.yaml")
    facts = {"contract": contract, "use_sim_time": True}
    scene = {"contract": contract, "task": "stack_1", "time_base": "sim"}
    given = {"drive": True, "joints": "panda_joint1 agent_view in_hand", "seconds": 16.0}
    given |= {"reach": 0.3}
    with (
        free_domain() as domain,
        running_node("sim_node", domain, scene, MUJOCO_GL=drawing.gl()),
        running_node("command_gate", domain, facts),
        running_node("recorder_node", domain, facts | {"directory": tmp_path / "recorded"}),
        calibrate(domain, tmp_path, "latency", contract, **given) as node,
    ):
        assert node.wait(400.0) == 0, node.output
    found = RobotCalibration.read(tmp_path / "robot").latency
    for camera in ("agent_view", "in_hand"):
        assert found[camera].between == ("joint_state", camera)
        assert abs(found[camera].delay_s) < 2e-3 and np.ptp(found[camera].interval_s) < 8e-3


def test_without_drive_nothing_is_asked_of_the_arm_and_what_does_not_move_is_refused(tmp_path):
    teleop = CONTRACT.streams["teleop_command"].topic
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        robot(domain, tmp_path),
        calibrate(domain, tmp_path, "latency", seconds=2.0) as node,
    ):
        wait_for(lambda: "move the arm" in node.output, "the node to wait for a person")
        assert observer.node.count_publishers(teleop) == 0
        assert node.wait(60.0) == 1, node.output
        assert "no message of robot_command with this joint" in node.output
    assert not (tmp_path / "robot").exists()


def test_the_e_stop_ends_it_and_nothing_is_kept(tmp_path):
    with free_domain() as domain, Observer(domain) as observer:
        sent = observer.listen(Float64MultiArray, COMMANDS)
        with robot(domain, tmp_path), calibrate(domain, tmp_path, "latency", drive=True) as node:
            wait_for(lambda: len(sent) > 100, "the arm to be moved")
            observer.hold_e_stop()
            assert node.wait(60.0) == 1, node.output
            assert "the e-stop is pressed; nothing more is sent" in node.output
    assert not (tmp_path / "robot").exists()
    assert EpisodeStore(tmp_path / "recorded").list() == (), "a recording that was broken off"


@pytest.mark.parametrize("kind", ["latency", "joints"])
def test_the_e_stop_ends_it_before_anything_of_the_robot_is_there(kind, tmp_path):
    given = {"use_sim_time": False, "poses": 8}
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        calibrate(domain, tmp_path, kind, **given) as node,
    ):
        observer.hold_e_stop()
        assert node.wait(30.0) == 1, node.output
        assert "the e-stop is pressed; nothing more is sent" in node.output


@contextlib.contextmanager
def standing(observer):
    """Joint states of an arm that stands, for the length of the block."""
    states = CONTRACT.streams["joint_state"]
    out = observer.publisher(message_class(states.type), states.topic, qos_of(states))
    clock = observer.node.get_clock()
    timer = observer.node.create_timer(
        0.01,
        lambda: out.publish(
            joint_state_message(CONTRACT.joint_names, HOME, clock.now().nanoseconds)
        ),
    )
    yield
    observer.node.destroy_timer(timer)


def test_the_e_stop_ends_it_while_it_waits_for_a_recorder_or_for_a_gate(tmp_path):
    for drives, waits in ((False, "for recorder_node"), (True, "for a gate")):
        recorded = {"contract": CONTRACT_PATH, "directory": tmp_path / "recorded"}
        with (
            free_domain() as domain,
            Observer(domain) as observer,
            contextlib.ExitStack() as stack,
        ):
            if drives:
                stack.enter_context(running_node("recorder_node", domain, recorded))
            given = {"use_sim_time": False, "drive": drives}
            node = stack.enter_context(calibrate(domain, tmp_path, "latency", **given))
            stack.enter_context(standing(observer))
            wait_for(lambda: f"waiting {waits}" in node.output, waits)  # noqa: B023
            observer.hold_e_stop()
            assert node.wait(30.0) == 1, node.output
            assert "the e-stop is pressed; nothing more is sent" in node.output


def test_a_leader_beside_the_arm_becomes_its_device_file(tmp_path):
    """A person brings both to a pose; nothing follows anything."""
    device = CONTRACT_PATH.parent / "teleop" / "leader_panda.yaml"
    signs = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0])
    offsets, rng, place = 0.1 * np.arange(7), np.random.default_rng(0), [HOME]
    states = CONTRACT.streams["joint_state"]
    given = {"use_sim_time": False, "device": device, "poses": 8}
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        calibrate(domain, tmp_path, "joints", **given) as node,
    ):
        arm = observer.publisher(message_class(states.type), states.topic, qos_of(states))
        leader = observer.publisher(message_class(states.type), "/leader/joint_states")
        clock = observer.node.get_clock()

        def tell():
            joints, now_ns = place[0], clock.now().nanoseconds
            arm.publish(joint_state_message(CONTRACT.joint_names, joints, now_ns))
            led = signs * (joints - offsets)
            leader.publish(joint_state_message(CONTRACT.joint_names, led, now_ns))

        timer = observer.node.create_timer(0.01, tell)
        for number in range(1, 9):
            wait_for(lambda: f"pose {number} of 8" in node.output, "a pose")  # noqa: B023
            place[0] = HOME + rng.uniform(-0.25, 0.25, 7)
        assert node.wait() == 0, node.output
        assert "and leader/joint_states" in node.output
        observer.node.destroy_timer(timer)
    out = tmp_path / "leader.yaml"
    words = ["calibrate", "device", str(device), "--calibration", str(tmp_path / "robot")]
    assert cli.main([*words, "--out", str(out)]) == 0
    led = LeaderMap(read_device(out), CONTRACT)
    np.testing.assert_allclose(
        led.read(CONTRACT.joint_names, signs * (HOME - offsets)), HOME, atol=1e-5
    )


def test_a_recorder_that_is_gone_ends_it(tmp_path):
    recorded = {"contract": CONTRACT_PATH, "directory": tmp_path / "recorded"}
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        running_node("recorder_node", domain, recorded) as recorder,
        calibrate(domain, tmp_path, "latency", use_sim_time=False, seconds=2.0) as node,
        standing(observer),
    ):
        wait_for(lambda: "move the arm, for 2 s" in node.output, "the recording")
        recorder.end()
        assert node.wait() == 1, node.output
        assert "recorder_node was asked to stop and is gone" in node.output
    assert not (tmp_path / "robot").exists()


def test_a_robot_that_is_switched_off_ends_it_and_nothing_is_kept(tmp_path):
    """Its joint states end, so that none tells of the pause."""
    recorded = {"contract": CONTRACT_PATH, "directory": tmp_path / "recorded"}
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        running_node("recorder_node", domain, recorded),
        calibrate(domain, tmp_path, "latency", use_sim_time=False, seconds=60.0) as node,
    ):
        with standing(observer):
            wait_for(lambda: "move the arm, for 60 s" in node.output, "the recording")
        assert node.wait(30.0) == 1, node.output
        assert "no joint state for" in node.output
    assert EpisodeStore(tmp_path / "recorded").list() == ()


def test_a_gripper_is_calibrated_by_its_own_steps_and_the_node_stays_where_it_is_to(tmp_path):
    contract = CONTRACT_PATH.with_name("panda_gripper.yaml")
    given = {"contract": contract, "drive": True, "stay": True}
    with (
        free_domain() as domain,
        robot(domain, tmp_path, contract, "lift"),
        calibrate(domain, tmp_path, "gripper", **given) as node,
    ):
        wait_for(lambda: "wrote" in node.output, "the result", 120.0)
        assert node.process.poll() is None
    assert node.process.returncode == 0
    (section,) = RobotCalibration.read(tmp_path / "robot").grippers.values()
    assert section.opens == 1 and section.closed < 0.1 and section.open > 0.9
    assert section.width_at_zero_m is None


def transform(parent: str, child: str) -> Transform:
    return Transform(
        parent_frame=parent,
        child_frame=child,
        translation_m=(0.5, -0.1, 0.7),
        quat_xyzw=(0.6, 0.0, 0.8, 0.0),
        covariance=tuple(tuple(row) for row in (1e-6 * np.eye(6)).tolist()),
    )


def seen_from(folder: Path) -> None:
    """A calibration in which a camera's place is known."""
    good = Residuals(unit="px", rms=0.1, median=0.1, p95=0.2, worst=0.3)
    hand_eye = HandEye(
        made="2026-01-02T00:00:00+00:00",
        source=Source(method="by hand", count=1),
        mounting="eye_to_hand",
        camera=transform("panda_link0", "front_optical_frame"),
        target=transform("panda_hand_tcp", "calibration_board"),
        board="ChArUco",
        reprojection=good,
        position=good.model_copy(update={"unit": "m"}),
        rotation=good.model_copy(update={"unit": "rad"}),
    )
    known = latest_of(folder, CONTRACT.robot_name, CONTRACT.contract_hash)
    known.model_copy(update={"hand_eye": {"front": hand_eye}}).write(folder, NOW)


def test_a_frame_is_the_pose_of_the_camera_in_its_parent():
    frame = transform_message(transform("panda_link0", "front_optical_frame"), 5 * 10**9 + 7)
    assert (frame.header.frame_id, frame.child_frame_id) == ("panda_link0", "front_optical_frame")
    assert (frame.header.stamp.sec, frame.header.stamp.nanosec) == (5, 7)
    place, turn = frame.transform.translation, frame.transform.rotation
    assert (place.x, place.y, place.z) == (0.5, -0.1, 0.7)
    assert (turn.x, turn.y, turn.z, turn.w) == (0.6, 0.0, 0.8, 0.0)


def test_cameras_are_told_on_tf_static_to_whoever_comes_late(tmp_path):
    """Of ROS 2 from PyPI there are no tf2_msgs: then the node says what to install, and stays."""
    seen_from(tmp_path / "robot")
    with free_domain() as domain, calibrate(domain, tmp_path, "frames", use_sim_time=False) as node:
        if importlib.util.find_spec("tf2_msgs") is None:
            wait_for(lambda: "install ros-$ROS_DISTRO-tf2-msgs" in node.output, "what is missing")
            assert "front_optical_frame cannot be told on /tf_static" in node.output
            return
        from tf2_msgs.msg import TFMessage

        with Observer(domain) as observer:
            wait_for(lambda: observer.node.count_publishers("/tf_static"), "who tells frames")
            told = observer.listen(TFMessage, "/tf_static", LATCHED)
            wait_for(lambda: told, "frames that were told before")
            (frame,) = told[0].transforms
            assert frame.child_frame_id == "front_optical_frame"


def test_frames_that_nobody_calibrated_are_refused(tmp_path):
    with free_domain() as domain, calibrate(domain, tmp_path, "frames", use_sim_time=False) as node:
        assert node.wait() == 2
        assert "calibrate kind:=hand_eye first" in node.output


def test_a_drift_is_told_while_the_robot_works(tmp_path):
    """An arm that stands here and there, off its commands by 2 mrad more than when it was
    calibrated."""

    rng = np.random.default_rng(0)
    then = [
        RestOffset(f"{n}", f"{n}", CONTRACT, {"robot_command": rng.normal(0.0, 1e-4, 7)})
        for n in range(8)
    ]
    keep(tmp_path / "robot", CONTRACT, NOW, rest=reference(CONTRACT, then, NOW, []))
    states = CONTRACT.streams["joint_state"]
    with free_domain() as domain, Observer(domain) as observer:
        heard = observer.listen(DiagnosticArray, "/diagnostics")
        with calibrate(domain, tmp_path, "drift", use_sim_time=False, stretch=1.0) as node:
            out = observer.publisher(message_class(states.type), "/joint_states", qos_of(states))
            commands = observer.publisher(Float64MultiArray, COMMANDS)
            node_clock = observer.node.get_clock()

            def tell():  # a second in each place
                stamp_ns = node_clock.now().nanoseconds
                place = HOME + 0.2 * (stamp_ns // NS_PER_S % 8) * np.eye(7)[0]
                off = rng.normal(0.0, 1e-4, 7) + 0.002 * np.eye(7)[2]
                commands.publish(Float64MultiArray(data=place.tolist()))
                out.publish(joint_state_message(CONTRACT.joint_names, place + off, stamp_ns))

            timer = observer.node.create_timer(0.01, tell)
            verdicts = lambda: [  # noqa: E731
                {pair.key: pair.value for pair in status.values} | {"level": status.level}
                for message in list(heard)
                for status in message.status
                if status.name == "calibration_node"
            ]
            wait_for(lambda: verdicts() and "verdict" in verdicts()[-1], "a verdict")
            observer.node.destroy_timer(timer)
            (last, *_) = verdicts()[::-1]
        assert node.process.returncode == 0
    assert (last["verdict"], last["name"]) == ("MOVED", "panda_joint3")
    assert float(last["moved"]) == pytest.approx(0.002, abs=2e-4)
    assert last["level"] == b"\x02"


def test_a_calibration_that_the_contract_names_is_noted_in_episodes(tmp_path):
    one = Measured(JOINT, ("robot_command", "joint_state"), 0.05, 0.049, 0.051, 1.0, 1)
    contract = tmp_path / "robot.yaml"
    contract.write_text(f"extends: {CONTRACT_PATH.resolve()}\nlatency: robot\n")
    made = keep(tmp_path / "robot", CONTRACT, NOW, latency={JOINT: one.section(NOW, [])})
    settings = {"contract": contract, "directory": tmp_path / "recorded"}
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        running_node("recorder_node", domain, settings) as recorder,
    ):
        for button in ("start", "stop", "save"):
            assert observer.call(Trigger, f"/recorder_node/{button}").success, recorder.output
    store = EpisodeStore(tmp_path / "recorded")
    (name,) = store.list()
    found = store.manifest(name).calibration
    assert found.sha256 == hashlib.sha256(made.read_bytes()).hexdigest()


def test_a_recorder_with_a_calibration_writes_its_latencies_into_episodes(tmp_path):
    one = Measured(JOINT, ("robot_command", "joint_state"), 0.05, 0.049, 0.051, 1.0, 1)
    path = keep(tmp_path / "robot", CONTRACT, NOW, latency={JOINT: one.section(NOW, [])})
    nothing = Residuals(unit="rad", rms=0.0, median=0.0, p95=0.0, worst=0.0)
    offset = JointOffset(unit="rad", offset=0.1, std=1e-4, residuals=nothing)
    section = JointOffsets(
        made=NOW.isoformat(),
        source=Source(method="made up", count=5),
        joints={JOINT: offset},
        covariance=((1e-8,),),
    )
    known = RobotCalibration.read(path).model_copy(update={"encoders": section})
    known.write(tmp_path / "robot", NOW)
    settings = {"contract": CONTRACT_PATH, "directory": tmp_path / "recorded"}
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        running_node(
            "recorder_node", domain, settings | {"calibration": tmp_path / "robot"}
        ) as recorder,
    ):
        for button in ("start", "stop", "save"):
            assert observer.call(Trigger, f"/recorder_node/{button}").success, recorder.output
        assert f"has encoder offsets of {JOINT}, but contract" in recorder.output
    store = EpisodeStore(tmp_path / "recorded")
    (name,) = store.list()
    assert store.manifest(name).contract.latency.command_s == {JOINT: 0.05}
    assert json.loads((tmp_path / "recorded" / name / "manifest.json").read_text())["calibration"]
    assert yaml.safe_load(next((tmp_path / "robot").glob("*.yaml")).read_text())["latency"]
