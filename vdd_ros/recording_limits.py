"""What a demonstration may be like before its verdict is a warning: thresholds of a contract."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class RecordingLimits(BaseModel):
    """shortest_s: a recording that is shorter warns [s]; rate_warn, rate_fail: shares of a stream's
    declared rate; jitter: how far one interval in twenty may be from the median one, in periods of
    the declared rate; skew_s: by how much the delays from stamp to receipt of two observed streams
    may differ [s]; least_motion: share of its range that some joint has to move through; stuck:
    share of its range that a joint is told to move while it stays; saturated: share of the time
    that a joint may be at the end of its range; astray: share of the time that a joint may be
    further from its command than its `tracking`;
    offset_jump, offset_drift: shares of its range by which a joint's offset from its commands at
    rest may jump from one episode to the next, and drift over a folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shortest_s: Seconds = 0.5
    rate_warn: Share = 0.9
    rate_fail: Share = 0.5
    jitter: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 2.0
    skew_s: Seconds = 0.05
    least_motion: Share = 0.005
    stuck: Share = 0.05
    saturated: Share = 0.2
    astray: Share = 0.1
    offset_jump: Share = 0.005
    offset_drift: Share = 0.005
