"""command_line.md: the help of every subcommand, as `vdd SUBCOMMAND --help` shows it."""

from __future__ import annotations

import importlib
import io
import os
from contextlib import redirect_stdout
from unittest.mock import patch

import tyro
from writing import made_by

from vdd_ros.cli import COMMANDS, tool_of

COLUMNS = "80"  # whatever the terminal has
INTRO = """
`vdd SUBCOMMAND --help` shows the same. `--json` ends every command with one JSON line. The exit
code is 0, 1 (a check failed), 2 (bad input, told in one sentence) or 130 (Ctrl-C).
"""


def page() -> str:
    """One section for each subcommand and tool."""
    parts = [made_by("Command line", "the arguments in `vdd_ros/commands/`"), INTRO]
    for name, what in COMMANDS.items():
        group = importlib.import_module(f"vdd_ros.commands.{name}")
        tools = getattr(group, "TOOLS", None)
        parts.append(f"\n## vdd {name}\n\n{sentence(what)}\n")
        if tools is None:
            parts.append(shown(group, name))
        for tool, does in (tools or {}).items():
            words = f"{name} {tool}"
            parts.append(f"\n### vdd {words}\n\n{sentence(does)}\n")
            parts.append(shown(tool_of(group, tool), words))
    return "".join(parts)


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def shown(command, words: str) -> str:
    """The help of one command, in a block."""
    said = io.StringIO()
    try:
        with redirect_stdout(said), patch.dict(os.environ, COLUMNS=COLUMNS):
            tyro.cli(command.Args, prog=f"vdd {words}", description=command.__doc__, args=["-h"])
    except SystemExit:
        lines = [line.rstrip() for line in said.getvalue().strip().splitlines()]
        return "\n```text\n" + "\n".join(lines) + "\n```\n"
    raise AssertionError(f"vdd {words} has no help")
