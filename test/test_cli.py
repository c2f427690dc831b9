"""The program `vdd`: help, exit codes, the JSON line; the doctor's findings."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vdd_ros import cli, commands, machine
from vdd_ros.code_version import package_version
from vdd_ros.commands import dataset, doctor
from vdd_ros.commands.config_files import config_file, contract_of
from vdd_ros.environment import draw_off_screen, prepare_environment
from vdd_ros.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def vdd(*arguments: str) -> subprocess.CompletedProcess:
    """Run `vdd` in a process of its own."""
    command = [sys.executable, "-m", "vdd_ros.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def command(monkeypatch) -> ModuleType:
    """A subcommand `trial` that does what a test tells it to."""
    module = ModuleType("vdd_ros.commands.trial", "A trial.")
    module.Args = doctor.Args
    module.main = lambda args: None
    monkeypatch.setitem(sys.modules, "vdd_ros.commands.trial", module)
    monkeypatch.setitem(cli.COMMANDS, "trial", "try something")
    return module


def test_help_lists_every_subcommand():
    done = vdd("--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in cli.COMMANDS)


def test_help_loads_no_library():
    """What keeps `vdd --help` fast, said without a clock."""
    program = (
        "import sys; before = set(sys.modules); from vdd_ros import cli; cli.main(['--help']);"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded - sys.stdlib_module_names == {"vdd_ros"}


def jobs() -> list[str]:
    """Every subcommand, and every tool of those that are a group of tools."""
    groups = {name: importlib.import_module(f"vdd_ros.commands.{name}") for name in cli.COMMANDS}
    return [
        f"{name} {tool}".strip() for name in groups for tool in getattr(groups[name], "TOOLS", [""])
    ]


@pytest.mark.parametrize("job", jobs())
def test_every_subcommand_explains_itself(job, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*job.split(), "--help"])
    printed = capsys.readouterr().out
    assert stop.value.code == 0
    assert f"usage: vdd {job}" in printed and "--json" in printed
    name, _, tool = job.partition(" ")
    module = importlib.import_module(f"vdd_ros.commands.{name}")
    module = cli.tool_of(module, tool) if tool else module
    assert module.__doc__.splitlines()[0][:40] in printed


def test_a_group_of_tools_lists_them(capsys):
    assert cli.main(["dataset"]) == cli.main(["dataset", "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {tool} " in printed for tool in dataset.TOOLS)
    assert cli.main(["dataset", "shwo"]) == 2
    told = "no tool 'shwo' of dataset: did you mean 'show'? `vdd dataset --help` explains them all"
    assert told in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"vdd_ros {package_version()}\n"


def test_sources_that_nobody_installed_have_no_version(tmp_path):
    """As where somebody unpacked them beside a script of their own."""
    (tmp_path / "vdd_ros").mkdir()
    shutil.copy(ROOT / "vdd_ros" / "code_version.py", tmp_path / "vdd_ros")
    program = "from vdd_ros.code_version import package_version; print(package_version())"
    command = [sys.executable, "-S", "-c", program]  # without what is installed
    environment = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "not installed\n"


def test_no_subcommand_is_left_out():
    files = [found.name for found in pkgutil.iter_modules(commands.__path__)]
    with_main = {
        name
        for name in files
        if vars(importlib.import_module(f"vdd_ros.commands.{name}")).keys() & {"Args", "TOOLS"}
    }
    assert with_main == set(cli.COMMANDS)


def test_a_misspelt_subcommand_is_guessed():
    done = vdd("docter")
    assert done.returncode == 2
    assert "did you mean 'doctor'" in done.stderr and "Traceback" not in done.stderr
    assert "there are" in vdd("zzz").stderr


def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path):
    done = vdd("contract", "show", str(tmp_path / "none.yaml"), "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vdd: no contract at ") and done.stderr.count("\n") == 1


def test_a_folder_without_episodes_is_told_by_whoever_learns_from_it(tmp_path, capsys):
    contract, out = str(ROOT / "config" / "panda_avoid.yaml"), str(tmp_path / "out")
    words = ["train", "--episodes", str(tmp_path), "--contract", contract, "--out", out]
    assert cli.main(words) == 2
    assert "record or import some first" in capsys.readouterr().err


def test_a_task_without_a_contract_here_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["record", "--task", "drawer", "--out", "episodes"]) == 2
    told = capsys.readouterr().err
    assert f"the task 'drawer' has no config/panda_drawer.yaml in {tmp_path}" in told
    assert [*tmp_path.iterdir()] == []


def test_an_installed_package_brings_the_contracts_of_its_tasks(tmp_path, monkeypatch):
    """Of two workspaces the one that was sourced last, which hides the other; a folder config/ of
    the caller's own hides both."""
    below, above = tmp_path / "below", tmp_path / "above"
    for prefix in (below, above):
        (prefix / "share" / "vdd_ros" / "config").mkdir(parents=True)
        (prefix / "share" / "vdd_ros" / "config" / "panda_drawer.yaml").touch()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{above}:{below}")
    assert contract_of("drawer", None) == above / "share/vdd_ros/config/panda_drawer.yaml"
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(below))
    assert contract_of("drawer", None) == below / "share/vdd_ros/config/panda_drawer.yaml"
    (here / "config").mkdir()
    (here / "config" / "panda_drawer.yaml").touch()
    assert contract_of("drawer", None) == Path("config/panda_drawer.yaml")
    named = Path("config/panda_shelf.yaml")  # as somebody named it, wherever else there is one
    (below / "share/vdd_ros/config/panda_shelf.yaml").touch()
    assert contract_of("drawer", named) == named
    assert config_file(named) == below / "share/vdd_ros/config/panda_shelf.yaml"
    assert config_file(Path("other/panda_shelf.yaml")) == Path("other/panda_shelf.yaml")


def test_what_is_no_run_cannot_be_exported(tmp_path, capsys):
    assert cli.main(["export", str(tmp_path / "none"), "--out", str(tmp_path / "bundle")]) == 2
    told = capsys.readouterr().err
    assert "none/run.json cannot be read (No such file or directory): name a folder that" in told


def test_a_wrong_argument_is_exit_code_2():
    assert vdd("contract", "burn", "config/panda_avoid.yaml").returncode == 2


def test_contract_show_ends_with_its_hash(contract, contract_path):
    done = vdd("contract", "show", str(contract_path), "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0
    assert result["interface_hash"] == contract.interface_hash
    assert result["joints"] == list(contract.joint_names)
    assert f"interface_hash {contract.interface_hash}" in done.stdout


def test_exit_codes(command, capsys):
    assert cli.main(["trial"]) == 0
    command.main = lambda args: {"ok": False}
    assert cli.main(["trial"]) == 1
    command.main = raising(UserError("7 is too many; at most 6"))
    assert cli.main(["trial"]) == 2
    command.main = raising(KeyboardInterrupt())
    assert cli.main(["trial"]) == 130
    assert capsys.readouterr().err.splitlines()[0] == "vdd: 7 is too many; at most 6"


def raising(error: BaseException):
    """A function that raises `error`."""

    def main(args):
        raise error

    return main


def test_json_is_the_last_line_and_only_on_request(command, capsys):
    result = {"a": np.float32(0.5), "b": np.arange(2), "folder": Path("x")}
    command.main = lambda args: print("for people") or result
    cli.main(["trial", "--json"])
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1]) == {"a": 0.5, "b": [0, 1], "folder": "x"}
    cli.main(["trial"])
    assert capsys.readouterr().out.splitlines() == ["for people"]


def test_a_missing_number_is_never_nan(command):
    command.main = lambda args: {"nll": float("nan")}
    with pytest.raises(ValueError, match="not JSON compliant"):
        cli.main(["trial", "--json"])


def test_doctor_names_what_is_missing_or_out_of_range():
    lines = [
        "numpy<1000",
        "numpy<0.1; extra == 'train'",
        "no-such-package-1b2e>=3; extra == 'train'",
        "ruff; extra == 'test'",
    ]
    assert doctor.package_faults(lines, "core") == ([], 1)
    faults, count = doctor.package_faults(lines, "train")
    assert count == 2
    assert faults[0].startswith("numpy ") and faults[0].endswith(" is not <0.1")
    assert faults[1] == "no-such-package-1b2e is missing"


def test_doctor_is_not_ok_when_something_necessary_is_missing(monkeypatch, capsys):
    checks = [machine.disk_check(1e12), machine.memlock_check(65536), machine.disk_check(1e9)]
    monkeypatch.setattr(doctor, "all_checks", lambda folder: iter(checks[:2]))
    assert doctor.main(doctor.Args())["ok"] is True
    monkeypatch.setattr(doctor, "all_checks", lambda folder: iter(checks))
    result = doctor.main(doctor.Args())
    assert result["ok"] is False
    assert [check["state"] for check in result["checks"]] == ["ok", "optional", "missing"]
    assert f"mend: {checks[2].remedy}" in capsys.readouterr().out


def test_doctor_judges_versions_and_limits():
    assert machine.python_check((3, 9, 18)).state == "missing"
    assert machine.python_check((3, 12, 1)).state == "ok"
    assert machine.memlock_check(-1).found == "unlimited"
    assert machine.memlock_check(-1).remedy == ""


def test_doctor_leaves_the_scheduler_as_it_was():
    before = os.sched_getscheduler(0)
    assert machine.realtime_check().state in ("ok", "optional")
    assert os.sched_getscheduler(0) == before


def test_doctor_passes_a_message_between_two_participants(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    domain = 1 + os.getpid() % 100
    assert doctor.loopback_seconds(domain, deadline_s=30.0) is not None
    assert doctor.loopback_seconds(domain, deadline_s=0.0) is None


def test_programs_need_no_prepared_shell(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/mine")
    prepare_environment()
    assert os.environ["MUJOCO_GL"] == "disable" and os.environ["GOMP_SPINCOUNT"] == "3000"
    assert os.environ["AMENT_PREFIX_PATH"] == "/opt/ros/mine"


@pytest.mark.parametrize(("said", "drawn_by"), [(None, "egl"), ("osmesa", "osmesa")])
def test_who_has_to_draw_does_so_by_what_was_said_or_by_egl(monkeypatch, said, drawn_by):
    monkeypatch.setenv("MUJOCO_GL", said or "")
    if said is None:
        monkeypatch.delenv("MUJOCO_GL")
    prepare_environment()  # as every process does
    draw_off_screen()
    assert os.environ["MUJOCO_GL"] == drawn_by


def test_a_reader_that_leaves_early_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    for words in (["--help"], ["dataset", "--help"]):
        command = [sys.executable, "-m", "vdd_ros.cli", *words]
        done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr) == (141, "")
    os.close(writer)


def test_a_pipe_of_a_commands_own_that_breaks_is_not_taken_for_that(command):
    command.main = raising(BrokenPipeError())
    with pytest.raises(BrokenPipeError):
        cli.main(["trial"])
