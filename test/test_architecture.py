"""Who may import whom: the table of the design, held by reading every import statement."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("policies", "sim", "calibration")
CORE, LAZY, YES = "core", "lazily", "yes"

# which of our own units each unit may import, besides itself
MAY_IMPORT = {
    CORE: set(),
    "cli": {CORE, "commands"},
    "commands": {CORE, "datasets", "teleop", "policies", "sim", "calibration", "nodes"},
    "datasets": {CORE},
    "teleop": {CORE},
    "page": {CORE},
    "policies": {CORE},
    "sim": {CORE},
    "calibration": {CORE},
    "nodes": {CORE},
}
# single files that may do more than their unit
EXCEPTIONS = {
    "sim/evaluate.py": {"policies"},
    "vdd_ros/commands/completion.py": {"cli"},  # all of which it describes
    "vdd_ros/nodes/sim_node.py": {"sim"},
    "vdd_ros/nodes/demonstrator_node.py": {"sim"},
    "vdd_ros/nodes/calibration_node.py": {"calibration"},
    "vdd_ros/nodes/calibrate_recorded.py": {"calibration"},  # which calibration_node hosts, as are
    "vdd_ros/nodes/calibrate_drift.py": {"calibration"},
    "vdd_ros/nodes/calibrate_poses.py": {"calibration"},
    "vdd_ros/nodes/leader_beside.py": {"calibration", "teleop"},
    # teleop: how a model is read; sim: what the simulated arm touches
    "vdd_ros/nodes/calibrate_choice.py": {"calibration", "teleop", "sim"},
    "vdd_ros/nodes/sim_camera_node.py": {"sim", "calibration", "teleop"},
    "vdd_ros/nodes/teleop_node.py": {"teleop"},
    "vdd_ros/nodes/page_node.py": {"page"},
    "vdd_ros/nodes/camera_watch.py": {"page"},
    "vdd_ros/nodes/teleop_device.py": {"teleop"},  # which teleop_node hosts
}
# heavy libraries, and who may import them when; whoever is not named may not
HEAVY = {
    "torch": ({"torch", "torchvision"}, {"policies": YES, "commands": LAZY}),
    "simulator": ({"robosuite", "mujoco", "mink"}, {"sim": YES, "commands": LAZY, "teleop": LAZY}),
    "web server": ({"aiohttp"}, {"page": YES}),
    "data files": ({"av", "h5py", "pyarrow"}, {"datasets": LAZY}),
    "ROS": (
        {"rclpy", "builtin_interfaces", "launch", "launch_ros", "ament_index_python"},
        {"nodes": YES, "commands": LAZY},
    ),
}
# single files of the core that load a simulator's kinematics where a contract asks for it
KINEMATICS = {"vdd_ros/kinematics.py": {"mujoco", "mink", "qpsolvers"}}
# the core needs nothing else to be imported, and a robot can install all of it
CORE_AT_IMPORT = {"numpy", "yaml", "pydantic"}
CORE_LAZILY = {
    *("scipy", "mcap", "mcap_ros2", "rosbags", "zstandard", "lz4", "PIL", "rosbag2_py"),
    *("onnxruntime", "tensorrt", "tensorrt_rtx", "cuda", "ruckig", "cryptography"),
}


class Import(NamedTuple):
    module: str
    lazy: bool
    line: int


def imports(source: str) -> Iterator[Import]:
    """Every import statement, also inside functions, and import_module with a literal name."""

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                inside = True
            if isinstance(child, ast.Import):
                yield from (Import(name.name, lazy, child.lineno) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = "." * child.level + (child.module or "")
                yield from (Import(f"{base}.{n.name}", lazy, child.lineno) for n in child.names)
            elif isinstance(child, ast.Call) and "import" in ast.unparse(child.func):
                literal = [a.value for a in child.args[:1] if isinstance(a, ast.Constant)]
                yield from (Import(str(name), lazy, child.lineno) for name in literal)
            yield from visit(child, inside)

    return visit(ast.parse(source), lazy=False)


def unit_of(path: str) -> str:
    """The unit of a file, named by its path from the root or by its dotted module name."""
    parts = path.removesuffix(".py").replace("/", ".").split(".")
    if parts[0] == "vdd_ros":
        parts = parts[1:]
    first = parts[0] if parts else CORE
    return first if first in MAY_IMPORT else CORE


def violations(path: str, source: str) -> list[str]:
    """What in the file at `path` (from the root) breaks the table."""
    unit, found = unit_of(path), []
    for module, lazy, line in imports(source):
        library = module.split(".")[0]
        allowed = lazy and library in KINEMATICS.get(path, set())
        fault = own_fault(path, unit, module) or foreign_fault(unit, library, lazy)
        fault = None if allowed else fault
        if fault:
            found.append(f"{path}:{line}: {fault}")
    return found


def own_fault(path: str, unit: str, module: str) -> str | None:
    """What is wrong with importing this module of ours, if it is one of ours."""
    top = module.split(".")[0]
    if top == "":
        return "imports relatively; write vdd_ros...."
    if top in LINKED:
        return f"imports bare {top!r}, another module object than vdd_ros.{top}"
    if top != "vdd_ros":
        return None
    other = unit_of(module)
    allowed = {unit, *MAY_IMPORT[unit], *EXCEPTIONS.get(path, set())}
    return None if other in allowed else f"{unit} may not import {other} ({module})"


def foreign_fault(unit: str, library: str, lazy: bool) -> str | None:
    """What is wrong with importing this library of others here."""
    if library in sys.stdlib_module_names or library in ("vdd_ros", *LINKED, ""):
        return None
    for group, (libraries, users) in HEAVY.items():
        if library in libraries or (group == "ROS" and library.endswith(("_msgs", "_srvs"))):
            when = users.get(unit)
            if when == YES or (when == LAZY and lazy):
                return None
            return f"{unit} may import {group} {'inside functions only' if when else 'never'}"
    if unit != CORE or library in CORE_AT_IMPORT or (lazy and library in CORE_LAZILY):
        return None
    return f"core may import {library} {'inside functions only' if not lazy else 'never'}"


def cycle(graph: dict[str, set[str]]) -> list[str] | None:
    """Modules that import each other in a circle, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def sources() -> dict[str, str]:
    """Path from the root -> text of every file of the package."""
    folders = ("vdd_ros", *LINKED)
    # rglob does not follow the links in vdd_ros/, so that each file is read once
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    own = [
        p for p in paths if p.relative_to(ROOT).parts[:2] not in {("vdd_ros", n) for n in LINKED}
    ]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in own}


def core_modules() -> list[str]:
    """Dotted names of the core's modules."""
    return [
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in sources()
        if unit_of(path) == CORE
    ]


def test_every_import_is_in_the_table():
    found = [fault for path, text in sources().items() for fault in violations(path, text)]
    assert not found, "\n".join(found)


def test_the_core_has_no_import_cycle():
    names = set(core_modules())
    graph = {name: set() for name in names}
    for path, text in sources().items():
        name = path.removesuffix(".py").replace("/", ".")
        for imported in imports(text):
            candidates = {imported.module, imported.module.rpartition(".")[0]} & names
            if name in names:
                graph[name] |= candidates - {"vdd_ros"}
    assert cycle(graph) is None
    assert any(graph.values())


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("vdd_ros/stream.py", "import torch", "core may import torch never"),
        ("vdd_ros/stream.py", "def f():\n    from torch import nn", "never"),
        ("vdd_ros/stream.py", "import scipy.signal", "scipy inside functions only"),
        ("vdd_ros/stream.py", "def f():\n    import pandas", "pandas never"),
        ("vdd_ros/stream.py", "def f():\n    import mujoco", "core may import simulator never"),
        ("vdd_ros/kinematics.py", "import mink", "core may import simulator never"),
        ("vdd_ros/kinematics.py", "def f():\n    import robosuite", "simulator never"),
        ("vdd_ros/stream.py", "from vdd_ros.policies import moe", "core may not import policies"),
        ("vdd_ros/stream.py", "from vdd_ros import commands", "core may not import commands"),
        ("vdd_ros/stream.py", "from . import contract", "relatively"),
        ("vdd_ros/cli.py", "import rclpy", "cli may import ROS never"),
        ("vdd_ros/nodes/recorder_node.py", "import vdd_ros.page.model", "not import page"),
        ("vdd_ros/nodes/page_node.py", "import aiohttp", "nodes may import web server never"),
        ("vdd_ros/page/model.py", "import rclpy", "page may import ROS never"),
        ("vdd_ros/commands/train.py", "import torch", "inside functions only"),
        ("vdd_ros/commands/demo.py", "import rclpy", "inside functions only"),
        ("vdd_ros/teleop/twist.py", "import mink", "inside functions only"),
        ("vdd_ros/nodes/action_node.py", "import torch", "nodes may import torch never"),
        ("vdd_ros/nodes/action_node.py", "from vdd_ros import sim", "nodes may not import sim"),
        ("vdd_ros/nodes/action_node.py", "import vdd_ros.teleop.leader", "not import teleop"),
        ("vdd_ros/nodes/sim_node.py", "import vdd_ros.calibration.gripper", "calibration"),
        ("policies/moe.py", "from vdd_ros.sim import env", "policies may not import sim"),
        ("policies/moe.py", "from std_msgs.msg import Bool", "ROS never"),
        ("policies/moe.py", "import policies.nets", "bare 'policies'"),
        ("policies/moe.py", "from vdd_ros.commands import train", "not import commands"),
        ("sim/env.py", "import torch", "sim may import torch never"),
        ("sim/env.py", "import vdd_ros.policies.moe", "sim may not import policies"),
        ("sim/env.py", "from sim import tasks", "bare 'sim'"),
        ("sim/env.py", "import importlib\nimportlib.import_module('torch')", "torch never"),
        ("calibration/hand_eye.py", "import mujoco", "simulator never"),
        ("calibration/hand_eye.py", "import vdd_ros.nodes", "not import nodes"),
    ],
)
def test_the_checker_refuses(path, source, complaint):
    assert len(faults := violations(path, source)) == 1 and complaint in faults[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("vdd_ros/stream.py", "import numpy as np\nfrom vdd_ros.contract import Contract"),
        ("vdd_ros/inference.py", "def f():\n    import onnxruntime"),
        ("vdd_ros/kinematics.py", "def f():\n    import mink, mujoco, qpsolvers"),
        ("vdd_ros/commands/train.py", "def main():\n    import torch, rclpy, robosuite"),
        ("vdd_ros/nodes/sim_node.py", "import rclpy\nfrom vdd_ros.sim import env"),
        ("policies/moe.py", "import torch\nfrom vdd_ros.contract import Contract"),
        ("sim/evaluate.py", "from vdd_ros.policies import teacher"),
    ],
)
def test_the_checker_allows(path, source):
    assert violations(path, source) == []


def test_the_checker_finds_a_cycle():
    assert set(cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


@pytest.mark.parametrize("name", LINKED)
def test_links_give_the_folders_their_import_names(name):
    link = ROOT / "vdd_ros" / name
    assert link.resolve() == ROOT / name, f"vdd_ros/{name} must be a link to ../{name}"


@pytest.mark.parametrize("name", ["launch", "test"])
def test_folders_that_would_hide_other_packages_have_no_init(name):
    assert (ROOT / name).is_dir()
    assert not (ROOT / name / "__init__.py").exists()


def loaded_by(modules: list[str], watched: list[str]) -> list[str]:
    """Which of the watched modules a fresh interpreter has after importing these."""
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {watched!r} if name in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_core_loads_nothing_heavy():
    modules = core_modules()
    heavy = ["torch", "rclpy", "robosuite", "mujoco", "mink", "scipy", "onnxruntime"]
    assert loaded_by(modules, [*heavy, "numpy"]) == ["numpy"]
    assert "vdd_ros.contract" in modules


@pytest.mark.parametrize(("name", "loaded"), [("", []), ("_tool_pose", ["mujoco", "mink"])])
def test_kinematics_are_loaded_where_a_contract_asks_for_them_and_nowhere_else(name, loaded):
    program = (
        "import sys\n"
        "from vdd_ros.contract import Contract\n"
        "from vdd_ros.action_space import action_space\n"
        f"contract = Contract.from_yaml('config/panda_avoid{name}.yaml')\n"
        "assert 'mujoco' not in sys.modules, 'to read a contract needs no simulator'\n"
        "action_space(contract)\n"
        "print(*[name for name in ('mujoco', 'mink', 'robosuite') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == loaded


def test_the_robots_process_loads_neither_learning_nor_simulator():
    ours = ["vdd_ros.policies", "vdd_ros.sim", "vdd_ros.teleop", "vdd_ros.calibration"]
    libraries = ["torch", "robosuite", "mujoco", "mink"]
    assert loaded_by(["vdd_ros.nodes.action_node"], [*ours, *libraries, "rclpy"]) == ["rclpy"]
