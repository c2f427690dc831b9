"""The program `vdd`: one subcommand per job, each imported only when it is chosen."""

from __future__ import annotations

import difflib
import importlib
import json
import keyword
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from types import ModuleType

from vdd_ros.environment import is_first_process, prepare_environment
from vdd_ros.errors import UserError

COMMANDS = {
    "demo": "run the main job from end to end and end with a table and a page",
    "doctor": "say what this machine has, what it lacks, and how to mend it",
    "contract": "a robot's contract: begin one from its URDF, read it, compare it with the robot",
    "record": "record demonstrations of the scripted operator in simulation",
    "dataset": "look after recorded episodes: check, show, split, trim, delete, import, export",
    "calibrate": "find joint offsets, cameras' places and intrinsics from recorded data",
    "replay": "send a recorded episode to the simulator again, through the gate",
    "train": "train a diffusion policy, the teacher, on recorded episodes",
    "teacher": "take over a teacher that was trained elsewhere: import, look",
    "distill": "distil a teacher into a student that needs one network call, or few",
    "fidelity": "judge students against their teacher and held-out people",
    "export": "export a run as a bundle, the folder that is deployed",
    "verify": "check all of a bundle on this machine, and measure it",
    "certify": "complete a bundle's certificate with what was measured since, and sign it",
    "keygen": "make a pair of keys that bundles are signed and trusted by",
    "evaluate": "roll bundles out in simulation: success, diversity, seconds",
    "sweep": "train, distil and judge all that a file of config/benchmarks/ names",
    "bench": "measure this machine: what a policy costs per chunk, distilling, the simulation",
    "completion": "print what a shell needs to complete vdd: bash, zsh or fish",
}
STDOUT = 1  # the system's, whatever takes the place of sys.stdout
OK, FAILED, USER_ERROR, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141
# a file where a folder should be, and the other way round; what may not be read or written
WRONG_PLACE = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; the exit code is 0, 1 (a check failed), 2 (bad input), 130 (Ctrl-C) or
    141 (who read what is printed has gone, as `head` does)."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(overview(), flush=True)
            return OK
        if arguments[0] == "--version":
            from vdd_ros.code_version import package_version  # slower than all of --help

            print(f"vdd_ros {package_version()}", flush=True)
            return OK
        code = run(arguments[0], arguments[1:])
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"vdd: {error}", file=sys.stderr)
        return USER_ERROR
    except WRONG_PLACE as error:
        print(f"vdd: {error}: name another path, or mend its permissions", file=sys.stderr)
        return USER_ERROR
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return UNREAD
    except KeyboardInterrupt:
        print("vdd: stopped by Ctrl-C; what was already saved is usable", file=sys.stderr)
        return INTERRUPTED


def run(name: str, arguments: list[str]) -> int:
    """Parse the arguments of subcommand `name` and run it; raises UserError on an unknown name."""
    _require_known(name, COMMANDS, f"subcommand {name!r}", "vdd")
    prepare_environment()
    command = importlib.import_module(f"vdd_ros.commands.{name}")
    if tools := getattr(command, "TOOLS", None):
        if not arguments or arguments[0] in ("-h", "--help"):
            print(listing(f"vdd {name} TOOL", command.__doc__, tools))
            return OK
        _require_known(arguments[0], tools, f"tool {arguments[0]!r} of {name}", f"vdd {name}")
        command, name = tool_of(command, arguments[0]), f"{name} {arguments[0]}"
        arguments = arguments[1:]
    first = getattr(command, "FIRST", None)  # the option that a first word without a name is of
    if first is not None and arguments and not arguments[0].startswith("-"):
        arguments = [first, *arguments]
    import tyro  # after --help and spelling errors, which need none of it

    as_json = "--json" in arguments
    args = tyro.cli(
        command.Args,
        prog=f"vdd {name}",
        description=f"{command.__doc__}\n\nAdd --json to end with one JSON line.",
        args=[word for word in arguments if word != "--json"],
    )
    if getattr(args, "seed", 0) < 0:
        raise UserError(f"seed is {args.seed}; write 0 or more")
    with nullcontext() if is_first_process() else _silence():
        try:
            result = command.main(args)
        except UserError as error:
            if as_json and error.result is not None:
                print(json.dumps(error.result, allow_nan=False, default=_plain))
            raise
        if as_json:
            print(json.dumps(result, allow_nan=False, default=_plain))
    return FAILED if result is not None and result.get("ok") is False else OK


def tool_of(group: ModuleType, tool: str) -> ModuleType:
    """The module of one tool, with _ for -; `import`, which Python has taken, is import_."""
    suffix = "_" if keyword.iskeyword(tool) else ""
    return importlib.import_module(f"{group.__name__}.{tool.replace('-', '_')}{suffix}")


def overview() -> str:
    """The text of `vdd --help`."""
    about = "From teleoperated demonstrations to a real-time mixture-of-experts policy."
    return listing("vdd SUBCOMMAND", about, COMMANDS)


def listing(usage: str, about: str | None, choices: dict[str, str]) -> str:
    """A help page that names every choice of the next word."""
    width = max(map(len, choices))
    rows = [f"  {name:<{width}}  {what}" for name, what in choices.items()]
    head = f"usage: {usage} [--json] ...   (`{usage} --help` for its arguments)"
    return "\n".join([head, "", about or "", "", *rows])


def _require_known(name: str, choices: dict[str, str], what: str, program: str) -> None:
    if name not in choices:
        near = difflib.get_close_matches(name, choices, n=1)
        guess = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(choices)};"
        raise UserError(f"no {what}: {guess} `{program} --help` explains them all")


def _nobody_reads() -> bool:
    """Whether what is printed goes to a pipe that was closed; it then goes nowhere, in silence."""
    poller = select.poll()
    poller.register(STDOUT, 0)
    if not any(event & select.POLLERR for _, event in poller.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    return True


@contextmanager
def _silence() -> Iterator[None]:
    """What is printed goes nowhere; errors are still told."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield


def _plain(value: object) -> object:
    """JSON for what is nearly plain: numpy scalars, arrays and paths."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not belong in a result")


if __name__ == "__main__":
    sys.exit(main())
