"""Commands that pages tell people to type: found, and read by whoever would carry them out.

`complaint` says what is wrong with a command, or nothing. Nothing is run here.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple

import tyro
from pages import PAGES, ROOT, SHELL, blocks_of, prose_of, text_of

from vdd_ros.cli import COMMANDS, tool_of

# first lines of blocks that no test runs: they need a robot, or what tests lack or must not change
HARDWARE = "# hardware"
BY_HAND = "# by hand: "
NODES = text_of(ROOT / "docs" / "reference" / "nodes.md")
# of ROS itself; what it is told about is looked at where it is ours
ROS_VERBS = {"bag", "control", "lifecycle", "param", "pkg", "security", "service", "topic"}
SHELL_WORDS = {".", "cd", "cp", "mv", "export", "for", "done", "source"}
TOOLS = {"colcon", "pip-audit", "ssh"}
# Who runs commands that are not of vdd, by how they begin: tests that start the same program or
# launch file, or ask the same node for the same.
TESTED_BY = {
    "make test": "../.ci/run",
    "make test-fast": "../.ci/run",
    "make lint": "../.ci/run",
    "make demo": "ros/test_demo.py",
    "make docs": "test_site.py",
    "make reference": "test_reference.py",
    "python -m pytest": "../.ci/run",
    "python -m docs.results.fill_readme": "test_readme.py",
    "python -": "test_docs_commands.py",
    "ros2 launch vdd_ros record_demos.launch.py": "ros/test_ros2_launch.py",
    "ros2 launch vdd_ros run_policy.launch.py": "ros/test_ros2_launch.py",
    "ros2 launch vdd_ros calibrate.launch.py": "ros/test_ros2_launch.py",
    "ros2 run vdd_ros operator_node": "ros/test_operator_node.py",
    "ros2 run vdd_ros clock_node": "ros/test_clocks.py",
    "ros2 service call /teleop_node/engage": "ros/test_teleop_node.py",
    "ros2 topic pub --once /recorder_node/correct": "ros/test_recorder_node.py",
    "ros2 lifecycle set /left/action_node configure": "ros/inside_action_node.py",
    "ros2 param describe /action_node runtime": "ros/test_runtime_node.py",
}
# a block that names no language is of a shell where it begins with one of these
PROGRAMS = {"vdd", "ros2", "make", "pip", "python", "sudo", "torchrun", *SHELL_WORDS}


class Command(NamedTuple):
    """A command of a page, without comments; in_hardware, by_hand: of a block that says so."""

    page: Path
    text: str
    in_hardware: bool = False
    by_hand: bool = False

    @property
    def words(self) -> list[str]:
        """Without variables that are set before it; of alternatives, as `--format this | that`, the
        first; without `...` at the end."""
        first = re.sub(r"( \| [\w.]+)+", "", self.text)
        words = shlex.split(re.sub(r"\s\.\.\.$", "", first))
        return [*dropwhile(re.compile(r"[A-Z_]+=").match, words)]

    @property
    def is_run(self) -> bool:
        """Whether a test has to run it."""
        return not self.in_hardware and not self.by_hand and self.words[0] not in SHELL_WORDS


def commands_of(page: Path) -> Iterator[Command]:
    """Of fenced blocks of a shell, and of lines that are indented as code and begin with vdd."""
    for block in blocks_of(page):
        first = next(lines_of(block.text), "").partition(" ")[0]
        if block.language in SHELL and (block.language or first in PROGRAMS):
            marks = (block.text.startswith(HARDWARE), block.text.startswith(BY_HAND))
            yield from (Command(page, line, *marks) for line in lines_of(block.text))
    prose = prose_of(page).replace("\\\n", " ")
    for line in re.findall(r"^ {4}(vdd .*)$", prose, re.MULTILINE):
        yield from (Command(page, one) for one in lines_of(line))


def lines_of(text: str) -> Iterator[str]:
    """Lines that are carried out: without comments, continued ones joined, && apart, and without
    what a here-document holds."""
    text = re.sub(r"<<'(\w+)'\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    for line in text.replace("\\\n", " ").splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        yield from (part.strip() for part in bare.split("&&") if part.strip())


def complaint(command: Command) -> str | None:
    """What is wrong with a command; None where nothing is."""
    words = command.words
    if words[:2] == ["ros2", "run"] and words[2:4] == ["vdd_ros", "vdd"]:
        words = words[3:]
    if words[0] == "sudo" or command.in_hardware and words[0] not in ("vdd", "ros2"):
        return None
    match words[0]:
        case "vdd":
            return vdd_complaint(words[1:])
        case "ros2":
            return ros_complaint(words[1:])
        case "make":
            return make_complaint(words[1:])
        case "pip" | "python" | "torchrun":
            return file_complaint(words)
        case first if first.rpartition("/")[2] in {*SHELL_WORDS, *TOOLS, "python", "pip"}:
            return file_complaint(words)
    if (ROOT / words[0]).is_file():  # a program of this repository
        return file_complaint(words)
    return f"{words[0]} is no program that this test knows: mark the block with {HARDWARE!r}"


def vdd_complaint(words: list[str]) -> str | None:
    """As the program itself would put it."""
    if not words or words[0] not in COMMANDS:
        return f"vdd has no subcommand {' '.join(words[:1])!r}"
    module, rest, name = (
        importlib.import_module(f"vdd_ros.commands.{words[0]}"),
        words[1:],
        words[0],
    )
    if tools := getattr(module, "TOOLS", None):
        if not rest or rest[0] not in tools:
            return f"vdd {name} has no tool {' '.join(rest[:1])!r}"
        module, name, rest = tool_of(module, rest[0]), f"{name} {rest[0]}", rest[1:]
    given = [word for word in rest if word != "--json"]
    if set(given) & {"--help", "-h"}:
        return None
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            tyro.cli(module.Args, prog=f"vdd {name}", args=given)
    except SystemExit:
        return " ".join(said.getvalue().split())
    return file_complaint(rest)


def file_complaint(words: list[str]) -> str | None:
    """Files of the repository that are named and are not there; extras that setup.py lacks."""
    for word in words:
        path = word.partition(":=")[2] or word
        is_ours = path.startswith(("config/", "docs/", "requirements/", "launch/", "test/"))
        if is_ours and not (ROOT / path).exists():
            return f"{path} is not there"
        extra = re.fullmatch(r"(?:vdd_ros|\.)\[(\w+)\]", word)
        if extra and f'"{extra[1]}": [' not in text_of(ROOT / "setup.py"):
            return f"setup.py has no extra {extra[1]}"
    return None


def make_complaint(words: list[str]) -> str | None:
    targets = re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.MULTILINE)
    unknown = [word for word in words if "=" not in word and word not in targets]
    return f"make has no target {unknown[0]}" if unknown else None


def ros_complaint(words: list[str]) -> str | None:
    """What of ours a ros2 command names wrongly."""
    if words[0] == "launch" and words[1] == "vdd_ros":
        return launch_complaint(words[2], words[3:]) or file_complaint(words)
    if words[0] == "run" and words[1] == "vdd_ros":
        return run_complaint(words[2], words[3:]) or file_complaint(words)
    if words[0] not in ROS_VERBS | {"run", "launch"}:
        return f"ros2 has no {words[0]}"
    for word in words:
        if re.search(r"(_node|command_gate)/|^/.*_node$", word) and not is_known(word):
            return f"no node has {word}"
    return None


def is_known(name: str) -> bool:
    """A node's name, topic or service of docs/reference/nodes.md, in any namespace."""
    parts = name.strip("/").split("/")
    node = next(i for i, part in enumerate(parts) if part.endswith(("_node", "command_gate")))
    told = "/" + "/".join(parts[node:])
    return f"`{told}`" in NODES or f"## {told[1:]}\n" in NODES


def run_complaint(program: str, words: list[str]) -> str | None:
    """A program of the package, and parameters of its node."""
    if f'"{program} = vdd_ros.' not in text_of(ROOT / "setup.py"):
        return f"the package has no program {program}"
    section = NODES.partition(f"## {program}\n")[2].partition("\n## ")[0]
    for name in (word.partition(":=")[0] for word in words if ":=" in word):
        if not name.startswith("__") and name != "use_sim_time" and f"| `{name}` |" not in section:
            return f"{program} has no parameter {name}"
    return None


def section_of(launch_file: str) -> str:
    page = text_of(ROOT / "docs" / "reference" / "launch.md")
    return page.partition(f"## {launch_file}\n")[2].partition("\n## ")[0]


@cache
def arguments_of(launch_file: str) -> dict[str, tuple[str, ...]]:
    """Its arguments, each with its choices, empty where anything goes."""
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", section_of(launch_file), re.MULTILINE)
    chosen = {name: re.search(r" \((`[^()]*`)\)$", meaning) for name, meaning in rows}
    return {
        name: tuple(re.findall(r"`([^`]*)`", found[1])) if found else ()
        for name, found in chosen.items()
    }


def contract_complaint(launch_file: str, words: list[str]) -> str | None:
    """A robot whose contract is not named, where the launch file wants it."""
    needed = r"^\| `contract` \| .* needed unless sim:=true"
    is_needed = re.search(needed, section_of(launch_file), re.MULTILINE)
    if not is_needed or {"sim:=true", "--show-args"} & set(words):
        return None
    is_named = any(re.match("contract:=.", word) for word in words)
    return None if is_named else f"{launch_file} of a real robot needs contract:="


def launch_complaint(launch_file: str, words: list[str]) -> str | None:
    """A launch file of the package, and its arguments."""
    if not (ROOT / "launch" / launch_file).is_file():
        return f"there is no launch file {launch_file}"
    known = arguments_of(launch_file)
    for word in words:
        if word == "--show-args":
            continue
        name, sign, value = word.partition(":=")
        if not sign or name not in known:
            return f"{launch_file} has no argument {name}"
        if known[name] and value not in known[name]:
            return f"{name} of {launch_file} is {value}: choose one of {', '.join(known[name])}"
    return contract_complaint(launch_file, words)


def subcommand(command: Command) -> str | None:
    """`dataset check` of `vdd dataset check ...`, also where it is run by ros2; None for others."""
    words = command.words
    if "vdd" not in words:
        return None
    rest = words[words.index("vdd") + 1 :]
    if not rest or rest[0] not in COMMANDS or words[0] not in ("vdd", "ros2"):
        return None
    tools = getattr(importlib.import_module(f"vdd_ros.commands.{rest[0]}"), "TOOLS", ())
    return " ".join(rest[: 2 if tools else 1])


def runner(command: Command) -> str | None:
    """The file of test/ that runs a command, None where none does."""
    if name := subcommand(command):
        return next(iter(run_by().get(name, ())), None)
    text = " ".join(command.words)
    begins = [begin for begin in TESTED_BY if text == begin or text.startswith(f"{begin} ")]
    return TESTED_BY[max(begins, key=len)] if begins else None


@cache
def run_by() -> dict[str, list[str]]:
    """By subcommand, the files of test/ that run it: words at the beginning of a list or a call
    (`["dataset", "check", ...]`), or `check.main(...)` of a module of vdd_ros.commands."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "test").rglob("test_*.py")):
        tree = ast.parse(text_of(path))
        imported = commands_imported(tree)
        compared = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)  # what a command was, not one that is run
            for inner in (node.left, *node.comparators)
        }
        for node in ast.walk(tree):
            is_words = isinstance(node, ast.List | ast.Tuple) and id(node) not in compared
            if isinstance(node, ast.Call) or is_words:
                for words in words_of(node, imported):
                    found.setdefault(words, []).append(path.name)
    return found


def commands_imported(tree: ast.AST) -> dict[str, str]:
    """By name in the file, which subcommand's module it is: drift -> dataset drift."""
    return {
        one.asname or one.name: " ".join([*node.module.split(".")[2:], one.name]).replace("_", "-")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vdd_ros.commands")
        for one in node.names
    }


def words_of(node: ast.Call | ast.List | ast.Tuple, imported: dict[str, str]) -> Iterator[str]:
    """Subcommands that are run by a call, or by who is given a list."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if node.func.attr == "main" and isinstance(owner, ast.Name) and owner.id in imported:
            yield imported[owner.id].rstrip("-")  # import_ is `import`
    is_folder = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mktemp")
    items = node.elts if not isinstance(node, ast.Call) else [] if is_folder else node.args
    words = [getattr(item, "value", None) for item in items]
    if "--help" not in words and words and isinstance(words[0], str):
        yield words[0]
        if len(words) > 1 and isinstance(words[1], str):
            yield f"{words[0]} {words[1]}"


def every_command() -> list[Command]:
    return [command for page in PAGES for command in commands_of(page)]


def spans_of(page: Path) -> list[str]:
    """`vdd ...` within the text of a page."""
    return re.findall(r"`(vdd [^`\n]+)`", prose_of(page))


def launches_of(page: Path) -> list[list[str]]:
    """Words after `ros2 launch vdd_ros` within the text of a page, where arguments are told; a
    launch file alone is its name."""
    spans = re.findall(r"`ros2\s+launch\s+vdd_ros\s+([^`]+)`", prose_of(page))
    return [span.split() for span in spans if ":=" in span]


def span_complaint(span: str) -> str | None:
    """What is wrong with a command within a sentence, which need not be whole: its subcommand, tool
    or options."""
    words = re.findall(r"[\w.\-]+", span)[1:]
    if not words or not re.fullmatch(r"[a-z-]+", words[0]):
        return None  # `vdd SUBCOMMAND`
    if words[0] not in COMMANDS:
        return f"vdd has no subcommand {words[0]}"
    name = words[0]
    tools = getattr(importlib.import_module(f"vdd_ros.commands.{name}"), "TOOLS", None)
    if tools and len(words) > 1 and re.fullmatch(r"[a-z][a-z-]*", words[1]):
        if words[1] not in tools:
            return f"vdd {name} has no tool {words[1]}"
        name = f"{name} {words[1]}"
    options = [word for word in words if re.match(r"--\w", word)]
    for option in options:
        if option not in ("--json", "--help") and option not in options_of(name):
            return f"vdd {name} has no option {option}"
    return None


@cache
def options_of(name: str) -> set[str]:
    """Of a subcommand or tool; of a group those of all its tools."""
    page = text_of(ROOT / "docs" / "reference" / "command_line.md")
    sections = re.split(r"^##+ vdd ", page, flags=re.MULTILINE)
    told = [one for one in sections if one.startswith((f"{name}\n", f"{name} "))]
    return set(re.findall(r"--[\w.-]*\w", "".join(told)))
