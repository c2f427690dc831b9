"""Commands that the README and docs/ tell people to type are commands, and tests run them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
import torch
from docs_commands import (
    BY_HAND,
    HARDWARE,
    TESTED_BY,
    Command,
    commands_of,
    complaint,
    contract_complaint,
    every_command,
    launches_of,
    lines_of,
    runner,
    span_complaint,
    spans_of,
    subcommand,
)
from pages import PAGES, ROOT, blocks_of
from safetensors.torch import load_file

from vdd_ros.cli import COMMANDS

LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
OF_PAGES = {str(page.relative_to(ROOT)): page for page in PAGES if [*commands_of(page)]}


@pytest.mark.parametrize("name", OF_PAGES)
def test_whoever_carries_a_command_out_understands_it(name):
    wrong = [(one.text, why) for one in commands_of(OF_PAGES[name]) if (why := complaint(one))]
    assert wrong == []


def test_every_command_is_run_by_a_test_or_marked():
    told = [one for one in every_command() if one.is_run]
    assert len({subcommand(one) for one in told}) > 30
    unrun = [(one.page.name, one.text) for one in told if runner(one) is None]
    assert unrun == [], f"begin their blocks with {HARDWARE!r} or {BY_HAND!r}, or test them"


@pytest.mark.parametrize("begin", TESTED_BY)
def test_who_runs_a_command_names_what_it_names(begin):
    """A program, launch file, service, topic, parameter or module, whose name is its last part."""
    file = ROOT / "test" / TESTED_BY[begin]
    if file.name == "run":  # `make test`; the next test tells what part of it the others are
        assert re.search(r"exec make .* test\n", file.read_text())
        return
    name = re.split(r"[ /]", begin)[-1].removesuffix(".launch.py").rpartition(".")[2]
    assert name in file.read_text()


def test_make_test_checks_first_and_the_fast_one_leaves_out_the_slow_tests():
    makefile = (ROOT / "Makefile").read_text()
    recipes = dict(re.findall(r"^(test|test-fast): lint\n\t\$\(RUN\) (.*)\n", makefile, re.M))
    assert recipes["test"].endswith("/python -m pytest -q test")
    assert recipes["test-fast"] == recipes["test"].replace(" test", ' -m "not slow" test')


def test_what_is_given_to_python_turns_a_pickle_of_weights_into_tensors(tmp_path):
    [block] = [one for page in PAGES for one in blocks_of(page) if one.text.startswith("python - ")]
    program = block.text.partition("\n")[2].rpartition("END")[0]
    weights = {"a.weight": torch.arange(6.0).reshape(2, 3).T, "a.bias": torch.ones(3)}
    torch.save(weights, tmp_path / "in.pth")
    words = [sys.executable, "-", "in.pth", "out.safetensors"]
    subprocess.run(words, input=program, text=True, cwd=tmp_path, check=True)
    made = load_file(tmp_path / "out.safetensors")
    assert made.keys() == weights.keys()
    assert all(torch.equal(made[name], weights[name]) for name in weights)


def test_marks_of_blocks_say_why():
    marked = [block for page in PAGES for block in blocks_of(page) if block.text.startswith("# ")]
    firsts = [block.text.partition("\n")[0] for block in marked]
    by_hand = [one for one in firsts if one.startswith("# by hand")]
    assert len(by_hand) > 5
    assert [one for one in by_hand if len(one) < len(BY_HAND) + 10] == []


def test_subcommands_and_options_within_sentences_exist():
    spans = [(page.name, span) for page in PAGES for span in spans_of(page)]
    assert len(spans) > 100
    assert [(*one, why) for one in spans if (why := span_complaint(one[1]))] == []


def test_launches_within_sentences_name_the_contract_of_a_real_robot():
    told = [(page.name, words) for page in PAGES for words in launches_of(page)]
    assert len(told) > 5
    assert [one for one in told if contract_complaint(one[1][0], one[1][1:])] == []
    assert "needs contract:=" in (contract_complaint("run_policy.launch.py", []) or "nothing")


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_examples_at_the_top_of_a_launch_file_are_understood(path):
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    examples = [line for line in lines_of(told) if line.startswith("ros2 launch ")]
    assert examples
    wrong = [(one, why) for one in examples if (why := complaint(Command(path, one)))]
    assert wrong == []


def test_a_wrong_command_within_a_sentence_is_found():
    assert span_complaint("vdd distil --list") == "vdd has no subcommand distil"
    assert span_complaint("vdd dataset chekc") == "vdd dataset has no tool chekc"
    assert span_complaint("vdd train --step 3") == "vdd train has no option --step"
    for right in ("vdd train, distill", "vdd TOOL", "vdd bench soak BUNDLE", "vdd train --out RUN"):
        assert span_complaint(right) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vdd dataset chekc EPISODES", "no tool 'chekc'"),
        ("vdd train episodes run", "Missing from vdd train: --episodes"),
        ("vdd export --run RUN --out BUNDLE --precision fp17", "invalid choice"),
        ("vdd evaluate BUNDLE --out OUT --episodes many", "--episodes"),
        ("vdd sweep config/benchmarks/none.yaml --out OUT", "none.yaml is not there"),
        ("make dmeo", "no target dmeo"),
        ("pip install 'vdd_ros[calibraton]'", "no extra calibraton"),
        ("ros2 launch vdd_ros run.launch.py", "no launch file run.launch.py"),
        ("ros2 launch vdd_ros run_policy.launch.py bundel:=b", "no argument bundel"),
        ("ros2 launch vdd_ros run_policy.launch.py mode:=drove", "mode of run_policy.launch.py is"),
        ("ros2 launch vdd_ros run_policy.launch.py bundle:=b", "needs contract:="),
        ("ros2 launch vdd_ros record_demos.launch.py contract:= sim:=false", "needs contract:="),
        ("ros2 run vdd_ros action_nod", "no program action_nod"),
        ("ros2 run vdd_ros operator_node --ros-args -p episode:=3", "no parameter episode"),
        ("ros2 run vdd_ros vdd bnch", "no subcommand 'bnch'"),
        ("ros2 service call /action_node/go_hom std_srvs/srv/Trigger", "no node has"),
        ("ros2 lifecycle set /actionnode_node configure", "no node has"),
        ("rm -rf demonstrations", "rm is no program"),
    ],
)
def test_a_wrong_command_is_found(text, why):
    assert why in (complaint(Command(ROOT / "README.md", text)) or "nothing")


def test_lines_are_those_that_a_shell_would_carry_out():
    text = "vdd a \\\n    --b  # why\n\n# no\nx && y\ntee z <<'END'\nnot this\nEND\n"
    assert [*lines_of(text)] == ["vdd a      --b", "x", "y", "tee z"]


def test_every_subcommand_is_told_of_somewhere():
    told = {name.split()[0] for one in every_command() if (name := subcommand(one))}
    within = {span.split()[1] for page in PAGES for span in spans_of(page) if " " in span}
    assert set(COMMANDS) <= told | within
