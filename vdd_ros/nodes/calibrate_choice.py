"""The choice of the next pose, in a process of its own: a node that thinks for a second is silent
for a second, and a gate brings an arm to rest whose leader is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.recorded import chain_of
from vdd_ros.calibration.suggestions import NextPose, Seeing, Suggestions
from vdd_ros.contract import Contract
from vdd_ros.nodes.calibration_parameters import CalibrationParameters
from vdd_ros.processes import end_with_parent
from vdd_ros.teleop.cartesian import read_model

Beginning = tuple[Contract, CalibrationParameters, np.ndarray, "Seeing | None"]

_suggestions: Suggestions  # set by `_begin` in the process


def choosing(beginning: Beginning) -> ProcessPoolExecutor:
    """The process, which makes itself ready at once; beginning: contract, parameters, where the arm
    is (Da,) [unit], and what hand-eye is estimated by."""
    pool = ProcessPoolExecutor(1, get_context("spawn"), _begin, (os.getpid(), *beginning))
    pool.submit(_suggestions_are_ready)
    return pool


def end_choosing(pool: ProcessPoolExecutor) -> None:
    """At once: to choose takes seconds, on a busy machine minutes, and nobody waits for it any
    more."""
    for process in list(pool._processes.values()):  # terminate_workers() of Python 3.14
        process.terminate()
    pool.shutdown(cancel_futures=True)


def chosen(folder: Path, now: np.ndarray) -> NextPose:
    """In the process: the pose after those that are logged in a folder, of an arm that is now at
    (Da,) [unit]; raises UserError."""
    return _suggestions.after(PoseLog.read(folder), now)


def _begin(
    parent: int,
    contract: Contract,
    settings: CalibrationParameters,
    begin: np.ndarray,
    seeing: Seeing | None,
) -> None:
    global _suggestions
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node, which ends this one
    chain = None
    if contract.kinematics is not None or settings.kinematics:
        model = read_model(settings.kinematics) if settings.kinematics else None
        chain = chain_of(contract, model)
    touches = _touching(contract, settings.task) if settings.task else None
    _suggestions = Suggestions(
        contract, begin, settings.reach, settings.seed, chain, seeing, touches
    )


def _touching(contract: Contract, task: str) -> Callable[[np.ndarray], bool] | None:
    """Of the simulated arm, for all joints (Da,) of the contract; None of one that has others."""
    from vdd_ros.sim.arm_contacts import ArmContacts

    contacts = ArmContacts.of_task(task)
    of_arm = [at for at, joint in enumerate(contract.joints) if joint.unit != "fraction"]
    if len(of_arm) != contacts.count:
        return None
    return lambda joints: contacts.touches(joints[of_arm])


def _suggestions_are_ready() -> None:
    """So that the process is begun before it is needed."""
