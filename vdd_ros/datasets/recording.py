"""Recording: one foreign episode as it was read, in its own names and units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from pydantic import JsonValue


@dataclass(frozen=True)
class Recording:
    """N frames.

    name: what the dataset calls it; where: the file (and group) it is in, for people; times_s:
    (N,); state, command: column name -> (N,), in the file's units; velocity: of state columns that
    the file has a velocity of, (N,) per second; notes: what the reader found worth saying; meta:
    goes into the episode.
    """

    name: str
    where: str
    times_s: np.ndarray
    state: dict[str, np.ndarray]
    command: dict[str, np.ndarray]
    velocity: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    meta: dict[str, JsonValue] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times_s)
