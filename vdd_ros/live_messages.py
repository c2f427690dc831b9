"""Whether the messages of a topic are as a contract says: rate, stamps, joints, frames."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.contract_parts import Stream
from vdd_ros.live_look import Finding, Look, Sample, Seen

FEW = 3  # messages that a rate cannot be told from
MUCH_FASTER = 1.5  # times the declared rate
AHEAD_S = 0.02  # by which stamps may be: clocks of two hosts differ a little
FAR_S = 3600.0  # a stamp further from the system's clock is of another clock
BEYOND = 0.05  # share of its range by which a joint may be outside its limits


def about_messages(
    contract: Contract, name: str, source: Stream | Camera, seen: Seen, look: Look
) -> Iterator[Finding]:
    """Lines about what comes on a topic; none where nothing can, which its publishers tell."""
    if not any(end.type == source.type for end in seen.publishers):
        return
    yield _rate(contract, name, source, seen, look)
    if source.timeline == "header" and seen.stamps_ns.size:
        yield _stamps(source, seen, look, name)
    if seen.newest is not None:
        yield from _content(contract, name, source, seen.newest)


def _rate(
    contract: Contract, name: str, source: Stream | Camera, seen: Seen, look: Look
) -> Finding:
    declared, limits = source.rate_hz, contract.recording
    rate_hz = rate_of(source, seen)
    if rate_hz is None:
        count = seen.received_ns.size
        found = f"{count} messages in {look.seconds:g} s, {declared:g} Hz are declared"
        if declared * look.seconds < 2 * FEW:
            return Finding("note", name, "rate", found, "look for longer: --seconds 30")
        return Finding("wrong", name, "rate", found, "see why its publisher is silent")
    found = f"{rate_hz:.4g} Hz, {declared:g} are declared"
    if rate_hz < limits.rate_warn * declared:
        remedy = f"let it come faster, or write rate_hz: {_rounded(rate_hz)} in the contract"
        return Finding("wrong", name, "rate", found, remedy)
    if rate_hz > MUCH_FASTER * declared:
        remedy = f"write rate_hz: {_rounded(rate_hz)}, so that lost messages are noticed"
        return Finding("wrong", name, "rate", found, remedy)
    return Finding("fits", name, "rate", found)


def rate_of(source: Stream | Camera, seen: Seen) -> float | None:
    """Messages a second [Hz], by their stamps where these count; None: too few to tell."""
    by_stamp = source.timeline == "header" and seen.stamps_ns.size and seen.stamps_ns.all()
    times_ns = np.sort(seen.stamps_ns if by_stamp else seen.received_ns)
    if times_ns.size < FEW:
        return None
    if times_ns[-1] == times_ns[0]:  # of stamps that stand still, which is told by itself
        times_ns = np.sort(seen.received_ns)
    return float((times_ns.size - 1) * 1e9 / max(1, times_ns[-1] - times_ns[0]))


def _rounded(rate_hz: float) -> str:
    return f"{rate_hz:.1f}" if rate_hz < 10.0 else f"{rate_hz:.0f}"


def _stamps(source: Stream | Camera, seen: Seen, look: Look, name: str) -> Finding:
    stamps_ns, what = seen.stamps_ns, "stamps"
    if not stamps_ns.all():
        return Finding(
            "wrong", name, what, "empty in some messages",
            "let the publisher stamp them, or write timeline: receive in the contract",
        )  # fmt: skip
    if stamps_ns.size >= FEW and stamps_ns.max() == stamps_ns.min():
        remedy = "let the publisher stamp each message with its own time"
        return Finding("wrong", name, what, "all the same", remedy)
    age_s = float(np.median(seen.received_ns - stamps_ns)) * 1e-9
    if look.has_clock and abs(age_s) > FAR_S:
        return Finding("fits", name, what, "in simulated time: nodes need use_sim_time:=true")
    if age_s > source.max_age_s:
        found = f"{age_s * 1e3:.0f} ms old on arrival, max_age_s allows {source.max_age_s * 1e3:g}"
        remedy = "synchronise the clocks of both computers (chrony), or find what delays them"
        return Finding("wrong", name, what, found, remedy)
    if age_s < -AHEAD_S:
        found = f"{-age_s * 1e3:.0f} ms in the future"
        remedy = "synchronise the clocks of both computers (chrony)"
        return Finding("wrong", name, what, found, remedy)
    word = "old" if age_s >= 0.0 else "ahead"
    return Finding("fits", name, what, f"{abs(age_s) * 1e3:.1f} ms {word} on arrival")


def _content(
    contract: Contract, name: str, source: Stream | Camera, newest: Sample
) -> Iterator[Finding]:
    if isinstance(source, Camera):
        yield from _pictures(name, source, newest)
        return
    if source.is_of_objects:
        yield from _objects(contract, name, newest)
        return
    yield _joints(contract, name, newest)
    wants_velocity = any((p.stream, p.field) == (name, "velocity") for p in contract.observation)
    if wants_velocity and not newest.has_velocity:
        yield Finding(
            "wrong", name, "velocity", "messages tell none",
            "let the driver fill it, or observe positions alone",
        )  # fmt: skip
    if newest.position is not None:
        yield from _within(contract, name, newest.position)


def _joints(contract: Contract, name: str, newest: Sample) -> Finding:
    lacking = [joint for joint in contract.joint_names if joint not in newest.names]
    if newest.names and lacking:
        near = [difflib.get_close_matches(one, newest.names, n=1, cutoff=0.5) for one in lacking]
        guesses = [
            f"{one} is {match[0]}" for one, match in zip(lacking, near, strict=True) if match
        ]
        found = f"{', '.join(lacking)} not among {', '.join(newest.names)}"
        remedy = f"perhaps {', '.join(guesses)}; " if guesses else ""
        return Finding(
            "wrong", name, "joints", found, f"{remedy}write the driver's names in the contract"
        )
    if newest.fault:
        return Finding(
            "wrong", name, "joints", newest.fault, "correct the driver, or the contract's joints"
        )
    if not newest.names:
        found = f"{contract.n_joints} numbers, in the order of the contract"
    elif newest.names == contract.joint_names:
        found = f"all {contract.n_joints}"
    else:
        more = len(newest.names) - contract.n_joints
        found = f"all {contract.n_joints}" + (f" and {more} more" if more else "")
        found += ", in another order: they are matched by name"
    return Finding("fits", name, "joints", found)


def _within(contract: Contract, name: str, position: np.ndarray) -> Iterator[Finding]:
    outside = contract.beyond(position[None], BEYOND)[0] | ~np.isfinite(position)
    if not outside.any():
        return
    told = [
        f"{joint.name} is at {value:.4g}, limits are {joint.lower:g} to {joint.upper:g}"
        for joint, value, is_out in zip(contract.joints, position, outside, strict=True)
        if is_out
    ]
    yield Finding(
        "wrong", name, "limits", "; ".join(told),
        "look for degrees, an offset or sign of encoders (`vdd calibrate joints`), or wrong limits",
    )  # fmt: skip


def _objects(contract: Contract, name: str, newest: Sample) -> Iterator[Finding]:
    if newest.fault:
        yield Finding("wrong", name, "objects", newest.fault, "correct objects in the contract")
    else:
        yield Finding("fits", name, "objects", f"{len(contract.objects)} poses")
    yield _frame(name, newest.frame, contract.frames.base)


def _pictures(name: str, camera: Camera, newest: Sample) -> Iterator[Finding]:
    wanted = f"{camera.encoding} {camera.width}x{camera.height}"
    if newest.picture == wanted:
        yield Finding("fits", name, "pictures", wanted)
    else:
        yield Finding(
            "wrong", name, "pictures", f"{newest.picture}, {wanted} are declared",
            "write encoding, width and height as they come, or set the camera's driver",
        )  # fmt: skip
    yield _frame(name, newest.frame, camera.frame)


def _frame(name: str, found: str, wanted: str) -> Finding:
    if found == wanted:
        return Finding("fits", name, "frame", wanted)
    return Finding(
        "wrong", name, "frame", f"{found or 'none'}, {wanted} is declared",
        "write the frame that the publisher says, or correct the publisher",
    )  # fmt: skip
