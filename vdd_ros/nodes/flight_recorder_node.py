"""flight_recorder_node: keeps the last seconds of a run, and saves them when it stops unasked.

Beside the contract's streams it listens to what `action_node` says of each run, to the e-stop and
to /diagnostics.
    ~/save   std_srvs/Trigger; saves what is kept now, whatever the run does
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger

from vdd_ros.bag import Topic
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.flight_recorder import FlightRecorder
from vdd_ros.nodes.hosting import publish_diagnostics, run_node, steady_timer
from vdd_ros.nodes.messages import Health, message_class, shadow_topic
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.raw_streams import Information, informed, listen_raw
from vdd_ros.nodes.receive_clock import ReceiveClock

WATCH_PERIOD_S = 0.2
OTHERS_DEPTH = 5000  # messages of a topic beside the contract's that wait while a flight is saved


@dataclass(frozen=True)
class FlightRecorderParameters:
    contract: str = parameter("", "path of the contract YAML", required=True)
    directory: str = parameter("", "folder that flights are saved in", required=True)
    seconds: float = parameter(30.0, "how much is kept [s]", lower=1.0, upper=600.0)
    policy_state: str = parameter("action_node/policy_state", "topic of the watched run's state")


class FlightRecorderNode(Node):
    """Hosts a FlightRecorder: raw messages in, a bag out when a run stops unasked."""

    def __init__(self) -> None:
        super().__init__("flight_recorder_node")
        settings = read_parameters(self, FlightRecorderParameters)
        contract = Contract.from_yaml(settings.contract)
        diagnostics = "diagnostic_msgs/msg/DiagnosticArray"
        others = {
            # what a run says of itself, ten times a second: expert, likelihood, lateness, reason
            "policy_state": Topic(settings.policy_state, diagnostics, has_header=True),
            "diagnostics": Topic("/diagnostics", diagnostics, has_header=True),
            "e_stop": Topic(contract.e_stop_topic, "std_msgs/msg/Bool", has_header=False),
        }
        node = settings.policy_state.rpartition("/")[0]
        # of each command and wish: who was followed, why, within which limits
        others["decisions"] = Topic(
            f"{node}/decisions", "std_msgs/msg/Float64MultiArray", has_header=False
        )
        shadows = {
            f"shadow_{name}": contract.streams[name] for name in ("robot_command", "policy_command")
        }
        others |= {
            name: Topic(f"{node}/{shadow_topic(stream)}", stream.type, stream.has_header)
            for name, stream in shadows.items()
        }
        # two arms that one button stops save two flights in the same second
        folder = Path(settings.directory).expanduser() / self.get_namespace().strip("/")
        self.recorder = FlightRecorder(
            contract, others, folder, settings.seconds, time.monotonic_ns()
        )
        self.saved: list[Path] = []
        self.fault: str | None = None  # why the last flight was not saved
        self._clock_in = ReceiveClock(self)
        listen_raw(self, contract, self._take)
        kinds: dict[str, type] = {"policy_state": DiagnosticArray, "diagnostics": DiagnosticArray}
        kinds |= {"e_stop": Bool, "decisions": Float64MultiArray}
        kinds |= {name: message_class(stream.type) for name, stream in shadows.items()}
        for name, kind in kinds.items():
            self.create_subscription(
                kind,
                others[name].topic,
                informed(partial(self._take, name)),
                OTHERS_DEPTH,
                raw=True,
            )
        self.create_service(Trigger, "~/save", self._serve)
        steady_timer(self, WATCH_PERIOD_S, self._watch)
        publish_diagnostics(self, self._health)

    def _take(self, name: str, data: bytes, information: Information) -> None:
        steady_ns = time.monotonic_ns()
        received_ns = self._clock_in.received_ns(name, information)
        self.recorder.add(name, data, received_ns, steady_ns)
        if name == "policy_state":
            # what is none, of whoever publishes there, is kept like everything and says nothing
            with suppress(RuntimeError, LookupError, ValueError):
                self._hear(data, steady_ns)

    def _hear(self, data: bytes, steady_ns: int) -> None:
        for status in deserialize_message(data, DiagnosticArray).status:
            values = {item.key: item.value for item in status.values}
            ran_ns = int(values["ticks"]) * self.recorder.contract.control_period_ns
            fault = values.get("policy_fault", "")
            self.recorder.hear(values["stop_reason"], steady_ns, ran_ns, fault)

    def _watch(self) -> None:
        reason = self.recorder.due(time.monotonic_ns())
        if reason is not None:
            self._save(reason)

    def _save(self, reason: str) -> str:
        """A sentence on what was saved; raises nothing, as the watch goes on whatever happens."""
        started = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        try:
            path = self.recorder.save(reason, started)
        except (UserError, OSError) as error:
            self.fault = f"{reason}: not saved, {error}"
            self.get_logger().error(self.fault)
            return self.fault
        finally:
            self.recorder.was_busy(time.monotonic_ns())
        self.saved.append(path)
        self.fault = None
        told = f"{reason}: saved {path}"
        self.get_logger().warning(told)
        return told

    def _serve(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = self._save("asked for")
        response.success = self.fault is None
        return response

    def _health(self) -> Health:
        values = {
            "kept_s": f"{self.recorder.kept_s:.1f}",
            "kept_bytes": self.recorder.kept_bytes,
            "lost": self.recorder.lost,
            "run": "goes on" if self.recorder.running else "",
            "saved": str(self.saved[-1]) if self.saved else "",
        }
        if self.fault is not None:
            return Health("error", self.fault, values)
        return Health("ok", "listening", values)

    def destroy_node(self) -> None:
        """What led to a stop that was just now is saved before the node goes."""
        if (reason := self.recorder.pending) is not None:
            self._save(reason)
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(FlightRecorderNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
