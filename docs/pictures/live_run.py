"""A policy that drives the simulation over ROS, and whoever looks on: what is drawn of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vdd_ros.contract import Contract
from vdd_ros.processes import Nodes, free_domain

if TYPE_CHECKING:
    from diagnostic_msgs.msg import DiagnosticStatus

    from vdd_ros.nodes.raw_recording import RawRecording

LOOK_S, LONGEST_S = 0.1, 240.0
STATE, DIAGNOSTICS = "/action_node/policy_state", "/diagnostics"
EPISODE, CLOCK = "/sim_node/episode", "/clock"


def played(
    bundle: Path,
    contract_path: Path,
    listened: Iterable[str],
    task: str,
    seed: int,
    time_base: str,
    folder: Path,
) -> dict:
    """One episode, by the nodes of `ros2 launch vdd_ros run_policy.launch.py sim:=true`, each in a
    process of its own: messages by topic as (time at which they were sent [ns], bytes).

    listened: streams and cameras of the contract; what the nodes tell of themselves is heard, too.
    """
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.qos import QoSProfile
    from rosgraph_msgs.msg import Clock
    from std_msgs.msg import String

    from vdd_ros.nodes.messages import latched_qos, message_class, qos_of
    from vdd_ros.nodes.raw_recording import QUEUE, RawRecording

    contract = Contract.from_yaml(contract_path)
    sources = [contract.sources[name] for name in listened]
    topics = {one.topic: (message_class(one.type), qos_of(one, QUEUE)) for one in sources}
    topics |= {name: (DiagnosticArray, QoSProfile(depth=QUEUE)) for name in (STATE, DIAGNOSTICS)}
    topics |= {EPISODE: (String, latched_qos()), CLOCK: (Clock, QoSProfile(depth=QUEUE))}
    domain, in_sim_time = free_domain(), {"use_sim_time": time_base == "sim"}
    recording = RawRecording(domain, topics)
    with Nodes(folder, domain) as nodes:
        driving = {
            "contract": contract_path,
            "bundle": bundle.resolve(),
            "autostart": True,
            "seed": seed,
        }
        if time_base == "sim":
            driving["most_missed"] = 0  # of real time
        nodes.start("action_node", driving | in_sim_time)
        flights: dict[str, object] = {"contract": contract_path, "directory": folder / "flights"}
        nodes.start("flight_recorder_node", flights | in_sim_time)
        # an episode is to begin no sooner than there is a policy for it
        _look_on(recording, nodes, lambda: bool(recording.messages[STATE]))
        simulated = {"contract": contract_path, "task": task, "seed": seed, "time_base": time_base}
        nodes.start("sim_node", simulated)
        _look_on(recording, nodes, lambda: bool(recording.messages[EPISODE]))
    recording.close()
    return recording.messages


def _look_on(recording: RawRecording, nodes: Nodes, is_over: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LONGEST_S
    while not is_over():
        recording.look()
        nodes.check()
        if time.monotonic() > end_s:
            told = said(recording.messages, DIAGNOSTICS).message
            raise SystemExit(f"nothing came of it in {LONGEST_S:g} s: {told}")
        time.sleep(LOOK_S)


def said(messages: dict, topic: str) -> DiagnosticStatus:
    """What action_node told of its run last."""
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.serialization import deserialize_message

    told = (deserialize_message(data, DiagnosticArray) for _, data in reversed(messages[topic]))
    return next(one for array in told for one in array.status if one.name == "action_node")


def ended(messages: dict) -> str:
    """How, as the simulation says."""
    from rclpy.serialization import deserialize_message
    from std_msgs.msg import String

    told = json.loads(deserialize_message(messages[EPISODE][-1][1], String).data)
    return f"{told['reason']} after {told['seconds']:.1f} s"
