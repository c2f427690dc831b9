"""FrozenWatch: whether a camera shows the same picture, byte for byte, while the arm moves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.command_gate import StopReason
from vdd_ros.contract import Contract
from vdd_ros.tick_result import Fault


class _Shown(NamedTuple):
    """since_ns: stamp of the first of pictures that are all the same; lowest, highest: (Da,) where
    the joints have been since [unit]."""

    content: int
    since_ns: int
    lowest: np.ndarray
    highest: np.ndarray


class FrozenWatch:
    """As the recorder's verdict judges it: where nothing moves, pictures may well be the same."""

    def __init__(self, contract: Contract):
        self._least = contract.recording.least_motion * contract.span
        self._longest_ns = round(contract.recording.of_images.frozen_s * 1e9)
        self._shown: dict[str, _Shown] = {}

    def fault(self, camera: str, content: int, stamp_ns: int, joints: np.ndarray) -> Fault | None:
        """Of one more picture, with the joints at (Da,) [unit]; None where it is alive, or nobody
        can tell."""
        shown = self._shown.get(camera)
        if shown is None or shown.content != content:
            self._shown[camera] = _Shown(content, stamp_ns, joints, joints)
            return None
        lowest, highest = np.minimum(shown.lowest, joints), np.maximum(shown.highest, joints)
        self._shown[camera] = shown._replace(lowest=lowest, highest=highest)
        same_ns = stamp_ns - shown.since_ns
        if same_ns < self._longest_ns or not (highest - lowest > self._least).any():
            return None
        why = f"camera {camera} stood still for {same_ns * 1e-9:.1f} s while the arm moved"
        return Fault(StopReason.CAMERA_BLIND, f"{why}: is it frozen?")
