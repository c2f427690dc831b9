"""Print what a shell needs to complete subcommands, tools and options of `vdd`.

In folders that are there:

bash: `vdd completion bash > ~/.local/share/bash-completion/completions/vdd`

zsh: `vdd completion zsh > FOLDER/_vdd`, with fpath=(FOLDER $fpath) before compinit in ~/.zshrc

fish: `vdd completion fish > ~/.config/fish/completions/vdd.fish`
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from types import ModuleType
from typing import Annotated, Any, Literal, Union

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from vdd_ros.cli import COMMANDS, tool_of

Shell = Literal["bash", "zsh", "fish"]
# tyro completes files after an option that is one, never in other places, where contracts, bundles
# and folders of episodes are told; in bash "no match" has to be an empty list for that
OF_BASH = """
_vdd() {
  _tyro_vdd
  [[ ${#COMPREPLY[@]} -ne 1 || -n "${COMPREPLY[0]}" ]] || COMPREPLY=()
}
complete -o bashdefault -o default -F _vdd vdd
"""
OF_ZSH = '_tyro_vdd "$@"', '_tyro_vdd "$@" || _files'
OF_FISH = "complete --no-files --command 'vdd'", "complete --command 'vdd'"


@dataclass(frozen=True)
class Args:
    shell: Positional[Shell]
    """The shell that completes."""


def main(args: Args) -> None:
    """Print the script. It needs neither this environment nor ROS, only a python3, and knows of the
    subcommands of this version: print it again after an update."""
    print(with_files(args.shell, script(args.shell, everything())))


def script(shell: str, kind: Any) -> str:
    """As tyro writes it for the arguments of a type."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        tyro.cli(kind, prog="vdd", args=["--tyro-print-completion", shell])
    return printed.getvalue()


def with_files(shell: str, text: str) -> str:
    """The same, with names of files where nothing else fits."""
    if shell == "bash":
        return text + OF_BASH
    return text.replace(*(OF_ZSH if shell == "zsh" else OF_FISH))


def everything() -> Any:
    """All of `vdd` as one type: subcommands, their tools, and the arguments of each."""
    return one_of({name: subcommand(name) for name in COMMANDS})


def subcommand(name: str) -> Any:
    """Its tools or arguments; none where it needs what is not installed here, as torch on a robot's
    computer."""
    try:
        module = importlib.import_module(f"vdd_ros.commands.{name}")
        tools = getattr(module, "TOOLS", None)
        if tools is None:
            return with_json(module)
        kinds = {tool: with_json(tool_of(module, tool)) for tool in tools}
    except ImportError:
        return make_dataclass("Args", [])
    return make_dataclass("Group", [("tool", Annotated[one_of(kinds), tyro.conf.arg(name="")])])


def with_json(module: ModuleType) -> Any:
    """The arguments of one job, and --json, which the command line itself takes."""
    json = ("json", FlagCreatePairsOff[bool], field(default=False))
    return make_dataclass("Args", [json], bases=(module.Args,), frozen=True)


def one_of(kinds: Mapping[str, Any]) -> Any:
    """A choice between these, by name."""
    choices = tuple(
        Annotated[kind, tyro.conf.subcommand(name, prefix_name=False)]
        for name, kind in kinds.items()
    )
    return Union[choices]  # noqa: UP007  # of a tuple that is made here
