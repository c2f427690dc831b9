"""What a control tick did, and why a message was not taken."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.action_chunk import ActionChunk
from vdd_ros.command_gate import GateOutput, StopReason
from vdd_ros.stream import Window


class Fault(NamedTuple):
    """Why a message was not taken, and more on it in words."""

    reason: StopReason
    detail: str


class TickResult(NamedTuple):
    """What one tick did.

    output: what to send to the robot, None for nothing; wish: (Da,) what the policy wanted before
    any limit [unit]; chunk: the plan followed, in joint positions, seen: the window that it was
    made of, and actions: (H, A) what the policy put out for it; log_gating: (K,) of that plan;
    infer_s: seconds that planning took, if there was any.
    """

    tick_ns: int
    output: GateOutput | None = None
    window: Window | None = None
    wish: np.ndarray | None = None
    chunk: ActionChunk | None = None
    expert: int | None = None
    replanned: bool = False
    log_gating: np.ndarray | None = None
    infer_s: float | None = None
    actions: np.ndarray | None = None
    seen: Window | None = None

    @property
    def gating_entropy(self) -> float | None:
        """Of the plan followed [nats]."""
        if self.log_gating is None:
            return None
        return float(-(np.exp(self.log_gating) * np.maximum(self.log_gating, -1e3)).sum())
