"""Delays: what is on its way between an arm and its policy takes time, in simulation as well."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from vdd_ros.errors import UserError

LONGEST_S = 10.0


class Delays(NamedTuple):
    """observation_s: from when something is true until the policy knows it; command_s: from the
    tick that a command is of until the arm has it; both in seconds, rounded up to the next joint
    state."""

    observation_s: float = 0.0
    command_s: float = 0.0

    @property
    def suffix(self) -> str:
        """For names of files: empty without a delay."""
        total = f"-{self.observation_s * 1e3:g}-{self.command_s * 1e3:g}ms"
        return total if any(self) else ""

    def require(self) -> Delays:
        """Raise UserError for what is no delay."""
        for name, value in self._asdict().items():
            if not 0.0 <= value <= LONGEST_S:
                raise UserError(f"{name} is {value}: write one from 0 to {LONGEST_S:g} s")
        return self


AT_ONCE = Delays()


class DelayLine:
    """What is put in comes out, in its order, once it has been in for `delay_s`."""

    def __init__(self, delay_s: float):
        self._delay_ns = round(delay_s * 1e9)
        self._items: deque[tuple[int, Any]] = deque()

    def put(self, item: Any, now_ns: int) -> None:
        """Send something on its way."""
        self._items.append((now_ns + self._delay_ns, item))

    def due(self, now_ns: int) -> Iterator[Any]:
        """What has arrived by now."""
        while self._items and self._items[0][0] <= now_ns:
            yield self._items.popleft()[1]
