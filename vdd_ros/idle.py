"""Where an episode begins and ends to move: what is before and after teaches a policy to wait."""

from __future__ import annotations

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData


def moving_from_to(
    contract: Contract, streams: dict[str, StreamData], share: float
) -> tuple[int, int] | None:
    """When the first joint leaves its first position, and the last one comes to its last [ns].

    By receipt, of what was measured or commanded, whichever moves first and last. share: of a
    joint's range, by which it has to be away from where it began (ended) to have moved. None where
    nothing moved.
    """
    found = [
        times
        for name in ("joint_state", contract.action.stream)
        if (times := _moving(contract, streams[name], share)) is not None
    ]
    if not found:
        return None
    begins, ends = zip(*found, strict=True)
    return min(begins), max(ends)


def _moving(contract: Contract, data: StreamData, share: float) -> tuple[int, int] | None:
    position = data.fields["position"]
    good = np.isfinite(position).all(axis=1)
    position, received_ns = position[good], data.received_ns[good]
    if len(position) < 2:
        return None
    away, left = (
        (np.abs(position - at) > share * contract.span).any(axis=1)
        for at in (position[0], position[-1])
    )
    if not (away.any() and left.any()):
        return None
    first, last = int(away.argmax()), len(left) - 1 - int(left[::-1].argmax())
    # the last sample before it moved, and the first one after
    return int(received_ns[max(0, first - 1)]), int(received_ns[min(last + 1, len(left) - 1)])
