"""A gamepad leads the simulated arm, and the recorder has all of it."""

from __future__ import annotations

import time

import numpy as np
import yaml
from harness import ROOT, repeating, running_node, wait_for
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.kinematics import Kinematics
from vdd_ros.nodes.messages import fields_of, qos_of, time_message
from vdd_ros.teleop.cartesian import LEAD_M

CONFIG = ROOT / "config"
ENABLE = 9
SIDEWAYS_M_S = 0.15  # of the shipped gamepad's axis 0
WAY_M = 0.1


def test_a_demonstration_by_gamepad_is_recorded_from_the_stick_to_the_tool(
    domain, observer, folder, lossless
):
    demos = folder / "demos"
    demos.mkdir()
    raw = lossless.to_dict()
    for stream in raw["streams"].values():
        stream["max_age_s"] = 3.0  # of a simulator on a busy machine
    (folder / "patient.yaml").write_text(yaml.safe_dump(raw))
    contract = {"contract": folder / "patient.yaml"}
    device = yaml.safe_load((CONFIG / "teleop" / "gamepad.yaml").read_text())
    (folder / "gamepad.yaml").write_text(yaml.safe_dump(device | {"timeout_s": 2.0}))
    teleop = {
        "device": folder / "gamepad.yaml",
        "kinematics": CONFIG / "kinematics" / "panda_tools.yaml",
    }
    stick = {"axis0": 0.0, "held": 0}
    publisher = observer.node.create_publisher(Joy, "joy", 10)

    def speak() -> None:
        message = Joy(axes=[stick["axis0"], *[0.0] * 5], buttons=[0] * 21)
        message.buttons[ENABLE] = stick["held"]
        message.header.stamp = time_message(time.time_ns())
        publisher.publish(message)

    targets = observer.listen(JointState, lossless.streams["teleop_command"].topic)
    joints = lossless.streams["joint_state"]
    states = observer.listen(JointState, joints.topic, qos_of(joints, depth=1000))
    kinematics = Kinematics(Contract.from_yaml(CONFIG / "panda_avoid_tool_pose.yaml"))

    def tip(messages: list) -> np.ndarray:
        return kinematics.forward(np.array([position(messages[-1])])).positions[0, 0]

    def position(message: JointState) -> np.ndarray:
        return fields_of(message, lossless)["position"]

    def is_still(messages: list) -> bool:
        before = position(messages[-1])
        time.sleep(0.3)
        return np.abs(position(messages[-1]) - before).max() < 1e-4

    with (
        running_node("sim_node", domain, contract | {"task": "avoid"}),
        running_node("command_gate", domain, contract),
        running_node("recorder_node", domain, contract | {"directory": demos}),
        running_node("teleop_node", domain, contract | teleop) as node,
        repeating(speak, 0.02),
    ):
        wait_for(lambda: "idle" in node.output, "the node")
        wait_for(lambda: states, "the arm")  # others may have discovered it earlier

        def is_engaged() -> bool:
            """Pressed again and again until the simulator is there."""
            stick["held"] = 1 - stick["held"]
            time.sleep(0.3)
            return node.output.rstrip().endswith("engaged")

        wait_for(is_engaged, "an engagement")
        started = lambda: observer.call(Trigger, "/recorder_node/start").success  # noqa: E731
        wait_for(started, "a recording")
        begun = tip(targets)
        stick["axis0"] = 1.0
        wait_for(lambda: tip(targets)[1] - begun[1] > WAY_M, "the way of the stick")
        stick["axis0"] = 0.0
        wait_for(lambda: is_still(states), "an arm at rest")
        assert observer.call(Trigger, "/recorder_node/stop").success
        saved = observer.call(Trigger, "/recorder_node/save")
        assert saved.success, saved.message
    store = EpisodeStore(demos)
    (name,) = store.list()
    episode = store.load(name)
    ways, durations = {}, {}
    for stream in ("teleop_command", "robot_command", "joint_state"):
        data = episode.streams[stream]
        poses = kinematics.forward(data.fields["position"][[0, -1]])
        ways[stream] = poses.positions[1, 0] - poses.positions[0, 0]
        durations[stream] = (data.stamps_ns[-1] - data.stamps_ns[0]) * 1e-9
    asked = ways["teleop_command"]
    assert asked[1] > WAY_M and np.abs(asked[[0, 2]]).max() < LEAD_M
    np.testing.assert_allclose(ways["robot_command"], asked, atol=2e-3)
    np.testing.assert_allclose(ways["joint_state"], asked, atol=5e-3)
    assert min(durations.values()) > WAY_M / SIDEWAYS_M_S
    found = str(episode.manifest.verdict)
    assert "robot_command was silent" not in found and "stuck" not in found, found
