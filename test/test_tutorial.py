"""docs/tutorials/your_robot.md, followed: what needs no robot is run as it stands there.

Trainings, rollouts and measurements are made small by options that are added at the end, and
by a line in the contract.
"""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from docs_commands import commands_of, subcommand
from pages import ROOT
from small_runs import POOL, STUDENT, TRAINING

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

pytestmark = pytest.mark.slow
PAGE = ROOT / "docs" / "tutorials" / "your_robot.md"
PANDA = ROOT / "config" / "panda_avoid.yaml"
COMMANDS = [command for command in commands_of(PAGE) if not command.in_hardware]
LITTLE = ["--teacher.width", 64, "--teacher.blocks", 1, "--teacher.rank", 5, "--teacher.horizon", 4]
QUICK = ["--training.batch-size", 16, *TRAINING]
SMALLER = {
    "record": ["--episodes", 4],
    "train": [*LITTLE, *QUICK],
    "distill": [*STUDENT, *POOL, *QUICK],
    "fidelity": ["--judge.observations", 8, "--judge.samples", 8, "--judge.reference", 32],
    "verify": ["--calls", 20, "--ticks", 20],
    "evaluate": ["--episodes", 1, "--processes", 1],
}
JOINT = """
  <link name="link_{n}"/>
  <joint name="{name}" type="revolute">
    <parent link="{parent}"/><child link="link_{n}"/><axis xyz="0 0 1"/>
    <limit lower="{lower}" upper="{upper}" velocity="{velocity}" effort="87"/>
  </joint>"""


def urdf_of(contract: Contract) -> str:
    """Of an arm with these joints."""
    joints = "".join(
        JOINT.format(n=n, parent=f"link_{n - 1}" if n else "base", **joint.model_dump())
        for n, joint in enumerate(contract.joints)
    )
    return f'<robot name="my_robot"><link name="base"/>{joints}</robot>'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where somebody follows the page."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "my_robot.urdf").write_text(urdf_of(Contract.from_yaml(PANDA)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_that_needs_no_robot_does_what_the_page_says(folder, capsys):
    done = []
    for command in COMMANDS:
        words = command.words
        if words[0] == "mv":
            begun = Contract.from_yaml(words[1])
            shutil.move(*words[1:])
            continue
        if words[0] == "cp":
            shutil.copy(*words[1:])
            assert begun.joint_names == Contract.from_yaml(words[2]).joint_names
            with (folder / words[2]).open("a") as file:
                file.write("\nparity: {windows: 50}\n")
            continue
        name = subcommand(command)
        assert name is not None, command.text
        given = [*words[1:], *map(str, SMALLER.get(name, []))]
        assert cli.main(given) == 0, f"{command.text}\n{capsys.readouterr().err}"
        done.append(name)
    assert done == [
        "contract new", "contract show", "record", "dataset check", "dataset show", "train",
        "distill", "fidelity", "dataset show", "export", "verify", "evaluate", "evaluate",
    ]  # fmt: skip
    assert (folder / "episode.html").stat().st_size > 10_000
    assert (folder / "held_out.html").stat().st_size > 10_000
    certificate = json.loads((folder / "bundle" / "certificate.json").read_text())
    assert certificate["fidelity"] is not None


def test_what_it_has_people_write_into_the_contract_is_taken(folder):
    block = PAGE.read_text().split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(block) == {"latency": "calibration/my_robot"}
    path = folder / "late.yaml"
    path.write_text(PANDA.read_text() + "\n" + block)
    with pytest.raises(UserError, match="calibration/my_robot"):  # there is none yet
        Contract.from_yaml(path)
