"""What a scenario is, and what its times and reasons are taken from.

Times that a stop may take to be noticed are what docs/safety.md and the contract state: the age
that a stream may have, the half second of an arm that does not follow, the deadlines that may be
missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Act = tuple[Any, ...]
Outcome = Literal["rest", "goes on", "either", "silence", "nothing"]
JOINTS, OBJECTS, ROBOT, CLOCK = "joint_state", "objects", "robot_command", "clock"
# What the contract states [s], and one message more.
JOINTS_AGE, OBJECTS_AGE, LEADER_AGE = 0.2 + 0.01, 0.4 + 0.04, 0.2 + 0.02
STANDING = 0.5 + 0.02  # /clock may stand so long, and a tick
# A joint leaves its tracking band at its speed limit; where it has to turn round first, it goes on
# until the arm has come to stand, a tenth of a second, and for the policy period in which its last
# two observations still differ, and has to come back.
ASTRAY = 0.5 + 0.3 / 0.8 + 2 * 0.4 + 2 * (0.1 + 0.1)
PLANNED = 0.7  # a plan's own length
# The longest way home, from the far end of the swing, and there for a while.
HOMEWARD = 2.5
LED = 0.6  # so long a leader leads before it does something wrong
STALE = ("OBSERVATION_STALE", "JOINTS_STALE")
BROKEN = ("OBSERVATION_BROKEN", "JOINTS_STALE")
UNREADABLE = ("MESSAGE_BROKEN", "JOINTS_STALE")
STALLED = (*STALE, "SOURCE_SILENT", "DEADLINES_MISSED")
MISSING = ("JOINT_MISSING", "JOINTS_STALE")
ONE, SEVEN = "panda_joint1", "panda_joint7"


@dataclass(frozen=True)
class Scenario:
    """What is done and what has to come of it.

    told: what is injected, for people; rig: which action_node; moving: whether the arm swings
    before; outcome: rest (a stop), goes on, either of them, silence (of a killed node) or nothing
    (it never begins); reasons: one of which is told, of a run that goes on why another did not
    begin; says: words of what is told beside the reason; detection_s: until the node has to notice;
    lasts_s: for how long a run that goes on is looked at; starved: the node is kept from its
    processor; its_share: of the processor that it gets while it brakes, which takes as much longer;
    commands: how the robot is commanded; may_restart: it may take another node to drive again,
    which its row tells; sees: the policy has cameras.
    """

    name: str
    family: str
    told: str
    acts: tuple[Act, ...]
    outcome: Outcome = "rest"
    reasons: tuple[str, ...] = ()
    says: str = ""
    detection_s: float = 0.0
    moving: bool = True
    rig: str = "drive"
    lasts_s: float = 1.0
    starved: bool = False
    its_share: float = 1.0
    commands: Literal["positions", "trajectory"] = "positions"
    may_restart: bool = False
    sees: bool = False
