"""recorder_node: the contract's streams into episodes, on the operator's word.

Pictures of the contract's cameras go into the same episodes, by a process of their own
(`camera_recorder`) that this one starts and watches.

    ~/start ~/stop ~/save ~/discard ~/set_aside
                  std_srvs/Trigger; the response says what happened
    ~/annotate    std_msgs/String, a JSON object for the episode's `meta`
    ~/correct     std_msgs/String, {"episode": NAME, "success": false, "note": "..."}: how a saved
                  one went after all; what came of it is `corrected` in /diagnostics
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from itertools import pairwise

from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vdd_ros.bag import load_formats
from vdd_ros.calibration_file import calibrated, encoders_apart, named_in, read_calibration
from vdd_ros.camera_process import CameraProcess
from vdd_ros.clock_offset import ClockJumps, clock_nodes
from vdd_ros.contract import Contract
from vdd_ros.correction import correct
from vdd_ros.demo_recorder import DemoRecorder, State
from vdd_ros.episode_notes import LARGEST
from vdd_ros.errors import UserError
from vdd_ros.manifest import Provenance
from vdd_ros.nodes.hosting import publish_diagnostics, run_node, steady_timer
from vdd_ros.nodes.messages import Health
from vdd_ros.nodes.other_clocks import OtherClocks
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.raw_streams import Information, listen_raw, origin_of
from vdd_ros.nodes.receive_clock import ReceiveClock
from vdd_ros.part import left_overs, told_of
from vdd_ros.recovery import recover

GUARD_PERIOD_S = 1.0
SHORTEST_S = 0.5  # over which a rate is told
AT_ONCE_NS = 20_000_000  # between two readings that are of one moment


@dataclass(frozen=True)
class RecorderParameters:
    contract: str = parameter("", "path of the contract YAML", required=True)
    directory: str = parameter("", "folder that episodes are saved in", required=True)
    name_prefix: str = parameter("episode", "episodes are called <name_prefix>_0001 and so on")
    task: str = parameter("", "what is demonstrated; empty: the contract's name")
    operator: str = parameter("", "pseudonym of who demonstrates; no name")
    consent: str = parameter("", "what the operator agreed that recordings may be used for")
    licence: str = parameter("", "licence of the episodes, such as CC-BY-4.0")
    prompt: str = parameter("", "the task in words, as one would tell it")
    calibration: str = parameter(
        "", "path of the calibration file that is in use; empty: that of the contract"
    )
    clocks: str = parameter(
        "", "clock nodes of other hosts, such as 'robot:/clock_node'; empty: none is asked"
    )


class RecorderNode(Node):
    """Hosts a DemoRecorder: raw messages in, services for the operator."""

    def __init__(self) -> None:
        super().__init__("recorder_node")
        settings = read_parameters(self, RecorderParameters)
        self.contract = calibrated(Contract.from_yaml(settings.contract), settings.calibration)
        self._calibration = settings.calibration or named_in(settings.contract)
        self._tell_encoders()
        self.cameras = self._camera_process() if self.contract.cameras else None
        self.recorder = DemoRecorder(
            self.contract,
            settings.directory,
            settings.name_prefix,
            settings.task or self.contract.name,
            Provenance(
                operator=settings.operator,
                consent=settings.consent,
                licence=settings.licence,
                prompt=settings.prompt,
                host=platform.node(),
            ),
            cameras=self.cameras,
            calibration=read_calibration(self._calibration) if self._calibration else None,
        )
        if self.cameras is not None:
            self.cameras.begin()
        for left in recover(settings.directory):
            self.get_logger().warning(str(left))
        if told := self._left_over():
            self.get_logger().warning(told)
        load_formats()
        self._clock_in = ReceiveClock(self)
        hosts = clock_nodes(settings.clocks)
        self._is_real_time = not self.get_parameter("use_sim_time").value
        if hosts and not self._is_real_time:
            raise UserError("simulated time is nobody's clock: leave out clocks, or use_sim_time")
        self._clocks = OtherClocks(self, hosts, self.recorder.beside.note_clock)
        self._jumps = ClockJumps()
        self._received = dict.fromkeys(self.contract.rates_hz, 0)
        self._newest_ns: dict[str, int] = {}  # of each stream and camera, when it came
        self._measured_ns, self._measured = 0, dict(self._received)
        self._rates = dict.fromkeys(self._received, 0.0)
        if self.cameras is not None and not self.cameras.wait_ready():
            raise UserError(self.cameras.fault or "the process that writes pictures does not begin")
        listen_raw(self, self.contract, self._take, self.recorder.add_lost)
        self.create_subscription(String, "~/annotate", self._annotate, 10)
        self._corrected = ""  # what came of the newest correction
        self.create_subscription(String, "~/correct", self._correct, 10)
        commands = {
            "start": self._start,
            "stop": self.recorder.stop,
            "save": self.recorder.save,
            "discard": lambda _: self.recorder.discard(),
            "set_aside": self.recorder.set_aside,
        }
        for name, command in commands.items():
            self.create_service(Trigger, f"~/{name}", partial(self._serve, command))
        self._tell = publish_diagnostics(self, self._health)
        steady_timer(self, GUARD_PERIOD_S, self._guard)

    def _camera_process(self) -> CameraProcess:
        """Who writes pictures, under this node's namespace, clock and names of topics."""
        clock = str(self.get_parameter("use_sim_time").value).lower()
        name = f"{self.get_name()}_cameras"
        options = ["-p", f"use_sim_time:={clock}"]
        options += ["-r", f"__node:={name}", "-r", f"__ns:={self.get_namespace()}"]
        options += remapped_topics(sys.argv)
        program = [sys.executable, "-m", "vdd_ros.nodes.camera_recorder", "--ros-args", *options]
        return CameraProcess(program, self.contract, self._miss_cameras)

    def _miss_cameras(self, why: str) -> None:
        pause_s = self.cameras.pause_s if self.cameras is not None else 0.0
        when = f" in {pause_s:.0f} s" if pause_s else ""
        told = f"no images are written: {why}; it is started anew{when}"
        if self.recorder.state is State.RECORDING:
            told = f"images of {self.recorder.name} are missing from now on: {why}; joints go on"
        self.get_logger().error(told)

    def _start(self, now_ns: int) -> str:
        self._clocks.require_close(self.contract.recording.most_clock_offset_s)
        if self._calibration:  # it may have been made anew since the last episode
            self.recorder.calibration = read_calibration(self._calibration)
            self._tell_encoders()
        return self.recorder.start(now_ns, wall_clock())

    def _tell_encoders(self) -> None:
        if told := encoders_apart(self.contract, self._calibration):
            self.get_logger().warning(told)

    def _guard(self) -> None:
        if self.cameras is not None:
            self.cameras.look()
            if self.recorder.state is not State.RECORDING:
                self.cameras.begin_again()
        before_ns, now_ns = time.monotonic_ns(), self._clock_in.now_ns()
        at_once = time.monotonic_ns() - before_ns < AT_ONCE_NS
        if self._is_real_time and at_once and (told := self._jumps.look(now_ns, before_ns)):
            self.recorder.beside.note_jump(told)
        if self.recorder.state is State.RECORDING:
            for host in self._clocks.silent:
                self.recorder.beside.note_silence(host)
        try:
            if told := self.recorder.guard(self._clock_in.now_ns()):
                self.get_logger().error(told)
        except (UserError, OSError) as error:
            self.get_logger().error(str(error))

    def _take(self, stream: str, data: bytes, information: Information) -> None:
        received_ns = self._clock_in.received_ns(stream, information)
        self._received[stream] += 1
        self._newest_ns[stream] = received_ns
        if not self._clock_in.is_before(received_ns, self.recorder.started_ns):
            self.recorder.add(stream, data, received_ns, origin_of(information))

    def _serve(self, command, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            if (now_ns := self._clock_in.now_ns()) == 0:
                raise UserError("the ROS clock stands at 0: is /clock published (use_sim_time)?")
            response.message = command(now_ns)
            response.success = True
            self.get_logger().info(response.message)
        except (UserError, OSError) as error:
            response.message = str(error)
            self.get_logger().error(response.message)
        self._tell()  # whoever shows the state need not wait for a second
        return response

    def _annotate(self, message: String) -> None:
        try:
            self.get_logger().info(self.recorder.annotate(json_object(message.data)))
            self._tell()  # that it was noted
        except (UserError, ValueError, RecursionError) as error:
            self.get_logger().error(f"annotation {message.data!r:.80} is not taken: {error}")

    def _correct(self, message: String) -> None:
        """The episode is named by whoever corrects it: another may be the last one by now."""
        try:
            items = json_object(message.data)
            name = items.pop("episode", None)
            if not isinstance(name, str):
                raise ValueError("it names no `episode`")
            self._corrected = correct(self.recorder.folder, [name], items)
            self.get_logger().info(self._corrected)
        except (UserError, OSError, ValueError, RecursionError) as error:
            self._corrected = f"correction {message.data!r:.80} is not taken: {error}"
            self.get_logger().error(self._corrected)
        self._tell()

    def _health(self) -> Health:
        """State, how often and how long ago every stream came, and what is left of the disk."""
        now_ns = self._clock_in.now_ns()
        self._measure(now_ns)
        wanted = [*(part.stream for part in self.contract.observation), *self.contract.cameras]
        silent = [name for name in wanted if not self._rates[name]]
        state, elapsed_s = self.recorder.state, self.recorder.elapsed_s(now_ns)
        values = {f"{name}_hz": f"{rate:.1f}" for name, rate in self._rates.items()}
        values |= {
            f"{name}_age_s": f"{(now_ns - newest_ns) * 1e-9:.3f}"
            for name, newest_ns in self._newest_ns.items()
        }
        values |= {"state": state.value, "episode": self.recorder.name, **self._room()}
        values |= {"saved": str(self.recorder.saved), "left_over": self._left_over()}
        values |= {"last_saved": self.recorder.last_saved, "corrected": self._corrected}
        if elapsed_s is not None:
            values["elapsed_s"] = f"{elapsed_s:.1f}"
            values["meta"] = json.dumps(self.recorder.meta)
        if state is State.STOPPED:
            values["verdict"] = str(self.recorder.verdict)
        if self.recorder.fault and state is not State.IDLE:
            return Health("error", f"{state.value}, {self.recorder.fault}", values)
        if self.cameras is not None and self.cameras.fault is not None:
            return Health(
                "error", f"{state.value}, images are missing: {self.cameras.fault}", values
            )
        if silent:
            level = "error" if state is State.RECORDING else "warn"
            return Health(level, f"{state.value}, nothing comes on {', '.join(silent)}", values)
        if hosts := self._clocks.silent:
            told = f"{state.value}, no answer of the clock of {', '.join(hosts)}"
            return Health("warn", told, values)
        return Health("ok", state.value, values)

    def _measure(self, now_ns: int) -> None:
        """The rate of every stream and camera since it was measured last [Hz of the ROS clock]."""
        if self.cameras is not None:
            self.cameras.look()
            self._received |= self.cameras.received
            self._newest_ns |= self.cameras.newest_ns
        elapsed_s = (now_ns - self._measured_ns) * 1e-9
        if 0.0 < elapsed_s < SHORTEST_S:
            return
        self._rates = {
            # a process of cameras that begins anew counts anew
            name: max(0, count - self._measured[name]) / elapsed_s if elapsed_s > 0 else 0.0
            for name, count in self._received.items()
        }
        self._measured_ns, self._measured = now_ns, dict(self._received)

    def _left_over(self) -> str:
        """How many recordings were never saved, and what to do with them; empty where none is."""
        count = len(left_overs(self.recorder.folder))
        return told_of(self.recorder.folder, count) if count else ""

    def _room(self) -> dict[str, str]:
        """Space left, and for how long."""
        try:
            room = self.recorder.room()
        except OSError as error:
            return {"free_mib": f"unknown: {error.strerror}"}
        left = "" if room.seconds is None else f"{room.seconds / 60:.0f}"
        return {"free_mib": str(room.free >> 20), "minutes_left": left}

    def destroy_node(self) -> None:
        self.recorder.close()
        if self.cameras is not None:
            self.cameras.close()
        super().destroy_node()


def remapped_topics(words: Sequence[str]) -> list[str]:
    """Of a command line the renamings of topics, as options of another node's."""
    rules = [rule for option, rule in pairwise(words) if option in ("-r", "--remap")]
    topics = [rule for rule in rules if not rule.partition(":=")[0].startswith("__")]
    return [word for rule in topics for word in ("-r", rule)]


def json_object(text: str) -> dict:
    """What is noted of an episode; raises ValueError for what is none."""
    if len(text) > LARGEST:
        raise ValueError(f"it is longer than {LARGEST >> 10} KiB")
    items = json.loads(text)
    if not isinstance(items, dict):
        raise ValueError("it is no JSON object")
    return items


def wall_clock() -> str:
    """When an episode was recorded, for people; its stamps are on the ROS clock."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(RecorderNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
