"""What is said of a recording before anybody saves it: each finding by a recording made for it."""

from __future__ import annotations

import numpy as np
import pytest

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.errors import UserError
from vdd_ros.verdict import judge

SECONDS, RATES = 4.0, {"joint_state": 200, "robot_command": 100, "policy_command": 100}


def swing(contract: Contract, times_s: np.ndarray) -> np.ndarray:
    """(N, Da) every joint through a fifth of its range, and back."""
    middle = (contract.limit("lower") + contract.limit("upper")) / 2
    return middle + 0.1 * contract.span * np.sin(2 * np.pi * times_s / SECONDS)[:, None]


class Recording:
    """Streams of a clean recording, to be spoilt. times_s: of each stream, when it was stamped."""

    def __init__(self, contract: Contract, seconds: float = SECONDS):
        self.contract, self.seconds = contract, seconds
        self.times_s = {name: np.arange(0, seconds, 1 / rate) for name, rate in RATES.items()}
        self.delay_s = {name: np.full(len(self.times_s[name]), 1e-3) for name in RATES}
        self.position = {name: swing(contract, times) for name, times in self.times_s.items()}

    def reasons(self) -> tuple[str, ...]:
        streams = {
            name: StreamData(
                stamps_ns=_ns(times_s),
                received_ns=_ns(times_s + self.delay_s[name]),
                fields={"position": self.position[name]},
            )
            for name, times_s in self.times_s.items()
        }
        return judge(self.contract, streams, 0, round(self.seconds * 1e9)).reasons


def _ns(times_s: np.ndarray) -> np.ndarray:
    return np.round(times_s * 1e9).astype(np.int64)


@pytest.fixture
def recording(contract) -> Recording:
    return Recording(contract)


def limited(contract: Contract, **limits: float) -> Contract:
    return Contract.from_dict(contract.to_dict() | {"recording": limits})


def test_a_clean_recording_says_nothing(recording):
    assert recording.reasons() == ()


def test_a_recording_can_be_too_short(contract):
    assert Recording(contract, 0.4).reasons()[0].startswith("it is 0.40 s short (at least 0.5)")
    assert not any("short" in one for one in Recording(contract, 0.6).reasons())
    patient = Recording(limited(contract, shortest_s=0.3), 0.4)
    assert not any("short" in one for one in patient.reasons())


def test_an_uneven_stream_is_told(recording):
    times_s = recording.times_s["joint_state"]
    in_bursts_s = np.ceil(times_s / 0.03) * 0.03  # six at a time
    recording.delay_s["joint_state"] = in_bursts_s - times_s
    (reason,) = recording.reasons()
    assert reason.startswith("joint_state came unevenly: one interval in twenty is ")
    assert reason.endswith("(at most 10.0) (WARN)")


def test_streams_that_are_not_as_old_as_each_other_are_told(contract):
    raw = contract.to_dict()
    raw["observation"].append({"name": "told", "stream": "policy_command", "field": "position"})
    recording = Recording(Contract.from_dict(raw))
    assert recording.reasons() == ()
    recording.delay_s["policy_command"][:] = 0.06
    found = [one for one in recording.reasons() if "later after its stamp" in one]
    assert found == [
        "policy_command comes 0.059 s later after its stamp than joint_state (at most 0.05): is "
        "one of them late, or a clock off? (WARN)"
    ]


def test_a_joint_that_does_not_do_as_told_is_named(recording):
    recording.position["joint_state"][:, 2] = recording.position["joint_state"][0, 2]
    assert recording.reasons() == ("panda_joint3: told to move and did not (WARN)",)


def test_a_joint_far_from_its_command_is_named(recording):
    tracking = recording.contract.joints[4].tracking
    half = recording.times_s["joint_state"] > SECONDS / 2
    recording.position["joint_state"][half, 4] += 1.2 * tracking
    assert recording.reasons() == (
        "panda_joint5: further from its command than `tracking` for more than 10% of the time "
        "(WARN)",
    )


def test_a_joint_at_the_end_of_its_range_is_named_unless_it_may_be(contract, recording):
    def at_the_end(one: Recording) -> tuple[str, ...]:
        for name in ("joint_state", "robot_command"):
            late = one.times_s[name] > SECONDS / 2
            one.position[name][late, 1] = one.contract.joints[1].upper
        return one.reasons()

    told = "panda_joint2: at the end of its range for more than 20% of the time (WARN)"
    assert at_the_end(recording) == (told,)
    raw = contract.to_dict()
    del raw["joints"][1]["tracking"]
    assert at_the_end(Recording(Contract.from_dict(raw))) == ()
    assert at_the_end(Recording(limited(contract, saturated=0.6))) == ()


def test_an_arm_that_stands_is_told(recording):
    for position in recording.position.values():
        position[:] = position[0] + 1e-4 * np.arange(len(position))[:, None] / len(position)
    (reason,) = recording.reasons()
    assert reason == "the arm hardly moved: no joint through 0.5% of its range (WARN)"


@pytest.mark.parametrize("limits", [{"jitter": 0.0}, {"saturated": 1.1}, {"unknown": 1.0}])
def test_limits_that_cannot_be_are_refused(contract, limits):
    with pytest.raises(UserError, match=next(iter(limits))):
        limited(contract, **limits)
