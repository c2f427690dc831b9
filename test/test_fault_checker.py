"""The checker of `vdd bench faults` on recordings that are made up: a good one, and one for each
way in which it can be bad."""

from __future__ import annotations

import ast
import copy
import json
from pathlib import Path

import numpy as np
import pytest

from vdd_ros import cli
from vdd_ros.command_gate import StopReason
from vdd_ros.commands.bench import faults
from vdd_ros.commands.bench.faults import checker, motion, recorded
from vdd_ros.commands.bench.faults.acts import ACTS
from vdd_ros.commands.bench.faults.play import stalled
from vdd_ros.commands.bench.faults.scenarios import SCENARIOS
from vdd_ros.commands.bench.faults.stage import RIGS
from vdd_ros.commands.bench.faults.table import HEADS, cells_of, scenario_page
from vdd_ros.contract import Contract

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = Contract.from_yaml(ROOT / "config" / "panda_faults.yaml").to_dict()
COMMANDS = CONTRACT["streams"]["robot_command"]["topic"]
NAMES = [joint["name"] for joint in CONTRACT["joints"]]
PERIOD_NS = 20_000_000
T0 = 1_000_000_000_000
HOME = np.array([-0.4, 0.3, -0.2, -2.1, 0.1, 2.4, 0.2])
LIMITS = recorded.limits_of(CONTRACT)
RAMP = 20  # periods from rest to the speed limit
EXPECTED = {
    "outcome": "rest", "reasons": ["E_STOP"], "says": "", "detection_s": 0.0, "moving": True,
    "starved": False, "its_share": 1.0,
}  # fmt: skip


def swing(begin: np.ndarray, cruise: int) -> np.ndarray:
    """(N, Da) the first joint: up to its limit, on for `cruise` periods, to rest, and still."""
    up = np.arange(1, RAMP + 1) * LIMITS.change[0]
    moves = [*up, *[LIMITS.move[0]] * cruise, *up[::-1][1:], 0.0, 0.0]
    positions = np.tile(begin, (len(moves), 1))
    positions[:, 0] += np.cumsum(moves)
    return positions


class Recording:
    """Of a run that is e-stopped while it moves, and of a second one that is ended."""

    def __init__(self):
        self.first = swing(HOME, 30)
        self.second = swing(self.first[-1], 10)
        self.again_ns = T0 + len(self.first) * PERIOD_NS + 2_000_000_000
        self.times = [T0 + k * PERIOD_NS for k in range(len(self.first))]
        self.times += [self.again_ns + k * PERIOD_NS for k in range(len(self.second))]
        self.positions = np.concatenate([self.first, self.second])
        # the stop is noticed in the period after the injection
        inject_ns = self.times[RAMP + 30 - 1] - PERIOD_NS // 2
        self.events = [
            ("activate", T0 - PERIOD_NS),
            ("inject", inject_ns),
            ("clear", self.again_ns - 500_000_000),
            ("recover", self.again_ns - 400_000_000),
            ("activate", self.again_ns - PERIOD_NS),
            ("end", self.times[-1] + 1_000_000_000),
        ]
        self.reason, self.detail = "E_STOP", ""
        self.inject_ns = inject_ns
        self.contract = CONTRACT

    def raw(self) -> dict:
        store = recorded.typestore()
        types = store.types
        layout = types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
        commands = [
            types["std_msgs/msg/Float64MultiArray"](layout, np.array(row)) for row in self.positions
        ]
        time = types["builtin_interfaces/msg/Time"](0, 0)
        header = types["std_msgs/msg/Header"](time, "")
        nothing = np.zeros(0)
        readings = {
            T0 - 50_000_000: HOME,
            self.again_ns - 50_000_000: self.first[-1],
        }
        joints = {
            time_ns: types["sensor_msgs/msg/JointState"](header, NAMES, where, nothing, nothing)
            for time_ns, where in readings.items()
        }
        pairs = [
            types["diagnostic_msgs/msg/KeyValue"](key, value)
            for key, value in (("stop_reason", self.reason), ("stop_detail", self.detail))
        ]
        status = types["diagnostic_msgs/msg/DiagnosticStatus"](1, "action_node", "", "", pairs)
        state = types["diagnostic_msgs/msg/DiagnosticArray"](header, [status])
        serialize = store.serialize_cdr
        return {
            "messages": {
                COMMANDS: [
                    (at, bytes(serialize(one, "std_msgs/msg/Float64MultiArray")))
                    for at, one in zip(self.times, commands, strict=True)
                ],
                recorded.PLANT: [
                    (at, bytes(serialize(one, "sensor_msgs/msg/JointState")))
                    for at, one in joints.items()
                ],
                recorded.STATE: [
                    (
                        self.inject_ns + 100_000_000,
                        bytes(serialize(state, "diagnostic_msgs/msg/DiagnosticArray")),
                    )
                ],
            },
            "events": self.events,
        }

    def judge(self, **expected) -> dict:
        return checker.judge(CONTRACT, self.raw(), EXPECTED | expected)


def assert_faulty(row: dict, *complaints: str) -> None:
    assert not row["ok"]
    for complaint in complaints:
        assert any(complaint in fault for fault in row["faults"]), row["faults"]


@pytest.fixture
def recording() -> Recording:
    return Recording()


def test_a_good_recording_passes_and_is_told_in_figures(recording):
    row = recording.judge()
    assert row["ok"] and row["faults"] == [] and row["reason"] == "E_STOP" and row["recovered"]
    assert row["speed_at_injection"] == 1.0
    assert row["rest_periods"] == RAMP and row["rest_ms"] == (RAMP - 0.5) * 20
    assert row["commands"] == len(recording.positions) and row["longest_gap_ms"] == 20.0
    assert row["pauses"] == 0 and row["late"] is False


def test_a_command_that_is_not_finite(recording):
    recording.positions[40, 3] = np.nan
    assert_faulty(recording.judge(), "1 commands are not finite")


def test_a_command_of_another_size(recording):
    rows = [*recording.positions]
    rows[40] = rows[40][:6]
    recording.positions = rows
    assert_faulty(recording.judge(), "1 commands are not finite")


def test_a_command_beyond_a_position_limit(recording):
    recording.positions[:, 1] += LIMITS.upper[1]
    assert_faulty(recording.judge(), "outside the position limits")


@pytest.mark.parametrize("joint", range(7))
def test_a_jump(recording, joint):
    recording.positions[45:, joint] += 0.1
    assert_faulty(recording.judge(), "exceed the speed limit", "exceed the acceleration")


def test_a_step_that_is_too_fast_by_a_thousandth(recording):
    moves = np.diff(recording.first, axis=0)
    moves[RAMP : RAMP + 20, 0] *= 1.001
    recording.positions[1 : len(moves) + 1] = HOME + np.cumsum(moves, axis=0)
    assert_faulty(recording.judge(), "20 commands exceed the speed limit")


def test_an_end_without_a_ramp(recording):
    recording.positions[RAMP + 30 : len(recording.first)] = recording.positions[RAMP + 29]
    assert_faulty(recording.judge(), "exceed the acceleration")


def test_commands_that_end_in_motion(recording):
    lost = slice(RAMP + 35, len(recording.first))
    recording.positions = np.delete(recording.positions, lost, axis=0)
    del recording.times[lost]
    assert_faulty(recording.judge(), "the arm was not brought to rest")


def test_a_stop_that_comes_late(recording):
    recording.events[1] = ("inject", recording.inject_ns - 8 * PERIOD_NS)
    row = recording.judge()
    assert_faulty(row, "at rest after 0.55 s, 0.54 s are allowed")
    assert row["late"]
    assert recording.judge(detection_s=0.1)["ok"]


def test_a_ramp_is_timed_by_the_clock_and_not_by_its_commands(recording):
    """As many commands as ever, at half the control rate."""
    slow = np.arange(len(recording.first)) * PERIOD_NS
    slow[RAMP + 30 :] += np.arange(len(recording.first) - RAMP - 30) * PERIOD_NS
    recording.times[: len(slow)] = (T0 + slow).tolist()
    row = recording.judge()
    assert_faulty(row, "at rest after 0.75 s, 0.54 s are allowed")
    assert row["rest_periods"] == RAMP
    assert recording.judge(its_share=0.5)["ok"], "of a node that gets half of a processor"


def paused(recording: Recording, at: int, periods: float) -> None:
    """Nothing was sent for so many periods before command `at` of the first run."""
    later = np.array(recording.times)
    later[at:] += round((periods - 1) * PERIOD_NS)
    recording.times = later.tolist()
    recording.events[1:] = [
        (name, time_ns + round((periods - 1) * PERIOD_NS)) for name, time_ns in recording.events[1:]
    ]
    recording.inject_ns = recording.events[1][1]


def test_a_full_step_after_a_pause_is_the_jump_that_an_arm_makes_of_it(recording):
    """By its index it goes on as before; the arm has long stood at the last command."""
    paused(recording, 30, 6.0)
    row = recording.judge()
    assert_faulty(row, "1 commands jump after a pause of 120 ms, by 20.00 of a period's accel")
    assert row["pauses"] == 1 and not row["late"]


@pytest.mark.parametrize("periods", [1.4, 2.9, 3.9])
def test_a_command_that_is_only_late_is_no_pause(recording, periods):
    paused(recording, 30, periods)
    row = recording.judge()
    assert row["ok"] and row["pauses"] == 0


@pytest.mark.parametrize("periods", [2.9, 6.0])
def test_after_a_pause_a_run_may_begin_from_rest(recording, periods):
    """In a pause of a few periods an arm may be taken for standing; on time it may not."""
    at, up = 40, swing(HOME, 10)
    begun = up - HOME + recording.first[at - 1]
    left = recording.positions[len(recording.first) :] - recording.first[-1] + begun[-1]
    recording.first = np.concatenate([recording.first[:at], begun])
    recording.positions = np.concatenate([recording.first, left])
    recording.times = [T0 + k * PERIOD_NS for k in range(len(recording.first))]
    recording.again_ns = recording.times[-1] + 2_000_000_000
    recording.times += [recording.again_ns + k * PERIOD_NS for k in range(len(left))]
    recording.inject_ns = recording.times[at + RAMP + 9]
    recording.events = [
        ("activate", T0 - PERIOD_NS),
        ("inject", recording.inject_ns),
        ("clear", recording.again_ns - 500_000_000),
        ("recover", recording.again_ns - 400_000_000),
        ("activate", recording.again_ns - PERIOD_NS),
        ("end", recording.times[-1] + 1_000_000_000),
    ]
    assert_faulty(recording.judge(), "1 commands exceed the acceleration, by 19.00")
    paused(recording, at, periods)
    assert recording.judge()["ok"], recording.judge()["faults"]


def test_an_end_in_motion_is_allowed_to_a_node_that_gets_no_processor_alone(recording):
    """It can send no ramp, and the arm stands at the last command."""
    lost = slice(RAMP + 35, len(recording.first))
    stands = recording.positions[RAMP + 34]
    recording.positions = np.delete(recording.positions, lost, axis=0)
    recording.positions[RAMP + 35 :] += stands - recording.first[-1]
    del recording.times[lost]
    recording.first[-1] = stands
    assert_faulty(recording.judge(), "the arm was not brought to rest")
    assert recording.judge(starved=True)["ok"], recording.judge(starved=True)["faults"]


def test_motion_that_nobody_asked_for_after_the_stop(recording):
    """The second run without a second request."""
    recording.events = [
        (name, time_ns + 2_000_000_000 * (name in ("clear", "recover")))
        for name, time_ns in recording.events
    ]
    assert_faulty(recording.judge(), "0.54 s are allowed", "did not drive again")


def test_commands_that_go_on_at_rest(recording):
    """The last one is repeated until the node is asked again."""
    extra = range(recording.times[len(recording.first) - 1], recording.events[3][1], PERIOD_NS)
    times, rows = [*extra][1:], recording.first[-1]
    at = len(recording.first)
    recording.times[at:at] = times
    recording.positions = np.insert(recording.positions, [at] * len(times), rows, axis=0)
    assert_faulty(recording.judge(), "commands went on after the stop")


def test_a_wrong_reason_and_none(recording):
    recording.reason = "CLOCK_BACK"
    assert_faulty(recording.judge(), "the reason is 'CLOCK_BACK', not E_STOP")
    recording.reason = ""
    assert_faulty(recording.judge(), "the reason is 'not told'")


def test_what_is_told_beside_a_reason(recording):
    assert_faulty(recording.judge(says="a button"), "beside E_STOP is told '', not 'a button'")
    recording.detail = "of a button"
    row = recording.judge(says="a button")
    assert row["ok"] and row["detail"] == "of a button"


def test_an_arm_that_does_not_drive_again(recording):
    count = len(recording.first)
    recording.times, recording.positions = recording.times[:count], recording.first
    assert_faulty(recording.judge(), "it did not drive again on request")


def test_a_new_run_that_begins_elsewhere(recording):
    recording.positions[len(recording.first) :, 0] += 0.02
    assert_faulty(recording.judge(), "a run does not begin where the arm is")


def test_an_arm_that_was_too_slow_when_it_was_injected(recording):
    recording.events[1] = ("inject", recording.times[8])
    row = recording.judge(detection_s=2.0)
    assert_faulty(row, "of its speed limit when it was injected")
    assert recording.judge(detection_s=2.0, moving=False)["ok"]


def test_commands_before_the_node_was_active(recording):
    recording.events = [("activate", recording.times[3]), *recording.events[1:]]
    assert_faulty(recording.judge(), "3 commands came before")


def test_commands_faster_than_the_control_rate(recording):
    times = np.array(recording.times[: len(recording.first)])
    recording.times[: len(times)] = (T0 + (times - T0) // 2).tolist()
    assert_faulty(
        recording.judge(detection_s=1.0, moving=False),
        "periods sooner than the control rate allows for",
    )


def test_a_run_that_was_to_go_on(recording):
    going = {"outcome": "goes on", "reasons": []}
    assert_faulty(recording.judge(**going), "it stopped: E_STOP", "its commands ended")
    recording.events[2] = ("clear", recording.times[len(recording.first) - 1])
    recording.reason = ""
    assert recording.judge(**going)["ok"]


def test_a_run_that_goes_on_standing_still(recording):
    count = len(recording.first)
    last_ns, rest = recording.times[count - 1], recording.first[-1]
    times = [last_ns + k * PERIOD_NS for k in range(1, 50)]
    recording.times[count:count] = times
    recording.positions = np.insert(recording.positions, [count] * len(times), rest, axis=0)
    recording.events[1:3] = [("inject", times[0]), ("clear", times[-1])]
    recording.reason = ""
    going = recording.judge(outcome="goes on", reasons=[], moving=False)
    assert_faulty(going, "the arm stood still")


def test_a_node_that_was_to_be_dead_or_never_to_begin(recording):
    assert_faulty(recording.judge(outcome="silence"), "commands came of a node that is dead")
    assert_faulty(recording.judge(outcome="nothing"), "commands came")


def killed() -> Recording:
    """In motion, and asked for anew once the arm stands."""
    made = Recording()
    lost = slice(RAMP + 30, len(made.first))
    stands = made.positions[RAMP + 29]
    made.positions = np.delete(made.positions, lost, axis=0)
    made.positions[RAMP + 30 :] += stands - made.first[-1]
    del made.times[lost]
    made.first[-1] = stands  # what the arm tells before it is driven again
    before_ns = made.again_ns - 50_000_000
    made.events[1] = ("inject", made.times[RAMP + 29] + 1)
    made.events[3] = ("recover", before_ns + 1)
    return made


def test_of_a_node_that_is_killed_the_arm_stands_at_the_last_command():
    made = killed()
    row = made.judge(outcome="silence")
    assert row["ok"] and row["pauses"] == 0, row["faults"]
    made.first[-1] = made.first[-1] + 0.02
    assert_faulty(made.judge(outcome="silence"), "the arm stands 0.020 beside the last command")
    made.events[3] = ("recover", made.again_ns - 400_000_000)
    assert_faulty(made.judge(outcome="silence"), "nobody knows where the arm stands")


class Trajectories(Recording):
    """The same, each command a trajectory of one point with its velocity."""

    def __init__(self):
        super().__init__()
        self.contract = faults.commanded_by(Contract.from_dict(CONTRACT), "trajectory").to_dict()
        begins = np.array([HOME, self.first[-1]])
        runs = np.split(self.positions, [len(self.first)])
        pairs = zip(runs, begins, strict=True)
        moves = [np.diff(run, axis=0, prepend=begin[None]) for run, begin in pairs]
        self.velocities = np.concatenate(moves) / LIMITS.period_s
        self.names = NAMES

    def raw(self) -> dict:
        raw = super().raw()
        store = recorded.typestore()
        types, topic = store.types, self.contract["streams"]["robot_command"]["topic"]
        time = types["builtin_interfaces/msg/Time"](0, 0)
        due, nothing = types["builtin_interfaces/msg/Duration"](0, PERIOD_NS), np.zeros(0)
        header = types["std_msgs/msg/Header"](time, "")
        point, kind = types["trajectory_msgs/msg/JointTrajectoryPoint"], recorded.TRAJECTORY
        order = [NAMES.index(name) for name in self.names]
        del raw["messages"][COMMANDS]
        raw["messages"][topic] = [
            (
                at,
                bytes(
                    store.serialize_cdr(
                        types[kind](
                            header,
                            list(self.names),
                            [point(where[order], fast[order], nothing, nothing, due)],
                        ),
                        kind,
                    )
                ),
            )
            for at, where, fast in zip(self.times, self.positions, self.velocities, strict=True)
        ]
        return raw

    def judge(self, **expected) -> dict:
        return checker.judge(self.contract, self.raw(), EXPECTED | expected)


def test_trajectories_are_judged_as_positions_are():
    made = Trajectories()
    assert made.judge() == Recording().judge()
    made.names = NAMES[::-1]
    assert made.judge() == Recording().judge(), "by name, in whatever order"
    made.positions[45:, 3] += 0.1
    assert_faulty(made.judge(), "exceed the speed limit", "tell another speed than theirs")


def test_a_trajectory_as_ros_makes_it_is_read():
    """It leaves some bytes free at the end."""
    from vdd_ros.nodes.wire import Encoder

    made = Trajectories()
    contract = Contract.from_dict(made.contract)
    encoder = Encoder(contract.streams["robot_command"], contract)
    data = encoder.encode(HOME, T0, 0.01 * np.arange(7))
    point = recorded.point_of(NAMES, recorded.message_of(data, recorded.TRAJECTORY))
    np.testing.assert_array_equal(point[0], HOME)
    np.testing.assert_allclose(point[1] * LIMITS.period_s, 0.01 * np.arange(7))


def test_a_trajectory_that_tells_another_speed_or_lacks_a_joint():
    made = Trajectories()
    made.velocities[40, 2] += 1e-3
    assert_faulty(made.judge(), "1 commands tell another speed")
    made.names = NAMES[1:]
    assert_faulty(made.judge(), "commands are not finite")


def test_a_run_that_goes_on_beside_one_that_is_refused(recording):
    recording.events[2] = ("clear", recording.times[len(recording.first) - 1])
    going = {"outcome": "goes on", "reasons": ["robot commands"]}
    assert_faulty(recording.judge(**going), "the reason is 'E_STOP', not robot commands")
    recording.reason = "/action_node publishes robot commands: end it"
    assert recording.judge(**going)["ok"]


def test_the_recording_is_not_changed(recording):
    raw = recording.raw()
    before = copy.deepcopy(raw)
    checker.judge(CONTRACT, raw, EXPECTED)
    assert raw == before


def test_the_checker_shares_no_code_with_the_node():
    own = {one.__name__ for one in (checker, motion, recorded)}
    found: set[str | None] = set()
    for one in (checker, motion, recorded):
        tree = ast.parse(Path(one.__file__).read_text())
        found |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        found |= {
            n.name for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names
        }
    assert found - own == {"__future__", "itertools", "typing", "numpy", "rosbags.typesys"}


def test_scenarios_are_many_and_each_reason_of_a_stop_is_among_them():
    assert len(SCENARIOS) >= 40 and len({one.family for one in SCENARIOS}) >= 15
    assert sum(one.moving for one in SCENARIOS) >= 40
    names = [(one.family, one.name) for one in SCENARIOS]
    assert len(set(names)) == len(names)
    expected = {reason for one in SCENARIOS for reason in one.reasons}
    # a source that lets go is the command_gate node's; an unknown exception cannot be injected;
    # what is no rotation is of actions that are poses (test_action_meanings.py); a single thread
    # cannot be hung from outside (inside_action_node.py)
    assert {reason.name for reason in StopReason} - expected == {
        "RELEASED",
        "LOOP_ENDED",
        "NO_ROTATION",
        "EXECUTOR_HUNG",
        "CONTROL_HUNG",
    }


def test_every_act_and_rig_is_one_that_there_is():
    for one in SCENARIOS:
        assert one.rig in RIGS
        assert {name for name, *_ in one.acts} <= set(ACTS)
        assert one.reasons or one.outcome in ("goes on", "silence")


def test_a_run_that_the_machine_stopped_is_told_from_one_that_failed():
    contract = Contract.from_dict(CONTRACT)
    (goes_on,) = faults.selected("joints thrice")
    (starved,) = faults.selected("CPU starvation: stall$")
    row = {"ok": False, "reason": "SOURCE_SILENT", "longest_gap_ms": 250.0, "late": False}
    assert stalled(contract, goes_on, row)
    assert not stalled(contract, goes_on, row | {"ok": True})
    assert not stalled(contract, goes_on, row | {"longest_gap_ms": 60.0})
    assert not stalled(contract, goes_on, row | {"reason": "CLOCK_BACK"})
    assert not stalled(contract, starved, row), "there it is what was injected"
    late = row | {"reason": "E_STOP", "late": True, "longest_gap_ms": 90.0}
    assert stalled(contract, goes_on, late), "a ramp that the machine held up"
    assert not stalled(contract, goes_on, late | {"longest_gap_ms": 70.0})
    assert not stalled(contract, goes_on, late | {"late": False}), "and did more than be late"


def test_a_page_has_a_line_for_each_row(recording):
    told = {"name": "short", "family": "e-stop", "injected": "pressed", "seconds": 5}
    told |= {"retries": [], "stalls": 0, "restarted": False}
    good = told | recording.judge() | {"retries": ["it was late"], "stalls": 2}
    bad = told | recording.judge(reasons=["CLOCK_BACK"])
    page = scenario_page([good, bad]).splitlines()
    assert len(page) == 4 and len(HEADS) == len(cells_of(good))
    assert page[2].endswith("| E_STOP | 390 ms, 20 periods | yes | 1 | 2 | passed |")
    assert "failed: the reason is 'E_STOP', not CLOCK_BACK" in page[3]
    result = faults.result_of([good, bad])
    assert (result["scenarios"], result["passed"], result["ok"]) == (2, 1, False)
    assert (result["played_again"], result["machine_stalls"]) == (1, 2)
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--only", "no such thing"], "no scenario matches"),
        (["--only", "("], "no regular expression"),
        (["--contract", "nowhere.yaml"], "no contract at"),
    ],
)
def test_what_cannot_be_played_is_told(words, complaint, capsys):
    assert cli.main(["bench", "faults", *words]) == 2
    assert complaint in capsys.readouterr().err
