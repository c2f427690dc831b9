"""Windows to learn from: the chunk after a tick is what was commanded after that tick."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import CONTRACT, position_at, record

from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.policies.windows import require_positions, windows_of
from vdd_ros.replay import replay_windows

TO, HORIZON = 2, 8


@pytest.fixture(scope="module")
def episodes(tmp_path_factory) -> list[Episode]:
    """Two smooth demonstrations, of 0.5 s and 0.8 s."""
    folder = tmp_path_factory.mktemp("episodes")
    store = EpisodeStore(folder, CONTRACT)
    names = [record(folder, seconds) for seconds in (0.5, 0.8)]
    return [store.load(name) for name in names]


def test_there_is_one_window_a_tick_and_each_knows_its_episode(episodes):
    windows = windows_of(CONTRACT, episodes, TO, HORIZON)
    assert np.bincount(windows.episode) == pytest.approx([50, 80], abs=2)
    count = len(windows.episode)
    assert windows.observations.shape == (count, TO, CONTRACT.observation_dim)
    assert windows.chunks.shape == (count, HORIZON, CONTRACT.action_dim)
    second = windows.of_episodes(np.array([1]))
    assert (second.episode == 1).all()
    np.testing.assert_array_equal(second.chunks, windows.chunks[windows.episode == 1])


def test_where_positions_are_assumed_to_come_first_they_must():
    require_positions(CONTRACT, "a rule")
    first = CONTRACT.observation[0].model_copy(update={"name": "speed", "field": "velocity"})
    other = CONTRACT.model_copy(update={"observation": (first, *CONTRACT.observation)})
    with pytest.raises(UserError, match=r"a rule takes .* they are speed \(velocity\)"):
        require_positions(other, "a rule")


def test_observations_are_those_that_serve_the_robot(episodes):
    windows = windows_of(CONTRACT, episodes[:1], TO, HORIZON)
    live = [
        window
        for window in replay_windows(CONTRACT, episodes[0].streams, ticks(episodes[0]), TO)
        if window is not None
    ]
    np.testing.assert_array_equal(windows.observations, [window.values for window in live])


def test_step_h_of_a_chunk_is_the_command_h_policy_periods_after_the_tick(episodes):
    windows = windows_of(CONTRACT, episodes[:1], TO, HORIZON)
    known = ticks(episodes[0])[-len(windows.episode) :]
    times = known[:, None] + np.arange(HORIZON) * CONTRACT.policy_period_ns
    wanted = np.array([[position_at(time) for time in row] for row in times]) + 0.001
    real = ~windows.is_pad
    np.testing.assert_allclose(windows.chunks[real], wanted[real], atol=1e-4)


def test_steps_after_the_end_are_marked_and_hold_the_last_command(episodes):
    windows = windows_of(CONTRACT, episodes[:1], TO, HORIZON)
    last = episodes[0].streams[CONTRACT.action.stream].fields["position"][-1]
    assert (windows.is_pad.cumsum(1)[:, -1] == windows.is_pad.sum(1)).all()
    assert not windows.is_pad[:, 0].any() and windows.is_pad[-1, 1:].all()
    assert (np.diff(windows.is_pad.astype(int), axis=1) >= 0).all()
    padded = windows.chunks[windows.is_pad]
    np.testing.assert_array_equal(padded, np.broadcast_to(last, padded.shape))


def test_no_episodes_are_nothing_to_learn_from():
    with pytest.raises(UserError, match="no episodes"):
        windows_of(CONTRACT, [], TO, HORIZON)


def ticks(episode: Episode) -> np.ndarray:
    stamps = episode.streams[CONTRACT.action.stream].stamps_ns
    return np.arange(stamps[0], stamps[-1] + 1, CONTRACT.control_period_ns)
