"""Whether a joint did what it was told, so that how late it was can be told: each a sentence."""

from __future__ import annotations

import numpy as np

from vdd_ros.contract_parts import Joint
from vdd_ros.lag import Lag, NoLag, Signal
from vdd_ros.response import LEAST_MOTION

LEAST_EXPLAINED = 0.9  # of a joint's variance, by its commands
LEAST_GAIN, MOST_GAIN = 0.5, 2.0  # of a joint that does as it is told, in the contract's unit
AT_END = 0.01  # of its motion, within which a joint is at an end of it
MOST_AT_END = 0.3  # of the motion that is commanded, while it stands there


def require_moved(joint: Joint, led: Signal, seen: Signal) -> None:
    """Raise NoLag where a joint was not told to move, or does not."""
    told, done = led.values[:, 0], seen.values[:, 0]
    told_span, done_span, span = np.ptp(told), np.ptp(done), joint.upper - joint.lower
    if told_span < LEAST_MOTION * span:
        raise NoLag(
            f"it is told to move through {told_span:.4g} {joint.unit}, at least "
            f"{LEAST_MOTION * span:.4g} are needed: move it, or excite it"
        )
    if done_span < 1e-3 * told_span:
        raise NoLag(
            f"it is told to move through {told_span:.4g} {joint.unit} and stands still: do its "
            "brakes hold it, or are these the states of another arm?"
        )


def require_free(joint: Joint, led: Signal, seen: Signal, lag: Lag) -> None:
    """Raise NoLag where a joint stood at an end of its motion while it was told to go on."""
    done, then = seen.values[:, 0], led.at(seen.times_s - lag.seconds)[:, 0]
    for end in (done.min(), done.max()):
        there = np.abs(done - end) < AT_END * np.ptp(done)
        if there.any() and np.ptp(then[there]) > MOST_AT_END * np.ptp(led.values):
            raise NoLag(
                f"it stops at {end:.4g} {joint.unit} while it is told to go on: keep clear of its "
                "ends, and of what it could hold"
            )


def require_followed(joint: Joint, lag: Lag) -> None:
    """Raise NoLag where what it did is not what it was told, in the contract's unit."""
    if not LEAST_GAIN <= lag.gain <= MOST_GAIN:
        guess = {np.rad2deg(1.0): "degrees", np.deg2rad(1.0): "degrees in the commands"}
        guess |= {1e3: "millimetres", 1e-3: "millimetres in the commands"}
        near = [told for factor, told in guess.items() if abs(lag.gain / factor - 1.0) < 0.2]
        raise NoLag(
            f"it moves {lag.gain:.4g} times as far as it is told: are its states in "
            f"{near[0] if near else f'another unit than {joint.unit}'}?"
        )
    if lag.explained < LEAST_EXPLAINED:
        raise NoLag(
            f"its commands explain {lag.explained:.0%} of its motion (at least "
            f"{LEAST_EXPLAINED:.0%}): does something else move it, or is it held?"
        )
    if lag.seconds + 2 * lag.std_s < 0.0:
        raise NoLag(
            f"it moves {-lag.seconds:.4f} s before it is told to: the clocks of its states and of "
            "its commands differ; let chrony keep them together"
        )
