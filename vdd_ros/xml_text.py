"""XML that somebody handed over: no entity is declared, so that none can grow or read a file."""

from __future__ import annotations

import xml.etree.ElementTree as ET

DEEPEST = 200  # elements in one another; a robot of a hundred links in a row has that many in MJCF


def parsed(text: str) -> ET.Element:
    """The root of a document; raises ValueError with a clause that says what to do."""
    try:
        return ET.fromstring(text, ET.XMLParser(target=_Guarded()))
    except ET.ParseError as error:
        raise ValueError(f"this is no XML ({error}): mend it, or name another file") from None


class _Guarded(ET.TreeBuilder):
    """Refuses document types, where entities are declared, before any is, and bottomless nesting,
    on which whoever walks the tree would fail."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError(
            f"it declares a document type (<!DOCTYPE {name}>), which could make a few bytes grow "
            "without end or read other files: remove it"
        )

    def start(self, tag, attrs):
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"it nests more than {DEEPEST} parts: simplify it")
        return super().start(tag, attrs)

    def end(self, tag):
        self._depth -= 1
        return super().end(tag)
