"""Cameras made of topics, and a bundle of an untrained policy that sees what they show."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import graphs
import numpy as np
import torch
import yaml
from harness import Observer
from robots import lossless_contract
from seeing import photograph, seeing

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import write_bundle
from vdd_ros.cdr import image_cdr
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.nodes.messages import message_class, qos_of
from vdd_ros.policies.encoder import Encoder, EncoderConfig
from vdd_ros.policies.export import encoder_graphs

FEATURES = 6
ENCODER = EncoderConfig(channels=4, stages=2, keypoints=4, features=FEATURES)


def patient_contract(folder: Path) -> Contract:
    """Two cameras, raw and JPEG, whose pictures may be old on a busy machine."""
    raw = patient(seeing())
    raw["recording"]["images"] = {"frozen_s": 0.5}
    like = folder / "seeing.yaml"
    like.write_text(yaml.safe_dump(raw))
    return lossless_contract(folder / "contract.yaml", like)


def patient(contract: Contract) -> dict:
    """It, with pictures that may be 0.8 s old."""
    raw = contract.to_dict()
    for camera in raw["cameras"].values():
        camera["max_age_s"] = 0.8
    return raw


def sighted_bundle(folder: Path, contract: Contract, target: np.ndarray) -> Path:
    """Its encoders are those of training, with their first weights; it always wants one pose (Da,)
    [unit]."""
    torch.manual_seed(0)
    encoder = Encoder(ENCODER, contract)
    means = np.tile(target, (2, 8, 1))
    dim = contract.observation_dim + len(contract.images) * (1 + FEATURES)
    return write_bundle(
        folder, name="sighted", kind="mixture", contract=contract, rule=ActingRule(),
        n_obs_steps=2, horizon=8, n_experts=2, normalizer={}, certificate={},
        policy_onnx=graphs.mixture(np.log([0.9, 0.1]), means, observation_dim=dim),
        encoders=encoder_graphs(encoder, contract), image_features=FEATURES,
    ).folder  # fmt: skip


class Cameras:
    """Publishes the contract's cameras at their rates, another part of a photograph each time.

    Use as a context manager. `messages`: by camera, what makes a message of a time, None for no
    message; a camera that is not there shows the photograph.
    """

    def __init__(self, observer: Observer, contract: Contract):
        self.messages: dict[str, Callable[[Camera, int], bytes | None]] = {}
        self._cameras = contract.cameras
        self._publishers = {
            name: observer.node.create_publisher(message_class(one.type), one.topic, qos_of(one))
            for name, one in contract.cameras.items()
        }
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show)

    def __enter__(self) -> Cameras:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def _show(self) -> None:
        while not self._ended.wait(1.0 / 30.0):
            now_ns = time.time_ns()
            for name, camera in self._cameras.items():
                data = self.messages.get(name, as_it_is)(camera, now_ns)
                if data is not None:
                    self._publishers[name].publish(data)


def as_it_is(camera: Camera, stamp_ns: int) -> bytes:
    return image_cdr(camera, photograph(camera, stamp_ns), stamp_ns)


def silent(camera: Camera, stamp_ns: int) -> None:
    """Nothing."""


def black(camera: Camera, stamp_ns: int) -> bytes:
    return image_cdr(camera, np.zeros((camera.height, camera.width, 3), np.uint8), stamp_ns)


def frozen(camera: Camera, stamp_ns: int) -> bytes:
    return image_cdr(camera, photograph(camera, 0), stamp_ns)


def small(camera: Camera, stamp_ns: int) -> bytes:
    return as_it_is(camera.model_copy(update={"width": 40, "height": 30}), stamp_ns)


def of_tomorrow(camera: Camera, stamp_ns: int) -> bytes:
    return as_it_is(camera, stamp_ns + 10_000_000_000)


def cut_off(camera: Camera, stamp_ns: int) -> bytes:
    data = as_it_is(camera, stamp_ns)
    return data[: len(data) // 2]


def of_the_other(camera: Camera, stamp_ns: int) -> bytes:
    frame = {"front_optical": "wrist_optical", "wrist_optical": "front_optical"}[camera.frame]
    return as_it_is(camera.model_copy(update={"frame": frame}), stamp_ns)
