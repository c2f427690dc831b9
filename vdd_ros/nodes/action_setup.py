"""What action_node makes of its parameters: a bundle that fits the robot, warmed up, in a loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from vdd_ros.action_loop import ActionLoop
from vdd_ros.action_space import action_space, seconds_to_decode
from vdd_ros.ahead import ahead_of
from vdd_ros.bundle import Bundle
from vdd_ros.bundle_verification import (
    Required,
    certificate_for,
    require_certificate,
    require_reference,
    warmed_up,
)
from vdd_ros.calibration_file import calibrated, encoders_apart
from vdd_ros.camera_eye import seconds_to_see
from vdd_ros.contract import Contract
from vdd_ros.environment import device_results_folder
from vdd_ros.errors import UserError
from vdd_ros.eyes import Eyes
from vdd_ros.homing import require_pose
from vdd_ros.inference import OnnxDensity, OnnxPolicy, Runtime
from vdd_ros.nodes.action_parameters import ActionParameters
from vdd_ros.signature import read_trusted

# Of a tick, that a plan may take to be made within it, and a choice to be made before the next. In
# a run, with cold caches, both take several times what they take in warm-up; ticks that differ as
# much make commands uneven.
MOST_OF_A_TICK, MOST_OF_A_PAUSE = 0.05, 0.3


class Ready(NamedTuple):
    """density: of the bundle's policy, for the monitor, where it has one; home: (Da,) [unit] where
    ~/go_home brings the arm, None where nobody knows; plan_s: what a plan took in warm-up;
    threaded: whether plans are made beside the ticks; knows_robot: whether who listens to commands
    is told from who looks on by a name; eyes: the encoders of its images; see_s: what a picture of
    each camera took in warm-up; encoders_apart: what is to be said of a calibration whose encoder
    offsets are not those of the contract."""

    bundle: Bundle
    loop: ActionLoop
    density: OnnxDensity | None
    home: np.ndarray | None
    plan_s: float
    threaded: bool
    knows_robot: bool
    eyes: Eyes
    see_s: dict[str, float]
    encoders_apart: str | None

    @property
    def warnings(self) -> list[str]:
        """What whoever runs it should know."""
        told = [self.loop.gate.filter.lacking] if self.loop.gate.filter.lacking else []
        if self.encoders_apart:
            told.append(self.encoders_apart)
        if self.bundle.start is None:
            told.append(
                "the bundle does not say where demonstrations began: a run may begin anywhere"
            )
        certificate = certificate_for(self.bundle, self.loop.contract)
        if certificate is not None and certificate.failed:
            told.append(f"its certificate says that it failed: {', '.join(certificate.failed)}")
        for name, see_s in self.see_s.items():
            if see_s * (rate_hz := self.loop.contract.cameras[name].rate_hz) > 1.0:
                told.append(
                    f"a picture of camera {name} takes {see_s * 1e3:.3g} ms, longer than its "
                    f"period at {rate_hz:g} Hz: pictures will be dropped"
                )
        if not self.knows_robot:
            told.append(
                "any subscriber of its commands counts as the robot: name its controller with the "
                "parameter robot"
            )
        return told

    def __str__(self) -> str:
        period_ms = self.loop.contract.control_period_ns * 1e-6
        beside = ", in a thread beside the ticks" if self.threaded else ""
        experts = self.loop.policy.n_experts
        seen = "".join(f", a picture of {one} {s * 1e3:.3g} ms" for one, s in self.see_s.items())
        return (
            f"{self.bundle.name}: {experts} experts, {self.bundle.acting}; a plan takes "
            f"{self.plan_s * 1e3:.3g} ms of ticks of {period_ms:.3g} ms{beside}{seen}"
        )


def prepared(settings: ActionParameters) -> Ready:
    """Load, verify and warm up. Raises UserError."""
    if settings.log_ticks and not _writable(Path(settings.log_ticks)):
        raise UserError(f"log_ticks {settings.log_ticks} cannot be written: name another file")
    contract = calibrated(Contract.from_yaml(settings.contract), settings.calibration)
    period_s = contract.control_period_ns * 1e-9
    _require_within_tick(settings, period_s)
    trusted = read_trusted(Path(settings.trusted_keys)) if settings.trusted_keys else ()
    bundle = Bundle.load(settings.bundle, contract, trusted)
    if settings.mode == "drive":
        require_certificate(bundle, cast(Required, settings.require_certificate), contract)
    home = _home(bundle, contract, settings.home)
    runtime = _runtime(bundle, settings)
    policy = _policy(bundle, settings, runtime, trusted)
    _require_detector(settings, bundle)
    warm = warmed_up(bundle, policy, contract)
    require_reference(bundle, policy)
    eyes = _eyes(bundle, settings, trusted)
    see_s = seconds_to_see(contract, eyes)
    space = action_space(contract)
    plan_s = warm.plan_s + seconds_to_decode(contract, space, policy.horizon)
    is_slow = plan_s > MOST_OF_A_TICK * period_s or warm.choice_s > MOST_OF_A_PAUSE * period_s
    threaded = settings.planning == "thread" or (settings.planning == "auto" and is_slow)
    loop = ActionLoop(
        contract,
        policy,
        bundle.rule,
        np.random.default_rng(settings.seed),
        shadow=settings.mode == "shadow",
        start_fault=_start_fault(bundle, contract, settings.start_tolerance),
        threaded=threaded,
        space=space,
        ahead=ahead_of(contract, bundle.contract),
    )
    # A session of its own: the monitor's thread must not hold up the policy's.
    density = bundle.open_density(runtime)
    knows_robot = bool(settings.robot) or settings.mode == "shadow"
    apart = encoders_apart(contract, settings.calibration)
    return Ready(bundle, loop, density, home, plan_s, threaded, knows_robot, eyes, see_s, apart)


def _runtime(bundle: Bundle, settings: ActionParameters) -> Runtime:
    """Of what the processor computes; beside engines that is the monitor's density."""
    is_usual = settings.runtime in ("auto", "tensorrt")
    return bundle.usual_runtime if is_usual else cast(Runtime, settings.runtime)


def _policy(
    bundle: Bundle, settings: ActionParameters, runtime: Runtime, trusted: Collection[str]
) -> OnnxPolicy:
    """In what was asked for. Raises UserError."""
    if settings.runtime != "tensorrt":
        return bundle.open_policy(runtime)
    from vdd_ros.tensorrt_policy import open_engines

    return open_engines(bundle, _results(settings), trusted)


def _eyes(bundle: Bundle, settings: ActionParameters, trusted: Collection[str]) -> Eyes:
    """Where the policy is. Raises UserError."""
    if settings.runtime != "tensorrt" or not bundle.contract.images:
        return bundle.open_eyes()
    from vdd_ros.tensorrt_policy import open_engine_eyes

    return open_engine_eyes(bundle, _results(settings), trusted)


def _results(settings: ActionParameters) -> Path:
    return Path(settings.device_results or device_results_folder())


def _require_within_tick(settings: ActionParameters, period_s: float) -> None:
    if settings.send_after >= period_s:
        raise UserError(
            f"send_after is {settings.send_after:g} s and a control tick {period_s:g} s: the "
            "command has to be sent before the next tick"
        )


def _require_detector(settings: ActionParameters, bundle: Bundle) -> None:
    detector = bundle.ood_detector
    judges = detector is not None and detector.distance is not None
    if settings.on_out_of_distribution != "warn" and not judges:
        raise UserError(
            f"bundle {settings.bundle} has no threshold of what is out of distribution: export it "
            "again with enough episodes held out, or set on_out_of_distribution warn"
        )


def _start_fault(
    bundle: Bundle, contract: Contract, tolerance: float
) -> Callable[[np.ndarray], str | None]:
    """Why a run may not begin with the joints at (Da,) [unit]; None if it may, or who knows."""
    start = bundle.start

    def fault(position: np.ndarray) -> str | None:
        why = start and start.fault(position, tolerance, contract)
        return f"{why} (~/go_home does)" if why else None

    return fault


def _home(bundle: Bundle, contract: Contract, home: str) -> np.ndarray | None:
    """(Da,) [unit] where the arm is brought; None where nobody knows. Raises UserError."""
    if home:
        return require_pose(home, contract)
    return None if bundle.start is None else bundle.start.middle


def _writable(path: Path) -> bool:
    """Whether a file of this name can be made: known before the run, not after it."""
    return bool(path.name) and path.parent.is_dir() and os.access(path.parent, os.W_OK)
