"""FlightRecorder: the last seconds of everything, in memory, until a run stops unasked.

It has a process of its own: what it does costs the control loop nothing, and it outlives an
`action_node` that is killed. No clock, no ROS.
"""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag import BagWriter, Topic
from vdd_ros.contract import Contract
from vdd_ros.disk_watch import SMALLEST_FREE_BYTES
from vdd_ros.durable import sync_folder
from vdd_ros.errors import UserError

ASKED_FOR = "DEACTIVATED"  # the stop reason of a run that somebody ended
GONE = "policy state silent"  # of a run whose node no longer says anything
SILENT_NS = 3_000_000_000  # policy states come ten times a second, the last one after braking
# The arm is at rest by then, and what follows a stop tells as much as what went before it.
AFTERMATH_NS = 2_000_000_000
MESSAGE_BYTES = 200  # that a message takes beside its data
MOST_BYTES = 512 * 1024 * 1024  # kept in memory, whatever comes in


class _Kept(NamedTuple):
    steady_ns: int
    stream: str
    data: bytes
    received_ns: int


class FlightRecorder:
    """steady_ns are times of a clock that nobody sets; received_ns those of the ROS clock.

    others: topics beside the contract's streams, by name; seconds: how much is kept; listens_since:
    when it began to listen, by the steady clock [ns].
    """

    def __init__(
        self,
        contract: Contract,
        others: Mapping[str, Topic],
        folder: Path,
        seconds: float,
        listens_since: int,
    ):
        self.contract = contract
        self.others = others
        self.folder = folder
        self.lost = 0  # messages that there was no memory for
        self.kept_bytes = 0
        self._kept: deque[_Kept] = deque()
        self._seconds_ns = round(seconds * 1e9)
        self.running = False  # whether the last word of a run was that it goes on
        self._heard_ns = listens_since
        self._policy_is_out = False  # as the last word said
        self._stop: tuple[str, int] | None = None  # why, and when it was known

    @property
    def kept_s(self) -> float:
        """Time from the oldest message kept to the newest [s]."""
        return (self._kept[-1].steady_ns - self._kept[0].steady_ns) * 1e-9 if self._kept else 0.0

    @property
    def pending(self) -> str | None:
        """Why there is something to save, even while what follows a stop is waited for."""
        return None if self._stop is None else self._stop[0]

    def add(self, stream: str, data: bytes, received_ns: int, steady_ns: int) -> None:
        """Keep a message as it came, and forget those that are too old."""
        self._kept.append(_Kept(steady_ns, stream, data, received_ns))
        self.kept_bytes += len(data) + MESSAGE_BYTES
        while self._kept[0].steady_ns < steady_ns - self._seconds_ns:
            self._forget_oldest()
        while self.kept_bytes > MOST_BYTES:
            self._forget_oldest()
            self.lost += 1

    def _forget_oldest(self) -> None:
        self.kept_bytes -= len(self._kept.popleft().data) + MESSAGE_BYTES

    def hear(self, stop_reason: str, steady_ns: int, ran_ns: int, policy_fault: str = "") -> None:
        """Take the stop reason of a policy state, empty while the run goes on, and for how long the
        run has gone on. One that began since the last word may have stopped before its first.
        policy_fault: why the policy is out while a leader drives, empty where it is not."""
        is_new = ran_ns < steady_ns - self._heard_ns
        self._heard_ns = steady_ns
        if policy_fault and (is_new or not self._policy_is_out):
            self._stop = self._stop or (policy_fault, steady_ns)
        self._policy_is_out = bool(policy_fault)
        if not stop_reason:
            self.running = True
        elif self.running or is_new:
            self.running = False
            if stop_reason != ASKED_FOR:
                self._stop = self._stop or (stop_reason, steady_ns)

    def was_busy(self, steady_ns: int) -> None:
        """Nothing was heard until now because nobody listened: that is no silence."""
        self._heard_ns = steady_ns

    def due(self, steady_ns: int) -> str | None:
        """Why there is something to save now, None for nothing. A run that fell silent without a
        last word is one."""
        if self.running and steady_ns - self._heard_ns > SILENT_NS:
            self.running = False
            self._stop = self._stop or (GONE, steady_ns)
        if self._stop is None or steady_ns - self._stop[1] < AFTERMATH_NS:
            return None
        return self._stop[0]

    def save(self, reason: str, started: str) -> Path:
        """Write what is kept as a bag `<started>_<reason>` and go on; there whole or not at all.

        started: the wall clock, for people. Raises UserError where there is no room or nothing was
        heard, OSError where the disk does not take it.
        """
        self._stop = None
        if not self._kept:
            raise UserError(
                "no message came on any stream, so nothing is saved: start the robot's driver"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(self.folder).free) < SMALLEST_FREE_BYTES:
            raise UserError(
                f"only {free >> 20} MiB are free in {self.folder}: make room; what led to "
                f"{reason!r} is not saved"
            )
        name = _free_name(self.folder, f"{started}_{_slug(reason)}")
        part = self.folder / f".part-{name}"
        part.mkdir()
        try:
            self._write(part, name)
        except OSError:
            shutil.rmtree(part, ignore_errors=True)
            raise
        final = part.rename(self.folder / name)
        sync_folder(self.folder)
        return final

    def _write(self, part: Path, name: str) -> None:
        bag = BagWriter(part, name, self.contract, self.others)
        try:
            for kept in self._kept:
                bag.write(kept.stream, kept.data, kept.received_ns)
            bag.close()
        finally:
            bag.abort()
        sync_folder(part)


def _slug(reason: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", reason.lower()).strip("-") or "unknown"


def _free_name(folder: Path, name: str) -> str:
    names = (name, *(f"{name}-{count}" for count in range(2, 10_000)))
    return next(one for one in names if not (folder / one).exists())
