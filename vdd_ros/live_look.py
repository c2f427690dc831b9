"""What was seen of a robot that runs, as `nodes/graph_look.py` gathers it, and a line about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from vdd_ros.urdf import Urdf

State = Literal["fits", "wrong", "note"]


class End(NamedTuple):
    """One publisher or subscriber. mismatch: why nothing passes between it and who speaks or
    listens with the contract's QoS; empty where all does."""

    node: str
    type: str
    mismatch: str = ""


class Sample(NamedTuple):
    """The newest message. fault: why the contract cannot read it; names: of its joints, in its
    order; position: (Da,) in the contract's; has_velocity: whether it tells velocities; picture: as
    the contract writes encoding and size."""

    fault: str = ""
    names: tuple[str, ...] = ()
    position: np.ndarray | None = None
    has_velocity: bool = False
    frame: str = ""
    picture: str = ""


class Seen(NamedTuple):
    """All that is known of a topic. topic: its full name; received_ns: (N,) by the system's clock;
    stamps_ns: (N,) of their headers, empty where there is none; others: further topics of the type
    that somebody publishes, or, of the robot's commands, listens to."""

    topic: str
    publishers: tuple[End, ...] = ()
    subscribers: tuple[End, ...] = ()
    received_ns: np.ndarray = np.zeros(0, np.int64)
    stamps_ns: np.ndarray = np.zeros(0, np.int64)
    newest: Sample | None = None
    others: tuple[str, ...] = ()


class Look(NamedTuple):
    """What was seen within some seconds: by stream and camera, and of the e-stop. nodes: of others
    in the graph; has_clock: whether somebody publishes /clock; urdf: what /robot_description says,
    None where nobody says it."""

    seconds: float
    nodes: tuple[str, ...]
    topics: Mapping[str, Seen]
    e_stop: Seen
    has_clock: bool = False
    urdf: Urdf | None = None


class Finding(NamedTuple):
    """One line of the report. of: stream, camera or part of the contract; what: is looked at."""

    state: State
    of: str
    what: str
    found: str
    remedy: str = ""
