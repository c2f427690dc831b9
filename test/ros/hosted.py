"""A node in this process, spun in a thread, for tests that lay a hand on what is inside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from vdd_ros.nodes.hosting import make_executor, spin_until


@contextmanager
def hosted(make_node: Callable[[], Node], domain: int, parameters: dict) -> Iterator:
    """Once in a process: see test_nodes_inside.py."""
    words = [part for key, value in parameters.items() for part in ("-p", f"{key}:={value}")]
    rclpy.init(
        args=["--ros-args", *words],
        domain_id=domain,
        signal_handler_options=SignalHandlerOptions.NO,
    )
    executor, ended = make_executor(), threading.Event()
    node = make_node()
    executor.add_node(node)
    thread = threading.Thread(target=spin_until, args=(executor, node, ended.is_set))
    thread.start()
    try:
        yield node
    finally:
        ended.set()
        thread.join()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
