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
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.led_arm import SETTLING_S, LedArm
from vdd_ros.nodes.messages import NS_PER_S, Health
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.script import Script, ScriptRunner
from vdd_ros.nodes.verdicts import Verdicts

BESIDE = 0.01  # of a joint's range: a recording may lie this far outside the limits, and is clipped


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
        self._sends_since_ns: int | None = None  # stamp at which the episode's first command went
        self._doing = ScriptRunner(self, self._script())
        self._arm = LedArm(self, self.contract, self._doing.ask)
        self._verdicts = Verdicts(self, self.settings.simulator)
        publish_diagnostics(self, self._health)

    @property
    def exit_code(self) -> int | None:
        """None until the episode was sent."""
        return self._doing.exit_code

    @property
    def _success(self) -> bool | None:
        """The simulator's verdict on what is sent, once there is one."""
        since_ns = self._sends_since_ns
        return None if since_ns is None else self._verdicts.success_since(since_ns)

    def _is_decided(self) -> bool:
        return self._success is not None

    def _script(self) -> Script[None]:
        arm = self._arm
        yield from arm.engage()
        self._require_near()
        yield from arm.lead(*arm.way_to(self._targets[0]))
        arm.require_at(self._targets[0], "the episode's first command")
        self.get_logger().info(f"sends {self._times_s[-1]:.1f} s of commands")
        self._sends_since_ns = arm.stamp_ns
        yield from arm.lead(self._times_s, self._targets, self._is_decided)
        if self._success is None:
            still = np.array([0.0, SETTLING_S])
            yield from arm.lead(still, np.repeat(self._targets[-1:], 2, axis=0), self._is_decided)
        if self._success is None:
            arm.require_at(self._targets[-1], "the episode's last command")
        verdict = {None: "no verdict", True: "success", False: "failure"}[self._success]
        self.get_logger().info(f"done: {verdict}")

    def _require_near(self) -> None:
        name, way = self._arm.farthest_from(self._targets[0])
        if way > self.settings.largest_approach:
            target = self._targets[0, self.contract.joint_names.index(name)]
            raise UserError(
                f"{name} is {way:.3f} from the episode's first command, {target:.3f}: bring the "
                "arm nearer, or allow more by largest_approach"
            )

    def _health(self) -> Health:
        if not self._arm.stamp_ns:
            topic = self.contract.streams["joint_state"].topic
            return Health("warn", f"nothing comes on {topic}", {})
        return Health("ok", "sending", {"episode": self.settings.episode})


def commands_of(episode: Episode, contract: Contract) -> tuple[np.ndarray, np.ndarray]:
    """Times (N,) [s] from the first and targets (N, Da) [contract unit] of an episode's action
    stream; raises UserError where they are not fit to be sent."""
    name, commands = episode.name, episode.streams[contract.action.stream]
    if episode.manifest.verdict.level == "FAIL":
        raise UserError(f"{name} is not fit to be sent, {episode.manifest.verdict}: send another")
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
