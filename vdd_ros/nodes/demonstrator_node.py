"""demonstrator_node: a scripted person at the leader arm and at the recorder's buttons.

It knows what a person in its place knows: joint states come in, leader positions go out on the
teleop topic, the recorder answers to start, stop, save and discard, and after a demonstration one
sees whether it went well (sim_node's ~/episode). For each demonstration: have the gate let go of
the arm and the scene set back, wait for the arm at its start, start the recorder, lead the arm,
stop, and save what went well; what did not is discarded and tried again the same way. The way is
declared to the recorder as a note for statistics, never as part of the recorded streams. The node
ends when it is done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.knock import acquainted
from vdd_ros.nodes.leader import open_leader
from vdd_ros.nodes.messages import (
    NS_PER_S,
    Health,
    command_message,
    fields_of,
    message_class,
    qos_of,
    stamp_ns_of,
)
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.script import Script, ScriptRunner
from vdd_ros.nodes.verdicts import Verdicts
from vdd_ros.poses import pose_array

if TYPE_CHECKING:
    from vdd_ros.sim.demonstrators.operator import Seen

NEAR_START = 0.05  # [rad]
AT_REST = 0.02  # [rad/s]
PATIENCE_S = 1.0  # for a verdict after the leader came to rest, and for the gate to let go
TRIES = 10  # of one demonstration, before something else must be wrong


@dataclass(frozen=True)
class DemonstratorParameters:
    """See the descriptions."""

    contract: str = parameter("", "path of the contract YAML", required=True)
    task: str = parameter("avoid", "name of the simulated task")
    episodes: int = parameter(10, "demonstrations to save", lower=1)
    seed: int = parameter(0, "seed of the order of ways and of the operator's hand", lower=0)
    recorder: str = parameter("recorder_node", "name of the recorder's node")
    simulator: str = parameter("sim_node", "name of the simulator's node")
    gate: str = parameter("command_gate", "name of the gate between leader and robot")


class DemonstratorNode(Node):
    """Hosts the task's scripted operator.

    `_script` is what the person does, step by step; its questions are about the arm, and asked at
    every new joint state.
    """

    def __init__(self) -> None:
        super().__init__("demonstrator_node")
        self.settings = read_parameters(self, DemonstratorParameters)
        self.contract = Contract.from_yaml(self.settings.contract)
        # Late, because robosuite takes seconds and a bad parameter should be told at once.
        from vdd_ros.sim.demonstrators import operator_of
        from vdd_ros.sim.demonstrators.operator import seen_of
        from vdd_ros.sim.demonstrators.schedule import balanced_ways
        from vdd_ros.sim.rollout import wire
        from vdd_ros.sim.tasks import TASKS

        rng = np.random.default_rng(self.settings.seed)
        self._operator = operator_of(self.settings.task, rng)
        task = TASKS[self.settings.task]
        self._start_q, self._objects, self._seen_of = task.start_q, task.objects, seen_of
        if task.objects and not self.contract.objects:
            raise UserError(
                f"{self.contract.name} has no poses of objects, by which the scripted operator of "
                f"{self.settings.task} finds them: `vdd record --one-process` does without"
            )
        self._wiring = wire(self.contract, self.settings.task)
        self._ways = balanced_ways(rng, task.n_modes, self.settings.episodes)
        self._saved = self._failed = 0
        self._state: dict[str, np.ndarray] = {}
        self._poses = np.full((len(task.objects), 7), np.nan)  # until they are seen
        self._stamp_ns = self._tick = self._begun_ns = 0
        self._doing = ScriptRunner(self, self._script())
        self._open_topics()
        publish_diagnostics(self, self._health)

    def _open_topics(self) -> None:
        self._teleop = self.contract.streams["teleop_command"]
        self._leader = open_leader(self, self.contract, self._on_state)
        for stream in self.contract.streams.values():
            if stream.is_of_objects:
                kind = message_class(stream.type)
                self.create_subscription(kind, stream.topic, self._on_poses, qos_of(stream))
        names = self.settings
        self._verdicts = Verdicts(self, names.simulator)
        self._note = self.create_publisher(String, f"{names.recorder}/annotate", 10)
        services = {"set back": f"{names.simulator}/reset", "let go": f"{names.gate}/reset"}
        for button in ("start", "stop", "save", "discard"):
            services[button] = f"{names.recorder}/{button}"
        self._buttons = {
            button: self.create_client(Trigger, service) for button, service in services.items()
        }

    @property
    def exit_code(self) -> int | None:
        """None until the demonstrations are done."""
        return self._doing.exit_code

    def _script(self) -> Script[None]:
        self.get_logger().info(f"waiting for a gate and a recorder on {self._teleop.topic}")
        yield lambda: self._leader.get_subscription_count() >= 2
        for other in (self.settings.simulator, self.settings.gate, self.settings.recorder):
            self.get_logger().info(f"waiting for {other}")
            yield from acquainted(self, other)
        for number, way in enumerate(self._ways, start=1):
            for _ in range(TRIES):
                if (yield from self._demonstrate(way)):
                    break
                self._failed += 1
            else:
                raise UserError(f"way {way} failed {TRIES} times in a row: is the arm led at all?")
            self._saved += 1
            self.get_logger().info(f"demonstration {number}/{len(self._ways)} is saved, way {way}")
        self.get_logger().info(f"done: {self._saved} saved, {self._failed} discarded")

    @property
    def _success(self) -> bool | None:
        """The simulator's verdict on the demonstration that runs, once there is one."""
        return self._verdicts.success_since(self._begun_ns)

    def _demonstrate(self, way: int) -> Script[bool]:
        """One demonstration; returns whether it was saved."""
        yield from self._let_go()
        yield from self._press("set back")
        yield self._stands_at_start
        try:
            self._operator.begin(self._seen(), way)
        except RuntimeError as error:  # this hand drew a line that the arm cannot follow
            self.get_logger().info(f"begins anew: {error}")
            return False
        yield from self._press("start")
        self._note.publish(String(data=json.dumps({"way": way, "seed": self.settings.seed})))
        self._begun_ns = self._stamp_ns
        self._tick = self._begun_ns // self.contract.control_period_ns
        yield self._lead
        if self._success is None:
            led_until_ns = self._stamp_ns
            yield lambda: self._success is not None or self._passed(led_until_ns)
        judgement = yield from self._press("stop")
        went_well = bool(self._success) and ", FAIL" not in judgement
        if not went_well:
            self.get_logger().warning(f"way {way} again: success {self._success}, {judgement}")
        yield from self._press("save" if went_well else "discard")
        return went_well

    def _let_go(self) -> Script[None]:
        """The gate refuses while it brings the arm to rest; ask at each joint state."""
        since_ns = self._stamp_ns
        while not (yield from self._ask("let go")).success:
            if self._passed(since_ns):
                raise UserError(
                    f"the gate holds the arm for {PATIENCE_S} s: look at its /diagnostics"
                )
            yield lambda: True

    def _press(self, button: str) -> Script[str]:
        """Call a service and return what it says; UserError where it refuses."""
        response = yield from self._ask(button)
        if not response.success:
            raise UserError(f"{self._buttons[button].srv_name} is refused: {response.message}")
        return response.message

    def _ask(self, button: str) -> Script[Trigger.Response]:
        return (yield self._buttons[button].call_async(Trigger.Request()))

    def _lead(self) -> bool:
        """Move the leader arm, once a control tick; True when the hand is off it."""
        tick = self._stamp_ns // self.contract.control_period_ns
        if tick == self._tick:
            return False
        self._tick = tick
        elapsed_s = (self._stamp_ns - self._begun_ns) / NS_PER_S
        target = self._operator.command(elapsed_s, self._seen())
        if target is None or self._success is False:
            return True
        self._leader.publish(
            command_message(
                self._teleop,
                self.contract,
                target[self._wiring.from_arm],
                self._stamp_ns,
            )
        )
        return False

    def _seen(self) -> Seen:
        joints = self._state["position"][self._wiring.to_arm]
        return self._seen_of(joints, self._objects, self._poses)

    def _stands_at_start(self) -> bool:
        position = self._state["position"][self._wiring.to_arm]
        off = np.abs(position[: len(self._start_q)] - self._start_q).max()
        still = np.abs(self._state["velocity"]).max() < AT_REST
        return off < NEAR_START and still and bool(np.isfinite(self._poses).all())

    def _passed(self, since_ns: int) -> bool:
        return self._stamp_ns - since_ns >= PATIENCE_S * NS_PER_S

    def _on_poses(self, message) -> None:
        if len(message.poses) == len(self._poses):
            self._poses = pose_array(message)

    def _on_state(self, message) -> None:
        try:
            state = fields_of(message, self.contract, self.contract.streams["joint_state"])
        except UserError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        stamp_ns = stamp_ns_of(message)
        if stamp_ns <= self._stamp_ns:
            return
        self._state, self._stamp_ns = state, stamp_ns
        self._doing.ask()

    def _health(self) -> Health:
        values = {"saved": self._saved, "of": len(self._ways), "discarded": self._failed}
        if not self._stamp_ns:
            topic = self.contract.streams["joint_state"].topic
            return Health("warn", f"nothing comes on {topic}", values)
        return Health("ok", f"{self._saved} of {len(self._ways)} saved", values)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until its demonstrations are done, or SIGINT or SIGTERM."""
    return run_node(DemonstratorNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
