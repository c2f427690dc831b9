"""CameraThread: encodes the pictures of one camera, beside the ticks and the executor.

It waits for the middleware without the interpreter, and most of what it does then (unpacking,
reducing, encoding) is done without it too. What it has seen lies in a queue that is never waited
for; of several pictures at once it sees the newest.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from rclpy.clock import ROSClock
from rclpy.node import Node

from vdd_ros.camera_eye import CameraEye, Sight
from vdd_ros.contract import Contract
from vdd_ros.monitor import Recent
from vdd_ros.nodes.stream_reader import StreamReader

KEPT = 4  # of what was seen, for a control thread that is late
LOOK_S = 0.1  # between two looks whether it is to end


class CameraThread:
    """wanted: whether anybody needs what is seen now; without it pictures are let go of."""

    def __init__(
        self,
        node: Node,
        contract: Contract,
        eye: CameraEye,
        complain: Callable[[str, str], None],
        wanted: Callable[[], bool],
    ):
        """complain: called with the name of the camera and what is wrong with its publishers."""
        self.name = eye.name
        self.complaint = ""  # why the last picture was not taken, or what is odd about it
        self.reader = StreamReader(node, contract, eye.name, complain)
        self._eye, self._wanted, self._clock = eye, wanted, node.get_clock()
        self._seen: deque[Sight] = deque(maxlen=KEPT)
        self._encode_ms, self._ready_ms = Recent(), Recent()
        self._counts = {"seen": 0, "dropped": 0, "broken": 0}
        self._newest_ns: int | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {eye.name}", daemon=True)
        self._thread.start()

    def take(self) -> Iterator[Sight]:
        """What was seen since, oldest first."""
        while self._seen:
            yield self._seen.popleft()

    def figures(self, now_ns: int) -> dict[str, object]:
        """What became of its pictures, how old the newest is, what it takes to see one
        (encode), and how old it is then (ready)."""
        age_s = None if self._newest_ns is None else (now_ns - self._newest_ns) * 1e-9
        named: dict[str, object] = {
            **self._counts,
            "age_s": age_s,
        }
        for way, taken in {"encode": self._encode_ms, "ready": self._ready_ms}.items():
            found = taken.quantiles(50, 99) or (None, None)
            named |= {f"{way}_{p}_ms": ms for p, ms in zip(("p50", "p99"), found, strict=True)}
        return {
            f"camera_{self.name}_{key}": f"{value:.6g}" if isinstance(value, float) else value
            for key, value in named.items()
        }

    def destroy(self) -> None:
        """Stop listening."""
        self._ending.set()
        self._thread.join()
        self.reader.destroy()

    def _run(self) -> None:
        while not self._ending.is_set():
            self.reader.wait(LOOK_S)
            came = list(self.reader.take())
            if came and self._wanted():
                self._counts["dropped"] += len(came) - 1
                self._note(self._eye.see(came[-1][0], self._known_ns(came[-1][1])))

    def _known_ns(self, received_ns: int) -> int:
        """When a message came, by the clock of the run."""
        clock = self._clock
        simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        return received_ns if received_ns and not simulated else clock.now().nanoseconds

    def _note(self, sight: Sight) -> None:
        self._seen.append(sight)
        self.complaint = sight.remark if sight.fault is None else sight.fault.detail
        self._counts["seen" if sight.fault is None else "broken"] += 1
        if sight.fault is None:
            self._encode_ms.add(sight.took_s * 1e3)
            self._ready_ms.add((self._clock.now().nanoseconds - sight.stamp_ns) * 1e-6)
            self._newest_ns = sight.stamp_ns
