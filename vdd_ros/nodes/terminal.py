"""Terminal: keys from a plain terminal, also over SSH, one at a time and without Enter."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import tty

# What arrows and function keys send: they are no letters, whatever letter they end with.
SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|[^\[O])?")
BACKSPACE = ("\x7f", "\b")


class Terminal:
    """Standard input key by key; a pipe or a file works as well. Use `close`, which gives the
    terminal back as it was."""

    def __init__(self) -> None:
        self._file = sys.stdin.fileno()
        self.is_one = os.isatty(self._file)
        self._before = termios.tcgetattr(self._file) if self.is_one else None
        if self._before is not None:
            tty.setcbreak(self._file)
        self.is_closed = False  # nobody is at the other end any more

    def close(self) -> None:
        """Line by line again."""
        if self._before is not None:
            with contextlib.suppress(termios.error):  # it has gone away
                termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)
            self._before = None

    def keys(self) -> str:
        """What was pressed since it was asked last; it does not wait."""
        if self.is_closed or not select.select([self._file], [], [], 0.0)[0]:
            return ""
        try:
            pressed = os.read(self._file, 1024)
        except OSError:  # what a terminal says that has gone away
            pressed = b""
        self.is_closed = not pressed
        return SEQUENCE.sub("", pressed.decode(errors="replace"))


class LineEditor:
    """A line that is written key by key, shown as it grows."""

    def __init__(self, prompt: str):
        self.prompt, self.text = prompt, ""
        self.show()

    def show(self) -> None:
        """As far as it is written, on a new line of the screen."""
        print(self.prompt + self.text, end="", flush=True)

    def take(self, key: str) -> bool:
        """Whether the line is complete."""
        if key in "\r\n":
            print(flush=True)
            return True
        if key in BACKSPACE:
            if self.text:
                self.text = self.text[:-1]
                print("\b \b", end="", flush=True)
        elif key.isprintable():
            self.text += key
            print(key, end="", flush=True)
        return False
