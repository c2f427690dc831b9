"""What the tests over ROS share: a domain of their own, nodes as processes, an observer.

Nodes run in processes of their own, on loopback, and are always ended by their id.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool

from vdd_ros.nodes.hosting import make_executor, spin_until
from vdd_ros.nodes.knock import Knock
from vdd_ros.processes import HIGHEST_DOMAIN, is_inhabited
from vdd_ros.shared_memory import left_behind, remove

ROOT = Path(__file__).parents[2]
CONTRACT_PATH = ROOT / "config" / "panda_avoid.yaml"
START_S = 60.0  # a first import on a busy machine
END_S = 30.0  # nodes alone are given 16 s: 10 for SIGINT, 3 and 3 for what follows


@contextlib.contextmanager
def free_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID that no other test run holds and in which no participant answers."""
    folder = Path(tempfile.gettempdir()) / "vdd_ros_test_domains"
    folder.mkdir(exist_ok=True)
    for domain in range(1, HIGHEST_DOMAIN + 1):
        with (folder / str(domain)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not is_inhabited(domain):
                remove(left_behind(domain))
                yield domain
                return
    raise AssertionError("all ROS domains of this machine are in use")


def environment(domain: int, **more: str) -> dict[str, str]:
    """The environment of a child process: loopback only, one thread, no display."""
    return (
        os.environ
        | {
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "AMENT_PREFIX_PATH": os.environ.get("AMENT_PREFIX_PATH", sys.prefix),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "MUJOCO_GL": "disable",
            "OMP_NUM_THREADS": "1",
        }
        | more
    )


class Running:
    """A child process and what it has said so far."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path):
        self.log = log
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                command,
                env=env,
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self, number: int = signal.SIGINT) -> int:
        """Ask it to end and wait for it; returns its exit code, that of `wait` where it does
        not."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(END_S)

    def wait(self, deadline_s: float = START_S) -> int:
        """Its exit code. One that goes on after the deadline is aborted, so that its output ends
        with what each of its threads was at (its executor enables faulthandler), or killed."""
        for number, patience_s in ((signal.SIGABRT, deadline_s), (signal.SIGKILL, END_S)):
            try:
                return self.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.process.send_signal(number)
        return self.process.wait()


@contextlib.contextmanager
def running(command: list[str], domain: int, **env: str) -> Iterator[Running]:
    """A command as a child process for the length of the block; shows its output on a failure."""
    with tempfile.TemporaryDirectory() as folder:
        child = Running(command, environment(domain, **env), Path(folder) / "log")
        try:
            yield child
        except BaseException:
            print(f"--- {' '.join(command)}\n{child.output}", file=sys.stderr)
            raise
        finally:
            child.end()


def node_command(name: str, parameters: dict | None = None, remaps=None) -> list[str]:
    """The command line of the node in vdd_ros/nodes/`name`.py."""
    settings = [f"{key}:={_yaml(value)}" for key, value in (parameters or {}).items()]
    renames = [f"{key}:={value}" for key, value in (remaps or {}).items()]
    return [
        sys.executable,
        "-m",
        f"vdd_ros.nodes.{name}",
        "--ros-args",
        *(part for setting in settings for part in ("-p", setting)),
        *(part for rename in renames for part in ("-r", rename)),
    ]


def running_node(name: str, domain: int, parameters: dict | None = None, remaps=None, **env: str):
    """`running` for a node: a context manager that gives the Running child."""
    return running(node_command(name, parameters, remaps), domain, **env)


def _yaml(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def wait_for(condition: Callable[[], object], what: str, deadline_s: float = START_S):
    """Poll until `condition()` is true and return what it gave; fail after the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {deadline_s} s in vain for {what}")


@contextlib.contextmanager
def repeating(act: Callable[[], object], period_s: float) -> Iterator[None]:
    """Call `act()` again and again, in a thread, for the length of the block."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(period_s):
            act()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Observer:
    """A node of the test's own, spun in a thread: listens, publishes, calls services.

    Use as a context manager. `listen` gives a list that grows as messages come.
    """

    def __init__(self, domain: int, use_sim_time: bool = False):
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        self.context = Context()
        setting = f"use_sim_time:={_yaml(use_sim_time)}"
        rclpy.init(
            args=["--ros-args", "-p", setting],
            context=self.context,
            domain_id=domain,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self.node = Node("observer", context=self.context)
        self._executor = make_executor(self.context)
        self._executor.add_node(self.node)
        self._ended = threading.Event()
        spinning = self._executor, self.node, self._ended.is_set
        self._thread = threading.Thread(target=spin_until, args=spinning)

    def __enter__(self) -> Observer:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 1000) -> list:
        """Messages on `topic` from now on, in a list that grows."""
        received: list = []
        self.node.create_subscription(kind, topic, received.append, qos)
        return received

    def publisher(self, kind: type, topic: str, qos: QoSProfile | int = 10):
        """A publisher that already has its subscriber."""
        publisher = self.node.create_publisher(kind, topic, qos)
        wait_for(publisher.get_subscription_count, f"a subscriber of {topic}")
        return publisher

    def hold_e_stop(self) -> None:
        """Press it as a button does that says so again and again: whoever is discovered late hears
        it as well."""
        publisher = self.node.create_publisher(Bool, "/e_stop", 10)
        self.node.create_timer(0.05, lambda: publisher.publish(Bool(data=True)))

    def call(self, kind: type, service: str, request=None, deadline_s: float = START_S):
        """Call a service once it is there and return its response."""
        client = self.node.create_client(kind, service)
        wait_for(client.service_is_ready, f"service {service}", deadline_s)
        knock = Knock(self.node, service.rpartition("/")[0])  # or an answer may be lost
        wait_for(knock.answered, f"the node of {service}", deadline_s)
        knock.close()
        future = client.call_async(request or kind.Request())
        wait_for(future.done, f"an answer of {service}", deadline_s)
        self.node.destroy_client(client)
        return future.result()
