"""What is wrong with commands by themselves, whatever happened: judged by the times at which they
were sent, as an arm is moved by them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vdd_ros.commands.bench.faults.recorded import Commands, Limits, Readings, readings_of

ROUNDING = 1e-9
SETTLED = 1e-3  # [unit]; between two readings of an arm that has come to rest
RECENT_NS = 1_000_000_000  # of readings that a first command may begin from
MOVED = 0.05  # [unit]; by which an arm that drives again has to have moved
REMEMBERED = 5  # commands before an injection that its speed is taken from
# An arm that got no command for more than PAUSE periods stands where the last one led, and what
# comes next has to begin there at rest. Up to LATE periods a command is only late, between the two
# the arm may be taken for moving or for standing.
LATE, PAUSE = 1.5, 4.0
AHEAD = 3.0  # commands that may come sooner than the control rate allows for, in any stretch


def command_faults(limits: Limits, commands: Commands, recording: dict) -> list[str]:
    """What is wrong with the commands by themselves, whatever happened."""
    sent_ns, positions, velocities = commands
    numbers = positions if velocities is None else np.hstack([positions, velocities])
    if not np.isfinite(numbers).all():
        return [f"{(~np.isfinite(numbers).all(axis=1)).sum()} commands are not finite"]
    faults = []
    outside = (positions < limits.lower - ROUNDING) | (positions > limits.upper + ROUNDING)
    if outside.any():
        faults.append(f"{outside.any(axis=1).sum()} commands are outside the position limits")
    starts = [time_ns for name, time_ns in recording["events"] if name == "activate"]
    readings = readings_of(limits, recording)
    for begin_ns, end_ns in pairwise([*starts, np.iinfo(np.int64).max]):
        run = (sent_ns >= begin_ns) & (sent_ns < end_ns)
        before = positions[sent_ns < begin_ns][-1:]
        faults += run_faults(limits, sent_ns[run], positions[run], before, readings)
        if velocities is not None:
            faults += speed_faults(limits, positions[run], velocities[run])
    if (early := sent_ns < min(starts, default=np.iinfo(np.int64).max)).any():
        faults.append(f"{early.sum()} commands came before the node was active")
    return faults


def run_faults(
    limits: Limits,
    sent_ns: np.ndarray,
    positions: np.ndarray,
    before: np.ndarray,
    readings: Readings,
) -> list[str]:
    """Of one run, from one activation to the next; before: (0 or 1, Da) the last command of all."""
    if not len(positions):
        return []
    faults = []
    near = (readings.sent_ns > sent_ns[0] - RECENT_NS) & (readings.sent_ns < sent_ns[0])
    begins = np.concatenate([before, readings.positions[near]])
    first = (np.abs(positions[0] - begins) - limits.change).max(axis=1)
    if not len(first) or first.min() > SETTLED:
        faults.append("a run does not begin where the arm is")
    moves = np.diff(positions, axis=0)
    if len(moves) and (np.abs(moves[0]) > 2 * limits.change + SETTLED).any():
        faults.append("a run begins with a jump")
    if (fast := np.abs(moves) > limits.move + ROUNDING).any():
        worst = (np.abs(moves) / limits.move).max()
        faults.append(f"{fast.any(axis=1).sum()} commands exceed the speed limit, by {worst:.2f}")
    faults += acceleration_faults(limits, sent_ns, moves)
    ahead = np.arange(len(sent_ns)) - (sent_ns - sent_ns[0]) * 1e-9 / limits.period_s
    if (most := (ahead - np.minimum.accumulate(ahead)).max()) > AHEAD + ROUNDING:
        faults.append(f"commands came {most:.1f} periods sooner than the control rate allows for")
    return faults


def acceleration_faults(limits: Limits, sent_ns: np.ndarray, moves: np.ndarray) -> list[str]:
    """Of (N - 1, Da) movements between commands sent at (N,) times: one differs from that before
    by more than a period's acceleration, or, after a pause, from standing still."""
    gaps = np.diff(sent_ns) * 1e-9 / limits.period_s  # (N - 1,) [periods]
    changes = np.abs(np.diff(moves, axis=0)) / limits.change
    on = np.concatenate([np.zeros(min(1, len(moves))), changes.max(axis=1)])
    from_rest = (np.abs(moves) / limits.change).max(axis=1)
    least = np.where(gaps > LATE, np.minimum(on, from_rest), on)
    found, most = [], 1.0 + ROUNDING / limits.change.min()
    if (hard := (gaps <= PAUSE) & (least > most)).any():
        found.append(f"{hard.sum()} commands exceed the acceleration, by {least[hard].max():.2f}")
    if (jump := (gaps > PAUSE) & (from_rest > most)).any():
        pause_ms = gaps[jump].max() * limits.period_s * 1e3
        found.append(
            f"{jump.sum()} commands jump after a pause of {pause_ms:.0f} ms, by "
            f"{from_rest[jump].max():.2f} of a period's acceleration"
        )
    return found


def speed_faults(limits: Limits, positions: np.ndarray, velocities: np.ndarray) -> list[str]:
    """A trajectory's point is to be passed with the speed of the commands themselves."""
    moves = np.diff(positions, axis=0) / limits.period_s
    wrong = (np.abs(velocities[1:] - moves) > 1e-6).any(axis=1)
    return [f"{wrong.sum()} commands tell another speed than theirs"] if wrong.any() else []


def pauses_in_motion(limits: Limits, commands: Commands, starts_ns: list[int]) -> np.ndarray:
    """(P,) lengths [s] of pauses between two commands of one run, the first of which moved the
    arm; starts_ns: when runs were begun."""
    gaps = np.diff(commands.sent_ns)[1:] * 1e-9
    moved = np.abs(np.diff(commands.positions, axis=0)).max(axis=1, initial=0.0)[:-1] > 0.0
    run = np.searchsorted(np.sort(starts_ns), commands.sent_ns, side="right")
    same = np.diff(run)[1:] == 0
    return gaps[moved & same & (gaps > PAUSE * limits.period_s)]


def speed_at(limits: Limits, commands: Commands, time_ns: int) -> float:
    """The fastest joint's speed just before, as a share of its limit (median of a few periods)."""
    before = commands.positions[commands.sent_ns < time_ns][-REMEMBERED - 1 :]
    if len(before) <= REMEMBERED:
        return 0.0
    return float(np.median((np.abs(np.diff(before, axis=0)) / limits.move).max(axis=1)))


def moved_between(commands: Commands, begin_ns: int, end_ns: int) -> bool:
    """Whether the arm was driven again."""
    run = commands.positions[(commands.sent_ns >= begin_ns) & (commands.sent_ns < end_ns)]
    return len(run) > 0 and bool(np.ptp(run, axis=0).max() > MOVED)


def longest_gap_ms(commands: Commands, begin_ns: int, end_ns: int) -> float:
    """Between two commands, the later of which came in that time; 0 where there are none."""
    later, gaps = commands.sent_ns[1:], np.diff(commands.sent_ns)
    found = gaps[(later >= begin_ns) & (later < end_ns)]
    return float(found.max() * 1e-6) if found.size else 0.0


def ends_at_rest(commands: Commands) -> bool:
    """Whether the last command repeats the one before."""
    last = commands.positions[-2:]
    return len(last) < 2 or bool((last[0] == last[1]).all())
