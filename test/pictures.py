"""Made cameras for tests: small pictures of a scene that moves, and a contract with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from recordings import CONTRACT, SECOND, STARTED, feed

from vdd_ros.camera_writer import CameraWriter
from vdd_ros.cdr import image_cdr
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.demo_recorder import DemoRecorder

WIDTH, HEIGHT, RATE_HZ = 32, 24, 30


def camera(name: str, encoding: str = "rgb8", **more) -> dict:
    kind = "CompressedImage" if encoding in ("jpeg", "png") else "Image"
    made = {
        "topic": f"{name}/image", "type": f"sensor_msgs/msg/{kind}", "encoding": encoding,
        "width": WIDTH, "height": HEIGHT, "rate_hz": RATE_HZ, "max_age_s": 0.2,
        "timeline": "header", "frame": f"{name}_optical",
    }  # fmt: skip
    return made | more


def contract_with(cameras: dict[str, dict] | None = None, **images) -> Contract:
    """The usual robot with cameras; two, raw and compressed, where none are given."""
    raw = CONTRACT.to_dict()
    raw["cameras"] = cameras or {"front": camera("front"), "wrist": camera("wrist", "jpeg")}
    if images:
        raw["recording"]["images"] = images
    return Contract.from_dict(raw)


def scene(one: Camera, time_ns: int) -> np.ndarray:
    """(height, width, 3) uint8: a gradient, noise, and a bright square that goes round."""
    rng = np.random.default_rng(time_ns)
    rows, columns = np.mgrid[: one.height, : one.width]
    picture = np.stack([4 * rows, 3 * columns, 2 * (rows + columns)], axis=2) % 200
    place = (time_ns // 50_000_000) % (one.width - 8)
    picture[4:12, place : place + 8] = 230
    return np.clip(picture + rng.integers(0, 12, picture.shape), 0, 255).astype(np.uint8)


def recorder_with(contract: Contract, folder: Path, **more) -> DemoRecorder:
    """One that writes pictures in this process."""
    writer = CameraWriter(contract)
    return DemoRecorder(contract, folder, "episode", "avoid", cameras=writer, **more)


def feed_cameras(recorder: DemoRecorder, start_ns: int, seconds: float, picture=scene, **more):
    """Pictures of all cameras at their rate; picture(camera, time_ns): what each shows. more:
    messages by camera instead, given the camera and the time, None for none."""
    for tick in range(int(seconds * RATE_HZ)):
        now = start_ns + tick * SECOND // RATE_HZ
        for name, one in recorder.contract.cameras.items():
            data = more[name](one, now) if name in more else image_cdr(one, picture(one, now), now)
            if data is not None:
                recorder.cameras.add(name, data, now + 5_000_000)


def recorded(contract: Contract, folder: Path, seconds: float = 1.0, **more) -> DemoRecorder:
    """A recorder with a recording of joints and pictures that is still going on."""
    recorder = recorder_with(contract, folder)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, seconds)
    feed_cameras(recorder, SECOND, seconds, **more)
    return recorder


def end_of(seconds: float) -> int:
    return SECOND + int(seconds * SECOND)
