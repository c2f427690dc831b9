"""A leader arm that swings, for a gate that follows one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from vdd_ros.commands.bench.faults.swing import BEYOND, SWINGING

PERIOD_S = 0.02
TURN_S = 1.5  # from one side to the other


class LeaderArm:
    """lead: takes where it is (Da,) [unit] and since when [ns]; middle: (Da,) it swings about.

    It is so far away on either side that only limits decide how fast it is followed.
    """

    def __init__(
        self, lead: Callable[[np.ndarray, int], None], middle: np.ndarray, names: tuple[str, ...]
    ):
        self._lead, self._middle = lead, middle
        self._swings = np.array([BEYOND * (name in SWINGING) for name in names])
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Speak from now on."""
        self.stop()
        self._ending.clear()
        self._thread = threading.Thread(target=self._swing, name="leader")
        self._thread.start()

    def stop(self) -> None:
        """Say nothing any more."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _swing(self) -> None:
        began_s = time.monotonic()
        while not self._ending.wait(PERIOD_S):
            turns = (time.monotonic() - began_s) / TURN_S + 0.5
            side = -1.0 if int(turns) % 2 else 1.0
            self._lead(self._middle + side * self._swings, time.time_ns())
