"""Paired still poses out of recorded episodes: wherever the arm and who leads it both stand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vdd_ros.calibration.joint_offsets import PairedPoses
from vdd_ros.calibration.leader_drift import REST_S, REST_SHARE
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore, StreamData
from vdd_ros.errors import UserError
from vdd_ros.leader_verdict import LEADER_STREAM
from vdd_ros.motion_verdict import finite_positions


def poses_of_episodes(store: EpisodeStore) -> tuple[Contract, PairedPoses]:
    """The leader's joints beside the arm's, a pose for each rest of all joints of all episodes.

    What a leader says is what its device file makes of it, so that offsets are those that are to be
    added there. Raises UserError where episodes are of several robots, or nothing ever rests.
    """
    contract, led, measured = None, [], []
    for name in store.list():
        episode = store.load(name)
        if contract is None:
            contract = episode.contract
        contract.require_same_recording(episode.contract, f"episode {name}")
        streams = episode.streams
        if LEADER_STREAM in streams:
            for leader, arm in rests_of(contract, streams["joint_state"], streams[LEADER_STREAM]):
                led.append(leader)
                measured.append(arm)
    if contract is None or not led:
        raise UserError(
            f"nowhere in {store.folder} do arm and leader stand for {REST_S:g} s: record episodes "
            "with pauses, or take poses with the calibration node"
        )
    places = [at for at, joint in enumerate(contract.joints) if joint.unit != "fraction"]
    joints = tuple(contract.joints[at] for at in places)
    return contract, PairedPoses(joints, np.array(led)[:, places], np.array(measured)[:, places])


def rests_of(
    contract: Contract, measured: StreamData, led: StreamData
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Leader (Da,) and arm (Da,) [unit] of each rest of all joints but hands: medians over it."""
    arm, leader = finite_positions(measured), finite_positions(led)
    if arm is None or leader is None:
        return
    (times_ns, position), (led_ns, targets) = arm, leader
    place = np.searchsorted(led_ns, times_ns, side="right") - 1
    kept = place >= 0
    times_ns, position, target = times_ns[kept], position[kept], targets[place[kept]]
    if len(times_ns) < 2:
        return
    moving = [at for at, joint in enumerate(contract.joints) if joint.unit != "fraction"]
    bound = (REST_SHARE * contract.span)[moving]
    begin = 0
    for end in range(1, len(times_ns) + 1):
        stands = end < len(times_ns) and all(
            (np.abs(values[end] - values[begin])[moving] < bound).all()
            for values in (position, target)
        )
        if stands:
            continue
        if times_ns[end - 1] - times_ns[begin] >= REST_S * 1e9:
            yield np.median(target[begin:end], axis=0), np.median(position[begin:end], axis=0)
        begin = end
