"""What is wrong with the pictures of a policy that sees."""

from __future__ import annotations

from typing import Any

from vdd_ros.commands.bench.faults.scenarios.base import Act, Scenario
from vdd_ros.commands.bench.faults.sight import AGENT, FROZEN_S, HAND, MAX_AGE_S, RATE_HZ, SIZE

# What the contract states [s], one picture more, and the delay of its observation.
AGE = MAX_AGE_S + 1.0 / RATE_HZ + 0.03
# The next picture, and the running mean of its distance.
UNFAMILIAR = 1.0 / RATE_HZ + 0.03 + 0.2
STALE, BROKEN, BLIND = "OBSERVATION_STALE", "MESSAGE_BROKEN", "CAMERA_BLIND"
UNLIKE = "OUT_OF_DISTRIBUTION"
OLD = f"image {AGENT} of camera {AGENT} is "


def scenarios() -> list[Scenario]:
    """All of them."""
    return [*silent(), *stamped(), *broken(), *blind()]


def relay(camera: str, fault: str, value: Any = 0.0, one_in: int = 1) -> tuple[Act, ...]:
    """What a camera's relay is to do, see `fault_relay`."""
    return (("relay", camera, fault, value, "", one_in),)


def stops(
    family: str, name: str, told: str, acts: tuple[Act, ...], reason: str, says: str, **more: Any
) -> Scenario:
    """A fault that ends the run, as soon as the last good picture is too old."""
    expected = {"detection_s": AGE} | more
    return Scenario(name, family, told, acts, "rest", (reason,), says, sees=True, **expected)


def goes_on(
    family: str, name: str, told: str, acts: tuple[Act, ...], lasts_s: float = 1.0
) -> Scenario:
    """A fault that is none."""
    return Scenario(name, family, told, acts, "goes on", lasts_s=lasts_s, sees=True)


def silent() -> list[Scenario]:
    """Pictures that do not come, or not in time."""
    family = "camera silent or late"
    come_back = (*relay(AGENT, "silent"), ("wait", 3.0), *relay(AGENT, "pass"), ("wait", 1.0))
    missing = (
        *relay(HAND, "silent"), ("wait", 1.0), ("change", "activate"), ("wait", 1.5),
        ("change", "deactivate"),
    )  # fmt: skip
    return [
        stops(family, "agent view silent", "no pictures of the agent view",
              relay(AGENT, "silent"), STALE, OLD),
        stops(family, "in hand silent", "no pictures of the camera in the hand",
              relay(HAND, "silent"), STALE, f"image {HAND} of camera {HAND} is "),
        stops(family, "killed", "SIGKILL to who tells the pictures",
              (("end", "relay_cameras", "SIGKILL"),), STALE, "of camera "),
        Scenario("missing", family, "activated without pictures of one camera", missing, "nothing",
                 ("DEACTIVATED",), moving=False, sees=True),
        goes_on(family, "back in time", "no pictures for .2 s",
                (*relay(AGENT, "silent"), ("wait", 0.2), *relay(AGENT, "pass"))),
        stops(family, "back too late", "no pictures for 3 s, then they come again", come_back,
              STALE, OLD),
        stops(family, "thin", "one picture in 40", relay(AGENT, "each", 40), STALE, OLD),
        stops(family, "late", "pictures 1.5 s late", relay(AGENT, "late", 1.5), STALE, OLD),
        goes_on(family, "a little late", "pictures .1 s late", relay(AGENT, "late", 0.1)),
        goes_on(family, "flood", "each picture 20 times, 200 a second",
                relay(AGENT, "copies", 20)),
    ]  # fmt: skip


def stamped() -> list[Scenario]:
    """Pictures of another time than that at which they were taken."""
    family = "camera's stamps"
    return [
        stops(family, "tomorrow", "pictures stamped 10 s ahead",
              relay(AGENT, "shift_stamp", 10.0), STALE, "after it comes: is its clock ahead?"),
        stops(family, "yesterday", "pictures stamped 10 s ago",
              relay(AGENT, "shift_stamp", -10.0), STALE, "is it late, or its clock behind?"),
        goes_on(family, "one of tomorrow", "every third picture stamped 3 s ahead",
                relay(AGENT, "shift_stamp", 3.0, 3), lasts_s=4.0),
        stops(family, "unstamped", "pictures without a stamp", relay(AGENT, "without_stamp"),
              BROKEN, f"camera {AGENT} carry no stamp"),
        stops(family, "repeated", "one old picture again and again", relay(AGENT, "repeated"),
              STALE, OLD),
        goes_on(family, "swapped in pairs", "pictures in pairs, the later first",
                relay(AGENT, "swapped")),
    ]  # fmt: skip


def broken() -> list[Scenario]:
    """Messages that are no picture of the contract's."""
    family = "picture broken"
    return [
        stops(family, "size", "pictures of half as many rows",
              relay(AGENT, "lose_rows", SIZE // 2), BROKEN, "rgb8 of 64x32 came instead of rgb8"),
        stops(family, "encoding", "rgb8 that calls itself bgr8",
              relay(AGENT, "call_encoding", "bgr8"), BROKEN, "bgr8 of 64x64 came instead of rgb8"),
        stops(family, "unknown encoding", "an encoding that nobody knows",
              relay(HAND, "call_encoding", "16UC1"), BROKEN, f"{HAND}: 16UC1 of 64x64 came"),
        stops(family, "half", "half of the bytes that it says it has",
              relay(AGENT, "lose_pixels", 0.5), BROKEN, "6144 bytes in rows of 192 are no rgb8"),
        stops(family, "cut", "pictures cut off after 30 bytes", relay(AGENT, "cut", 30), BROKEN,
              f"camera {AGENT}: a message of "),
        stops(family, "garbage", "12,000 bytes of noise instead",
              relay(AGENT, "garbage", 12_000), BROKEN, f"camera {AGENT}: "),
        stops(family, "few bytes of garbage", "8 bytes of noise instead",
              relay(HAND, "garbage", 8), BROKEN, f"camera {HAND}: a message of "),
        goes_on(family, "now and then", "every other picture is cut in half",
                relay(AGENT, "lose_pixels", 0.5, 2)),
    ]  # fmt: skip


def blind() -> list[Scenario]:
    """Whole pictures that show something else than they should."""
    family = "camera blind"
    hold = {"rig": "hold", "detection_s": UNFAMILIAR}
    return [
        stops(family, "black", "the agent view is black", relay(AGENT, "blacken"), BLIND,
              f"camera {AGENT} is black"),
        goes_on(family, "black for a moment", "every other picture is black",
                relay(HAND, "blacken", one_in=2)),
        stops(family, "frozen", "one picture of the agent view, with stamps of now",
              relay(AGENT, "held"), BLIND, f"camera {AGENT} stood still for",
              detection_s=FROZEN_S + AGE),
        stops(family, "swapped", "each camera's topic has the other's pictures",
              (*relay(AGENT, "instead", HAND), *relay(HAND, "instead", AGENT)), BLIND,
              "are they swapped?"),
        stops(family, "swapped, disguised",
              "the same, in the right frames: the distance of its features tells",
              (*relay(AGENT, "disguised", HAND), *relay(HAND, "disguised", AGENT)), UNLIKE,
              f"image {AGENT} is ", **hold),
        stops(family, "unfamiliar", "a third of the light, and none of it red",
              relay(AGENT, "dim", 0.3), UNLIKE, f"image {AGENT} is ", **hold),
    ]  # fmt: skip
