"""Drawing: what cameras see, drawn in a thread of its own while the simulation goes on.

Each picture is drawn of a copy of the simulation's state at its time; where the machine cannot keep
up, pictures are left out, and counted.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import mujoco

from vdd_ros.cdr import image_cdr
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.sim.env import RobosuiteEnv

AHEAD = 2  # states that wait to be drawn


class Picture(NamedTuple):
    """A camera's message, and when it was taken."""

    camera: str
    message: bytes
    time_ns: int


class _Job(NamedTuple):
    state: mujoco.MjData
    cameras: Sequence[str]
    time_ns: int


class Drawing:
    """Raises UserError where the simulation has no such cameras, or cannot draw."""

    def __init__(self, env: RobosuiteEnv, contract: Contract):
        self.drawn = self.left_out = 0
        self.fault: str | None = None  # why nothing is drawn any more
        self._env, self._contract = env, contract
        self._free = deque(env.copy() for _ in range(AHEAD))
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._done: deque[Picture] = deque()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drawing", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self.fault is not None:
            raise UserError(self.fault)

    def ask(self, cameras: Sequence[str], time_ns: int) -> None:
        """Have the simulation drawn as it is now, for these cameras."""
        if not self._free or self.fault is not None:
            self.left_out += len(cameras)
            return
        state = self._free.popleft()
        self._env.copy_into(state)
        self._jobs.put(_Job(state, cameras, time_ns))

    def wait(self) -> None:
        """Until all that was asked for has been drawn."""
        self._jobs.join()

    def fetch(self) -> Iterator[Picture]:
        """What was drawn since, oldest first."""
        while self._done:
            yield self._done.popleft()

    def close(self) -> None:
        """Free what drawing takes."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        """What draws is of the thread that made it."""
        try:
            cameras = self._env.cameras(self._contract)
        except UserError as error:
            self.fault = str(error)
            return
        finally:
            self._ready.set()
        while (job := self._jobs.get()) is not None:
            try:
                for name in job.cameras:
                    pixels = cameras.picture(name, job.state)
                    message = image_cdr(self._contract.cameras[name], pixels, job.time_ns)
                    self._done.append(Picture(name, message, job.time_ns))
                    self.drawn += 1
            except Exception as error:  # of a driver that fails the bindings raise what they like
                self.fault = f"nothing is drawn any more: {type(error).__name__}: {error}"
            self._free.append(job.state)
            self._jobs.task_done()
        cameras.close()
