"""In which order the demonstrations of a recording take the declared ways, and in which scenes."""

from __future__ import annotations

import numpy as np

WAYS_IN_A_SCENE = 4  # at most


def balanced_ways(rng: np.random.Generator, n_ways: int, episodes: int) -> list[int]:
    """One way (0..n_ways-1) for each episode: round after round of all ways, each shuffled.

    However early a recording is ended, no way is ahead of another by more than one.
    """
    rounds = -(-episodes // n_ways)
    return [int(way) for _ in range(rounds) for way in rng.permutation(n_ways)][:episodes]


def scene_of(episode: int, n_ways: int) -> int:
    """The scene (0, 1, ...) of an episode (0, 1, ...) that takes its way by `balanced_ways`.

    A scene is shown in several ways, all different, before the next one is, as in D3IL (Jia et al.,
    2024): of scenes that are shown once a network learns by heart which way was taken in which.
    """
    return episode // max(k for k in range(1, WAYS_IN_A_SCENE + 1) if n_ways % k == 0)
