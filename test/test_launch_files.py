"""Launch files, read without ROS's launch: arguments described, programs and parameters real."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from vdd_ros.flight_recorder import AFTERMATH_NS, SILENT_NS

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
# declared by rclpy on every node
OF_EVERY_NODE = {"use_sim_time"}
# arguments of a launch file's own helper around Node that are no parameters
OF_THE_HELPER = {"condition", "needed", "on_exit", "respawn"}


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((item.value for item in call.keywords if item.arg == name), None)


def text(value: ast.expr | None) -> str | None:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def declared(tree: ast.AST) -> dict[str, ast.Call]:
    return {text(call.args[0]) or "": call for call in calls(tree, "DeclareLaunchArgument")}


def used(tree: ast.AST) -> set[str]:
    """Arguments that are looked up, directly or through a helper function of the file."""
    readers = {"LaunchConfiguration"} | {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.args.args
        and any(
            isinstance(c.args[0], ast.Name) and c.args[0].id == node.args.args[0].arg
            for c in calls(node, "LaunchConfiguration")
        )
    }
    names = {text(c.args[0]) for reader in readers for c in calls(tree, reader) if c.args}
    return {name for name in names if name}


def node_parameters(tree: ast.AST) -> dict[str, set[str]]:
    """Executable -> names of the parameters passed to it."""
    passed = {}
    for call in calls(tree, "Node"):
        dictionary = next(
            n for n in ast.walk(keyword(call, "parameters")) if isinstance(n, ast.Dict)
        )
        shared = {text(key) for key in dictionary.keys if key is not None}
        if executable := text(keyword(call, "executable")):
            passed[executable] = shared
            continue
        for use in calls(tree, "node"):  # the file's own helper around Node
            own = {item.arg for item in use.keywords if item.arg not in OF_THE_HELPER}
            passed[text(use.args[0])] = shared | own
    return passed


def node_declares(executable: str) -> set[str]:
    """Fields of the parameter dataclass in vdd_ros/nodes/<executable>.py, or the file beside it."""
    nodes = ROOT / "vdd_ros" / "nodes"
    beside = nodes / f"{executable.removesuffix('_node')}_parameters.py"
    path = beside if beside.exists() else nodes / f"{executable}.py"
    return {
        item.target.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.value, ast.Call)
        and isinstance(item.value.func, ast.Name)
        and item.value.func.id == "parameter"
    }


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_a_node_that_died_is_still_recorded_before_the_others_are_ended():
    """flight_recorder_node waits for a last word and for what follows a stop."""
    text = (ROOT / "launch" / "run_policy.launch.py").read_text()
    (period,) = re.findall(r"TimerAction\(period=([0-9.]+), actions=\[Shutdown", text)
    assert float(period) > (SILENT_NS + AFTERMATH_NS) * 1e-9 + 2.0
    assert text.count("Shutdown(") == 1


def test_a_session_outlives_what_leads_and_does_not_begin_with_what_cannot():
    """launch itself is not at hand: the function that it calls, and that it is told of."""
    tree = parsed(ROOT / "launch" / "record_demos.launch.py")
    (node,) = [one for one in calls(tree, "node") if text(one.args[0]) == "teleop_node"]
    assert keyword(node, "on_exit").id == "after_teleop" and keyword(node, "respawn").value is True
    wanted = [
        one
        for one in tree.body
        if isinstance(one, ast.FunctionDef)
        and one.name == "after_teleop"
        or isinstance(one, ast.Assign)
        and one.targets[0].id == "BAD_INPUT"
    ]
    known = {"Shutdown": lambda reason: "end", "LogInfo": lambda msg: "say"}
    exec(compile(ast.Module(wanted, []), "launch", "exec"), known)  # noqa: S102

    def done(code: int, is_shutdown: bool = False) -> list[str] | None:
        event, context = SimpleNamespace(returncode=code), SimpleNamespace(is_shutdown=is_shutdown)
        return known["after_teleop"](event, context)

    assert done(2) == ["end"]
    assert done(-9) == done(1) == done(0) == ["say"]
    assert done(0, is_shutdown=True) is None


def of_a_robot() -> list[Path]:
    return [path for path in FILES if path.name != "sim.launch.py"]


def require_contract(**configurations: str):
    """What their function of this name gives, where launch itself is not at hand."""
    (function,) = (
        one
        for one in parsed(ROOT / "vdd_ros" / "nodes" / "launch_contract.py").body
        if isinstance(one, ast.FunctionDef) and one.name == "require_contract"
    )
    known = {
        "Path": Path,
        "FindPackageShare": lambda name: f"share/{name}",
        "PathJoinSubstitution": "/".join,
        "SetLaunchConfiguration": lambda name, value: (name, value),
    }
    exec(compile(ast.Module([function], []), "launch", "exec"), known)  # noqa: S102
    return known["require_contract"](SimpleNamespace(launch_configurations=configurations))


def test_a_real_robot_has_the_contract_that_is_named_and_no_other(tmp_path):
    own = tmp_path / "my_robot.yaml"
    with pytest.raises(RuntimeError, match="no contract is named.*add contract:=FILE"):
        require_contract(contract="", sim="false")
    for sim in ("true", "false"):
        for missing in (own, tmp_path):
            with pytest.raises(RuntimeError, match=f"contract:={missing} is no file: name"):
                require_contract(contract=str(missing), sim=sim)
    own.touch()
    assert require_contract(contract=str(own), sim="false") is None
    assert require_contract(contract=str(own), sim="true") is None
    simulated = [("contract", "share/vdd_ros/config/panda_avoid.yaml")]
    assert require_contract(contract="", sim="true") == simulated


@pytest.mark.parametrize("path", of_a_robot(), ids=lambda path: path.name)
def test_a_contract_is_asked_for_before_anything_is_started(path):
    """launch does one after the other what it is given in the list."""
    tree = parsed(path)
    assert text(keyword(declared(tree)["contract"], "default_value")) == ""
    (listed,) = calls(tree, "LaunchDescription")
    kinds = [(one.func.id, ast.unparse(one)) for one in listed.args[0].elts]
    asked = kinds.index(("OpaqueFunction", "OpaqueFunction(function=require_contract)"))
    before = {kind for kind, _ in kinds[:asked]}
    assert before <= {"DeclareLaunchArgument", "OpaqueFunction"}
    assert "DeclareLaunchArgument" not in {kind for kind, _ in kinds[asked:]}


def test_the_promised_launch_files_are_there():
    names = {path.name for path in FILES}
    assert {"record_demos.launch.py", "run_policy.launch.py", "sim.launch.py"} <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_has_a_description_and_is_used(path):
    tree = parsed(path)
    arguments = declared(tree)
    assert arguments
    for name, call in arguments.items():
        assert len(text(keyword(call, "description")) or "") > 10, name
    assert used(tree) <= set(arguments)
    for name in arguments:
        assert path.read_text().count(f'"{name}"') > 1, f"{name} is declared and never used"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_executables_are_installed_and_parameters_are_declared_by_their_node(path):
    scripts = set(
        re.findall(r'"(\w+) = vdd_ros\.nodes\.\w+:main"', (ROOT / "setup.py").read_text())
    )
    passed = node_parameters(parsed(path))
    assert passed
    for executable, parameters in passed.items():
        assert executable in scripts
        unknown = parameters - node_declares(executable) - OF_EVERY_NODE
        assert not unknown, f"{executable} has no parameter {unknown}"


def test_all_that_an_episode_may_say_of_itself_can_be_told_at_launch():
    passed = node_parameters(parsed(ROOT / "launch" / "record_demos.launch.py"))
    assert node_declares("recorder_node") <= passed["recorder_node"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_included_files_exist_and_get_arguments_that_they_declare(path):
    tree = parsed(path)
    for call in calls(tree, "IncludeLaunchDescription"):
        names = [text(n) for n in ast.walk(call) if text(n) and text(n).endswith(".launch.py")]
        assert len(names) == 1
        theirs = declared(parsed(ROOT / "launch" / names[0]))
        given = next(
            n for n in ast.walk(keyword(call, "launch_arguments")) if isinstance(n, ast.Dict)
        )
        assert {text(key) for key in given.keys} <= set(theirs)


def test_launch_is_not_a_package_of_this_project():
    """With an __init__.py it would hide ROS's own `launch` from everything started here."""
    assert not (ROOT / "launch" / "__init__.py").exists()
