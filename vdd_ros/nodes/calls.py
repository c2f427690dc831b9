"""Calls: services (std_srvs/Trigger) that a node asks without waiting for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

PATIENCE_S = 60.0  # with a service: a long episode takes a while to be judged

Then = Callable[[bool, str], None]  # whether it was done, and the sentence


class Call(NamedTuple):
    """A service that was asked: until when, and who is to know."""

    client: Client
    future: Future
    until_s: float
    then: Then


class Calls:
    """Those that have not been answered yet. Use `ask` and, several times a second, `look`."""

    def __init__(self, node: Node):
        self._node = node
        self._open: list[Call] = []

    def __len__(self) -> int:
        return len(self._open)

    def clients(self, names: Sequence[str]) -> list[Client]:
        """For services of these names, in the node's namespace."""
        return [self._node.create_client(Trigger, name) for name in names]

    def ask(self, client: Client, then: Then) -> None:
        """Ask a service; `then` is told what became of it, also where nobody answers."""
        if not client.service_is_ready():
            then(False, f"{client.service_name} is not there: is its node running?")
            return
        future = client.call_async(Trigger.Request())
        self._open.append(Call(client, future, time.monotonic() + PATIENCE_S, then))
        future.add_done_callback(self._on_response)

    def ask_all(self, clients: Sequence[Client], then: Then) -> None:
        """Ask several at once; `then` is told whether all did it, and what the others said."""
        left, faults = [len(clients)], []

        def one(name: str, done: bool, told: str) -> None:
            left[0] -= 1
            if not done:
                faults.append(told or f"{name} refuses")
            if left[0] == 0:
                then(not faults, "; ".join(faults))

        for client in clients:
            self.ask(client, partial(one, client.service_name))

    def look(self, now_s: float) -> None:
        """Give up what takes too long."""
        for call in [call for call in self._open if now_s > call.until_s]:
            self._open.remove(call)
            call.client.remove_pending_request(call.future)
            call.then(False, f"{call.client.service_name} does not answer")

    def _on_response(self, future: Future) -> None:
        asked = [call for call in self._open if call.future is future]
        if not asked:  # it was given up
            return
        self._open.remove(asked[0])
        response = future.result()
        assert response is not None
        asked[0].then(response.success, response.message)
