"""nodes.md: parameters, topics and services of every node, asked of the nodes themselves.

    python docs/reference/node_page.py        # prints the page

Each node is made once, with little more than a contract, in a ROS domain of its own, and asked
what it opened. `action_node` is configured with a bundle of an untrained student.
"""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from writing import ROOT, code, made_by, table

from vdd_ros.contract import Contract
from vdd_ros.processes import as_yaml, free_domain, isolated

CONFIG = ROOT / "config"
BOARD = "{columns: 7, rows: 5, square_m: .03, marker_m: .022, dictionary: DICT_5X5_100}"
CONTRACT, CAMERAS = CONFIG / "panda_avoid.yaml", CONFIG / "panda_cameras.yaml"
# opened by rclpy for every node, and for every lifecycle node
EVERYBODYS = (
    "/parameter_events", "/rosout", "/describe_parameters", "/get_parameter_types",
    "/get_parameters", "/list_parameters", "/set_parameters", "/set_parameters_atomically",
    "/get_type_description", "/transition_event", "/change_state", "/get_state",
    "/get_available_states", "/get_available_transitions", "/get_transition_graph",
)  # fmt: skip
INTRO = """
Topics and services are those of `config/panda_avoid.yaml`, of `sim_camera_node` those of
`config/panda_cameras.yaml`, with nodes in no namespace; a contract renames them. Who speaks to
whom: [architecture](../architecture.md#processes-and-topics).

- Every parameter is read once, when the node starts, and is read-only afterwards.
- Quality of service: reliability, then depth; *latched* is transient local. A topic that is listed
  with several is heard from publishers of any of them.
- Besides what is listed every node has ROS's own parameter services, and `action_node` those of a
  lifecycle node.
- `recorder_node` subscribes to the contract's cameras in a process of its own.
"""


def page() -> str:
    """The page, made in a process of its own."""
    made = subprocess.run(
        [sys.executable, __file__],
        env=isolated(free_domain()) | {"MUJOCO_GL": "disable", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise RuntimeError(made.stderr)
    return made.stdout[made.stdout.index("# ") :]


def told(folder: Path) -> dict[str, dict[str, str]]:
    """What each node is told: by its module, parameters."""
    from bundles import student_bundle  # both of test/
    from recordings import record

    bundle, episode = folder / "bundle", folder / "episodes" / record(folder / "episodes")
    student_bundle(bundle, Contract.from_yaml(CONTRACT))
    board, kinematics = folder / "board.yaml", CONFIG / "kinematics" / "panda_tools.yaml"
    board.write_text(BOARD)
    contract, recorded = {"contract": CONTRACT}, {"directory": folder / "recorded"}
    camera = {"contract": CAMERAS, "camera": "front", "board": board, "kinematics": kinematics}
    leader = CONFIG / "teleop" / "leader_panda.yaml"
    return {
        "action_node": contract | {"bundle": bundle},
        "command_gate": contract,
        "recorder_node": contract | recorded,
        "operator_node": {"buttons": "s:0"},
        "page_node": contract | recorded | {"port": 0},
        "teleop_node": contract | {"device": leader},
        "flight_recorder_node": contract | recorded,
        "calibration_node": contract | {"calibration": folder / "calibration"},
        "replay_node": contract | {"episode": episode},
        "clock_node": {},
        "sim_node": contract,
        "sim_camera_node": camera,
        "demonstrator_node": contract,
        "trial_node": contract | {"out": folder / "trial.json"},
    }


def sections(folder: Path) -> Iterator[str]:
    """One section for each node, in the order of `told`."""
    import rclpy

    every = told(folder)
    words = [
        f"{node}:{key}:={value}" for node, given in every.items() for key, value in given.items()
    ]
    rclpy.init(args=["--ros-args", *(part for word in words for part in ("-p", word))])
    for name in every:
        module = importlib.import_module(f"vdd_ros.nodes.{name}")
        yield f"\n## {name}\n\n{about(module)}\n\n"
        with opened(module) as (node, heard):
            yield section(node, heard, settings_of(module))
    rclpy.shutdown()


@contextmanager
def opened(module: ModuleType) -> Iterator:
    """The node of a module, configured where it has a life cycle, and its subscriptions."""
    from rclpy.lifecycle import LifecycleNode
    from rclpy.node import Node

    (kind,) = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Node) and one.__module__ == module.__name__
    ]
    heard, subscribe = [], kind.create_subscription

    def noted(*given, **named):
        heard.append(subscribe(*given, **named))
        return heard[-1]

    # a node's own list lacks those that it waits for by itself
    kind.create_subscription = noted
    node = kind()
    try:
        if isinstance(node, LifecycleNode):
            node.trigger_configure()
            assert node.fault is None, node.fault
        yield node, heard
    finally:
        node.destroy_node()
        kind.create_subscription = subscribe


def about(module: ModuleType) -> str:
    """The first paragraph of its docstring, without its name."""
    text = " ".join((module.__doc__ or "").split("\n\n")[0].split()).partition(": ")[2]
    return text[0].upper() + text[1:]


def settings_of(module: ModuleType) -> type:
    """The dataclass of its parameters."""
    (found,) = {
        one
        for name, one in vars(module).items()
        if name.endswith("Parameters") and dataclasses.is_dataclass(one)
    }
    return found


def section(node, heard: list, settings: type) -> str:
    """Parameters of a node, and what it opened."""
    kinds = (
        ("publishes", node.publishers, lambda one: one.topic_name, lambda one: one.msg_type),
        ("subscribes to", heard, lambda one: one.topic_name, lambda one: one.msg_type),
        ("serves", node.services, lambda one: one.service_name, lambda one: one.srv_type),
        ("calls", node.clients, lambda one: one.service_name, lambda one: one.srv_type),
    )
    rows = sorted(
        {
            (does, code(node.resolve_topic_name(name(one))), code(type_name(kind(one))), qos(one))
            for does, every, name, kind in kinds
            for one in every
            if not name(one).endswith(EVERYBODYS)
        },
        key=lambda row: (("publishes", "subscribes to", "serves", "calls").index(row[0]), row[1:]),
    )
    parameters = [parameter_row(field) for field in dataclasses.fields(settings)]
    return (
        table(("parameter", "default", "meaning"), parameters)
        + "\n"
        + table(("it", "topic or service", "type", "quality of service"), rows)
    )


def parameter_row(field: dataclasses.Field) -> tuple[str, str, str]:
    """Name, default and description, with what is allowed."""
    meta = field.metadata
    shown = "**needed**" if meta["required"] else code(as_yaml(field.default)) or "empty"
    allowed = [code(one) for one in meta["choices"] if one]
    bounds = [
        f"{sign} {meta[name]:g}"
        for name, sign in (("lower", "≥"), ("upper", "≤"))
        if meta[name] is not None
    ]
    more = ", ".join(allowed + bounds)
    return code(field.name), shown, meta["description"] + (f" ({more})" if more else "")


def type_name(kind: type) -> str:
    """std_msgs/msg/String of its class."""
    return "/".join([*kind.__module__.split(".")[:2], kind.__name__])


def qos(one) -> str:
    """What of the quality of service another end has to fit; services have always the same."""
    profile = getattr(one, "qos_profile", None)
    if profile is None or hasattr(one, "srv_type"):
        return ""
    latched = ", latched" if profile.durability.name == "TRANSIENT_LOCAL" else ""
    return f"{profile.reliability.name.lower().replace('_', ' ')}, {profile.depth}{latched}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "test"))
    with tempfile.TemporaryDirectory() as scratch:
        made = "".join(sections(Path(scratch)))
    print(made_by("Nodes", "the nodes in `vdd_ros/nodes/`") + INTRO + made, end="")
