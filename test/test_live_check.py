"""What is said of a robot that was seen: each fault with its remedy, nothing of one that fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vdd_ros.contract import Contract
from vdd_ros.live_check import findings
from vdd_ros.live_look import End, Finding, Look, Sample, Seen
from vdd_ros.urdf import Urdf, UrdfJoint

CONFIG = Path(__file__).resolve().parents[1] / "config"
JOINT_STATE, COMMAND = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"
NOW_NS = 1_700_000_000_000_000_000
HOME = np.array([0.0, 0.3, 0.1, -1.5, 0.2, 1.5, -0.1])


@pytest.fixture(scope="module")
def cameras() -> Contract:
    return Contract.from_yaml(CONFIG / "panda_cameras.yaml")


def arrivals(rate_hz: float, seconds: float = 4.0) -> np.ndarray:
    """(N,) times [ns] at that rate."""
    return NOW_NS + (np.arange(round(rate_hz * seconds)) * (1e9 / rate_hz)).astype(np.int64)


def told(rate_hz: float, newest: Sample, kind: str = JOINT_STATE, late_s: float = 0.001) -> Seen:
    """A topic with one publisher, whose stamps are so much older than what arrives."""
    came = arrivals(rate_hz)
    stamps = came - round(late_s * 1e9)
    return Seen("/x", (End("/driver", kind),), (), came, stamps, newest)


def look(contract: Contract, **topics: Seen) -> Look:
    """A robot on which everything fits, but for these topics."""
    state = Sample("", contract.joint_names, HOME)
    fine = {
        "joint_state": told(200.0, state),
        "teleop_command": Seen("/teleop/command"),
        "policy_command": Seen("/policy/command"),
        "robot_command": Seen("/commands", subscribers=(End("/controller", COMMAND),)),
    }
    for name, camera in contract.cameras.items():
        picture = f"{camera.encoding} {camera.width}x{camera.height}"
        fine[name] = told(30.0, Sample(frame=camera.frame, picture=picture), camera.type)
    return Look(4.0, ("/driver",), fine | topics, Seen("/e_stop"))


def wrong(contract: Contract, seen: Look) -> list[Finding]:
    """What is wrong; all of it says what to do."""
    found = list(findings(contract, seen))
    assert all(one.remedy for one in found if one.state == "wrong")
    return [one for one in found if one.state == "wrong"]


def only(contract: Contract, seen: Look) -> Finding:
    """The one thing that is wrong."""
    (one,) = wrong(contract, seen)
    return one


def test_a_robot_that_fits_is_told_nothing_of(contract, cameras):
    for one in (contract, cameras):
        assert wrong(one, look(one)) == []


def test_every_part_of_the_contract_is_looked_at(cameras):
    assert {one.of for one in findings(cameras, look(cameras))} == {*cameras.sources, "e_stop"}


def test_a_topic_that_nobody_publishes_is_guessed(contract):
    seen = Seen("/joint_states", others=("/arm/joint_states",))
    fault = only(contract, look(contract, joint_state=seen))
    assert (fault.of, fault.what) == ("joint_state", "topic")
    assert "/arm/joint_states" in fault.remedy


def test_a_topic_that_nothing_looks_like_is_told_how_to_find(contract):
    fault = only(contract, look(contract, joint_state=Seen("/joint_states")))
    assert fault.found == "nobody publishes /joint_states" and "ros2 topic list -t" in fault.remedy


def test_another_type_is_told_and_nothing_is_expected_of_it(contract):
    seen = Seen("/joint_states", (End("/driver", COMMAND),))
    fault = only(contract, look(contract, joint_state=seen))
    assert fault.what == "type" and f"/driver publishes {COMMAND}" in fault.found


def test_two_publishers_are_one_too_many(contract):
    fine = look(contract).topics["joint_state"]
    both = fine._replace(publishers=(End("/driver", JOINT_STATE), End("/gui", JOINT_STATE)))
    fault = only(contract, look(contract, joint_state=both))
    assert fault.what == "publishers" and "/driver and /gui" in fault.found


def test_what_qos_keeps_apart_is_told_beside_all_else(contract):
    mismatch = "Best effort publisher and reliable subscription"
    names = Sample("", ("other",))
    seen = told(20.0, names)._replace(publishers=(End("/driver", JOINT_STATE, mismatch),))
    faults = wrong(contract, look(contract, joint_state=seen))
    assert [one.what for one in faults] == ["QoS", "rate", "joints"]
    assert mismatch in faults[0].found


@pytest.mark.parametrize(
    ("rate_hz", "fits"),
    [
        (100.0, False),
        (179.0, False),
        (181.0, True),
        (299.0, True),
        (301.0, False),
    ],
)
def test_rates_are_held_against_the_verdict_of_recordings(contract, rate_hz, fits):
    state = Sample("", contract.joint_names, HOME)
    faults = wrong(contract, look(contract, joint_state=told(rate_hz, state)))
    assert (not faults) is fits
    if not fits:
        assert faults[0].what == "rate" and f"rate_hz: {rate_hz:.0f}" in faults[0].remedy


def test_a_rate_is_that_of_the_stamps_however_late_messages_are(contract):
    fine = look(contract).topics["joint_state"]
    in_one_go = fine._replace(received_ns=np.full_like(fine.stamps_ns, fine.stamps_ns[-1] + 10**6))
    assert "rate" not in [
        one.what for one in wrong(contract, look(contract, joint_state=in_one_go))
    ]


def test_silence_is_wrong_but_for_who_is_slow(contract):
    silent = told(200.0, Sample())._replace(
        received_ns=np.zeros(0, np.int64), stamps_ns=np.zeros(0, np.int64), newest=None
    )
    fault = only(contract, look(contract, joint_state=silent))
    assert fault.what == "rate" and "0 messages in 4 s" in fault.found
    raw = contract.to_dict()
    raw["streams"]["joint_state"]["rate_hz"] = 0.5
    slow = Contract.from_dict(raw)
    seen = look(slow, joint_state=silent)
    assert wrong(slow, seen) == []
    assert any("--seconds 30" in one.remedy for one in findings(slow, seen))


STAMPS: dict[str, tuple[Callable[[Seen], Seen], str, str]] = {
    "empty": (
        lambda seen: seen._replace(stamps_ns=seen.stamps_ns * (np.arange(seen.stamps_ns.size) > 3)),
        "empty in some messages",
        "timeline: receive",
    ),
    "all the same": (
        lambda seen: seen._replace(stamps_ns=np.full_like(seen.stamps_ns, NOW_NS)),
        "all the same",
        "its own time",
    ),
    "old": (
        lambda seen: seen._replace(stamps_ns=seen.stamps_ns - 3 * 10**9),
        "3001 ms old on arrival, max_age_s allows 100",
        "chrony",
    ),
    "of the future": (
        lambda seen: seen._replace(stamps_ns=seen.stamps_ns + 10**9),
        "999 ms in the future",
        "chrony",
    ),
}


@pytest.mark.parametrize(("change", "found", "remedy"), STAMPS.values(), ids=list(STAMPS))
def test_stamps_that_mislead_are_told(contract, change, found, remedy):
    seen = change(look(contract).topics["joint_state"])
    fault = only(contract, look(contract, joint_state=seen))
    assert fault.what == "stamps"
    assert found in fault.found and remedy in fault.remedy


def test_simulated_time_is_no_fault_where_there_is_a_clock(contract):
    fine = look(contract).topics["joint_state"]
    simulated = look(contract, joint_state=fine._replace(stamps_ns=fine.stamps_ns - NOW_NS))
    assert only(contract, simulated).what == "stamps"
    assert wrong(contract, simulated._replace(has_clock=True)) == []


def test_joints_are_matched_by_name_and_guessed_where_one_is_missing(contract):
    shuffled = Sample("", (*reversed(contract.joint_names), "finger"), HOME)
    seen = look(contract, joint_state=told(200.0, shuffled))
    assert wrong(contract, seen) == []
    assert any("and 1 more, in another order" in one.found for one in findings(contract, seen))
    names = ("panda_joint_1", *contract.joint_names[1:])
    fault = only(contract, look(contract, joint_state=told(200.0, Sample("lacks it", names))))
    assert fault.found.startswith("panda_joint1 not among panda_joint_1, ")
    assert "panda_joint1 is panda_joint_1" in fault.remedy


def test_what_the_contract_cannot_read_is_told_in_its_words(contract):
    broken = Sample("position has 6 values, expected 7", contract.joint_names)
    fault = only(contract, look(contract, joint_state=told(200.0, broken)))
    assert fault.what == "joints" and fault.found == broken.fault


@pytest.mark.parametrize("value", [np.nan, 100.0, -9.0])
def test_positions_far_outside_the_limits_are_told(contract, value):
    position = HOME.copy()
    position[2] = value
    fault = only(
        contract,
        look(contract, joint_state=told(200.0, Sample("", contract.joint_names, position))),
    )
    assert fault.what == "limits" and "panda_joint3 is at" in fault.found
    assert "panda_joint2" not in fault.found


def test_a_velocity_that_is_observed_has_to_be_told(contract):
    raw = contract.to_dict()
    raw["observation"].append({"name": "v", "stream": "joint_state", "field": "velocity"})
    moving = Contract.from_dict(raw)
    assert only(moving, look(moving)).what == "velocity"
    state = Sample("", moving.joint_names, HOME, has_velocity=True)
    assert wrong(moving, look(moving, joint_state=told(200.0, state))) == []


def test_who_drives_now_and_then_is_heard_while_it_does(contract):
    """A leader: silence is none of its faults, what it says is held against the contract."""
    leader = (End("/leader", JOINT_STATE),)
    seen = look(contract, teleop_command=Seen("/teleop/command", leader))
    assert wrong(contract, seen) == []
    notes = [one for one in findings(contract, seen) if one.of == "teleop_command"]
    assert notes[-1].found == "none while it was looked at: nobody drives"
    names = Sample("", ("other",))
    fault = only(contract, look(contract, teleop_command=told(100.0, names)))
    assert (fault.of, fault.what) == ("teleop_command", "joints")


def test_a_reliable_stream_that_hears_nobody_may_be_made_best_effort(contract):
    raw = contract.to_dict()
    raw["streams"]["joint_state"]["reliability"] = "reliable"
    reliable = Contract.from_dict(raw)
    fine = look(reliable).topics["joint_state"]
    unheard = fine._replace(publishers=(End("/driver", JOINT_STATE, "Best effort publisher"),))
    assert "reliability: best_effort" in only(reliable, look(reliable, joint_state=unheard)).remedy


OBJECTS = "geometry_msgs/msg/PoseArray"


@pytest.mark.parametrize(
    ("sample", "faults"),
    [
        (Sample(frame="panda_link0"), []),
        (Sample(frame="camera"), ["frame"]),
        (Sample("2 poses, expected 1", frame="panda_link0"), ["objects"]),
    ],
)
def test_objects_are_compared(sample, faults):
    pushing = Contract.from_yaml(CONFIG / "panda_push.yaml")
    assert pushing.frames.base == "panda_link0"
    seen = look(pushing, objects=told(pushing.streams["objects"].rate_hz, sample, OBJECTS))
    found = wrong(pushing, seen)
    assert [one.what for one in found] == faults
    assert not sample.fault or found[0].found == sample.fault


def test_a_button_that_is_there_is_told(contract):
    button = Seen("/e_stop", (End("/button", "std_msgs/msg/Bool"),))
    (told_of,) = (
        one for one in findings(contract, look(contract)._replace(e_stop=button))
        if one.of == "e_stop"
    )  # fmt: skip
    assert told_of.state == "fits" and told_of.found == "/e_stop of /button"


def test_pictures_and_frames_are_compared(cameras):
    front = cameras.cameras["front"]
    seen = told(30.0, Sample(frame="camera", picture="bgr8 1280x720"), front.type)
    faults = wrong(cameras, look(cameras, front=seen))
    assert [one.what for one in faults] == ["pictures", "frame"]
    assert "bgr8 1280x720, rgb8 640x480 are declared" in faults[0].found


COMMANDS = {
    "nobody listens": (
        Seen("/commands", others=("/arm/commands",)),
        "topic",
        "nobody listens to /commands",
        "/arm/commands is listened to",
    ),
    "another type": (
        Seen("/commands", subscribers=(End("/controller", "trajectory_msgs/msg/JointTrajectory"),)),
        "type",
        "/controller listens for trajectory",
        "correct type or topic",
    ),
    "QoS": (
        Seen("/commands", subscribers=(End("/controller", COMMAND, "Volatile publisher"),)),
        "QoS",
        "/controller: Volatile publisher",
        "durability",
    ),
    "a stranger": (
        Seen("/commands", (End("/gui", COMMAND),), (End("/controller", COMMAND),)),
        "publishers",
        "/gui publishes commands",
        "end it",
    ),
    "two gates": (
        Seen(
            "/commands",
            (End("/command_gate", COMMAND), End("/action_node", COMMAND)),
            (End("/controller", COMMAND),),
        ),
        "publishers",
        "/action_node, /command_gate",
        "the one publisher",
    ),
}


@pytest.mark.parametrize(("seen", "what", "found", "remedy"), COMMANDS.values(), ids=list(COMMANDS))
def test_commands_have_one_speaker_and_a_listener(contract, seen, what, found, remedy):
    fault = only(contract, look(contract, robot_command=seen))
    assert (fault.of, fault.what) == ("robot_command", what)
    assert found in fault.found and remedy in fault.remedy


def test_a_gate_of_ours_may_run(contract):
    fine = look(contract).topics["robot_command"]
    gate = fine._replace(publishers=(End("/left/command_gate", COMMAND),))
    assert wrong(contract, look(contract, robot_command=gate)) == []


def test_an_e_stop_of_another_type_is_told(contract):
    seen = look(contract)._replace(e_stop=Seen("/e_stop", (End("/button", "std_msgs/msg/Empty"),)))
    fault = only(contract, seen)
    assert (fault.of, fault.what) == ("e_stop", "type") and "std_msgs/msg/Bool" in fault.remedy


def described(contract: Contract, **limits: float) -> Urdf:
    """The contract's robot as a URDF, with other limits for its first joint."""
    joints = [
        UrdfJoint(one.name, "revolute", "l", "m", one.lower, one.upper, one.velocity, 1.0)
        for one in contract.joints
    ]
    joints[0] = joints[0]._replace(**limits)
    return Urdf("panda", tuple(joints), (contract.frames.base, contract.frames.tool))


def test_a_description_that_agrees_is_told_nothing_of(contract):
    assert wrong(contract, look(contract)._replace(urdf=described(contract))) == []


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"upper": 1.0}, "upper 2.8973 is above 1"),
        ({"lower": -1.0}, "lower -2.8973 is below -1"),
        ({"velocity": 1.0}, "velocity 2.175 is above 1"),
    ],
)
def test_limits_wider_than_the_robots_own_are_told(contract, limits, found):
    fault = only(contract, look(contract)._replace(urdf=described(contract, **limits)))
    assert fault.what == "limits" and f"panda_joint1: {found}" in fault.found


def test_frames_and_joints_of_another_robot_are_told(contract):
    other = Urdf("ur", (UrdfJoint("elbow", "revolute", "a", "b"),), ("base_link", "tool0"))
    faults = wrong(contract, look(contract)._replace(urdf=other))
    assert [one.what for one in faults] == ["frames.base", "frames.tool", *["joints"] * 7]
    assert "base_link" in faults[0].remedy and "elbow" in faults[2].remedy
