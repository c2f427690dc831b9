"""Nodes as child processes: how they are started, looked at and ended, and what is said of them.

In place of an interpreter with a node there is a small program that does what its name says.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from vdd_ros import processes
from vdd_ros.errors import UserError
from vdd_ros.processes import (
    HIGHEST_DOMAIN,
    Nodes,
    free_domain,
    is_inhabited,
    isolated,
    require_domain,
)

DOMAIN, PATIENCE_S = 17, 60.0
MIB = 1 << 20
STAND_IN = f"""#!{sys.executable}
import json, os, signal, sys, threading
name = sys.argv[2].removeprefix("vdd_ros.nodes.")
if name == "stubborn":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
if name == "laden":
    held = b"x" * {64 * MIB}
    files = [open(os.devnull) for _ in range(5)]
    for _ in range(3):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
if name == "broken":
    print("a warning\\nno such contract", flush=True)
    os._exit(2)
if name == "done":
    print("all is done", flush=True)
    os._exit(0)
print(json.dumps([sys.argv[1:], dict(os.environ)]), flush=True)
threading.Event().wait()
"""


@pytest.fixture
def nodes(tmp_path, monkeypatch) -> Iterator[Nodes]:
    program = tmp_path / "python"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setattr(processes.sys, "executable", str(program))
    with Nodes(tmp_path / "logs", DOMAIN) as nodes:
        yield nodes


def wait_for(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def started(nodes: Nodes, name: str, **parameters: object) -> tuple[list[str], dict[str, str]]:
    """Start it and wait for its words: arguments and environment."""
    nodes.start(name, parameters)
    wait_for(lambda: nodes.last_line(name))
    words, environment = json.loads(nodes.last_line(name))
    return words, environment


def test_parameters_are_written_as_ros_reads_them(nodes):
    words, environment = started(
        nodes, "obedient", contract="a b.yaml", rate=5.0, use_sim_time=True
    )
    assert words == [
        *("-m", "vdd_ros.nodes.obedient", "--ros-args"),
        *("-p", "contract:=a b.yaml", "-p", "rate:=5.0", "-p", "use_sim_time:=true"),
    ]
    told = {name: environment[name] for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")}
    assert told == {"ROS_DOMAIN_ID": "17", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    assert nodes.names() == ["obedient"] and nodes.ended("obedient") is None


def test_a_node_under_another_name_and_its_topics(nodes):
    nodes.start("left", {}, {"/in": "/out"}, module="obedient")
    wait_for(lambda: nodes.last_line("left"))
    (words, _) = json.loads(nodes.last_line("left"))
    assert words[1:] == [
        "vdd_ros.nodes.obedient", "--ros-args", "-r", "__node:=left", "-r", "/in:=/out",
    ]  # fmt: skip


def test_older_distributions_are_told_in_their_own_way(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert isolated(3)["ROS_LOCALHOST_ONLY"] == "1"
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    assert "ROS_LOCALHOST_ONLY" not in isolated(3).keys() - os.environ.keys()


def test_what_a_node_holds_is_told(nodes):
    started(nodes, "obedient")
    started(nodes, "laden")
    light, laden = nodes.footprint("obedient"), nodes.footprint("laden")
    assert (laden.threads - light.threads, laden.files - light.files) == (3, 5)
    assert 64 * MIB <= laden.memory - light.memory < 80 * MIB
    mapped = nodes.mapped("laden")
    assert mapped.rss >= mapped.pss >= mapped.own >= 64 * MIB
    assert nodes.cpu_s("laden") > 0.0 and nodes.cpu_of_children_s("laden") == 0.0
    assert nodes.pid("laden") != nodes.pid("obedient")


def test_one_is_ended_and_the_others_go_on(nodes):
    started(nodes, "obedient")
    started(nodes, "laden")
    nodes.end_one("laden")
    assert nodes.names() == ["obedient"] and nodes.ended("obedient") is None
    nodes.signal("obedient", signal.SIGINT)
    wait_for(lambda: nodes.ended("obedient") == 0)


def test_who_does_not_listen_is_killed(nodes, monkeypatch):
    impatient = {signal.SIGINT: 0.05, signal.SIGTERM: 0.05, signal.SIGKILL: PATIENCE_S}
    monkeypatch.setattr(processes, "PATIENCE_S", impatient)
    started(nodes, "stubborn")
    nodes.end()
    assert nodes.ended("stubborn") == -signal.SIGKILL


def test_nothing_is_left_running_whatever_happens(nodes):
    with pytest.raises(ZeroDivisionError), nodes:
        started(nodes, "obedient")
        raise ZeroDivisionError
    assert nodes.ended("obedient") == 0


def test_a_node_that_ended_is_told_with_its_last_line(nodes):
    started(nodes, "obedient")
    nodes.check()
    nodes.start("broken", {})
    wait_for(lambda: nodes.ended("broken") is not None)
    log = nodes.log_folder / "broken.log"
    told = f"^broken ended with exit code 2: no such contract .all it said is in {log}.$"
    for may_end in ("", "broken", ("broken", "obedient")):
        with pytest.raises(UserError, match=told):
            nodes.check(may_end)


def test_some_may_end_where_all_went_well(nodes):
    nodes.start("done", {})
    wait_for(lambda: nodes.ended("done") == 0)
    nodes.check("done")
    nodes.check({"done", "another"})
    with pytest.raises(UserError, match="done ended with exit code 0: all is done"):
        nodes.check("another")


@contextmanager
def first_port(domain: int) -> Iterator[None]:
    """Taken, as by the first participant of a domain, by this process or another one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        with suppress(OSError):
            participant.bind(("", 7400 + 250 * domain + 10))
        yield


@pytest.mark.parametrize("domain", [None, 0, HIGHEST_DOMAIN])
def test_a_domain_is_one_that_ports_can_be_had_of(domain):
    require_domain(domain)


@pytest.mark.parametrize("domain", [-1, HIGHEST_DOMAIN + 1])
def test_another_domain_is_refused(domain):
    with pytest.raises(UserError, match=f"domain is {domain}; choose one of 0 to 100"):
        require_domain(domain)


def test_a_domain_is_inhabited_while_somebody_has_its_first_port():
    domain = free_domain()
    assert 1 <= domain <= HIGHEST_DOMAIN and not is_inhabited(domain)
    with first_port(domain):
        assert is_inhabited(domain)


def test_where_all_domains_are_inhabited_it_says_so(monkeypatch):
    """Of one, as all hundred are not ours to take."""
    monkeypatch.setattr(processes, "HIGHEST_DOMAIN", 1)
    with first_port(1), pytest.raises(UserError, match="all ROS domains up to 1 are in use"):
        free_domain()


@pytest.mark.parametrize(("parent", "said"), [("os.getppid()", "goes on\n"), ("1 << 30", "")])
def test_a_child_whose_parent_is_gone_already_does_not_begin(parent, said):
    program = (
        "import os; from vdd_ros.processes import end_with_parent\n"
        f"end_with_parent({parent}); print('goes on')"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == said
