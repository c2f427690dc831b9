"""What a demonstration may be like before its verdict is a warning: thresholds of a contract."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vdd_ros.fields import NotNegative, Part, Positive, Share

CLOCK_OFFSET_S = 0.01
Greys = Annotated[float, Field(ge=0.0, le=255.0)]


class ImageLimits(Part):
    """compression: of chunks of images that are not compressed themselves; frozen_s: for how long
    pictures may stay the same while a joint moves [s]; still: the mean change, in grey levels of
    255, below which pictures hardly change; uniform: the spread of grey levels below which a
    picture shows nothing; blank: share of the pictures looked at that may show nothing; spoilt:
    share of them that may be unreadable; black: the grey level below which a picture that shows
    nothing is called black; looks_hz, most_looks: how many pictures a second are looked at, and how
    many of a recording.
    """

    compression: Literal["none", "lz4", "zstd"] = "none"
    frozen_s: NotNegative = 1.0
    still: Greys = 0.05
    uniform: Greys = 2.0
    blank: Share = 0.05
    spoilt: Share = 0.05
    black: Greys = 16.0
    looks_hz: Positive = 4.0
    most_looks: Annotated[int, Field(ge=2)] = 240


class MotionLimits(Part):
    """restless: share of its range within which a standing joint's encoder tells; at_end: share of
    its range within which a joint is at the end of it; beyond: share of its samples that may lie
    outside a joint's limits, by more than `restless`; wrong_unit: share of its range by which one
    sample outside is enough: more than a controller overshoots, less than degrees for radians;
    led_astray: share of the time that a joint may be further from its leader than its `tracking`.
    """

    restless: Share = 1e-3
    at_end: Share = 2e-3
    beyond: Share = 0.05
    wrong_unit: Share = 0.1
    led_astray: Share = 0.1


class TimingLimits(Part):
    """few: share of intervals or stamps that may be odd before it is told; covered: share of a
    recording that its commands have to reach over.
    """

    few: Annotated[float, Field(gt=0.0, le=0.5)] = 0.05
    covered: Share = 0.5


class RecordingLimits(Part):
    """shortest_s: a recording that is shorter warns [s]; rate_warn, rate_fail: shares of a stream's
    declared rate; jitter: how far one interval in twenty may be from the median one, in periods of
    the declared rate; skew_s: by how much the delays from stamp to receipt of two observed streams
    or cameras may differ [s]; least_motion: share of its range that some joint has to move through;
    stuck: share of its range that a joint is told to move while it stays; saturated: share of the
    time that a joint may be at the end of its range; astray: share of the time that a joint may be
    further from its command than its `tracking`; images, motion, timing: None for what is usual;
    calibration_days: how old a calibration may be [days]; clock_offset_s: by how much another
    host's clock may be off [s], .01 where it is None; offset_jump, offset_drift: shares of its
    range by which a joint's offset from its commands at rest may jump from one episode to the next,
    and drift over a folder.
    """

    shortest_s: NotNegative = 0.5
    rate_warn: Share = 0.9
    rate_fail: Share = 0.5
    jitter: Positive = 2.0
    skew_s: NotNegative = 0.05
    least_motion: Share = 0.005
    stuck: Share = 0.05
    saturated: Share = 0.2
    astray: Share = 0.1
    offset_jump: Share = 0.005
    offset_drift: Share = 0.005
    # None, so that a contract that does not set them is written, and hashed, without them
    images: ImageLimits | None = None
    motion: MotionLimits | None = None
    timing: TimingLimits | None = None

    @property
    def of_images(self) -> ImageLimits:
        return self.images or ImageLimits()

    @property
    def of_motion(self) -> MotionLimits:
        return self.motion or MotionLimits()

    @property
    def of_timing(self) -> TimingLimits:
        return self.timing or TimingLimits()

    calibration_days: NotNegative | None = None
    clock_offset_s: NotNegative | None = None

    @property
    def most_clock_offset_s(self) -> float:
        return CLOCK_OFFSET_S if self.clock_offset_s is None else self.clock_offset_s
