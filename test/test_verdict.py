"""What is said of a recording before anybody saves it: each finding by a recording made for it."""

from __future__ import annotations

import numpy as np
import pytest

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.errors import UserError
from vdd_ros.verdict import judge

SECONDS = 4.0
RATES = {"joint_state": 200, "robot_command": 100, "policy_command": 100, "teleop_command": 100}


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

    def without(self, name: str) -> Recording:
        """Nothing came on a stream."""
        del self.times_s[name]
        return self

    def reasons(self, imported: bool = False) -> tuple[str, ...]:
        streams = {
            name: StreamData(
                stamps_ns=_ns(times_s),
                received_ns=_ns(times_s + self.delay_s[name]),
                fields={"position": self.position[name]},
            )
            for name, times_s in self.times_s.items()
        }
        ended_ns = round(self.seconds * 1e9)
        return judge(self.contract, streams, 0, ended_ns, imported=imported).reasons


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
    assert reason.startswith("joint_state came unevenly: one interval in 20 is ")
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
    recording.without("teleop_command")
    recording.position["joint_state"][:, 2] = recording.position["joint_state"][0, 2]
    assert recording.reasons() == ("panda_joint3: told to move and did not (WARN)",)


def test_a_joint_far_from_its_command_is_named(recording):
    recording.without("teleop_command")
    tracking = recording.contract.joints[4].tracking
    half = recording.times_s["joint_state"] > SECONDS / 2
    recording.position["joint_state"][half, 4] += 1.2 * tracking
    assert recording.reasons() == (
        "panda_joint5: further from its command than `tracking` for more than 10% of the time "
        "(WARN)",
    )


def test_a_joint_at_the_end_of_its_range_is_named_unless_it_may_be(contract, recording):
    def at_the_end(one: Recording) -> tuple[str, ...]:
        for name in ("joint_state", "robot_command", "teleop_command"):
            late = one.times_s[name] > SECONDS / 2
            one.position[name][late, 1] = one.contract.joints[1].upper
        return one.reasons()

    told = "panda_joint2: at the end of its range for more than 20% of the time (WARN)"
    assert at_the_end(recording) == (told,)
    raw = contract.to_dict()
    del raw["joints"][1]["tracking"]
    assert at_the_end(Recording(Contract.from_dict(raw))) == ()
    assert at_the_end(Recording(limited(contract, saturated=0.6))) == ()


def beyond_upper(recording: Recording, joint: int, share: float, times: float) -> Recording:
    """A joint of which that share of the messages lies beyond its end by `times` its range."""
    for name in ("joint_state", "robot_command"):
        late = recording.times_s[name] > SECONDS * (1 - share)
        one = recording.contract.joints[joint]
        recording.position[name][late, joint] = one.upper + times * (one.upper - one.lower)
    return recording


def test_a_joint_that_is_often_beyond_its_limits_is_named(contract, recording):
    told = [one for one in beyond_upper(recording, 1, 1.0, 0.09).reasons() if "limits" in one]
    assert told == [
        f"{name} is beyond the position limits at panda_joint2 in 100% of its messages (at most "
        "5%) (WARN)"
        for name in ("joint_state", "robot_command")
    ]
    assert not any(
        "limits" in one for one in beyond_upper(Recording(contract), 1, 0.04, 0.09).reasons()
    )
    lenient = Recording(limited(contract, motion={"beyond": 0.2}))
    assert not any("limits" in one for one in beyond_upper(lenient, 1, 0.15, 0.09).reasons())
    raw = contract.to_dict()
    del raw["joints"][1]["tracking"]
    gripper = Recording(Contract.from_dict(raw))
    assert not any("limits" in one for one in beyond_upper(gripper, 1, 1.0, 0.09).reasons())
    far = Recording(limited(contract, motion={"wrong_unit": 0.05}))
    assert any("is the unit right?" in one for one in beyond_upper(far, 1, 0.04, 0.09).reasons())


def test_an_arm_that_is_away_from_its_leader_is_told(contract, recording):
    recording.without("policy_command")  # beside which it would not have been followed
    tracking = contract.joints[4].tracking
    recording.position["teleop_command"][:, 4] += 0.9 * tracking
    assert recording.reasons() == ()
    recording.position["teleop_command"][:, 4] += 0.2 * tracking
    assert recording.reasons() == (
        "panda_joint5: further from its leader than `tracking` for more than 10% of the time "
        "(WARN)",
    )
    recording.contract = limited(contract, motion={"led_astray": 1.0})
    assert recording.reasons() == ()


def test_an_arm_that_follows_late_is_not_away_from_its_leader(contract):
    """A quarter of a second behind a leader that moves fast; beside it, no lag explains that."""
    recording = Recording(contract)
    times_s, ahead_s = recording.times_s["teleop_command"], 0.25
    for name in RATES:
        recording.position[name][:, 0] = 1.2 * np.sin(1.5 * recording.times_s[name])
    recording.position["teleop_command"][:, 0] = 1.2 * np.sin(1.5 * (times_s + ahead_s))
    apart = 2 * 1.2 * np.sin(1.5 * ahead_s / 2)
    assert apart > contract.joints[0].tracking
    recording.without("policy_command")
    assert recording.reasons() == ()
    recording.position["teleop_command"][:, 0] += 0.35
    (reason,) = recording.reasons()
    assert reason.startswith("panda_joint1: further from its leader")


def test_a_recording_that_nobody_led_is_told_unless_imported_or_of_a_policy(contract, recording):
    del contract
    recording.without("policy_command").without("teleop_command")
    told = "nobody led the arm: teleop_command has no complete message (teleop/command) (WARN)"
    assert recording.reasons() == (told,)
    assert recording.reasons(imported=True) == ()
    assert Recording(recording.contract).without("teleop_command").reasons() == ()


def test_of_a_policy_s_episode_only_what_a_person_drove_is_judged(contract):
    def of_policy(share_driven: float) -> Recording:
        recording = Recording(contract)
        driven = recording.times_s["teleop_command"] < SECONDS * share_driven
        recording.times_s["teleop_command"] = recording.times_s["teleop_command"][driven]
        recording.delay_s["teleop_command"] = recording.delay_s["teleop_command"][driven]
        recording.position["teleop_command"] = recording.position["teleop_command"][driven]
        return recording

    short = of_policy(0.25)
    assert short.reasons() == ()
    short.position["teleop_command"][:, 4] += 0.8
    short.position["policy_command"][:, 3] += 0.8  # nor do commands go the policy's way
    (reason,) = short.reasons()
    assert reason.startswith("panda_joint5: further from its leader")


def test_a_contract_without_a_leader_s_stream_expects_none(contract):
    raw = contract.to_dict()
    del raw["streams"]["teleop_command"]
    recording = Recording(Contract.from_dict(raw)).without("teleop_command")
    assert recording.without("policy_command").reasons() == ()


def test_what_may_be_odd_is_the_contract_s_to_say(contract):
    recording = Recording(contract)
    recording.delay_s["joint_state"][::10] += 0.02
    assert any("came unevenly" in one for one in recording.reasons())
    recording.contract = limited(contract, timing={"few": 0.3})
    assert not any("came unevenly" in one for one in recording.reasons())


def test_a_contract_that_sets_none_of_them_is_hashed_as_before(contract):
    """What was found for a robot (`vdd evaluate`) is known by this hash."""
    told = contract.to_dict()["recording"]
    assert not {"motion", "timing", "images"} & set(told)


def test_an_arm_that_stands_is_told(recording):
    for position in recording.position.values():
        position[:] = position[0] + 1e-4 * np.arange(len(position))[:, None] / len(position)
    (reason,) = recording.reasons()
    assert reason == "the arm hardly moved: no joint through 0.5% of its range (WARN)"


@pytest.mark.parametrize("limits", [{"jitter": 0.0}, {"saturated": 1.1}, {"unknown": 1.0}])
def test_limits_that_cannot_be_are_refused(contract, limits):
    with pytest.raises(UserError, match=next(iter(limits))):
        limited(contract, **limits)
