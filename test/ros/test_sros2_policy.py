"""config/sros2/policy.xml allows each node what it says and asks in the graph, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harness import ROOT, Observer, running_node, wait_for
from robots import HOME, Robot, steady_bundle

POLICY = ROOT / "config" / "sros2" / "policy.xml"
PROFILES = {one.get("node"): one for one in ElementTree.parse(POLICY).iter("profile")}
KINDS = ("publish", "subscribe", "reply", "request")


def allowed(node: str) -> dict[str, set[str]]:
    """Names, by what may be done with them, as the graph has them."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for group in PROFILES[node]:
        ((kind, verdict),) = group.attrib.items()
        assert verdict == "ALLOW"
        found[kind] |= {(one.text or "").replace("~", f"/{node}") for one in group}
    return found


def shown(observer: Observer, node: str) -> dict[str, set[str]]:
    """The same as the graph shows it, nothing of a node that is not there yet."""
    graph = observer.node
    if node not in graph.get_node_names():
        return {}
    asked = (
        graph.get_publisher_names_and_types_by_node,
        graph.get_subscriber_names_and_types_by_node,
        graph.get_service_names_and_types_by_node,
        graph.get_client_names_and_types_by_node,
    )
    return {
        kind: {name for name, _ in ask(node, "/")} for kind, ask in zip(KINDS, asked, strict=True)
    }


@pytest.fixture(scope="module")
def graph(domain, observer, folder, lossless) -> Iterator[Observer]:
    """With all of these nodes, of which action_node drives."""
    contract = {"contract": folder / "contract.yaml"}
    bundle = steady_bundle(folder / "bundle", lossless, HOME)
    leader = ROOT / "config" / "teleop" / "leader_panda.yaml"
    nodes: dict[str, dict[str, object]] = {
        "action_node": contract | {"bundle": bundle, "autostart": True},
        "recorder_node": contract | {"directory": folder / "episodes"},
        "page_node": contract | {"directory": folder / "episodes", "port": 0},
        "teleop_node": contract | {"device": leader},
        "flight_recorder_node": contract | {"directory": folder / "flights"},
        "clock_node": {},
    }
    with Robot(observer, lossless) as robot, ExitStack() as stack:
        for name, parameters in nodes.items():
            stack.enter_context(running_node(name, domain, parameters))
        robot.wait_for_commands(10)
        yield observer


@pytest.mark.parametrize("node", [name for name in PROFILES if name != "command_gate"])
def test_a_node_may_do_what_it_does_and_nothing_else(graph, node):
    wait_for(lambda: shown(graph, node) == allowed(node), f"{node}, as the policy has it")


def test_a_gate_of_its_own_process_may_do_what_it_does_and_nothing_else(
    graph, domain, folder: Path
):
    with running_node("command_gate", domain, {"contract": folder / "contract.yaml"}):
        wait_for(lambda: shown(graph, "command_gate") == allowed("command_gate"), "command_gate")


def test_only_the_two_gates_may_command_the_robot(lossless):
    topic = f"/{lossless.streams['robot_command'].topic.lstrip('/')}"
    speakers = {node for node in PROFILES if topic in allowed(node)["publish"]}
    assert speakers == {"action_node", "command_gate"}
