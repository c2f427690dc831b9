"""Windows: episodes -> (observation window, action chunk), by the resampler that serves live.

Chunks of neighbouring ticks overlap. Kept (`EpisodeWindows`) is what they are made of, once; they
are put together (`Windows`) where they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vdd_ros.action_space import ActionSpace, action_space
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode, StreamData
from vdd_ros.errors import UserError
from vdd_ros.fitness import require_fit
from vdd_ros.policies.pictures import EpisodeViews, Pictures, Views, cameras_of
from vdd_ros.replay import replay_windows
from vdd_ros.stream import Window
from vdd_ros.takeover import Segment, takeovers


class Windows(NamedTuple):
    """observations: (N, To, Do); chunks: (N, H, A), actions in units of the contract;
    is_pad: (N, H), steps after the end of the episode, or of what a person did in it, filled with
    the last command; episode: (N,) index of where each came from; pictures: what they see of
    cameras, None where a contract has no images.
    """

    observations: np.ndarray
    chunks: np.ndarray
    is_pad: np.ndarray
    episode: np.ndarray
    pictures: Pictures | None = None

    def at(self, rows: np.ndarray | slice) -> Windows:
        """Some of them."""
        some = (part[rows] for part in self.arrays.values())
        pictures = None if self.pictures is None else self.pictures[rows]
        return Windows(**dict(zip(self.arrays, some, strict=True)), pictures=pictures)

    def of_episodes(self, chosen: np.ndarray) -> Windows:
        """The windows of the given episode indices."""
        return self.at(np.isin(self.episode, chosen))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All but the pictures, by name."""
        return {name: part for name, part in self._asdict().items() if name != "pictures"}

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        """One after the other."""
        each = [part.arrays for part in parts]
        arrays = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
        seen = [part.pictures for part in parts if part.pictures is not None]
        return cls(**arrays, pictures=Pictures.joined(seen) if seen else None)


class WindowSizes(NamedTuple):
    """To and H."""

    n_obs_steps: int
    horizon: int


class EpisodeWindows(NamedTuple):
    """Windows with what their chunks share kept once.

    observations: (N, To, Do); actions: (M, A); step h of window n is row
    min(place[n] + h * stride[0], last[n]) of the actions, and of the episode where h < real[n].
    numbers, ages_s: as those of Pictures, None without images.
    """

    observations: np.ndarray
    actions: np.ndarray
    place: np.ndarray
    last: np.ndarray
    real: np.ndarray
    stride: np.ndarray
    numbers: np.ndarray | None = None
    ages_s: np.ndarray | None = None

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All that there is, by name; `EpisodeWindows(**arrays)` gives it back."""
        return {name: part for name, part in self._asdict().items() if part is not None}

    def windows(
        self,
        rows: slice | np.ndarray,
        horizon: int,
        episode: int | np.ndarray,
        views: Views | None = None,
    ) -> Windows:
        """Those of some rows; episode: which they are of, one for all or (N,); views: where their
        pictures are, if they see any."""
        steps = np.arange(horizon)
        place = self.place[rows].astype(np.int64)[:, None] + steps * int(self.stride[0])
        place = np.minimum(place, self.last[rows].astype(np.int64)[:, None])
        of = np.full(len(place), episode) if isinstance(episode, int) else episode[rows]
        is_pad = steps >= self.real[rows][:, None]
        observations = np.asarray(self.observations[rows])
        return Windows(observations, self.actions[place], is_pad, of, self.pictures(rows, views))

    def pictures(self, rows: slice | np.ndarray, views: Views | None) -> Pictures | None:
        """What those of some rows see, None where they see none."""
        if views is None or self.numbers is None or self.ages_s is None:
            return None
        numbers, ages_s = np.array(self.numbers[rows]), np.array(self.ages_s[rows])
        return Pictures((views,), np.zeros(len(numbers), np.int64), numbers, ages_s)


def episode_windows_of(tensors: Mapping[str, np.ndarray]) -> EpisodeWindows:
    """Out of a file, in which they lie under their names."""
    return EpisodeWindows(**{n: tensors[n] for n in EpisodeWindows._fields if n in tensors})


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
    found = [episode_windows(contract, space, one, n_obs_steps, horizon) for one in episodes]
    parts = [
        one.windows(slice(None), horizon, index, views_of(contract, episodes[index]))
        for index, one in enumerate(found)
        if len(one.place)
    ]
    if not parts:
        raise UserError(
            "nobody took over in these episodes of a policy, so they teach nothing: name others"
        )
    return Windows.joined(parts)


def views_of(contract: Contract, episode: Episode) -> Views | None:
    """What a contract's images show of an episode, None where it has none."""
    return EpisodeViews.of(contract, episode) if contract.images else None


def shares_steps(contract: Contract) -> bool:
    """Whether a step of a chunk is that of another one too: of a later tick, and the same number
    whatever its anchor. What is kept of an episode then does not depend on the horizon."""
    is_on_grid = contract.policy_period_ns % contract.control_period_ns == 0
    return is_on_grid and contract.action.meaning == "absolute_position"


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


def episode_windows(
    contract: Contract, space: ActionSpace, episode: Episode, n_obs_steps: int, horizon: int
) -> EpisodeWindows:
    """The windows of one episode, none where a policy drove alone; raises UserError for a
    demonstration that has none."""
    command = episode.streams[contract.action.stream]
    segments = takeovers(contract, episode.streams)
    if segments is None:
        whole = Segment(int(command.stamps_ns[0]), int(command.stamps_ns[-1]))
        part = _of_segment(contract, space, episode, whole, n_obs_steps, horizon)
        if not len(part.place):
            raise UserError(
                f"episode {episode.name} has no joint state before its last command; delete it"
            )
        return part
    parts = [_of_segment(contract, space, episode, one, n_obs_steps, horizon) for one in segments]
    return joined(parts) if parts else _nothing(contract, n_obs_steps)


def joined(parts: Sequence[EpisodeWindows]) -> EpisodeWindows:
    """One after the other."""
    before = np.cumsum([0, *(len(part.actions) for part in parts[:-1])])
    shifted = [
        part._replace(place=part.place + offset, last=part.last + offset)
        for part, offset in zip(parts, before, strict=True)
    ]
    each = [part.arrays for part in shifted]
    whole = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
    return EpisodeWindows(**whole | {"stride": parts[0].stride})


def _of_segment(
    contract: Contract,
    space: ActionSpace,
    episode: Episode,
    segment: Segment,
    n_obs_steps: int,
    horizon: int,
) -> EpisodeWindows:
    command = episode.streams[contract.action.stream]
    # one grid for the whole episode, as the ticks were
    first, period = int(command.stamps_ns[0]), contract.control_period_ns
    begin = first + -(-(segment.begin_ns - first) // period) * period
    ticks = np.arange(max(first, begin), segment.end_ns + 1, period)
    timed = contract.timed_as(episode.contract)  # its stamps are as late as its robot's were
    cameras = cameras_of(contract, episode)
    windows = replay_windows(timed, episode.streams, ticks, n_obs_steps, cameras)
    kept = np.flatnonzero([window is not None for window in windows])
    if not len(kept):
        return _nothing(contract, n_obs_steps)
    seen = [window for window in windows if window is not None]
    observations = np.array([window.values for window in seen])
    images = _images_seen(seen) if contract.images else (None, None)
    stride = _stride(contract)
    if shares_steps(contract):
        actions = _targets(command, np.append(ticks, segment.end_ns))
        last = np.full(len(kept), len(ticks))
        real = -(-(len(ticks) - kept) // stride[0])
        return EpisodeWindows(observations, actions, kept, last, real, stride, *images)
    after = ticks[kept][:, None] + np.arange(horizon) * contract.policy_period_ns
    targets = _targets(command, np.minimum(after, segment.end_ns))
    joints = contract.observed_joints or slice(0, 0)  # none where an action needs no anchor
    chunks = [
        space.encode(one, anchor)
        for one, anchor in zip(targets, observations[:, -1, joints], strict=True)
    ]
    place = np.arange(len(kept)) * horizon
    real = (after <= segment.end_ns).sum(1)
    actions = np.concatenate(chunks)
    return EpisodeWindows(observations, actions, place, place + horizon - 1, real, stride, *images)


def _images_seen(windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
    """(N, C) number of the picture of each image, and (N, C) its age [s]."""
    numbers = np.array([[image.value for image in window.images] for window in windows])
    ages_ns = np.array([window.image_ages_ns for window in windows])
    return numbers, (ages_ns * 1e-9).astype(np.float32)


def _stride(contract: Contract) -> np.ndarray:
    """(1,) rows of the actions from one step of a chunk to the next."""
    shared = contract.policy_period_ns // contract.control_period_ns
    return np.array([shared if shares_steps(contract) else 1])


def _targets(command: StreamData, times_ns: np.ndarray) -> np.ndarray:
    """(..., Da): the joint command at times (...), linearly interpolated."""
    columns = command.fields["position"].T
    return np.stack([np.interp(times_ns, command.stamps_ns, one) for one in columns], axis=-1)


def _nothing(contract: Contract, n_obs_steps: int) -> EpisodeWindows:
    none = np.zeros(0, dtype=np.int64)
    observations = np.zeros((0, n_obs_steps, contract.observation_dim))
    actions = np.zeros((0, contract.action_dim))
    images: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    if count := len(contract.images):
        images = np.zeros((0, count), np.int64), np.zeros((0, count), np.float32)
    return EpisodeWindows(observations, actions, none, none, none, _stride(contract), *images)
