"""replay_node: a recorded episode at the leader arm; it is sent again as it was commanded.

The commands of the episode's action stream go out on the teleop topic, once a control tick, each as
it was at that time of the recording: through the gate, with every limit in force. Before that the
leader goes from where the arm is to the first command, slowly. The node ends when the episode is
over, or the simulator has given its verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Bool

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.messages import (
    NS_PER_S,
    Health,
    command_message,
    fields_of,
    latched_qos,
    message_class,
    qos_of,
    stamp_ns_of,
)
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.script import Script, ScriptRunner

APPROACH = 0.1  # of the velocity limits, on the way to the first command
THERE = 0.05  # [rad, m]; a hand or gripper stops at what is between its fingers
SETTLING_S = 1.0  # after the last command, which is held


@dataclass(frozen=True)
class ReplayParameters:
    """See the descriptions."""

    contract: str = parameter("", "path of the contract YAML", required=True)
    episode: str = parameter("", "folder of the episode to send", required=True)
    simulator: str = parameter("/sim_node", "name of the simulator's node, where there is one")


class ReplayNode(Node):
    """`_script` is what a person with the recording does, asked at every new joint state."""

    def __init__(self) -> None:
        super().__init__("replay_node")
        self.settings = read_parameters(self, ReplayParameters)
        self.contract = Contract.from_yaml(self.settings.contract)
        folder = Path(self.settings.episode)
        episode = EpisodeStore(folder.parent, self.contract).load(folder.name)
        commands = episode.streams[self.contract.action.stream]
        if not len(commands):
            raise UserError(f"{folder} holds no command of {self.contract.action.stream}")
        self._times_s = (commands.stamps_ns - commands.stamps_ns[0]) / NS_PER_S
        self._targets = commands.fields["position"]  # (N, Da) [contract unit]
        self._state: np.ndarray | None = None
        self._success: bool | None = None
        self._stamp_ns = self._tick = 0
        self._doing = ScriptRunner(self, self._script())
        self._open_topics()
        publish_diagnostics(self, self._health)

    def _open_topics(self) -> None:
        states, self._teleop = (
            self.contract.streams[name] for name in ("joint_state", "teleop_command")
        )
        self.create_subscription(
            message_class(states.type), states.topic, self._on_state, qos_of(states)
        )
        self._leader = self.create_publisher(
            message_class(self._teleop.type), self._teleop.topic, qos_of(self._teleop)
        )
        topic = f"{self.settings.simulator}/success"
        self.create_subscription(Bool, topic, self._on_success, latched_qos())

    @property
    def exit_code(self) -> int | None:
        """None until the episode was sent."""
        return self._doing.exit_code

    def _script(self) -> Script[None]:
        self.get_logger().info(f"waiting for a gate on {self._teleop.topic}")
        yield lambda: self._leader.get_subscription_count() >= 1
        assert self._state is not None  # the question was asked at a joint state
        yield from self._lead(*self._way_to_first(self._state))
        self._require_there(self._state)
        self.get_logger().info(f"sends {self._times_s[-1]:.1f} s of commands")
        yield from self._lead(self._times_s, self._targets)
        still = np.array([0.0, SETTLING_S])
        yield from self._lead(still, np.repeat(self._targets[-1:], 2, axis=0))
        verdict = {None: "no verdict", True: "success", False: "failure"}[self._success]
        self.get_logger().info(f"done: {verdict}")

    def _way_to_first(self, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Times (2,) [s] and targets (2, Da): straight to the first command, all joints at once."""
        first = self._targets[0]
        speed = APPROACH * self.contract.limit("velocity")
        duration_s = float((np.abs(first - start) / speed).max())
        return np.array([0.0, duration_s + SETTLING_S]), np.stack([start, first])

    def _require_there(self, state: np.ndarray) -> None:
        is_arm = np.array([joint.unit != "fraction" for joint in self.contract.joints])
        off = np.abs(state - self._targets[0]) * is_arm
        if off.max() > THERE:
            joint = int(off.argmax())
            raise UserError(
                f"{self.contract.joint_names[joint]} stays at {state[joint]:.3f} instead of coming "
                f"to the episode's first command, {self._targets[0, joint]:.3f}: is something in "
                f"its way, or the gate stopped?"
            )

    def _lead(self, times_s: np.ndarray, targets: np.ndarray) -> Script[None]:
        """Send targets (N, Da) along times (N,) [s] from now on, or until the verdict."""
        begun_ns = self._stamp_ns

        def is_over() -> bool:
            tick = self._stamp_ns // self.contract.control_period_ns
            elapsed_s = (self._stamp_ns - begun_ns) / NS_PER_S
            if tick != self._tick:
                self._tick = tick
                target = np.array([np.interp(elapsed_s, times_s, column) for column in targets.T])
                names = self.contract.joint_names
                self._leader.publish(command_message(self._teleop, names, target, self._stamp_ns))
            return elapsed_s >= times_s[-1] or self._success is not None

        yield is_over

    def _on_success(self, message: Bool) -> None:
        self._success = message.data

    def _on_state(self, message) -> None:
        try:
            position = fields_of(message, self.contract.joint_names)["position"]
        except (UserError, KeyError) as error:
            self.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        stamp_ns = stamp_ns_of(message)
        if stamp_ns > self._stamp_ns:
            self._state, self._stamp_ns = position, stamp_ns
            self._doing.ask()

    def _health(self) -> Health:
        if not self._stamp_ns:
            topic = self.contract.streams["joint_state"].topic
            return Health("warn", f"nothing comes on {topic}", {})
        return Health("ok", "sending", {"episode": self.settings.episode})


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until the episode was sent, or SIGINT or SIGTERM."""
    return run_node(ReplayNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
