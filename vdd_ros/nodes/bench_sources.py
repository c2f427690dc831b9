"""bench_sources: joint states of a robot and pictures of its cameras, made once and sent again.

What `vdd bench recorder` lets be recorded: a robot starts a recording, sends for so long, and
saves; cameras, in another process, send as long as the robot says in its JSON file that it does.
Each says in its own what it sent. A topic has a thread; of a message only the stamp is new.
"""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_srvs.srv import Trigger

from vdd_ros.bag import Recorded
from vdd_ros.cdr import NS_PER_S, image_cdr, joints_cdr
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import run_node, steady_timer
from vdd_ros.nodes.knock import acquainted
from vdd_ros.nodes.messages import message_class, qos_of
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.script import Script, ScriptRunner
from vdd_ros.realtime import pace

POLL_S = 0.05
SETTLE_S = 1.0  # after the last message has been acknowledged, for who takes it
ACKNOWLEDGED_S = 20.0  # by a recorder that is far behind
SCENES = 8  # different pictures of a camera
KEPT = 1000  # joint states, by their publisher: a recorder that is late asks again
ROBOT, CAMERAS = "robot", "cameras"


@dataclass(frozen=True)
class BenchSourcesParameters:
    contract: str = parameter("", "path of the contract YAML", required=True)
    out: str = parameter("", "JSON file to write", required=True)
    role: str = parameter(ROBOT, "what is sent", choices=(ROBOT, CAMERAS))
    other: str = parameter("", "JSON file of the other role, to begin together; empty: none")
    seconds: float = parameter(10.0, "how long a robot sends", lower=0.1)
    recorder: str = parameter("recorder_node", "name of the recorder's node")


class BenchSources(Node):
    """`_lead` and `_follow` are what it does; their questions are asked every POLL_S."""

    def __init__(self) -> None:
        super().__init__("bench_sources")
        self.settings = read_parameters(self, BenchSourcesParameters)
        self.contract = contract = Contract.from_yaml(self.settings.contract)
        self.sent: dict[str, int] = {}
        self._began, self._ended = threading.Event(), threading.Event()
        topics: dict[str, Recorded] = {"joint_state": contract.streams["joint_state"]}
        if self.settings.role == CAMERAS:
            topics = dict(contract.cameras)
        self._threads = [
            threading.Thread(target=self._send, args=(name, one, messages_of(contract, name)))
            for name, one in topics.items()
        ]
        self._heard: list[Publisher] = []
        for thread in self._threads:
            thread.start()
        script = self._lead() if self.settings.role == ROBOT else self._follow()
        self._doing = ScriptRunner(self, script)
        steady_timer(self, POLL_S, self._doing.ask)

    @property
    def exit_code(self) -> int | None:
        """None until it is done."""
        return self._doing.exit_code

    def _lead(self) -> Script[None]:
        yield self._is_heard
        yield lambda: not self.settings.other or Path(self.settings.other).exists()
        yield from self._ask("start")
        self._tell(sending=True)
        self._began.set()
        end_s = time.monotonic() + self.settings.seconds
        yield lambda: time.monotonic() >= end_s
        self._end()
        yield lambda: not self.settings.other or self._said_by_other()["ended"]
        settled_s = time.monotonic() + SETTLE_S
        yield lambda: time.monotonic() >= settled_s
        yield from self._ask("stop")
        yield from self._ask("save")

    def _follow(self) -> Script[None]:
        yield self._is_heard
        self._tell(sending=False)
        yield lambda: self._said_by_other()["sending"]
        self._began.set()
        yield lambda: not self._said_by_other()["sending"]
        self._end()

    def _is_heard(self) -> bool:
        heard = [publisher.get_subscription_count() for publisher in self._heard]
        return len(heard) == len(self._threads) and all(heard)

    def _said_by_other(self) -> dict:
        path = Path(self.settings.other)
        return json.loads(path.read_text()) if path.exists() else {"sending": False}

    def _end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._tell(sending=False)

    def _ask(self, command: str) -> Script[None]:
        client = self.create_client(Trigger, f"{self.settings.recorder}/{command}")
        yield from acquainted(self, self.settings.recorder)
        response = yield client.call_async(Trigger.Request())
        if not response.success:
            raise UserError(f"{self.settings.recorder} does not {command}: {response.message}")

    def _tell(self, sending: bool) -> None:
        said = {"sending": sending, "ended": self._ended.is_set(), "sent": self.sent}
        replace_text(Path(self.settings.out), json.dumps(said))

    def _send(self, name: str, one: Recorded, messages: list[bytearray]) -> None:
        rate_hz = self.contract.rates_hz[name]
        depth = KEPT if name == "joint_state" else one.depth
        publisher = self.create_publisher(message_class(one.type), one.topic, qos_of(one, depth))
        self._heard.append(publisher)
        self._began.wait()
        count = 0
        for _ in pace(round(NS_PER_S / rate_hz)):
            if self._ended.is_set():
                break
            message = messages[count % len(messages)]
            struct.pack_into("<iI", message, 4, *divmod(time.time_ns(), NS_PER_S))
            publisher.publish(bytes(message))
            count += 1
        publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGED_S))
        self.sent[name] = count

    def destroy_node(self) -> None:
        self._ended.set()
        self._began.set()
        for thread in self._threads:
            thread.join()
        super().destroy_node()


def messages_of(contract: Contract, name: str) -> list[bytearray]:
    """Some messages of the joints or of a camera, as bytes; the stamps are to be set."""
    rng = np.random.default_rng(0)
    if name in contract.cameras:
        camera = contract.cameras[name]
        return [
            bytearray(image_cdr(camera, picture(camera, number, rng), 0))
            for number in range(SCENES)
        ]
    middle = (contract.limit("lower") + contract.limit("upper")) / 2
    stream = contract.streams[name]
    return [
        bytearray(joints_cdr(stream, contract, middle + 0.1 * rng.random(len(middle)), 0, middle))
        for _ in range(1000)
    ]


def picture(camera: Camera, number: int, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) uint8: surfaces, edges that move, and grain; 60 kB as a JPEG of VGA."""
    rows, columns = np.mgrid[0 : 1 : camera.height * 1j, 0 : 1 : camera.width * 1j]
    base = np.stack([150 * rows, 160 * columns, 70 * (rows + columns)], axis=2)
    width = camera.width // (SCENES + 1)
    base[:, number * width : (number + 1) * width] += 40
    noisy = base + rng.normal(0.0, 10.0, rows.shape)[:, :, None]
    return np.clip(noisy, 0, 255).astype(np.uint8)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is done, SIGINT or SIGTERM."""
    return run_node(BenchSources, args)


if __name__ == "__main__":
    raise SystemExit(main())
