"""Shifts: recorded windows as they would have been read had something been wrong.

Only what is observed changes, so an arm that goes on as it was recorded does not react to it. A
shift is a change of one episode's windows (N, To, Do) in contract units, oldest reading first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.policies.windows import Windows

OUTSIDE = 0.05  # [m] beyond where any training episode began
OFFSET = 0.05  # [m], and [rad] of a joint
NOISE_STD = 0.02  # [unit]
FROZEN_FROM = 1 / 3  # of an episode


class Layout(NamedTuple):
    """Where things are in an observation, and where they began in training.

    joints: places of the arm's revolute joints; positions: (objects, 3) places; objects: places of
    all that is said of each object (objects, numbers); lower, upper: (Do,) of the first readings of
    all training episodes [unit].
    """

    joints: np.ndarray
    positions: np.ndarray
    objects: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Shifted(NamedTuple):
    """windows: (N, To, Do); first: index of the first one that may differ."""

    windows: np.ndarray
    first: int


Shift = Callable[[np.ndarray, Layout, np.random.Generator], Shifted]


def layout_of(contract: Contract, training: Windows) -> Layout:
    """Of a contract whose observation says joint positions, and maybe poses of objects."""
    joints: list[int] = []
    positions: list[np.ndarray] = []
    objects: list[list[int]] = [[] for _ in contract.objects]  # equally long
    begin = 0
    for part in contract.observation:
        places = begin + np.arange(contract.size_of(part.stream, part.field))
        begin += len(places)
        if contract.streams[part.stream].is_of_objects:
            of_each = places.reshape(len(contract.objects), -1)
            for known, new in zip(objects, of_each.tolist(), strict=True):
                known += new
            positions += list(of_each) if part.field == "position" else []
        elif part.field == "position" and not joints:
            revolute = [joint.unit == "rad" for joint in contract.joints]
            joints = places[revolute].tolist()
    firsts = training.observations[np.unique(training.episode, return_index=True)[1], -1]
    return Layout(
        np.array(joints, int),
        np.array(positions, int).reshape(-1, 3),
        np.array(objects, int),
        firsts.min(0),
        firsts.max(0),
    )


def shifts_for(layout: Layout) -> dict[str, Shift]:
    """Those that there can be, by name."""
    found: dict[str, Shift] = {"nothing": nothing}
    if len(layout.positions):
        found |= {
            "an object outside": object_outside,
            "all objects 5 cm off": objects_off,
            "objects frozen": objects_frozen,
        }
    if len(layout.positions) > 1:
        found["two objects swapped"] = objects_swapped
    if len(layout.joints) > 1:
        found |= {
            "two joints swapped": joints_swapped,
            "a joint .05 rad off": joint_off,
            "joints frozen": joints_frozen,
        }
    return found | {"noise of .02": noise}


def nothing(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """As recorded: what is detected here is a false alarm."""
    return Shifted(windows, 0)


def object_outside(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """One object begins OUTSIDE beyond where any did, along x or y, and moves as it did."""
    place = rng.choice(layout.positions)[rng.integers(2)]
    is_up = rng.random() < 0.5
    goal = layout.upper[place] + OUTSIDE if is_up else layout.lower[place] - OUTSIDE
    return Shifted(_added(windows, place, goal - windows[0, -1, place]), 0)


def objects_off(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """A camera that was pushed: all objects OFFSET further in one horizontal direction."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    moved = _added(windows, layout.positions[:, 0], OFFSET * np.cos(angle))
    return Shifted(_added(moved, layout.positions[:, 1], OFFSET * np.sin(angle)), 0)


def objects_swapped(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """A detector that takes one object for another."""
    return _swapped(windows, *layout.objects[rng.permutation(len(layout.objects))[:2]])


def joints_swapped(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """A driver that names two neighbouring joints the wrong way round."""
    place = rng.integers(len(layout.joints) - 1)
    return _swapped(windows, *layout.joints[[place, place + 1]])


def joint_off(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """An encoder whose zero is OFFSET from where it was."""
    return Shifted(_added(windows, rng.choice(layout.joints), OFFSET * rng.choice([-1, 1])), 0)


def objects_frozen(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """A detector that goes on saying what it saw, with new stamps."""
    return _frozen(windows, layout.objects.ravel())


def joints_frozen(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """A driver that goes on saying what it read, with new stamps."""
    return _frozen(windows, layout.joints)


def noise(windows: np.ndarray, layout: Layout, rng: np.random.Generator) -> Shifted:
    """Readings that are much less exact than those recorded."""
    return Shifted(windows + NOISE_STD * rng.standard_normal(windows.shape), 0)


def _added(windows: np.ndarray, places: np.ndarray | int, amount: float) -> np.ndarray:
    moved = windows.copy()
    moved[..., places] += amount
    return moved


def _swapped(windows: np.ndarray, one: np.ndarray, other: np.ndarray) -> Shifted:
    swapped = windows.copy()
    swapped[..., one], swapped[..., other] = windows[..., other], windows[..., one]
    return Shifted(swapped, 0)


def _frozen(windows: np.ndarray, places: np.ndarray) -> Shifted:
    first = round(FROZEN_FROM * len(windows))
    frozen = windows.copy()
    frozen[first:, :, places] = windows[first, -1, places]
    return Shifted(frozen, first)
