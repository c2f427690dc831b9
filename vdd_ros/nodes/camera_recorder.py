"""camera_recorder: the contract's cameras into the bag of an episode, as `recorder_node` says.

Started by it, with a socket for standard input (`camera_process.py`); when that closes, a bag that
is being written is finished, and the process ends.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rclpy.node import Node

from vdd_ros.bag import load_formats
from vdd_ros.camera_process import MOST_BYTES
from vdd_ros.camera_writer import CameraWriter
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import run_node, steady_timer
from vdd_ros.nodes.raw_streams import Information, listen_to, origin_of
from vdd_ros.nodes.receive_clock import ReceiveClock

LOOK_S, TELL_S, SYNC_S = 0.01, 0.2, 1.0
QUEUE_S = 3.0  # of pictures: as long as a disk may take for what came in a second


class CameraRecorder(Node):
    """Hosts a CameraWriter: raw messages in, words over a socket."""

    def __init__(self) -> None:
        super().__init__("camera_recorder")
        self.exit_code: int | None = None
        self._socket = socket.socket(fileno=0)
        first = self._socket.recv(MOST_BYTES)
        if not first:
            raise UserError("camera_recorder is started by recorder_node, which has gone")
        contract = Contract.from_dict(json.loads(first))
        self._socket.setblocking(False)
        self.writer = CameraWriter(contract)
        load_formats()
        self._clock_in = ReceiveClock(self)
        self._started_ns = 0  # the bag that is being written
        for name, topic in self.writer.topics.items():
            rate_hz = contract.cameras[name.partition(".")[0]].rate_hz
            depth = max(topic.depth, round(QUEUE_S * rate_hz))
            listen_to(self, name, topic, depth, self._take, self.writer.add_lost)
        steady_timer(self, LOOK_S, self._look)
        steady_timer(self, TELL_S, self._tell)
        steady_timer(self, SYNC_S, self.writer.sync)
        self._say({"ready": True})

    def _take(self, name: str, data: bytes, information: Information) -> None:
        received_ns = self._clock_in.received_ns(name, information)
        if not self._clock_in.is_before(received_ns, self._started_ns):
            self.writer.add(name, data, received_ns, origin_of(information))

    def _look(self) -> None:
        """Do what is said, and go when nobody is there any more."""
        try:
            while found := self._socket.recv(MOST_BYTES):
                self._obey(json.loads(found))
        except BlockingIOError:
            return
        except ConnectionResetError:
            pass
        self.exit_code = 0

    def _obey(self, words: dict) -> None:
        answer: dict = {}
        try:
            if "start" in words:
                self.writer.start(Path(words["start"]), words["name"])
                self._started_ns = self._clock_in.now_ns()
            elif "stop" in words:
                answer = self.writer.stop()._asdict()
            elif "summary" in words:
                found = self.writer.summary()
                answer = {"summary": None if found is None else found.model_dump()}
            else:
                self.writer.abort()
        except OSError as error:
            self._say({"done": str(error)})
            return
        self._say({"done": None, **answer})

    def _tell(self) -> None:
        writer = self.writer
        counts = {name: writer.received[name] for name in writer.contract.cameras}
        newest_ns = {name: writer.newest_ns[name] for name in counts if name in writer.newest_ns}
        self._say({"received": counts, "newest_ns": newest_ns, "fault": writer.fault})

    def _say(self, words: dict) -> None:
        # what nobody takes in time is not worth waiting for; at the end nobody is there
        with suppress(BlockingIOError, ConnectionError):
            self._socket.send(json.dumps(words).encode())

    def destroy_node(self) -> None:
        self.writer.stop()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until its socket closes, or SIGTERM."""
    return run_node(CameraRecorder, args)


if __name__ == "__main__":
    raise SystemExit(main())
