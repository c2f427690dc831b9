"""CameraProcess: who writes pictures, as seen by who records the joints.

Words go over a socket, a JSON object each: the contract first, then `start`, `stop`, `abort` and
`summary`, each of which is answered; unasked the process says when it is ready, and five times a
second what came. When it ends by itself that is known at once, and the recording of joints goes on.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vdd_ros.camera_writer import CamerasClosed
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.manifest import FileSummary

READY_S = 60.0  # of a first import on a busy machine
ANSWER_S = 60.0  # to finish a file on a disk that is in trouble
SUMMARY_S = 600.0  # to read a long recording from a slow disk
MOST_BYTES = 1 << 20  # of what is said at once
WELL_S = 60.0  # who goes on for so long began well
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


class CameraProcess:
    """command: the program, which finds the socket as its standard input; complain: called, in any
    thread, with one sentence when the process ends unasked."""

    def __init__(self, command: Sequence[str], contract: Contract, complain: Callable[[str], None]):
        self.command = list(command)
        self.contract = contract
        self.received: dict[str, int] = {}  # messages since it began, by camera
        self.newest_ns: dict[str, int] = {}  # when the last of each came
        self._complain = complain
        self._process: subprocess.Popen | None = None
        self._socket: socket.socket | None = None
        self._ready = False
        self._begun_s, self._due_s = 0.0, 0.0  # this one, and the next where this one ended
        self._ends = 0  # of processes, one soon after another
        self._is_noticed = False  # that this one ended
        self._lost: dict[str, int] = {}
        self._missing: dict[str, int] = {}
        self._told: str | None = None  # a fault that it said itself
        self._ended: str | None = None  # how the process of this recording ended

    def begin(self) -> None:
        """Start the process, without waiting for it."""
        mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            # in a session of its own: Ctrl-C reaches it through `close`, in order
            process = subprocess.Popen(self.command, stdin=other.fileno(), start_new_session=True)
        self._process, self._socket, self._ready, self._ended = process, mine, False, None
        self._begun_s, self._is_noticed = time.monotonic(), False
        self.received = {}
        self._say(self.contract.to_dict())
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def _watch(self, process: subprocess.Popen) -> None:
        code = process.wait()
        if process is self._process:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self._ended = f"the process that writes them ended ({how})"
            now_s = time.monotonic()
            self._ends = 1 if now_s - self._begun_s > WELL_S else self._ends + 1
            self._due_s = now_s + pause_after(self._ends)
            self._is_noticed = True
            self._complain(self._ended)

    def begin_again(self) -> None:
        """Start another where it has ended; where one after another did, not before some time has
        passed. To be called once a second."""
        is_due = self._is_noticed and self.pause_s == 0.0
        if self.has_ended and (self._process is None or is_due):
            self.close()
            self.begin()

    @property
    def pause_s(self) -> float:
        """How long it takes until another may be started."""
        return max(0.0, self._due_s - time.monotonic())

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def fault(self) -> str | None:
        """Why pictures are missing from some moment on, None where none are."""
        return self._ended or self._told

    def wait_ready(self, patience_s: float = READY_S) -> bool:
        """Whether it listens, within so long."""
        if self._ready:
            return not self.has_ended
        try:
            self._wait_for("ready", patience_s)
        except UserError:
            return False
        return self._ready

    def start(self, part: Path, name: str) -> None:
        """Have a bag begun in the folder of a recording; raises UserError where it is not."""
        self.begin_again()
        if self.has_ended:
            raise UserError(
                f"pictures cannot be written: {self._ended}, {self._ends} times soon after its "
                f"start: it begins again in {self.pause_s:.0f} s"
            )
        if not self._ready and not self.wait_ready(0.0):
            raise UserError(
                "the process that writes pictures is not ready yet: start again in a few seconds"
            )
        self._lost, self._missing, self._told, self._ended = {}, {}, None, None
        self._ask({"start": str(part.absolute()), "name": name})

    def stop(self) -> CamerasClosed:
        """Have the bag finished; who does not answer is ended, and pictures are missing then."""
        try:
            self._ask({"stop": True})
        except UserError as error:
            return CamerasClosed(self._lost, self.fault or str(error), self._missing)
        return CamerasClosed(self._lost, self.fault, self._missing)

    def summary(self) -> FileSummary | None:
        """Of the bag that was finished last, waited for; None where nobody can tell."""
        try:
            told = self._ask({"summary": True}, SUMMARY_S)["summary"]
        except UserError:
            return None
        return None if told is None else FileSummary(**told)

    def abort(self) -> None:
        """Have the bag let go of; what is in it may be removed on return."""
        try:
            self._ask({"abort": True})
        except UserError:  # it has ended, and with it all that it held
            return

    def look(self) -> None:
        """Take in what it has said by itself."""
        try:
            while self._hear(0.0) is not None:
                pass
        except OSError:
            return

    def close(self) -> None:
        """End the process; a bag that it is writing is finished first."""
        process, self._process = self._process, None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if process is not None:
            _end(process)

    def _ask(self, words: dict, patience_s: float = 0.0) -> dict:
        """Say something and wait for the answer; raises UserError where it is none, or a no."""
        patience_s = patience_s or ANSWER_S
        try:
            self._say(words)
        except OSError:
            raise UserError(self.fault or "the process that writes pictures has ended") from None
        answer = self._wait_for("done", patience_s)
        if answer is None:
            if self._process is not None:
                _kill(self._process)  # it holds what others have to get at
            raise UserError(f"the process that writes pictures said nothing in {patience_s:g} s")
        if answer["done"] is not None:
            raise UserError(f"pictures cannot be written: {answer['done']}")
        return answer

    def _wait_for(self, key: str, patience_s: float) -> dict | None:
        """The first thing it says with a key, None where that does not come in time; raises
        UserError at its end."""
        deadline_s = time.monotonic() + patience_s
        try:
            while (words := self._hear(max(0.0, deadline_s - time.monotonic()))) is not None:
                if key in words:
                    return words
        except OSError:
            raise UserError(self.fault or "the process that writes pictures has ended") from None
        return None

    def _say(self, words: dict) -> None:
        if self._socket is None:
            raise OSError("there is no process")
        self._socket.send(json.dumps(words).encode())

    def _hear(self, patience_s: float) -> dict | None:
        """The next thing it says, None where nothing comes in time; raises OSError at its end."""
        if self._socket is None:
            raise OSError("there is no process")
        self._socket.settimeout(patience_s)
        try:
            found = self._socket.recv(MOST_BYTES)
        except (TimeoutError, BlockingIOError):
            return None
        finally:
            self._socket.settimeout(None)
        if not found:
            raise OSError("it has ended")
        words = json.loads(found)
        self._ready = self._ready or "ready" in words
        self.received = words.get("received", self.received)
        self.newest_ns = words.get("newest_ns", self.newest_ns)
        self._lost = words.get("lost", self._lost)
        self._missing = words.get("missing", self._missing)
        self._told = words.get("fault", self._told)
        return words


def pause_after(ends: int) -> float:
    """How long to wait after so many ends, one soon after another [s]: not at all after the first,
    then twice as long each time."""
    return 0.0 if ends < 2 else min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (ends - 2))


def _end(process: subprocess.Popen) -> None:
    try:
        process.wait(ANSWER_S)  # its socket is closed, which it takes for the end
    except subprocess.TimeoutExpired:
        _kill(process)


def _kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
