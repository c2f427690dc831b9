"""What run_policy.launch.py sim:=true starts, with a policy that sees images: the node of the robot
on pictures that are drawn while the simulation goes on."""

from __future__ import annotations

import drawing
import numpy as np
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import ROOT, Observer, free_domain, running_node, wait_for
from robots import HOME
from sensor_msgs.msg import Image
from sighted import patient, sighted_bundle
from std_msgs.msg import Float64MultiArray

from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import qos_of, stamp_ns_of

CONTRACT = ROOT / "config" / "panda_stack_1_images.yaml"


def values_of(messages: list, name: str) -> dict[str, str]:
    """What a node said of itself last."""
    said = [one for message in list(messages) for one in message.status if one.name == name]
    return {pair.key: pair.value for pair in said[-1].values} if said else {}


def test_the_simulated_robot_is_driven_by_what_its_cameras_see(tmp_path):
    gl = drawing.gl()
    said = {} if gl == "egl" else {"MUJOCO_GL": gl}  # egl is its own choice
    path = tmp_path / "contract.yaml"
    raw = patient(Contract.from_yaml(CONTRACT))
    raw["streams"]["joint_state"]["max_age_s"] = 0.8
    path.write_text(yaml.safe_dump(raw))
    contract, view = Contract.from_yaml(path), Contract.from_yaml(path).cameras["agent_view"]
    bundle = sighted_bundle(tmp_path / "sighted", contract, np.append(HOME + 0.3, 1.0))
    command = contract.streams["robot_command"]
    driving = {"contract": path, "bundle": bundle, "autostart": True}
    with free_domain() as domain, Observer(domain) as observer:
        pictures = observer.listen(Image, f"/{view.topic}", qos_of(view, depth=100))
        states = observer.listen(DiagnosticArray, "/action_node/policy_state")
        health = observer.listen(DiagnosticArray, "/diagnostics")
        commands = observer.listen(Float64MultiArray, command.topic, qos_of(command))
        simulated = {"contract": path, "task": "stack_1"}
        with (
            running_node("sim_node", domain, simulated, **said) as simulator,
            running_node("action_node", domain, driving),
        ):
            wait_for(lambda: len(commands) > 50, "commands")
            wait_for(lambda: int(values_of(states, "action_node")["camera_in_hand_seen"]), "images")
            wait_for(lambda: int(values_of(health, "sim_node").get("pictures", 0)), "pictures")
            values = values_of(states, "action_node")
            assert values["stop_reason"] == "" and values["camera_agent_view_broken"] == "0"
            assert simulator.end() == 0  # and with it arm and cameras are silent
            wait_for(lambda: values_of(states, "action_node")["stop_reason"], "a stop", 20.0)
    stamps = np.array([stamp_ns_of(picture) for picture in pictures])
    assert (np.diff(stamps) > 0).all() and (np.diff(stamps) % 5_000_000 == 0).all()
    first, last = (np.array(pictures[at].data).reshape(96, 96, 3).astype(int) for at in (0, -1))
    assert first.std() > 20.0 and np.abs(first - last).max() > 100  # a scene, and an arm that moves
