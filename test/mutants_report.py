"""The end of `test/mutants.sh`: what mutmut found, as one JSON line for docs/results/.

Reads, in the folder of the copy, what `mutmut export-cicd-stats` wrote, and on standard input what
`mutmut results` printed: the mutants that were not killed.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

STATS = Path("mutants/mutmut-cicd-stats.json")


def report(file: str, tests: list[str], stats: dict[str, int], results: str) -> dict:
    """Counts as the tool has them, and by mutant what became of it: survived, no tests, timeout."""
    lines = (line.strip().rpartition(": ") for line in results.splitlines() if ": " in line)
    return {
        "file": file,
        "tool": f"mutmut {version('mutmut')}",
        "tests": tests,
        "stats": stats,
        "left": {name: word for name, _, word in lines},
        "command": f"test/mutants.sh {file}",
    }


if __name__ == "__main__":
    found = json.loads(STATS.read_text(encoding="utf-8"))
    print(json.dumps(report(sys.argv[1], sys.argv[2:], found, sys.stdin.read())))
