"""Drift, live: whether the robot is still as it was when it was calibrated, while it works."""

from __future__ import annotations

import math
from functools import partial
from importlib.util import find_spec

import numpy as np
from rclpy.node import Node

from vdd_ros.calibration.drift import Watched, watch
from vdd_ros.calibration.leader_drift import FEWEST, RestOffset, offsets_at_rest
from vdd_ros.calibration.stretches import Samples, Stretches
from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.errors import UserError
from vdd_ros.leader_verdict import LEADER_STREAM
from vdd_ros.nodes.calibration_parameters import CalibrationParameters
from vdd_ros.nodes.messages import (
    NS_PER_S,
    Health,
    fields_of,
    message_class,
    qos_of,
    sample_stamp_ns,
)
from vdd_ros.robot_calibration import RobotCalibration

DAY_S = 86400.0


class DriftWatch:
    """Listens to joint states and commands, stretch by stretch; never moves anything."""

    exit_code: int | None = None

    def __init__(self, node: Node, contract: Contract, settings: CalibrationParameters):
        self._node, self._contract, self._settings = node, contract, settings
        if find_spec("scipy") is None:
            raise UserError("drift is told with SciPy: pip install 'vdd_ros[calibration]'")
        known = RobotCalibration.read(settings.calibration)
        known.require_robot(contract.robot_name, settings.calibration)
        if not known.rest:
            raise UserError(
                f"{settings.calibration} does not say how the robot stood when it was calibrated: "
                "note it with `vdd calibrate drift --keep`"
            )
        self._known = known.rest
        self._stretches = Stretches(contract)
        self._looks = math.ceil(DAY_S / settings.stretch)
        self._watched: Watched | None = None
        self._number = 0
        self._samples = Samples(round(settings.stretch * NS_PER_S))
        for name in ("joint_state", contract.action.stream, LEADER_STREAM):
            if name in contract.streams:
                stream = contract.streams[name]
                kind = message_class(stream.type)
                node.create_subscription(
                    kind, stream.topic, partial(self._take, name), qos_of(stream)
                )

    def health(self) -> Health:
        """The verdict, with the joint that is furthest beyond its bound, or nearest to it."""
        values: dict[str, object] = {"kind": "drift", "places": len(self._stretches.found)}
        if self._watched is None:
            told = f"rested in {len(self._stretches.found)} of {FEWEST} places"
            return Health("ok", f"listening: {told}", values)
        worst = self._watched.worst
        values |= {key: worst[key] for key in ("name", "what", "moved", "bound", "unit")}
        values["verdict"] = self._watched.verdict
        level = {"STEADY": "ok", "MOVED": "error", "UNKNOWN": "warn"}[self._watched.verdict]
        sentences = [one for one in self._watched.sentences if self._watched.verdict != "STEADY"]
        return Health(level, "; ".join(sentences) or "as it was calibrated", values)

    def close(self) -> None:
        """Nothing to leave behind."""

    def _take(self, name: str, message) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        try:
            stream = self._contract.streams[name]
            position = fields_of(message, self._contract, stream)["position"]
            stamp_ns = sample_stamp_ns(stream, message, now_ns)
        except (UserError, KeyError) as error:
            self._node.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        stretch = self._samples.add(name, stamp_ns, position)
        if stretch:
            self._look(stretch)

    def _look(self, streams: dict[str, StreamData]) -> None:
        """At the stretch that has ended."""
        offsets = offsets_at_rest(self._contract, streams)
        if not any(np.isfinite(one).any() for one in offsets.values()):
            return
        self._number += 1
        name = f"stretch_{self._number:06d}"
        place = np.nanmedian(streams["joint_state"].fields["position"], axis=0)
        self._stretches.add(place, RestOffset(name, name, self._contract, offsets))
        try:
            self._watched = watch(
                self._known, self._stretches.found, self._settings.least, self._looks
            )
        except UserError:  # too few so far
            return
        for sentence in self._watched.sentences:
            self._node.get_logger().warning(sentence, throttle_duration_sec=self._settings.stretch)
