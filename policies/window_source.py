"""WindowSource: the windows of many episodes, of which one episode is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from vdd_ros.action_space import action_space
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.fitness import require_fit
from vdd_ros.manifest import Manifest
from vdd_ros.policies.pictures import Views
from vdd_ros.policies.windows import EpisodeWindows, Windows, episode_windows, views_of
from vdd_ros.takeover import is_of_policy

WORKING_SET = 1 << 30  # [bytes] that a pass over windows may need at a time
ROWS = 16_384  # of a block, where all windows at once would need more


class EpisodeFacts(NamedTuple):
    """windows, actions: how many rows there are of each; of_policy: whether a policy took part;
    warning: its verdict where that is a WARN, else nothing; calibration: sha256 of the calibration
    file that it was recorded with, empty for none."""

    name: str
    windows: int
    actions: int
    of_policy: bool
    warning: str = ""
    calibration: str = ""


@dataclass(frozen=True)
class WindowSource:
    """facts: of each episode; read: gives one, by its index; chosen: indices of those meant;
    views: gives an episode's pictures by its index, None where they see none."""

    facts: tuple[EpisodeFacts, ...]
    horizon: int
    read: Callable[[int], EpisodeWindows]
    chosen: range
    views: Callable[[int], Views | None] = lambda index: None

    def __len__(self) -> int:
        return sum(self.facts[index].windows for index in self.chosen)

    @property
    def names(self) -> list[str]:
        """Of the episodes that are meant."""
        return [self.facts[index].name for index in self.chosen]

    def of(self, chosen: range) -> WindowSource:
        """The windows of some of the episodes."""
        return replace(self, chosen=chosen)

    def blocks(self, row_bytes: int) -> Iterator[Windows]:
        """All windows in order, at once where so many bytes for each are within WORKING_SET, else
        ROWS of them at a time."""
        rows = rows_at_once(len(self), row_bytes)
        parts, room = [], rows
        for index in self.chosen:
            one, views, at = self.read(index), self.views(index), 0
            while at < len(one.place):
                taken = slice(at, min(at + room, len(one.place)))
                parts.append(one.windows(taken, self.horizon, index, views))
                room, at = room - (taken.stop - at), taken.stop
                if room == 0:
                    yield Windows.joined(parts)
                    parts, room = [], rows
        if parts:
            yield Windows.joined(parts)


def rows_at_once(count: int, row_bytes: int) -> int:
    """Of `count` rows, how many a step may take that needs so many bytes for each."""
    return max(1, count) if count * row_bytes <= WORKING_SET else ROWS


def in_memory(
    contract: Contract, episodes: Sequence[Episode], n_obs_steps: int, horizon: int
) -> WindowSource:
    """Of episodes that are in memory; raises UserError as `windows_of` does."""
    require_fit(episodes)
    space = action_space(contract)
    found = [episode_windows(contract, space, one, n_obs_steps, horizon) for one in episodes]
    facts = [
        EpisodeFacts(
            one.name,
            len(part.place),
            len(part.actions),
            is_of_policy(one.streams),
            calibration=calibration_of(one.manifest),
        )
        for one, part in zip(episodes, found, strict=True)
    ]
    views = [views_of(contract, one) for one in episodes]
    return source_of(facts, horizon, found.__getitem__, views.__getitem__)


def calibration_of(manifest: Manifest) -> str:
    """sha256 of the calibration file that an episode was recorded with, empty for none."""
    return manifest.calibration.sha256 if manifest.calibration else ""


def calibrations_of(facts: Sequence[EpisodeFacts]) -> list[str]:
    """Of all of them, each once, for a run's notes."""
    return sorted({one.calibration for one in facts})


def source_of(
    facts: Sequence[EpisodeFacts],
    horizon: int,
    read: Callable[[int], EpisodeWindows],
    views: Callable[[int], Views | None],
) -> WindowSource:
    """All of them; raises UserError where there is nothing to learn from."""
    if not facts:
        raise UserError("no episodes to learn from: record or import some first")
    if not any(one.windows for one in facts):
        raise UserError(
            "nobody took over in these episodes of a policy, so they teach nothing: name others"
        )
    return WindowSource(tuple(facts), horizon, read, range(len(facts)), views)
