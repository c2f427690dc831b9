"""Running a node from its first breath to its last, in one place for all nodes."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.timer import Timer

from vdd_ros.environment import prepare_environment
from vdd_ros.errors import UserError
from vdd_ros.nodes.messages import Health, diagnostics_message

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOK_PERIOD_S = 0.1
LONG_S = 3600.0
DIAGNOSTICS_PERIOD_S = 1.0


def run_node(make_node: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Make a node, spin it until SIGINT, SIGTERM or its own `exit_code`, take it down; exit code.

    A node that ends by itself sets its attribute `exit_code`. On the way out `destroy_node` is
    called while the context still lives, so an override of it can publish a last, safe word and
    join its threads. A UserError ends in its sentence on stderr and exit code 2.
    """
    stop = threading.Event()
    # rclpy's own handlers would end the context at once, and with it the last word of a node.
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in STOP_SIGNALS}
    prepare_environment()
    rclpy.init(
        args=None if args is None else [*args], signal_handler_options=SignalHandlerOptions.NO
    )
    executor = make_executor()
    node = None
    try:
        node = make_node()
        executor.add_node(node)
        spin_until(executor, node, partial(_is_over, node, stop))
        return getattr(node, "exit_code", None) or 0
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)


def make_executor(context=None) -> Executor:
    """The executor with the least cost per message that this ROS 2 has, single-threaded.

    The events executor needs about a third of the processor time of the wait-set one.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:  # before ROS 2 Kilted
        return SingleThreadedExecutor(context=context)
    return EventsExecutor(context=context)


def _is_over(node: Node, stop: threading.Event) -> bool:
    return stop.is_set() or getattr(node, "exit_code", None) is not None


def spin_until(executor: Executor, node: Node, over: Callable[[], bool]) -> None:
    """Run callbacks until `over()`, which `node`, one of the executor's, asks ten times a second.

    Its timer's callback also gives signal handlers the interpreter. To come back for that and spin
    anew would cost memory each time: the events executor keeps 32 bytes of every call, as
    pybind11 3 does not free the record of a function (pybind/pybind11#6010).
    """
    done = Future()

    def ask() -> None:
        if over():
            done.set_result(None)

    timer = steady_timer(node, LOOK_PERIOD_S, ask)
    while not done.done():  # without a time-out the events executor runs no callback at all
        executor.spin_until_future_complete(done, timeout_sec=LONG_S)
    node.destroy_timer(timer)


def steady_timer(node: Node, period_s: float, call: Callable[[], None]) -> Timer:
    """By a clock that nobody sets: also while ROS time stands or goes at another pace."""
    return node.create_timer(period_s, call, clock=Clock(clock_type=ClockType.STEADY_TIME))


def full_name(node: Node) -> str:
    """A node's name in diagnostics, which tells two arms of one graph apart: left/action_node."""
    return node.get_fully_qualified_name().lstrip("/")


def full_name_of(node: Node, other: str) -> str:
    """The `full_name` of another node, as this one calls it."""
    return (other if other.startswith("/") else f"{node.get_namespace()}/{other}").lstrip("/")


def publish_diagnostics(node: Node, report: Callable[[], Health]) -> Callable[[], None]:
    """Publish `report()` on /diagnostics once a second of real time, even while ROS time stands,
    and whenever what is returned is called."""
    publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    name = full_name(node)

    def publish() -> None:
        now_ns = node.get_clock().now().nanoseconds
        publisher.publish(diagnostics_message(name, report(), now_ns))

    steady_timer(node, DIAGNOSTICS_PERIOD_S, publish)
    return publish
