"""Windows: episodes -> (observation window, action chunk), by the resampler that serves live."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.replay import replay_windows


class Windows(NamedTuple):
    """observations: (N, To, Do); chunks: (N, H, Da), contract units; is_pad: (N, H), steps after
    the episode's end, filled with its last command; episode: (N,) index of where each came from.
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
    """One window at every control tick of every episode."""
    if not episodes:
        raise UserError("no episodes to learn from: record or import some first")
    parts = [_of_one(contract, episode, n_obs_steps, horizon) for episode in episodes]
    index = np.concatenate([np.full(len(part[0]), i) for i, part in enumerate(parts)])
    observations, chunks, is_pad = (np.concatenate(field) for field in zip(*parts, strict=True))
    return Windows(observations, chunks, is_pad, index)


def require_positions_first(contract: Contract, who: str) -> None:
    """Raise UserError unless an observation begins with the joints' positions."""
    first = contract.observation[0]
    if first.field != "position":
        raise UserError(
            f"{who} takes the first numbers of an observation for the joints' positions, but in "
            f"contract {contract.name} they are {first.name} ({first.field}): put the positions "
            f"first, or do without"
        )


def _of_one(
    contract: Contract, episode: Episode, n_obs_steps: int, horizon: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    command = episode.streams[contract.action.stream]
    first, last = int(command.stamps_ns[0]), int(command.stamps_ns[-1])
    ticks = np.arange(first, last + 1, contract.control_period_ns)
    seen = replay_windows(contract, episode.streams, ticks, n_obs_steps)
    kept = [(tick, window) for tick, window in zip(ticks, seen, strict=True) if window is not None]
    if not kept:
        raise UserError(
            f"episode {episode.name} has no joint state before its last command; delete it"
        )
    times = (
        np.array([tick for tick, _ in kept])[:, None]
        + np.arange(horizon) * contract.policy_period_ns
    )
    chunks = np.stack(
        [np.interp(times, command.stamps_ns, column) for column in command.fields["position"].T],
        axis=-1,
    )
    return np.array([window.values for _, window in kept]), chunks, times > last
