"""Stage: a simulated robot, relays before it, and the node under test, all as processes.

What a scenario does to it is in `acts.py`. `mend` undoes all of that, which must set nothing in
motion: that is for the checker to see.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from vdd_ros.commands.bench.faults.leader_arm import LeaderArm
from vdd_ros.commands.bench.faults.recorded import DIAGNOSTICS, GATE, LOG, PLANT, TRAJECTORY
from vdd_ros.commands.bench.faults.sight import AGENT, HAND, knows_pictures
from vdd_ros.commands.bench.faults.swing import knows_tables, write_swing
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.processes import Nodes, free_domain
from vdd_ros.start_range import StartRange

if TYPE_CHECKING:
    from vdd_ros.nodes.raw_recording import RawRecording
    from vdd_ros.nodes.run_operator import RunOperator

TASK = "push"
NODE, TWIN = "action_node", "twin"
CAMERAS = "relay_cameras"
RELAYS = {
    "relay_joints": ("joint_state",),
    "relay_objects": ("objects",),
    "relay_robot": ("robot_command",),
    "relay_clock": ("clock",),
    CAMERAS: (AGENT, HAND),
}
# Parameters of action_node, and which bundle.
RIGS: dict[str, tuple[dict[str, Any], str]] = {
    "drive": ({}, "swing"),
    "unconfigured": ({}, "swing"),
    "thread": ({"planning": "thread"}, "swing"),
    "clock": ({"use_sim_time": True}, "swing"),
    "hold": ({"on_out_of_distribution": "hold"}, "knowing"),
    "foreign": ({}, "foreign"),
    "wide": ({}, "wide"),
    "far": ({}, "far"),
    "home": ({"home_speed": 1.0, "start_tolerance": 3.0}, "home"),
    "gate": ({}, ""),  # command_gate instead, for a leader
}
BARE = ("unconfigured", "foreign", "wide")  # rigs that a scenario configures itself
GOOD = {"foreign": "drive", "wide": "drive", "far": "drive"}  # what such a rig is recovered with
START_S, POLL_S, REFUSAL_S = 90.0, 0.02, 30.0
SETTLING_S, MATCHING_S, RESET_S = 0.5, 5.0, 40.0


class Stage:
    """Use as a context manager. folder: for bundles and logs."""

    def __init__(self, folder: Path, contract: Contract):
        self.contract = contract
        self.domain = free_domain()
        self._folder = folder
        self._path = folder / "contract.yaml"
        self._path.write_text(yaml.safe_dump(contract.to_dict()), encoding="utf-8")
        self.nodes = Nodes(folder / "log", self.domain)
        self.events: list[tuple[str, int]] = []
        self._rig = ""
        self.ending: set[str] = set()  # nodes that were asked to end
        self.bundle = folder / "bundles" / "swing"

    def __enter__(self) -> Stage:
        from vdd_ros.nodes.run_operator import RunOperator

        with ExitStack() as undo:
            undo.callback(self.__exit__)
            self.recording: RawRecording = self._record()
            self.operator: RunOperator = RunOperator(self.domain, self.contract)
            for name in ("sim_node", "relay_joints", "relay_objects", "relay_robot"):
                self._start(name)
            if self.contract.images:
                self._start(CAMERAS)
            self.wait_for(self._tells_joints, "the simulator tells nothing")
            self._write_bundles()
            self.leader = LeaderArm(self.operator.lead, self.joints(), self.contract.joint_names)
            undo.pop_all()
        return self

    def __exit__(self, *_) -> None:
        if hasattr(self, "leader"):
            self.leader.stop()
        self.nodes.end()
        for name in ("operator", "recording"):
            if hasattr(self, name):
                getattr(self, name).close()

    def _record(self) -> RawRecording:
        from diagnostic_msgs.msg import DiagnosticArray
        from rcl_interfaces.msg import Log
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import JointState

        from vdd_ros.nodes.messages import message_class, qos_of
        from vdd_ros.nodes.raw_recording import QUEUE, RawRecording

        told = {
            one.topic: (message_class(one.type), qos_of(one, depth=QUEUE))
            for one in map(self.contract.sources.__getitem__, ("robot_command", *self._told))
        }
        best_effort = QoSProfile(depth=QUEUE, reliability=ReliabilityPolicy.BEST_EFFORT)
        # what was said before one listened is told again
        latched = QoSProfile(depth=QUEUE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        own = {
            PLANT: (JointState, best_effort),
            "/action_node/policy_state": (DiagnosticArray, QoSProfile(depth=QUEUE)),
            DIAGNOSTICS: (DiagnosticArray, QoSProfile(depth=QUEUE)),
            LOG: (Log, latched),
        }
        return RawRecording(self.domain, told | own)

    def _start(self, name: str) -> None:
        if name in RELAYS:
            self.nodes.start(
                name,
                {"contract": self._path, "streams": ",".join(RELAYS[name])},
                module="fault_relay",
            )
        elif name == "sim_node":
            ends = [self.contract.sources[key] for key in (*self._told, "robot_command")]
            remaps = {one.topic: f"/plant{one.recorded_topic}" for one in ends}
            remaps["/clock"] = "/plant/clock"
            self.nodes.start(name, {"contract": self._path, "task": TASK}, remaps)
        elif name == GATE:
            self.nodes.start(name, {"contract": self._path})
        else:
            self.nodes.start(name, self._parameters())

    def _parameters(self) -> dict[str, Any]:
        """Of action_node."""
        parameters, bundle = RIGS[self._rig]
        own = {"contract": self._path, "bundle": self._folder / "bundles" / bundle}
        return own | parameters

    def start_twin(self) -> None:
        """A second node of the same name, until it has said why it does not drive."""
        settings = self._parameters() | {"autostart": True}
        self.nodes.start(TWIN, settings, {"__node": NODE}, module=NODE)
        began, end_s = len(self.messages(LOG)), time.monotonic() + REFUSAL_S
        while time.monotonic() < end_s and self.nodes.ended(TWIN) is None:
            if any(b"robot commands" in data for _, data in self.messages(LOG)[began:]):
                return
            time.sleep(POLL_S)

    def _write_bundles(self) -> None:
        contract, folder, middle = self.contract, self._folder / "bundles", self.joints()
        write_swing(folder / "swing", contract, middle)
        detector = knows_tables(contract)
        if self.contract.images:
            topics = {name: self.contract.cameras[name].topic for name in (AGENT, HAND)}
            self.wait_for(lambda: all(map(self.messages, topics.values())), "there are no pictures")
            shown = {name: self.messages(topic)[-1][1] for name, topic in topics.items()}
            detector = detector._replace(images=knows_pictures(contract, shown))
        write_swing(folder / "knowing", contract, middle, detector=detector)
        write_swing(folder / "home", contract, middle, StartRange(middle + 0.4, middle + 0.4))
        elsewhere = StartRange(middle + 1.5, middle + 1.5)
        write_swing(folder / "far", contract, middle, elsewhere)
        raw = contract.to_dict()
        raw["joints"][0]["velocity"] *= 2.0
        write_swing(folder / "wide", Contract.from_dict(raw), middle)
        raw = contract.to_dict()
        raw["rates"]["policy_hz"] = 5.0
        write_swing(folder / "foreign", Contract.from_dict(raw), middle)
        shutil.copytree(folder / "swing", self._folder / "spare", dirs_exist_ok=True)

    # what is known of the run

    def messages(self, topic: str) -> list[tuple[int, bytes]]:
        """What was recorded of a topic so far."""
        self.recording.look()
        return self.recording.messages[topic]

    def commands(self) -> np.ndarray:
        """(N, Da) what was recorded of robot commands so far [unit]."""
        stream, size = self.contract.streams["robot_command"], self.contract.n_joints
        found = self.messages(stream.topic)
        rows = [_position(data, stream.type, size) for _, data in found]
        return np.array(rows).reshape(len(found), size)

    def joints(self) -> np.ndarray:
        """(Da,) where the arm itself says it is [unit]."""
        from rclpy.serialization import deserialize_message
        from sensor_msgs.msg import JointState

        from vdd_ros.nodes.messages import fields_of

        message = deserialize_message(self.messages(PLANT)[-1][1], JointState)
        return fields_of(message, self.contract)["position"]

    @property
    def _told(self) -> tuple[str, ...]:
        """What the robot tells, by names of the contract."""
        return ("joint_state", "objects", *self.contract.observed_cameras)

    def _tells_joints(self) -> bool:
        relayed = self.contract.streams["joint_state"].topic
        return bool(self.messages(PLANT) and self.messages(relayed))

    def quiet_s(self) -> float:
        """For how long no command has come."""
        found = self.messages(self.contract.streams["robot_command"].topic)
        return (time.time_ns() - found[-1][0]) * 1e-9 if found else float("inf")

    def wait_for(self, condition, what: str, patience_s: float = START_S) -> None:
        """Raises UserError after `patience_s`, or where a node has ended."""
        end_s = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end_s:
                raise UserError(f"{what}: all that was said is in {self.nodes.log_folder}")
            time.sleep(POLL_S)

    def event(self, name: str) -> None:
        """Note the time at which something is done."""
        self.events.append((name, time.time_ns()))

    # before and after a scenario

    def prepare(self, rig: str) -> None:
        """The node that a scenario is about, configured unless the scenario does it itself."""
        if rig != self._rig or self.nodes.ended(self.node) is not None:
            self._change_rig(rig)
        self.rest()
        state = "" if rig == "gate" else self.operator.state()
        if rig in BARE and state == "inactive":
            self.operator.change("cleanup")
        elif rig not in BARE and state == "unconfigured" and not self.change("configure"):
            raise UserError(f"{NODE} cannot be configured: {self.nodes.last_line(NODE)}")
        self.recording.clear()
        self.events.clear()

    @property
    def node(self) -> str:
        """Which node is tested."""
        return GATE if self._rig == "gate" else NODE

    def rest(self) -> None:
        """End a run, if there is one."""
        if self._rig == "gate":
            self.leader.stop()
            self.wait_for(lambda: self.quiet_s() > SETTLING_S, "the arm does not come to rest")
            # refused while DDS still knows of one that was killed
            self.wait_for(self.operator.reset_gate, f"{GATE} is not reset", RESET_S)
        elif self.operator.state() == "active":
            self.operator.change("deactivate")

    def _change_rig(self, rig: str) -> None:
        if self._rig:
            self.leader.stop()
            self.nodes.end_one(self.node)
        if (rig == "clock") != (self._rig == "clock"):
            if rig == "clock":
                self._start("relay_clock")
            elif self._rig == "clock":
                self.nodes.end_one("relay_clock")
        self._rig = rig
        if rig == "gate":
            self._start_gate()
            return
        publishers = self.recording.publishers(LOG)
        self._start(NODE)
        self.wait_for(self._knows_a_state, f"{NODE} does not start")
        self._wait_for_publisher(LOG, publishers)

    def _start_gate(self) -> None:
        """Until it is heard: it drives as soon as somebody speaks, and every command is to be
        recorded. That the recording knows of its publisher does not say that it knows of the
        recording."""
        began_ns = time.time_ns()
        self._start(GATE)
        self.wait_for(lambda: self._speaks_since(began_ns), f"{GATE} does not start")
        time.sleep(SETTLING_S)

    def _speaks_since(self, began_ns: int) -> bool:
        told = [data for sent_ns, data in self.messages(DIAGNOSTICS) if sent_ns > began_ns]
        return any(GATE.encode() in data for data in told)

    def _knows_a_state(self) -> bool:
        return self.nodes.ended(NODE) is None and bool(self.operator.state())

    def mend(self) -> None:
        """Undo all that a scenario may have done."""
        self.leader.stop()
        if TWIN in self.nodes.names():
            self.nodes.end_one(TWIN)
        for name, streams in RELAYS.items():
            if name in self.nodes.names() and self.nodes.ended(name) is None:
                for stream in streams:
                    self.operator.relay(stream, "pass")
        for name in self.ending:
            self.wait_for(partial(self._has_ended, name), f"{name} does not end")
        self.ending.clear()
        dead = [name for name in self.nodes.names() if self.nodes.ended(name) is not None]
        for name in dead:
            if name == GATE:
                self._start_gate()
            else:
                self._start(name)
        self._let_go()
        self.operator.advertise_commands(False)
        shutil.rmtree(self.bundle, ignore_errors=True)
        shutil.copytree(self._folder / "spare", self.bundle)
        if dead:
            self._see_streams()
        time.sleep(SETTLING_S)

    def _let_go(self) -> None:
        """Of the e-stop, by whoever may have pressed it."""
        for reliable in (True, False):
            self.operator.press(False, reliable)

    def _has_ended(self, name: str) -> bool:
        return self.nodes.ended(name) is not None

    def _see_streams(self) -> None:
        """Until all that is told of the robot is told again."""
        began_ns = time.time_ns()
        topics = [self.contract.sources[key].topic for key in self._told]
        self.wait_for(
            lambda: all(self.messages(topic)[-1:] > [(began_ns, b"")] for topic in topics),
            "the robot tells nothing any more",
        )

    def restart(self) -> None:
        """The node under test ends, and another one of its kind is started."""
        self._change_rig(self._rig)

    def start_over(self) -> None:
        """With another node, after one that does not answer."""
        for name in {NODE, GATE, TWIN} & set(self.nodes.names()):
            self.nodes.end_one(name)
        self._rig = ""
        self.ending.clear()
        self.mend()

    def recover(self) -> bool:
        """Ask for a new run, as an operator would; whether it was activated."""
        if self._rig in GOOD:
            self._change_rig(GOOD[self._rig])
        if self.nodes.ended(self.node) is not None:
            self._change_rig(self._rig)
        self._let_go()
        self.rest()
        if self._rig != "gate" and self.operator.state() == "unconfigured":
            self.change("configure")
        return self.change("activate")

    def change(self, name: str) -> bool:
        """A transition of the node under test; whether it succeeded. What activates a gate is that
        somebody speaks."""
        self.event(name)
        if self._rig == "gate":
            self.leader.start()
            return True
        topic = self.contract.streams["robot_command"].topic
        publishers = self.recording.publishers(topic)
        succeeded = self.operator.change(name)
        if name == "configure" and succeeded:  # every command is to be heard, also the first
            self._wait_for_publisher(topic, publishers)
        return succeeded

    def _wait_for_publisher(self, topic: str, before: int) -> None:
        """Until the recording hears one more than before, if one that was killed is not forgotten
        at the same time."""
        end_s = time.monotonic() + MATCHING_S
        while self.recording.publishers(topic) <= before and time.monotonic() < end_s:
            time.sleep(POLL_S)
        time.sleep(SETTLING_S)


def _position(data: bytes, kind: str, size: int) -> np.ndarray:
    """(Da,) of a command as it was sent."""
    if kind != TRAJECTORY:
        return np.frombuffer(data[-8 * size :])
    from rclpy.serialization import deserialize_message
    from trajectory_msgs.msg import JointTrajectory

    return np.array(deserialize_message(data, JointTrajectory).points[0].positions)
