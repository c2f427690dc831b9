"""The program `vdd`: one subcommand per job, each imported only when it is chosen."""

from __future__ import annotations

import difflib
import importlib
import json
import sys
from pathlib import Path

from vdd_ros.environment import prepare_environment
from vdd_ros.errors import UserError

COMMANDS = {
    "demo": "run the main job from end to end and end with a table and a page",
    "doctor": "say what this machine has, what it lacks, and how to mend it",
    "contract": "check a robot's contract and show what a policy is tied to",
    "record": "record demonstrations of the scripted operator in simulation",
    "dataset": "check recorded episodes, show one, or sum them up",
    "train": "train a diffusion policy, the teacher, on recorded episodes",
    "distill": "distil a teacher into a mixture of experts: one network call",
    "fidelity": "judge students against their teacher and held-out people",
    "export": "export a run as a bundle, the folder that is deployed",
    "evaluate": "roll bundles out in simulation: success, diversity, seconds",
    "bench": "measure what a policy costs per chunk, beside its teacher and the floor",
}
OK, FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130
# a file where a folder should be, and the other way round; what may not be read or written
WRONG_PLACE = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; the exit code is 0, 1 (a check failed), 2 (bad input) or 130 (Ctrl-C)."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return OK
    try:
        return run(arguments[0], arguments[1:])
    except UserError as error:
        print(f"vdd: {error}", file=sys.stderr)
        return USER_ERROR
    except WRONG_PLACE as error:
        print(f"vdd: {error}: name another path, or mend its permissions", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("vdd: stopped by Ctrl-C; what was already saved is usable", file=sys.stderr)
        return INTERRUPTED


def run(name: str, arguments: list[str]) -> int:
    """Parse the arguments of subcommand `name` and run it; raises UserError on an unknown name."""
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        guess = f"did you mean {near[0]!r}" if near else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"no subcommand {name!r}: {guess}; `vdd --help` explains them")
    prepare_environment()
    command = importlib.import_module(f"vdd_ros.commands.{name}")
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
    result = command.main(args)
    if as_json:
        print(json.dumps(result, allow_nan=False, default=_plain))
    return FAILED if result is not None and result.get("ok") is False else OK


def overview() -> str:
    """The text of `vdd --help`."""
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vdd SUBCOMMAND [--json] ...   (`vdd SUBCOMMAND --help` for its arguments)",
            "",
            "From teleoperated demonstrations to a real-time mixture-of-experts policy.",
            "",
            *rows,
        ]
    )


def _plain(value: object) -> object:
    """JSON for what is nearly plain: numpy scalars, arrays and paths."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not belong in a result")


if __name__ == "__main__":
    sys.exit(main())
