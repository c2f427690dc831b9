"""What the policy saw over real ROS is what replay gives, from its own log and from the episode.

Three processes: a robot on a bad network, the action node and the recorder. A frame is one
observation step of one window.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import graphs
import numpy as np
import pytest
import yaml
from harness import CONTRACT_PATH, ROOT, Observer, free_domain, running, running_node
from rough_robot import PERIOD
from std_srvs.srv import Trigger

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import write_bundle
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore, StreamData
from vdd_ros.replay import replay_windows

SECONDS = 12.0  # of which a node waits for four before it begins
N_OBS_STEPS = 2
K, H, DA = 1, 8, 7


class Run(NamedTuple):
    """seen: (M, To, Do), the policy's windows at ticks (M,) [ns]; taken: the samples it took, with
    the time at which it knew them; filed: those of the episode."""

    contract: Contract
    ticks: np.ndarray
    seen: np.ndarray
    taken: StreamData
    filed: StreamData

    def replayed(self, data: StreamData) -> np.ndarray:
        """(M, To, Do)"""
        streams = {"joint_state": data}
        windows = replay_windows(self.contract, streams, self.ticks, N_OBS_STEPS)
        return np.array([window.values for window in windows])


def patient_contract(path: Path) -> Contract:
    """The demo's contract, with a queue, a patience and a delay that outlast a busy machine.

    A sample that one process gets before a tick and the other after it makes two windows. 10 ms are
    longer than that difference, but not where other programs hold a process up.
    """
    raw = Contract.from_yaml(CONTRACT_PATH).to_dict()
    raw["streams"]["joint_state"].update(depth=1000, max_age_s=2.0)
    raw["observation"][0]["delay_s"] = 0.04
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return Contract.from_yaml(path)


def holding_bundle(folder: Path, contract: Contract) -> Path:
    """A policy that wants to be where it is."""
    graph = graphs.mixture(np.zeros(K), np.zeros((K, H, DA)), relative=True)
    return write_bundle(
        folder, name="hold", kind="mixture", contract=contract, rule=ActingRule(),
        n_obs_steps=N_OBS_STEPS, horizon=H, n_experts=K, policy_onnx=graph,
        normalizer={}, certificate={},
    ).folder  # fmt: skip


def read_run(contract: Contract, log_path: Path, filed: StreamData) -> Run:
    """The ticks that had a window while both received samples.

    Not the first moments: one of the two may have begun, or been discovered, later than the other.
    """
    with np.load(log_path) as log:
        ticks, seen = log["tick_ns"], log["window"]
        # a sample that the loop took only after a tick was not known at that tick
        before = np.concatenate([[0], ticks])[log["joint_state.tick"]]
        known_ns = np.maximum(log["joint_state.received_ns"], before + 1)
        fields = {"position": log["joint_state.position"]}
        taken = StreamData(log["joint_state.stamp_ns"], known_ns, fields)
    both_ns = max(filed.received_ns[0], known_ns[0])
    first = both_ns + N_OBS_STEPS * contract.policy_period_ns + 20 * PERIOD
    chosen = np.isfinite(seen).all(axis=(1, 2)) & (ticks > first)
    chosen &= ticks <= filed.received_ns[-1]
    return Run(contract, ticks[chosen], seen[chosen], taken, filed)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("parity")
    contract = patient_contract(folder / "contract.yaml")
    bundle = holding_bundle(folder / "bundle", contract)
    settings = {"contract": folder / "contract.yaml"}
    recorder = {**settings, "directory": folder / "demos"}
    policy = {**settings, "bundle": bundle, "log_ticks": folder / "log.npz", "autostart": True}
    robot = [sys.executable, str(ROOT / "test" / "rough_robot.py"), str(SECONDS), "0"]
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        running_node("recorder_node", domain, recorder),
        running_node("action_node", domain, policy) as action_node,
    ):
        assert observer.call(Trigger, "/recorder_node/start").success
        with running(robot, domain) as process:
            assert process.wait() == 0
        assert observer.call(Trigger, "/recorder_node/save").success
        assert action_node.end() == 0
    filed = EpisodeStore(folder / "demos").load("episode_0001").streams["joint_state"]
    return read_run(contract, folder / "log.npz", filed)


def test_the_run_was_long_and_rough_enough_to_tell(run):
    assert len(run.ticks) > 0.6 * SECONDS * run.contract.rates.control_hz
    assert (np.diff(run.filed.stamps_ns) < 0).sum() > 5
    assert len(run.filed) < 0.995 * SECONDS * 1e9 / PERIOD


def test_replay_of_the_policys_own_log_is_equal_bit_for_bit(run):
    np.testing.assert_array_equal(run.replayed(run.taken), run.seen)


def test_replay_of_the_recorders_episode_gives_the_same_frames(run):
    filed = run.replayed(run.filed)
    differing = (filed != run.seen).any(axis=2)
    assert differing.mean() <= 0.01
    stamp_of = {
        tuple(position): int(stamp_ns)
        for data in (run.filed, run.taken)
        for position, stamp_ns in zip(data.fields["position"], data.stamps_ns, strict=True)
    }
    long_known = known_to_both_since(run)
    for tick, step in zip(*np.nonzero(differing), strict=True):
        low, high = sorted(stamp_of[tuple(frame[tick, step])] for frame in (filed, run.seen))
        between = (run.filed.stamps_ns > low) & (run.filed.stamps_ns < high)
        # what arrives in one burst about the tick counts as one
        assert not (between & (long_known <= run.ticks[tick] - PERIOD)).any(), (
            "more than one sample apart"
        )


def known_to_both_since(run: Run) -> np.ndarray:
    """(N,) [ns] when both processes had received each of the filed samples."""
    known_ns = np.full(len(run.filed), np.iinfo(np.int64).max)
    _, ours, theirs = np.intersect1d(run.filed.stamps_ns, run.taken.stamps_ns, return_indices=True)
    known_ns[ours] = np.maximum(run.filed.received_ns[ours], run.taken.received_ns[theirs])
    return known_ns
