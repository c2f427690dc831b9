"""ROS nodes as child processes in a ROS domain of their own, none of which is left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from random import SystemRandom
from typing import NamedTuple

from vdd_ros.errors import UserError
from vdd_ros.shared_memory import left_behind, remove

HIGHEST_DOMAIN = 100  # above, ports of ROS collide with those of outgoing connections
PATIENCE_S = {signal.SIGINT: 10.0, signal.SIGTERM: 3.0, signal.SIGKILL: 3.0}
PR_SET_PDEATHSIG = 1


def free_domain() -> int:
    """A ROS_DOMAIN_ID in which no other participant of this machine is, nor what a killed one left
    that would keep others from hearing each other; raises UserError."""
    domains = list(range(1, HIGHEST_DOMAIN + 1))
    SystemRandom().shuffle(domains)  # so that two programs hardly ever pick the same at a time
    for domain in domains:
        if not is_inhabited(domain):
            remove(left_behind(domain))
            return domain
    raise UserError(f"all ROS domains up to {HIGHEST_DOMAIN} are in use: end some ROS programs")


def require_domain(domain: int | None) -> None:
    """Raise UserError for a ROS_DOMAIN_ID that is none; None stands for a free one."""
    if domain is not None and not 0 <= domain <= HIGHEST_DOMAIN:
        raise UserError(f"domain is {domain}; choose one of 0 to {HIGHEST_DOMAIN}")


def is_inhabited(domain: int) -> bool:
    """Whether the unicast port of the domain's first participant on this machine is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return True
    return False


def isolated(domain: int) -> dict[str, str]:
    """Environment of a child process that sees, and is seen by, nothing beyond this machine."""
    local = {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    if os.environ.get("ROS_DISTRO") in ("humble", "iron"):  # which know only this
        local["ROS_LOCALHOST_ONLY"] = "1"
    # Small matrices: a second thread costs more than it gives, and nodes share few cores.
    return os.environ | local | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


class Footprint(NamedTuple):
    """memory: resident, without pages of files, which the system drops and reads again as it likes
    [bytes]; threads; files: open descriptors."""

    memory: int
    threads: int
    files: int


class Mapped(NamedTuple):
    """Memory of a process by the system's own count (smaps_rollup) [bytes]. rss: what is resident;
    pss: the same with what others have mapped as well divided by how many have it; own: what it
    alone has."""

    rss: int
    pss: int
    own: int


class Nodes:
    """Running nodes by name. A context manager: on the way out all are ended, whatever happened.

    Args:
        log_folder: each node's output goes to `<log_folder>/<name>.log`.
        domain: ROS_DOMAIN_ID of all of them.
    """

    def __init__(self, log_folder: Path, domain: int):
        self.log_folder = log_folder
        self.domain = domain
        self._processes: dict[str, subprocess.Popen] = {}
        log_folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def start(
        self,
        name: str,
        parameters: Mapping[str, object],
        remaps: Mapping[str, str] | None = None,
        module: str = "",
    ) -> None:
        """Start `vdd_ros.nodes.<name>` with ROS parameters; `module`: another one under this name,
        remaps: its topics, and so on, by those that they become."""
        settings = [f"{key}:={as_yaml(value)}" for key, value in parameters.items()]
        options = [word for setting in settings for word in ("-p", setting)]
        renames = ({"__node": name} if module else {}) | dict(remaps or {})
        options += [word for key, value in renames.items() for word in ("-r", f"{key}:={value}")]
        with (self.log_folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"vdd_ros.nodes.{module or name}", "--ros-args", *options],
                env=isolated(self.domain),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches them through `end`, in order
                preexec_fn=end_with_parent,
            )

    def ended(self, name: str) -> int | None:
        """Exit code of a node, None while it runs."""
        return self._processes[name].poll()

    def cpu_s(self, name: str) -> float:
        """Processor time that a running node has used so far [s]."""
        return _cpu_s(self._processes[name].pid)

    def cpu_of_children_s(self, name: str) -> float:
        """Processor time that processes which a running node has started used so far [s]."""
        pid = self._processes[name].pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        return sum(_cpu_s(int(child)) for child in children)

    def footprint(self, name: str) -> Footprint:
        """What a running node holds now."""
        folder = Path(f"/proc/{self._processes[name].pid}")
        lines = (folder / "status").read_text(encoding="utf-8").splitlines()
        facts = dict(line.split(":", 1) for line in lines)
        own = sum(int(facts[key].split()[0]) for key in ("RssAnon", "RssShmem"))
        return Footprint(
            own * 1024,
            int(facts["Threads"]),
            len(list((folder / "fd").iterdir())),
        )

    def mapped(self, name: str) -> Mapped:
        """What a running node has mapped now."""
        path = Path(f"/proc/{self._processes[name].pid}/smaps_rollup")
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        sizes = {
            key: int(size.split()[0]) * 1024 for key, size in (one.split(":") for one in lines)
        }
        own = sizes["Private_Clean"] + sizes["Private_Dirty"]
        return Mapped(sizes["Rss"], sizes["Pss"], own)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a running node a signal."""
        self._processes[name].send_signal(number)

    def names(self) -> list[str]:
        """Of all nodes that were started and not ended one by one."""
        return list(self._processes)

    def pid(self, name: str) -> int:
        """Process id of a node."""
        return self._processes[name].pid

    def end_one(self, name: str) -> None:
        """Ask one node to end, ever more firmly, and forget it."""
        _end([self._processes.pop(name)])

    def check(self, may_end: str | Collection[str] = "") -> None:
        """Raise UserError, with its last line, if a node has ended; `may_end` may, with code 0."""
        may_end = {may_end} if isinstance(may_end, str) else set(may_end)
        for name in self._processes:
            code = self.ended(name)
            if code is not None and (code or name not in may_end):
                raise UserError(
                    f"{name} ended with exit code {code}: {self.last_line(name)} "
                    f"(all it said is in {self.log_folder / f'{name}.log'})"
                )

    def last_line(self, name: str) -> str:
        """The last line that a node has written, empty while there is none."""
        text = (self.log_folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return text.rstrip().rpartition("\n")[2]

    def end(self) -> None:
        """Ask all nodes to end, ever more firmly, and wait until they have."""
        _end(list(self._processes.values()))


def _cpu_s(pid: int) -> float:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _end(nodes: list[subprocess.Popen]) -> None:
    for number, patience_s in PATIENCE_S.items():
        running = [node for node in nodes if node.poll() is None]
        for node in running:
            node.send_signal(number)
        deadline = time.monotonic() + patience_s
        for node in running:
            try:
                node.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel send this process SIGTERM when its parent is gone, even if it was killed.

    parent: its pid, where it may have been killed before the kernel knew of this; ends then.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if parent is not None and os.getppid() != parent:
        raise SystemExit


def as_yaml(value: object) -> str:
    """As a parameter is written on a command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
