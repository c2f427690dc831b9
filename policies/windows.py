"""Windows: episodes -> (observation window, action chunk), by the resampler that serves live."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.action_space import ActionSpace, action_space
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.fitness import require_fit
from vdd_ros.replay import replay_windows
from vdd_ros.takeover import Segment, takeovers


class Windows(NamedTuple):
    """observations: (N, To, Do); chunks: (N, H, A), actions in units of the contract;
    is_pad: (N, H), steps after the end of the episode, or of what a person did in it, filled with
    the last command; episode: (N,) index of where each came from.
    """

    observations: np.ndarray
    chunks: np.ndarray
    is_pad: np.ndarray
    episode: np.ndarray

    def of_episodes(self, chosen: np.ndarray) -> Windows:
        """The windows of the given episode indices."""
        rows = np.isin(self.episode, chosen)
        return Windows(*(part[rows] for part in self))


def windows_of(
    contract: Contract, episodes: list[Episode], n_obs_steps: int, horizon: int
) -> Windows:
    """One window at every control tick of every demonstration, and of what a person did in an
    episode of a policy. Raises UserError where there are none, where one is not fit to learn from,
    or the contract's actions need a library that is not there."""
    if not episodes:
        raise UserError("no episodes to learn from: record or import some first")
    require_fit(episodes)
    space = action_space(contract)
    parts = [
        (index, part)
        for index, episode in enumerate(episodes)
        for part in _of_one(contract, space, episode, n_obs_steps, horizon)
    ]
    if not parts:
        raise UserError("nobody took over in these episodes of a policy: nothing to learn from")
    index = np.concatenate([np.full(len(part[0]), index) for index, part in parts])
    fields = zip(*(part for _, part in parts), strict=True)
    observations, chunks, is_pad = (np.concatenate(field) for field in fields)
    return Windows(observations, chunks, is_pad, index)


def require_positions(contract: Contract, who: str) -> None:
    """Raise UserError unless actions are joint positions, and an observation begins with them."""
    if contract.action.meaning != "absolute_position":
        raise UserError(
            f"{who} takes actions for joint positions, but in contract {contract.name} they are "
            f"{contract.action.meaning}: do without"
        )
    first = contract.observation[0]
    if first.field != "position":
        raise UserError(
            f"{who} takes the first numbers of an observation for the joints' positions, but in "
            f"contract {contract.name} they are {first.name} ({first.field}): put the positions "
            f"first, or do without"
        )


Part = tuple[np.ndarray, np.ndarray, np.ndarray]


def _of_one(
    contract: Contract, space: ActionSpace, episode: Episode, n_obs_steps: int, horizon: int
) -> list[Part]:
    command = episode.streams[contract.action.stream]
    segments = takeovers(contract, episode.streams)
    if segments is not None:
        found = [
            _of_segment(contract, space, episode, one, n_obs_steps, horizon) for one in segments
        ]
        return [part for part in found if part is not None]
    whole = Segment(int(command.stamps_ns[0]), int(command.stamps_ns[-1]))
    part = _of_segment(contract, space, episode, whole, n_obs_steps, horizon)
    if part is None:
        raise UserError(
            f"episode {episode.name} has no joint state before its last command; delete it"
        )
    return [part]


def _of_segment(
    contract: Contract,
    space: ActionSpace,
    episode: Episode,
    segment: Segment,
    n_obs_steps: int,
    horizon: int,
) -> Part | None:
    command = episode.streams[contract.action.stream]
    # one grid for the whole episode, as the ticks were
    first, period = int(command.stamps_ns[0]), contract.control_period_ns
    begin = first + -(-(segment.begin_ns - first) // period) * period
    ticks = np.arange(max(first, begin), segment.end_ns + 1, period)
    seen = replay_windows(contract, episode.streams, ticks, n_obs_steps)
    kept = [(tick, window) for tick, window in zip(ticks, seen, strict=True) if window is not None]
    if not kept:
        return None
    times = (
        np.array([tick for tick, _ in kept])[:, None]
        + np.arange(horizon) * contract.policy_period_ns
    )
    targets = np.stack(
        [
            np.interp(np.minimum(times, segment.end_ns), command.stamps_ns, column)
            for column in command.fields["position"].T
        ],
        axis=-1,
    )
    observations = np.array([window.values for _, window in kept])
    joints = contract.observed_joints or slice(0, 0)  # none where an action needs no anchor
    chunks = [
        space.encode(one, anchor)
        for one, anchor in zip(targets, observations[:, -1, joints], strict=True)
    ]
    return observations, np.array(chunks), times > segment.end_ns
