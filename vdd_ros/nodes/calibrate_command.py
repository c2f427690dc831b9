"""`vdd calibrate` in a process of its own, for a node that must not stand still meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from vdd_ros.errors import UserError


class CalibrateCommand:
    """Begins at once; words: the tool and its arguments."""

    def __init__(self, words: Sequence[str]):
        # files, as a pipe that nobody reads would hold up who writes; closed once they are read
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._wrong = tempfile.TemporaryFile()  # noqa: SIM115
        program = [sys.executable, "-m", "vdd_ros.cli", "calibrate", *words]
        self._process = subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._wrong,
            env=os.environ | {"COLUMNS": "100"},
        )

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def told(self) -> str:
        """What it printed; raises UserError with its sentence where it failed."""
        texts = []
        for file in (self._said, self._wrong):
            file.seek(0)
            texts.append(file.read().decode(errors="replace").strip())
            file.close()
        said, wrong = texts
        if self._process.returncode:
            raise UserError(wrong.removeprefix("vdd: ") or said)
        return said

    def end(self) -> None:
        """Do not go on without the node."""
        if not self.is_over():
            self._process.terminate()
            self._process.wait()
