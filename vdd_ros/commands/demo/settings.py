"""How a demo was called."""

import shlex
import sys


def command_line() -> str:
    """The line that runs this again."""
    return shlex.join(["vdd", *sys.argv[1:]])
