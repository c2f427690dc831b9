"""Hosting a node: ends cleanly on signals, by itself, and in one sentence on bad input."""

from __future__ import annotations

import signal
import sys

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import Observer, running, wait_for

TOY = """
import sys
from dataclasses import dataclass
from rclpy.node import Node
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.messages import Health
from vdd_ros.nodes.parameters import parameter, read_parameters

@dataclass(frozen=True)
class ToyParameters:
    name: str = parameter("", "a name", required=True)
    speed: float = parameter(1.0, "a speed [m/s]", lower=0.0, upper=10.0)
    count: int = parameter(3, "a count", lower=1)
    colour: str = parameter("red", "a colour", choices=("red", "blue"))
    leave: bool = parameter(False, "leave at once")

class Toy(Node):
    def __init__(self):
        super().__init__("toy")
        self.settings = read_parameters(self, ToyParameters)
        print(self.settings, flush=True)
        self.exit_code = 5 if self.settings.leave else None
        publish_diagnostics(self, lambda: Health("ok", "well", {"count": self.settings.count}))

    def destroy_node(self):
        print("last word", self.context.ok(), flush=True)
        super().destroy_node()

sys.exit(run_node(Toy))
"""


def toy(domain, *settings):
    options = [part for setting in settings for part in ("-p", setting)]
    # run_node reads sys.argv, as every node's main does
    return running([sys.executable, "-c", TOY, "--ros-args", *options], domain)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_cleanly_and_after_its_last_word(domain, number):
    with toy(domain, "name:=a") as node, Observer(domain) as observer:
        heard = observer.listen(DiagnosticArray, "/diagnostics")
        wait_for(lambda: heard, "diagnostics")
        assert heard[0].status[0].name == "toy"
        assert node.end(number) == 0
        assert node.output.endswith("last word True\n")


def test_a_node_that_is_done_ends_by_itself_with_its_own_exit_code(domain):
    with toy(domain, "name:=a", "leave:=true") as node:
        assert node.wait() == 5


def test_parameters_are_read_into_their_dataclass(domain):
    with toy(domain, "name:=a", "speed:=2", "count:=7", "colour:=blue", "leave:=true") as node:
        node.wait()
        assert "(name='a', speed=2.0, count=7, colour='blue', leave=True)" in node.output


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "parameter name is not set; it is needed, set it: a name"),
        (["name:=a", "speed:=fast"], "parameter speed is 'fast', write a float: a speed [m/s]"),
        (["name:=a", "speed:=11.0"], "speed"),
        (["name:=a", "count:=0"], "count"),
        (["name:=a", "colour:=green"], "choose one of ['red', 'blue']"),
    ],
)
def test_a_bad_parameter_ends_in_one_sentence_and_exit_code_2(domain, settings, said):
    with toy(domain, *settings) as node:
        assert node.wait() == 2
        assert said in node.output
        assert "Traceback" not in node.output
        assert len(node.output.strip().splitlines()) == 1
