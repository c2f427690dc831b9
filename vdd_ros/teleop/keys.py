"""Keys: what is pressed at a terminal, to readings; a terminal tells no key that is let go."""

from __future__ import annotations

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.teleop.device import (
    DIRECTIONS,
    FASTER,
    HELP,
    LET_GO,
    QUIT,
    SLOWER,
    STOP,
    KeyboardDevice,
    is_cartesian,
)
from vdd_ros.teleop.reading import Reading

MEANINGS = {
    STOP: "stop here and hold",
    LET_GO: "let go: send nothing",
    FASTER: "faster",
    SLOWER: "slower",
    HELP: "these keys",
    QUIT: "quit",
}
FACTOR, SLOWEST = 1.25, 0.1  # of one press of faster or slower; the fastest is as declared


class Keys:
    """Every press acts for `pulse_s`, and a key that is held is repeated: motion ends so long after
    the last repeat, however many presses a slow line delivers at once."""

    def __init__(self, device: KeyboardDevice, contract: Contract):
        self._device = device
        self.is_cartesian = is_cartesian(device, contract)
        names = DIRECTIONS if self.is_cartesian else contract.joint_names
        self._rates = {
            move.key: np.array([move.rate * (move.moves == name) for name in names])
            for move in device.motion
        }
        self._ends_s = dict.fromkeys(self._rates, -np.inf)
        self.speed = 1.0
        self.is_over = False
        self._let_go = False
        self._grip: float | None = None

    def help(self) -> list[str]:
        """What each key does, line by line."""
        moves = {move.key: f"{move.moves} {move.rate:+g}/s" for move in self._device.motion}
        grip = self._device.gripper
        grips = {grip.close: "close", grip.open: "open"} if grip else {}
        rest = {"space" if key == STOP else key: word for key, word in MEANINGS.items()}
        return [
            "  ".join(f"{key}: {word}" for key, word in part.items())
            for part in (moves, grips, rest)
            if part
        ]

    def press(self, key: str, now_s: float) -> list[str]:
        """A key was pressed; lines to show."""
        grip = self._device.gripper
        if key in self._rates:
            self._ends_s[key] = now_s + self._device.pulse_s
        elif grip and key in (grip.close, grip.open):
            self._grip = float(key == grip.open)
        elif key in (STOP, LET_GO, QUIT):
            self._ends_s = dict.fromkeys(self._rates, -np.inf)
            self._let_go |= key != STOP
            self.is_over |= key == QUIT
        elif key in (FASTER, SLOWER):
            faster = self.speed * (FACTOR if key == FASTER else 1.0 / FACTOR)
            self.speed = min(1.0, max(SLOWEST, faster))
            return [f"speed {self.speed:.2f}"]
        elif key == HELP:
            return self.help()
        elif key.isprintable():
            return [f"{key!r} moves nothing; {HELP} shows the keys"]
        return []

    def read(self, now_s: float) -> Reading:
        """What is wanted now."""
        held = [rate for key, rate in self._rates.items() if now_s < self._ends_s[key]]
        size = len(next(iter(self._rates.values())))
        reading = Reading(
            wish=self.speed * np.sum(held, axis=0) if held else np.zeros(size),
            grip=self._grip,
            let_go=self._let_go,
            in_tool=self._device.frame == "tool",
        )
        self._grip, self._let_go = None, False
        return reading
