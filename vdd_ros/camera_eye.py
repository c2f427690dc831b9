"""CameraEye: from the bytes of a picture to what encoders make of it, or why it is not taken."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vdd_ros.bag import header_stamp_ns
from vdd_ros.cdr import image_cdr
from vdd_ros.command_gate import StopReason
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.eyes import Eyes
from vdd_ros.graph import GraphError
from vdd_ros.images import content_of, decode_image, frame_of, grey
from vdd_ros.tick_result import Fault

LOOKED_AT = 64  # rows and columns that tell whether a picture shows anything
WARM_UP_CALLS = 20


class Sight(NamedTuple):
    """One picture. features: (F,) by image, none of one that has a `fault`; stamp_ns: when it was
    taken; content: another number for other pixels; took_s: to decode, reduce and encode it;
    remark: what is odd about one that was taken."""

    camera: str
    features: Mapping[str, np.ndarray]
    stamp_ns: int
    received_ns: int
    content: int = 0
    took_s: float = 0.0
    fault: Fault | None = None
    remark: str = ""


class CameraEye:
    """Of one camera of the robot's contract; to be used by one thread."""

    def __init__(self, contract: Contract, name: str, eyes: Eyes):
        self.name = name
        self._camera = contract.cameras[name]
        self._eyes = eyes
        self._limits = contract.recording.of_images
        self._frames = {one.frame: other for other, one in contract.cameras.items()}
        self._frames[self._camera.frame] = name  # also where two cameras share one

    def see(self, data: bytes, received_ns: int) -> Sight:
        """A CDR message and when it came."""
        began_s, stamp_ns, content = time.perf_counter(), received_ns, 0
        features: Mapping[str, np.ndarray] = {}
        fault, remark = None, ""
        try:
            content = content_of(data)
            if self._camera.timeline == "header":
                stamp_ns = header_stamp_ns(data)
            pixels = decode_image(self._camera, data)
            fault, remark = self._blindness(pixels, frame_of(data))
            fault = fault or self._misdated(stamp_ns, received_ns)
            if fault is None:
                features = self._eyes.see(self.name, pixels)
        except UserError as error:
            fault = Fault(StopReason.MESSAGE_BROKEN, f"camera {self.name}: {error}")
        except GraphError as error:
            fault = Fault(StopReason.POLICY_FAILED, f"encoder of camera {self.name}: {error}")
        took_s = time.perf_counter() - began_s
        return Sight(self.name, features, stamp_ns, received_ns, content, took_s, fault, remark)

    def _misdated(self, stamp_ns: int, received_ns: int) -> Fault | None:
        """Why a picture counts for nothing at the time at which it came. One of tomorrow would be
        taken for new when that time has come."""
        if stamp_ns == 0:
            why = f"pictures of camera {self.name} carry no stamp: let their driver stamp them"
            return Fault(StopReason.MESSAGE_BROKEN, f"{why}, or write timeline: receive")
        age_s, most_s = (received_ns - stamp_ns) * 1e-9, self._camera.max_age_s
        if abs(age_s) <= most_s:
            return None
        side = "before it comes: is it late, or its clock behind?"
        if age_s < 0.0:
            side = "after it comes: is its clock ahead?"
        why = f"a picture of camera {self.name} is stamped {abs(age_s):.3f} s {side}"
        return Fault(StopReason.OBSERVATION_STALE, why)

    def _blindness(self, pixels: np.ndarray, frame: str) -> tuple[Fault | None, str]:
        """Why nothing can be learned from a picture, and what is odd about it."""
        every = max(1, min(pixels.shape[:2]) // LOOKED_AT)
        levels = grey(pixels[::every, ::every])
        if levels.std() < self._limits.uniform:
            what = "is black" if levels.mean() < self._limits.black else "shows nothing"
            why = f"camera {self.name} {what}: is its lens covered, or its light off?"
            return Fault(StopReason.CAMERA_BLIND, why), ""
        other = self._frames.get(frame)
        if other == self.name:
            return None, ""
        odd = f"camera {self.name} is in the frame {frame!r:.80}, not {self._camera.frame!r}"
        if other is None:
            return None, odd
        why = f"{odd}, which is that of camera {other}: are they swapped?"
        return Fault(StopReason.CAMERA_BLIND, why), ""


def seconds_to_see(contract: Contract, eyes: Eyes) -> dict[str, float]:
    """What a picture of each observed camera takes from its message to features, median [s], once
    it is as quick as ever. Raises UserError where it cannot be seen, or only when it is too old."""
    taken = {}
    for name in contract.observed_cameras:
        camera = contract.cameras[name]
        rows, columns = np.indices((camera.height, camera.width))
        shades = np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)
        data, eye = image_cdr(camera, shades, 1), CameraEye(contract, name, eyes)
        sights = [eye.see(data, 1) for _ in range(WARM_UP_CALLS)]
        if (fault := sights[-1].fault) is not None:
            raise UserError(f"{fault.detail}: export the bundle again")
        taken[name] = float(np.median([one.took_s for one in sights]))
        if taken[name] > camera.max_age_s:
            raise UserError(
                f"a picture of camera {name} is seen after {taken[name]:.3f} s on this machine, "
                f"and may be {camera.max_age_s:g} s old at most: train a smaller encoder"
            )
    return taken
