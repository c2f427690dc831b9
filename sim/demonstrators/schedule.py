"""In which order the demonstrations of a recording take the declared ways."""

from __future__ import annotations

import numpy as np


def balanced_ways(rng: np.random.Generator, n_ways: int, episodes: int) -> list[int]:
    """One way (0..n_ways-1) for each episode: round after round of all ways, each shuffled.

    However early a recording is ended, no way is ahead of another by more than one.
    """
    rounds = -(-episodes // n_ways)
    return [int(way) for _ in range(rounds) for way in rng.permutation(n_ways)][:episodes]
