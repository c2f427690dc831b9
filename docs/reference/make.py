"""Pages of the reference that are made of the code, written beside this file.

    make reference

The same pages are held against the code by test/test_reference.py.
"""

from __future__ import annotations

import command_page
import contract_page
import launch_page
import node_page
import reason_page
from writing import ROOT

PAGES = {
    "contract.md": contract_page.page,
    "command_line.md": command_page.page,
    "launch.md": launch_page.page,
    "nodes.md": node_page.page,
    "stop_reasons.md": reason_page.page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (ROOT / "docs" / "reference" / name).write_text(page(), encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
