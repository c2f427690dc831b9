"""The tests of inside_action_node.py, each in a process of its own: a node and its observer in one
process find each other reliably only the first time that process has a node."""

import re
import subprocess
import sys

import pytest
from harness import ROOT

FILE = ROOT / "test" / "ros" / "inside_action_node.py"
FUNCTIONS = re.findall(r"^def (test_\w+)", FILE.read_text(), re.MULTILINE)
CASES = {
    "test_a_press_while_the_policy_comes_to_rest_keeps_the_arm_from_going_home": ["held", "short"]
}
NAMES = [
    f"{name}[{case}]" if case else name for name in FUNCTIONS for case in CASES.get(name, [""])
]


@pytest.mark.parametrize("name", NAMES)
def test_inside(name):
    words = [sys.executable, "-m", "pytest", "-q", "-x", f"{FILE}::{name}"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
