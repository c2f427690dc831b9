"""`vdd contract new`: which joints and limits, what is assumed and said, what is asked."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from urdfs import LIMIT, SMALL, joint, real, robot

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.new_contract import usual_name


@pytest.fixture
def urdf(tmp_path) -> Path:
    path = tmp_path / "robot.urdf"
    path.write_text(SMALL)
    return path


def new(urdf: Path, *more: str) -> tuple[int, Path]:
    """Exit code, and the contract that may have been written."""
    out = urdf.parent / "contract.yaml"
    return cli.main(["contract", "new", "--urdf", str(urdf), "--out", str(out), *more]), out


def test_a_real_robots_contract_is_that_of_config(tmp_path, contract):
    out = tmp_path / "panda.yaml"
    urdf = str(real("panda_arm_hand"))
    assert cli.main(["contract", "new", "--urdf", urdf, "--out", str(out)]) == 0
    made = Contract.from_yaml(out)
    assert made.joint_names == contract.joint_names
    for limit in ("lower", "upper", "velocity"):
        assert made.limit(limit).tolist() == contract.limit(limit).tolist()
    # what the maker allows is more than what is assumed where nothing is known
    assert (made.limit("acceleration") <= contract.limit("acceleration")).all()
    assert (made.frames.base, made.frames.tool) == ("panda_link0", "panda_hand")
    assert set(made.streams) == set(contract.streams)
    assert made.action == contract.action and made.observation == contract.observation
    assert cli.main(["contract", "show", str(out)]) == 0


def test_joints_of_the_gripper_are_left_out_and_it_is_said(urdf, capsys):
    code, out = new(urdf)
    printed = capsys.readouterr().out
    made = Contract.from_yaml(out)
    assert code == 0 and made.name == "arm_2"
    assert made.joint_names == ("turn", "roll", "slide")
    assert [one.unit for one in made.joints] == ["rad", "rad", "m"]
    assert "left out: left_finger, as by its name it is of a gripper" in printed
    assert "left out: right_finger, as it mimics left_finger" in printed
    assert f"vdd contract check {out}" in printed


def test_what_is_assumed_is_careful_and_said(urdf):
    _, out = new(urdf)
    text, made = out.read_text(), Contract.from_yaml(out)
    turn, roll, slide = made.joints
    assert (turn.velocity, turn.acceleration) == (1.5, 3.0)
    assert (roll.lower, roll.upper) == (-6.2832, 6.2832)
    assert slide.upper == 0.4 and slide.tracking == 0.05
    assert "continuous in the URDF: one turn either way" in text
    assert "effort 40 N m" in text and "effort 1 N\n" in text
    for key in ("acceleration", "jerk", "tracking", "max_age_s", "rate_hz"):
        assert f"# {key}: " in text, "each that no URDF has is explained"


def test_a_camera_is_there_once_its_lines_are_no_comment(urdf):
    _, out = new(urdf)
    before, begin, after = out.read_text().partition("# cameras:\n")
    lines, blank, rest = (begin + after).partition("\n\n")
    lines = "\n".join(line.removeprefix("# ") for line in lines.splitlines())
    seeing = Contract.from_dict(yaml.safe_load(before + lines + blank + rest))
    assert seeing.cameras["front"].is_compressed is False
    assert seeing.observed_cameras == ("front",)
    assert Contract.from_yaml(out) == seeing.model_copy(update={"cameras": {}, "images": ()})


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ('<limit lower="-1" upper="1" effort="1"/>', "none"),
        ('<limit lower="-1" upper="1" effort="1" velocity="0"/>', "none"),
        ('<limit lower="-1" upper="1" effort="1" velocity="10000"/>', "10000"),
    ],
)
def test_a_velocity_that_is_none_is_replaced_and_said(tmp_path, limit, found):
    path = tmp_path / "robot.urdf"
    path.write_text(robot(joint("j", "revolute", "base", "a", limit)))
    code, out = new(path)
    assert code == 0
    assert Contract.from_yaml(out).joints[0].velocity == 0.5
    assert f"velocity is assumed, the URDF says {found}" in out.read_text()


def test_joints_are_chosen_by_name_or_by_what_they_carry(tmp_path, urdf):
    code, out = new(urdf, "--joints", "slide", "turn")
    assert code == 0 and Contract.from_yaml(out).joint_names == ("slide", "turn")
    baxter, out = real("baxter_arm"), tmp_path / "left.yaml"
    words = ["contract", "new", "--urdf", str(baxter), "--out", str(out), "--tool", "left_gripper"]
    assert cli.main([*words, "--base", "torso"]) == 0
    names = Contract.from_yaml(out).joint_names
    assert names == tuple(f"left_{one}" for one in ("s0", "s1", "e0", "e1", "w0", "w1", "w2"))


def test_several_arms_are_noticed(tmp_path, capsys):
    out = tmp_path / "both.yaml"
    assert cli.main(["contract", "new", "--urdf", str(real("baxter_arm")), "--out", str(out)]) == 0
    assert "name what is meant by --joints" in capsys.readouterr().out
    assert Contract.from_yaml(out).n_joints == 15


def test_options_are_what_the_file_says(urdf):
    words = "--name mine --state-topic /arm/states --state-hz 500 --control-hz 250 --policy-hz 25"
    code, out = new(urdf, *words.split(), "--controller", "joint_trajectory_controller")
    made = Contract.from_yaml(out)
    assert code == 0 and made.name == "mine"
    assert made.streams["joint_state"].topic == "/arm/states"
    assert made.streams["joint_state"].rate_hz == 500.0
    assert (made.rates.control_hz, made.rates.policy_hz) == (250.0, 25.0)
    command = made.streams["robot_command"]
    assert command.topic == "joint_trajectory_controller/joint_trajectory"
    assert (command.type, command.timeline) == ("trajectory_msgs/msg/JointTrajectory", "header")


def test_accelerations_come_from_moveits_file(urdf):
    limits = urdf.parent / "joint_limits.yaml"
    told = {"has_acceleration_limits": True, "max_acceleration": 7.5, "max_velocity": 1.0}
    raw = {"default_velocity_scaling_factor": 0.1, "joint_limits": {"turn": told}}
    limits.write_text(yaml.safe_dump(raw))
    _, out = new(urdf, "--joint-limits", str(limits))
    turn, roll, _ = Contract.from_yaml(out).joints
    # of a velocity only where it has_velocity_limits
    assert (turn.velocity, turn.acceleration) == (
        1.5,
        7.5,
    )
    assert roll.acceleration == 6.0
    raw["joint_limits"] = {
        name: told | {"has_velocity_limits": True, "has_jerk_limits": True, "max_jerk": 99.0}
        for name in ("turn", "roll", "slide")
    }
    limits.write_text(yaml.safe_dump(raw))
    out.unlink()
    new(urdf, "--joint-limits", str(limits))
    made = Contract.from_yaml(out)
    assert made.limit("velocity").tolist() == [1.0, 1.0, 0.2]
    assert made.limit("jerk").tolist() == [99.0] * 3
    assert "no URDF has it. This is that of the file" in out.read_text()


def written(text: str):
    """A test's URDF in place of the small one."""
    return lambda urdf: urdf.write_text(text)


LIMITLESS = robot(joint("j", "revolute", "base", "a", ""))
ASKED_FOR_MORE = {
    "no limit": (written(LIMITLESS), [], ["joint j", "has no <limit", "data sheet", "--joints"]),
    "equal limits": (
        written(robot(joint("j", "revolute", "base", "a", '<limit lower="0" upper="0"/>'))),
        [],
        ["joint j", "0 to 0", "correct them"],
    ),
    "degrees": (
        written(robot(joint("j", "revolute", "base", "a", '<limit lower="-170" upper="170"/>'))),
        [],
        ["joint j", "look like degrees"],
    ),
    "nothing moves": (
        written(robot(joint("j", "fixed", "base", "a", LIMIT))),
        [],
        ["no joint of", "nothing in it moves"],
    ),
    "only a hand": (
        written(robot(joint("finger", "revolute", "base", "a", LIMIT))),
        [],
        ["no joint of", "left out: finger", "--joints"],
    ),
    "xacro": (written("<robot><xacro:if/></robot>"), [], ["this is xacro", "expand it first"]),
    "no such joint": (None, ["--joints", "turm"], ["no joint 'turm'", "turn, roll, slide"]),
    "a joint twice": (None, ["--joints", "turn", "turn"], ["names one twice"]),
    "a mimic joint": (None, ["--joints", "right_finger"], ["mimics left_finger"]),
    "a fixed joint": (None, ["--joints", "flange"], ["it is fixed", "name one that moves"]),
    "no such link": (None, ["--tool", "hand"], ["no such link", "tool0"]),
    "not carried": (None, ["--base", "tool0", "--tool", "a"], ["does not carry"]),
    "no rate": (None, ["--control-hz", "0"], ["--control-hz is 0", "above 0"]),
    "rates that differ": (None, ["--policy-hz", "200"], ["policy_hz is above control_hz"]),
    "no name": (None, ["--name", "My Robot"], ["'My Robot'", "a name is of small letters"]),
    "no limits": (None, ["--joint-limits", "robot.urdf"], ["robot.urdf"]),
}


@pytest.mark.parametrize(
    ("change", "words", "said"), ASKED_FOR_MORE.values(), ids=list(ASKED_FOR_MORE)
)
def test_what_does_not_do_is_one_sentence_exit_code_2_and_no_file(
    urdf, capsys, monkeypatch, change, words, said
):
    monkeypatch.chdir(urdf.parent)
    if change is not None:
        change(urdf)
    code, out = new(urdf, *words)
    printed = capsys.readouterr()
    assert code == 2 and printed.err.count("\n") == 1
    for part in said:
        assert part in printed.err
    assert [path.name for path in out.parent.iterdir()] == ["robot.urdf"]


def test_nothing_is_ever_overwritten(urdf, capsys):
    out = urdf.parent / "contract.yaml"
    out.write_text("mine")
    assert new(urdf)[0] == 2
    assert "is there already and is never overwritten" in capsys.readouterr().err
    assert out.read_text() == "mine"
    out.unlink()
    out.symlink_to("nowhere")
    assert new(urdf)[0] == 2 and not (urdf.parent / "nowhere").exists()


def test_another_folder_has_to_be_there(urdf, capsys):
    words = ["contract", "new", "--urdf", str(urdf), "--out", str(urdf.parent / "x" / "c.yaml")]
    assert cli.main(words) == 2
    assert "make it, or name another" in capsys.readouterr().err


def test_names_that_yaml_would_take_for_something_else_survive(tmp_path):
    names = ("on", "1e3", "a, b", "# x", "ünit")
    links = ("base", *(f"l{number}" for number in range(5)))
    parts = [
        joint(name, "revolute", before, after)
        for name, before, after in zip(names, links, links[1:], strict=False)
    ]
    path = tmp_path / "robot.urdf"
    path.write_text(robot(*parts, links=links))
    code, out = new(path)
    assert code == 0 and Contract.from_yaml(out).joint_names == names


@pytest.mark.parametrize(
    ("robot_name", "name"),
    [("UR5e", "ur5e"), ("7 DoF!", "robot_7_dof"), ("äö", "robot")],
)
def test_a_robots_name_becomes_one_of_a_contract(robot_name, name):
    assert usual_name(robot_name) == name


def in_a_terminal(urdf: Path, answers: str, *options: str) -> tuple[int, str]:
    """Exit code and all that a terminal showed; what is typed waits there until it is asked for."""
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "vdd_ros.cli", "contract", "new", "--urdf", str(urdf)]
    child = subprocess.Popen(
        [*command, "--out", str(urdf.parent / "contract.yaml"), *options],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=Path(__file__).resolve().parents[1],
    )
    os.close(theirs)
    os.write(mine, answers.encode())
    shown = b""
    while True:
        try:
            part = os.read(mine, 4096)
        except OSError:  # the terminal's other end was closed
            break
        if not part:
            break
        shown += part
    os.close(mine)
    return child.wait(), shown.decode()


def test_the_rest_is_asked_in_a_terminal(urdf):
    answers = ["", "", "/arm/joint_states", "250", "joint_trajectory_controller", "", "50", ""]
    typed = "".join(f"{answer}\n" for answer in answers)
    code, shown = in_a_terminal(urdf, typed, "--name", "told")
    assert code == 0, shown
    assert "name of the contract" not in shown, "what was told is not asked"
    assert "the link of the tool [tool0]:" in shown
    made = Contract.from_yaml(urdf.parent / "contract.yaml")
    assert made.name == "told"
    assert made.streams["joint_state"].topic == "/arm/joint_states"
    assert made.streams["joint_state"].rate_hz == 250.0
    assert made.streams["robot_command"].type == "trajectory_msgs/msg/JointTrajectory"
    assert (made.rates.control_hz, made.rates.policy_hz) == (50.0, 10.0)


def test_an_answer_that_is_none_is_told(urdf):
    """And asked again; what was answered before is not lost."""
    answers = ["My Arm", "my_arm", "", "hand", "tool0", "/arm/joint_states"]
    answers += ["fast", "-5", "250", "none", *[""] * 4]
    code, shown = in_a_terminal(urdf, "".join(f"{answer}\n" for answer in answers))
    assert code == 0, shown
    assert "'My Arm': a name is of small letters" in shown
    assert "hand is no link of" in shown and "'fast' is no number; write one" in shown
    assert "--state-hz is -5; choose a rate above 0" in shown
    assert "'none' is not offered: choose forward" in shown
    made = Contract.from_yaml(urdf.parent / "contract.yaml")
    assert made.name == "my_arm"
    assert made.streams["joint_state"].topic == "/arm/joint_states"
    assert made.streams["joint_state"].rate_hz == 250.0
    (urdf.parent / "contract.yaml").unlink()
    code, shown = in_a_terminal(urdf, "\n\n\x04")
    assert code == 2 and "add --no-ask to take the defaults" in shown
    assert not (urdf.parent / "contract.yaml").exists()


def test_a_rate_keeps_its_digits(urdf):
    new(urdf, "--control-hz", "333.3333333333333", "--state-hz", "1000.0001")
    made = Contract.from_yaml(urdf.parent / "contract.yaml")
    assert made.rates.control_hz == 333.3333333333333
    assert made.streams["joint_state"].rate_hz == 1000.0001


def test_the_json_line_names_what_was_left_out(urdf, capsys):
    new(urdf, "--json")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["ok"] is True and told["joints"] == ["turn", "roll", "slide"]
    assert set(told["left_out"]) == {"left_finger", "right_finger"}
    assert (told["base"], told["tool"]) == ("base", "tool0")
