"""trial_node: runs episodes of a policy in the simulator and measures its commands from outside.

It is not part of the control path. For each episode it has the scene set back, activates
action_node, waits for the simulator's verdict and deactivates it again. Meanwhile it subscribes to
the robot's commands as any other listener would and keeps when they came. At the end it writes one
JSON file and the intervals beside it (.npz).

stale repeats: commands equal to the one before, number for number, while an episode is undecided.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract
from vdd_ros.durable import write_text
from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import run_node, steady_timer
from vdd_ros.nodes.knock import acquainted
from vdd_ros.nodes.messages import latched_qos, message_class, qos_of
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.script import Script, ScriptRunner

POLL_S = 0.02
SETTLE_S = 0.3  # after a reset, so that the policy's window holds the arm at rest at its start
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
}


@dataclass(frozen=True)
class TrialParameters:
    """See the descriptions."""

    contract: str = parameter("", "path of the contract YAML", required=True)
    out: str = parameter("", "JSON file to write", required=True)
    episodes: int = parameter(20, "episodes to run", lower=1)
    simulator: str = parameter("sim_node", "name of the simulator's node")
    policy: str = parameter("action_node", "name of the policy's lifecycle node")


class TrialNode(Node):
    """`_script` is what it does, step by step; its questions are asked every POLL_S."""

    def __init__(self) -> None:
        super().__init__("trial_node")
        self.settings = read_parameters(self, TrialParameters)
        self.contract = Contract.from_yaml(self.settings.contract)
        self._heard: list[dict] = []  # since the last reset
        self._verdicts: list[dict] = []
        self._commands = Arrivals()
        self._state: dict[str, str] = {}  # the policy's own figures, as it last told them
        self._evaluated: list[tuple[int, int]] = []  # (replannings, ticks) of every episode
        robot = self.contract.streams["robot_command"]
        self.create_subscription(
            message_class(robot.type),
            robot.topic,
            lambda message: self._commands.take(tuple(message.data), time.monotonic_ns()),
            qos_of(robot, depth=100),
        )
        names = self.settings
        self.create_subscription(
            DiagnosticArray, f"{names.policy}/policy_state", self._on_state, 10
        )
        self.create_subscription(
            String, f"{names.simulator}/episode", self._on_verdict, latched_qos()
        )
        self._reset = self.create_client(Trigger, f"{names.simulator}/reset")
        self._change = self.create_client(ChangeState, f"{names.policy}/change_state")
        self._doing = ScriptRunner(self, self._script())
        steady_timer(self, POLL_S, self._doing.ask)

    @property
    def exit_code(self) -> int | None:
        """None until the episodes are done."""
        return self._doing.exit_code

    def _script(self) -> Script[None]:
        yield from acquainted(self, self.settings.simulator)
        yield from acquainted(self, self.settings.policy)
        yield from self._transit("configure")
        for number in range(1, self.settings.episodes + 1):
            yield from self._episode()
            verdict = self._verdicts[-1]
            self.get_logger().info(
                f"episode {number}/{self.settings.episodes}: {verdict['reason']}, "
                f"way {verdict['way']}"
            )
        self._write()

    def _episode(self) -> Script[None]:
        yield self._reset.call_async(Trigger.Request())
        self._heard.clear()
        ready_at = time.monotonic() + SETTLE_S
        yield lambda: time.monotonic() >= ready_at
        yield from self._transit("activate")
        self._state.clear()
        self._commands.open()
        yield lambda: bool(self._heard)
        self._commands.close()
        self._verdicts.append(self._heard[-1])
        if self._state:
            self._evaluated.append((int(self._state["replans"]), int(self._state["ticks"])))
        yield from self._transit("deactivate")

    def _transit(self, name: str) -> Script[None]:
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        response = yield self._change.call_async(request)
        if not response.success:
            raise UserError(f"{self.settings.policy} refused to {name}: see its log")

    def _on_state(self, message: DiagnosticArray) -> None:
        self._state = {pair.key: pair.value for pair in message.status[0].values}

    def _on_verdict(self, message: String) -> None:
        self._heard.append(json.loads(message.data))

    def _policy_rate_hz(self) -> float:
        """Evaluations of the policy: a share of its ticks, each of which sends a command."""
        replans, ticks = np.sum(self._evaluated, axis=0) if self._evaluated else (0, 0)
        return self._commands.rate_hz() * float(replans) / max(1, int(ticks))

    def _write(self) -> None:
        interval_ms = self._commands.interval_ms()
        if not interval_ms.size:
            raise UserError(f"no command was heard from {self.settings.policy}: see its log")
        p50, p99 = np.percentile(interval_ms, [50, 99])
        result = {
            "episodes": len(self._verdicts),
            "success": float(np.mean([verdict["success"] for verdict in self._verdicts])),
            "command_rate_hz": self._commands.rate_hz(),
            "policy_rate_hz": self._policy_rate_hz(),
            "stale_share": self._commands.repeated / max(1, self._commands.count - 1),
            "interval_ms": {"p50": p50, "p99": p99, "max": float(interval_ms.max())},
            "verdicts": self._verdicts,
        }
        path = Path(self.settings.out)
        np.savez(path.with_name(path.stem + "_intervals.npz"), interval_ms=interval_ms)
        write_text(path, json.dumps(result, indent=2))


class Arrivals:
    """When messages came while it was open, and how many repeated the one before."""

    def __init__(self) -> None:
        self.count = self.repeated = 0
        self._runs: list[list[int]] = []
        self._is_open = False
        self._last: tuple[float, ...] | None = None

    def open(self) -> None:
        """Begin a new run; intervals are never taken across runs."""
        self._runs.append([])
        self._is_open, self._last = True, None

    def close(self) -> None:
        """End the run."""
        self._is_open = False

    def take(self, values: tuple[float, ...], received_ns: int) -> None:
        """One message, received at `received_ns` of a steady clock."""
        if not self._is_open:
            return
        self._runs[-1].append(received_ns)
        self.count += 1
        self.repeated += values == self._last
        self._last = values

    def interval_ms(self) -> np.ndarray:
        """Intervals between messages of one run, all runs together."""
        return np.concatenate([np.diff(run) for run in self._runs]) * 1e-6

    def rate_hz(self) -> float:
        """Messages per second over all runs; 0 if there were none."""
        interval_ms = self.interval_ms()
        return 1e3 / float(interval_ms.mean()) if interval_ms.size else 0.0


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until its episodes are done, or SIGINT or SIGTERM."""
    return run_node(TrialNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
