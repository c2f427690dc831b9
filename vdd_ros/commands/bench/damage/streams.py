"""Sound files with bad contents: what a robot, a driver or an operator can do to a recording.

Each is written as if it had been recorded like that, with the verdict that it deserves.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vdd_ros.bag import RawMessage
from vdd_ros.cdr import joints_cdr
from vdd_ros.commands.bench.damage.kinds import BEGAN_NS, PERIOD_NS, SECOND, SECONDS, Victim, family
from vdd_ros.contract import Contract
from vdd_ros.episode import decode
from vdd_ros.rewriting import rewrite

STATES, COMMANDS = "joint_state", "robot_command"
HOUR_NS = 3600 * SECOND
Rows = list[RawMessage]


def rerecorded(
    victim: Victim,
    change: Callable[[Rows], Rows],
    seconds: float | None = None,
    said: str | None = None,
) -> None:
    """The episode with other messages, judged by the recorder's own rules. said: a verdict that is
    put in place of that."""
    manifest, messages = victim.read()
    shutil.rmtree(victim.path)
    victim.log.unlink(missing_ok=True)
    length_ns = round((manifest.duration_s if seconds is None else seconds) * 1e9)
    rewrite(manifest, change(messages), BEGAN_NS, BEGAN_NS + length_ns, victim.path, {})
    if said is not None:
        victim.edit(verdict={"level": said, "reasons": []})


def of(stream: str, change: Callable[[int, RawMessage], RawMessage | None]):
    """Change, or leave out, the messages of one stream, which are numbered."""

    def changed(messages: Rows) -> Rows:
        numbers = {STATES: 0, COMMANDS: 0, "teleop_command": 0}
        kept = []
        for one in messages:
            new: RawMessage | None = one
            if one.stream == stream:
                new = change(numbers[one.stream], one)
            numbers[one.stream] += 1
            kept += [] if new is None else [new]
        return kept

    return changed


class Told(NamedTuple):
    """What one message says. names, position, velocity: (N,) of joints."""

    names: tuple[str, ...]
    position: np.ndarray
    velocity: np.ndarray


def numbers(victim: Victim, stream: str, change: Callable[[int, Told], Told], **more) -> None:
    """Change what messages of a stream say of the joints."""
    contract = victim.read()[0].contract

    def changed(number: int, one: RawMessage) -> RawMessage:
        data = decode(contract, [one])[stream]
        told = Told(
            contract.joint_names,
            data.fields["position"][0].copy(),
            np.zeros(0),
        )
        new = change(number, told)
        return one._replace(data=_cdr(contract, stream, new, int(data.stamps_ns[0])))

    rerecorded(victim, of(stream, changed), **more)


def _cdr(contract: Contract, stream: str, told: Told, stamp_ns: int) -> bytes:
    joints = tuple(contract.joints[0].model_copy(update={"name": name}) for name in told.names)
    unlike = contract.model_copy(update={"joints": joints})
    return joints_cdr(contract.streams[stream], unlike, told.position, stamp_ns)


def stamped(change: Callable[[int, int], int]) -> Callable[[int, RawMessage], RawMessage]:
    """Give messages another header stamp, by their number and the one they have [ns]."""

    def changed(number: int, one: RawMessage) -> RawMessage:
        seconds, rest = struct.unpack_from("<iI", one.data, 4)
        new = change(number, seconds * SECOND + rest)
        data = bytearray(one.data)
        struct.pack_into("<iI", data, 4, *divmod(new, SECOND))
        return one._replace(data=bytes(data))

    return changed


def received(change: Callable[[int, int], int]) -> Callable[[int, RawMessage], RawMessage]:
    """Give messages another time of receipt."""
    return lambda number, one: one._replace(received_ns=change(number, one.received_ns))


def put(told: Told, joint: int, value: float) -> Told:
    """One joint somewhere else."""
    position = told.position.copy()
    position[joint] = value
    return told._replace(position=position)


def standing() -> Callable[[int, Told], Told]:
    """Every message says what the first one said."""
    first: list[np.ndarray] = []

    def same(number: int, told: Told) -> Told:
        first.extend([told.position] * (not first))
        return told._replace(position=first[0])

    return same


def frozen(joint: int) -> Callable[[int, Told], Told]:
    """One joint stays where it was at first."""
    first: list[float] = []

    def same(number: int, told: Told) -> Told:
        first.extend([float(told.position[joint])] * (not first))
        return put(told, joint, first[0])

    return same


def in_degrees(victim: Victim, *streams: str, **more) -> None:
    """Positions of some streams in degrees."""
    for stream in streams:
        numbers(
            victim,
            stream,
            lambda n, told: told._replace(position=np.rad2deg(told.position)),
            **more,
        )


def doubled(told: Told) -> Told:
    """The first joint's name twice, the last one's not at all."""
    return told._replace(names=(told.names[0], *told.names[:-1]))


def without_last(told: Told) -> Told:
    """One joint less."""
    return Told(told.names[:-1], told.position[:-1], told.velocity)


def gap(stream: str) -> Callable[[Rows], Rows]:
    """Nothing for the middle half."""
    length_ns = round(SECONDS * SECOND)
    begin, end = BEGAN_NS + length_ns // 4, BEGAN_NS + 3 * length_ns // 4
    return of(stream, lambda n, one: None if begin < one.received_ns < end else one)


def cut_short(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


STREAMS = family("contents", [
    ("no_states", "no joint states", "FAIL", "joint_state has no complete message",
     lambda v: rerecorded(v, of(STATES, lambda n, one: None))),
    ("no_commands", "no robot commands", "FAIL", "robot_command has no complete message",
     lambda v: rerecorded(v, of(COMMANDS, lambda n, one: None))),
    ("nothing", "no message at all", "FAIL", "no complete message",
     lambda v: rerecorded(v, lambda rows: [])),
    ("gap", "a third of a second without joint states", "FAIL", "was silent for",
     lambda v: rerecorded(v, gap(STATES))),
    ("pause", "a third of a second without commands", "WARN", "commands in between are made up",
     lambda v: rerecorded(v, gap(COMMANDS))),
    ("quarter_rate", "a quarter of the joint states' rate", "FAIL", "instead of 200",
     lambda v: rerecorded(v, of(STATES, lambda n, one: one if n % 4 == 0 else None))),
    ("commands_at_half_rate", "half of the commands' rate", "WARN", "instead of 100",
     lambda v: rerecorded(v, of(COMMANDS, lambda n, one: one if n % 2 == 0 else None))),
    ("nan", "a position that is no number", "FAIL", "missing or not finite",
     lambda v: numbers(v, STATES, lambda n, told: put(told, 2, np.nan) if n == 50 else told)),
    ("infinite", "a command to infinity", "FAIL", "missing or not finite",
     lambda v: numbers(v, COMMANDS, lambda n, told: put(told, 2, np.inf) if n == 50 else told)),
    ("other_names", "joints of another robot", "FAIL", "no complete message",
     lambda v: numbers(v, STATES, lambda n, told: told._replace(
         names=tuple(f"ur_{name}" for name in told.names)))),
    ("joint_missing", "a joint is missing at times", "WARN", "lacks a joint",
     lambda v: numbers(v, STATES, lambda n, t: without_last(t) if n % 40 == 0 else t)),
    ("joint_twice", "a joint twice and one not at all", "FAIL", "no complete message",
     lambda v: numbers(v, STATES, lambda n, told: doubled(told))),
    ("too_few_numbers", "commands of six numbers for seven joints", "FAIL", "no complete message",
     lambda v: numbers(v, COMMANDS, lambda n, told: without_last(told))),
    ("other_order", "commands in another order of joints", "WARN", "further from its command",
     lambda v: numbers(v, COMMANDS, lambda n, t: t._replace(position=t.position[::-1].copy()))),
    ("degrees", "joint states in degrees", "WARN", "is the unit right?",
     lambda v: in_degrees(v, STATES)),
    ("degrees_both", "joint states and commands in degrees", "WARN", "is the unit right?",
     lambda v: in_degrees(v, STATES, COMMANDS)),
    ("cut_messages", "messages whose second half is missing", "FAIL", "no complete message",
     lambda v: rerecorded(v, of(STATES, lambda n, one: one._replace(data=cut_short(one.data))))),
    ("noise", "messages of random bytes", "FAIL", "no complete message",
     lambda v: rerecorded(v, of(STATES, lambda n, one: one._replace(
         data=one.data[:12] + np.random.default_rng(n).bytes(200))))),
    ("other_message", "commands' bytes on the topic of joint states", "FAIL", "no complete messa",
     lambda v: rerecorded(v, lambda rows: [
         one._replace(data=next(r.data for r in rows if r.stream == COMMANDS))
         if one.stream == STATES else one for one in rows])),
    ("clock_back", "the clock jumps back by half a second", "FAIL", "the clock jumped back",
     lambda v: rerecorded(v, of(STATES, received(
         lambda n, ns: ns - SECOND // 2 if n > 60 else ns)))),
    ("time_reversed", "the last message first", "FAIL", "the clock jumped back",
     lambda v: rerecorded(v, lambda rows: rows[::-1])),
    ("stamps_reversed", "stamps that go backwards", "FAIL", "stamps that go backwards",
     lambda v: rerecorded(v, of(STATES, stamped(
         lambda n, ns: BEGAN_NS + (120 - n) * PERIOD_NS)))),
    ("stamps_doubled", "each stamp twice", "WARN", "stamps that do not increase",
     lambda v: rerecorded(v, of(STATES, stamped(
         lambda n, ns: BEGAN_NS + n // 2 * 2 * PERIOD_NS)))),
    ("stamps_stuck", "one stamp for all", "FAIL", "stamps that do not increase",
     lambda v: rerecorded(v, of(STATES, stamped(lambda n, ns: BEGAN_NS)))),
    ("stamps_jump", "stamps an hour ahead from the middle on", "WARN", "far from their receipt",
     lambda v: rerecorded(v, of(STATES, stamped(
         lambda n, ns: ns + HOUR_NS if n > 70 else ns)))),
    ("stamps_zero", "a driver that does not stamp", "FAIL", "do the clocks agree?",
     lambda v: rerecorded(v, of(STATES, stamped(lambda n, ns: 0)))),
    ("clock_off", "a clock that is an hour ahead", "FAIL", "do the clocks agree?",
     lambda v: rerecorded(v, of(STATES, stamped(lambda n, ns: ns + HOUR_NS)))),
    ("arm_stands", "an arm that does not follow", "WARN", "hardly moved",
     lambda v: numbers(v, STATES, standing())),
    ("joint_frozen", "a joint that does not follow", "WARN", "told to move and did not",
     lambda v: numbers(v, STATES, frozen(3))),
    ("commands_stand", "commands that never change", "WARN", "further from its command",
     lambda v: numbers(v, COMMANDS, standing())),
    ("short", "a third of a second", "WARN", "short",
     lambda v: rerecorded(v, lambda rows: [
         one for one in rows if one.received_ns < BEGAN_NS + SECOND // 3], seconds=1 / 3)),
    ("said_pass", "a FAIL that says it is a PASS", "FAIL", "saved as PASS and is none",
     lambda v: rerecorded(v, gap(STATES), said="PASS")),
    ("said_pass_units", "degrees that say they are a PASS", "WARN", "saved as PASS and is none",
     lambda v: in_degrees(v, STATES, said="PASS")),
])  # fmt: skip
