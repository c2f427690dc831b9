"""replay_node: a recorded episode at the leader arm; it is sent again as it was commanded.

The commands of the episode's action stream go out on the teleop topic, once a control tick, each as
it was at that time of the recording: through the gate, with every limit in force. Before that the
leader goes from where the arm is to the first command, slowly, if that is near. The node ends when
the episode is over, or the simulator has given its verdict. It gives up, and never takes the
recording up in the middle, when joint states pause, the e-stop is pressed, or the arm does not
follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rclpy.node import Node

from vdd_ros.contract import Contract
from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.nodes.e_stop import EStopListener
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.leader import open_leader
from vdd_ros.nodes.messages import (
    NS_PER_S,
    Health,
    command_message,
    fields_of,
    sample_stamp_ns,
)
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.script import Script, ScriptRunner
from vdd_ros.nodes.verdicts import Verdicts

APPROACH = 0.1  # of the velocity limits, on the way to the first command
BESIDE = 0.01  # of a joint's range: a recording may lie this far outside the limits, and is clipped
FOLLOWS, FOLLOWS_WITHIN_S = 0.2, 0.5  # [rad, m]: farther from its target for longer is stuck
THERE = 0.05  # [rad, m]
SETTLING_S = 1.0  # after the last command, which is held


@dataclass(frozen=True)
class ReplayParameters:
    """See the descriptions."""

    contract: str = parameter("", "path of the contract YAML", required=True)
    episode: str = parameter("", "folder of the episode to send", required=True)
    simulator: str = parameter("sim_node", "name of the simulator's node, where there is one")
    largest_approach: float = parameter(
        0.5, "how far a joint may be from the first command [rad, m]", lower=0.0
    )


class ReplayNode(Node):
    """`_script` is what a person with the recording does, asked at every new joint state."""

    def __init__(self) -> None:
        super().__init__("replay_node")
        self.settings = read_parameters(self, ReplayParameters)
        self.contract = Contract.from_yaml(self.settings.contract)
        folder = Path(self.settings.episode)
        episode = EpisodeStore(folder.parent, self.contract).load(folder.name)
        self._times_s, self._targets = commands_of(episode, self.contract)
        # a hand or gripper stops at what is between its fingers
        self._is_arm = np.array([joint.unit != "fraction" for joint in self.contract.joints])
        self._state = self._sent = np.zeros(0)
        self._fault: str | None = None  # why nothing more may be sent
        self._stamp_ns = self._tick = self._near_ns = 0
        self._sends_since_ns: int | None = None  # stamp at which the episode's first command went
        self._doing = ScriptRunner(self, self._script())
        self._open_topics()
        publish_diagnostics(self, self._health)

    def _open_topics(self) -> None:
        self._teleop = self.contract.streams["teleop_command"]
        self._leader = open_leader(self, self.contract, self._on_state)
        EStopListener(self, self.contract.e_stop_topic, self._on_e_stop, by_service=False)
        self._verdicts = Verdicts(self, self.settings.simulator)

    @property
    def exit_code(self) -> int | None:
        """None until the episode was sent."""
        return self._doing.exit_code

    @property
    def _success(self) -> bool | None:
        """The simulator's verdict on what is sent, once there is one."""
        since_ns = self._sends_since_ns
        return None if since_ns is None else self._verdicts.success_since(since_ns)

    def _script(self) -> Script[None]:
        self.get_logger().info(f"waiting for a gate on {self._teleop.topic}")
        yield lambda: self._leader.get_subscription_count() >= 1
        if self.count_publishers(self._teleop.topic) > 1:
            raise UserError(f"another leader publishes on {self._teleop.topic}: end it first")
        yield from self._lead(*self._way_to_first())
        self._require_at(self._targets[0], "first")
        self.get_logger().info(f"sends {self._times_s[-1]:.1f} s of commands")
        self._sends_since_ns = self._stamp_ns
        yield from self._lead(self._times_s, self._targets)
        if self._success is None:
            still = np.array([0.0, SETTLING_S])
            yield from self._lead(still, np.repeat(self._targets[-1:], 2, axis=0))
        if self._success is None:
            self._require_at(self._targets[-1], "last")
        verdict = {None: "no verdict", True: "success", False: "failure"}[self._success]
        self.get_logger().info(f"done: {verdict}")

    def _way_to_first(self) -> tuple[np.ndarray, np.ndarray]:
        """Times (2,) [s] and targets (2, Da): straight to the first command, all joints at once."""
        way = np.abs(self._targets[0] - self._state)
        far = int((way * self._is_arm).argmax())
        if way[far] > self.settings.largest_approach and self._is_arm[far]:
            raise UserError(
                f"{self.contract.joint_names[far]} is {way[far]:.3f} from the episode's first "
                f"command, {self._targets[0, far]:.3f}: bring the arm nearer, or allow more by "
                f"largest_approach"
            )
        duration_s = float((way / (APPROACH * self.contract.limit("velocity"))).max())
        return np.array([0.0, duration_s + SETTLING_S]), np.stack([self._state, self._targets[0]])

    def _require_at(self, target: np.ndarray, which: str) -> None:
        off = np.abs(self._state - target) * self._is_arm
        if not (off <= THERE).all():
            joint = int(off.argmax())
            raise UserError(
                f"{self.contract.joint_names[joint]} stays at {self._state[joint]:.3f} instead of "
                f"coming to the episode's {which} command, {target[joint]:.3f}: is something in "
                f"its way, or the gate stopped?"
            )

    def _lead(self, times_s: np.ndarray, targets: np.ndarray) -> Script[None]:
        """Send targets (N, Da) along times (N,) [s] from now on, or until the verdict."""
        begun_ns = self._near_ns = self._stamp_ns

        def is_over() -> bool:
            tick = self._stamp_ns // self.contract.control_period_ns
            elapsed_s = (self._stamp_ns - begun_ns) / NS_PER_S
            if self._fault or self._success is not None:
                return True
            if tick != self._tick:
                self._tick = tick
                self._send(np.array([np.interp(elapsed_s, times_s, one) for one in targets.T]))
            return elapsed_s >= times_s[-1]

        yield is_over
        if self._fault:
            raise UserError(f"{self._fault}; nothing more is sent: begin anew")

    def _send(self, target: np.ndarray) -> None:
        self._sent = target
        self._leader.publish(command_message(self._teleop, self.contract, target, self._stamp_ns))

    def _watch(self, stamp_ns: int, position: np.ndarray) -> None:
        """Look at a new joint state for what ends the replay."""
        pause_s = (stamp_ns - self._stamp_ns) / NS_PER_S
        if pause_s > self.contract.streams["joint_state"].max_age_s:
            self._fault = f"no joint state for {pause_s:.2f} s"
        off = np.abs(position - self._sent) * self._is_arm
        if (off <= FOLLOWS).all():
            self._near_ns = stamp_ns
        elif stamp_ns - self._near_ns > FOLLOWS_WITHIN_S * NS_PER_S:
            joint = int(off.argmax())
            self._fault = (
                f"{self.contract.joint_names[joint]} is {off[joint]:.2f} from where it is sent: "
                f"is something in its way, or the gate stopped?"
            )

    def _on_e_stop(self, active: bool) -> None:
        if active:
            self._fault = "the e-stop is pressed"

    def _on_state(self, message) -> None:
        stream = self.contract.streams["joint_state"]
        now_ns = self.get_clock().now().nanoseconds
        try:
            position = fields_of(message, self.contract, stream)["position"]
            stamp_ns = sample_stamp_ns(stream, message, now_ns)
        except UserError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        except KeyError:
            self.get_logger().warning("a joint state has no positions", throttle_duration_sec=1.0)
            return
        # in simulated time /clock may be told after the state that it belongs to
        if stamp_ns <= self._stamp_ns or stamp_ns > now_ns + stream.max_age_s * NS_PER_S:
            return
        if not np.isfinite(position).all():
            return
        if self._sent.size:
            self._watch(stamp_ns, position)
        self._state, self._stamp_ns = position, stamp_ns
        self._doing.ask()

    def _health(self) -> Health:
        if not self._stamp_ns:
            topic = self.contract.streams["joint_state"].topic
            return Health("warn", f"nothing comes on {topic}", {})
        return Health("ok", "sending", {"episode": self.settings.episode})


def commands_of(episode: Episode, contract: Contract) -> tuple[np.ndarray, np.ndarray]:
    """Times (N,) [s] from the first and targets (N, Da) [contract unit] of an episode's action
    stream; raises UserError where they are not fit to be sent."""
    name, commands = episode.name, episode.streams[contract.action.stream]
    if episode.manifest.verdict.level == "FAIL":
        raise UserError(f"{name} is not fit to be sent, {episode.manifest.verdict}")
    if not len(commands):
        raise UserError(f"{name} holds no command of {contract.action.stream}: send another")
    targets = commands.fields["position"]
    times_s = (commands.stamps_ns - commands.stamps_ns[0]) / NS_PER_S
    if not np.isfinite(targets).all() or (np.diff(times_s) <= 0).any():
        raise UserError(f"{name} has commands that are not finite or go back in time: send another")
    beyond = contract.beyond(targets, BESIDE)
    if beyond.any():
        at, index = (int(i) for i in np.argwhere(beyond)[0])
        joint = contract.joints[index]
        raise UserError(
            f"{name} asks {joint.name} for {targets[at, index]:.3f} at {times_s[at]:.2f} s, "
            f"outside its limits {joint.lower:g} and {joint.upper:g}: send another"
        )
    return times_s, targets


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until the episode was sent, or SIGINT or SIGTERM."""
    return run_node(ReplayNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
