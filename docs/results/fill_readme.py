"""Write the figures of docs/results/ into README.md and docs/, each between its two markers.

    python -m docs.results.fill_readme [RESULT ...]

A RESULT is first taken over: the report of the demo (out/demo/report.json), the cells of a sweep
(cells.jsonl), the line that `vdd bench ... --json` printed, or those of `test/mutants.sh` (.jsonl).
What it is, its contents tell. Its plots are drawn or copied, too, into docs/pictures/; all tables
of a sweep over tasks go to a page beside its cells. A result that is not there leaves nothing
between its markers.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs.results.result import HERE, PICTURES, ROOT, Result, lines_of, read
from docs.results.sections import (
    bundles,
    calibrations,
    images,
    mutants,
    node,
    policies,
    recordings,
)
from vdd_ros.commands.sweep.cells import page
from vdd_ros.commands.sweep.tasks.table import tables

RESULTS: tuple[Result, ...] = (
    *policies.RESULTS,
    *node.RESULTS,
    *recordings.RESULTS,
    *bundles.RESULTS,
    *calibrations.RESULTS,
    *images.RESULTS,
    *mutants.RESULTS,
)


def take_over(path: Path, into: Path = HERE, pictures: Path = PICTURES) -> Result:
    """Commit what a command found to `into`, and draw what there are plots of. Raises SystemExit
    where no page tells such a thing."""
    lines = read(path)
    result = next((one for one in RESULTS if one.is_it(lines[0])), None)
    if result is None:
        raise SystemExit(f"{path} is none of {', '.join(one.file for one in RESULTS)}")
    tidied = [result.tidied(line) for line in lines]
    for name, image in result.pictures(tidied, path.parent).items():
        (pictures / name).parent.mkdir(exist_ok=True)
        (pictures / name).write_bytes(image)
    (into / result.file).write_text(result.text(tidied))
    return result


def filled(page: str, result: Result, text: str) -> str:
    """A page with the section of a result's text between its markers; empty without a text."""
    begin, end = f"<!-- {result.file}:begin -->\n", f"<!-- {result.file}:end -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + (result.section(text) if text else "") + end + after


def pages(results: Path = HERE) -> dict[Path, str]:
    """Every page, by its path, as it has to be for the results in a folder."""
    found: dict[Path, str] = {}
    for result in RESULTS:
        path, file = ROOT / result.page, results / result.file
        text = file.read_text() if file.exists() else ""
        found[path] = filled(found.get(path) or path.read_text(), result, text)
        if text and result.section is policies.of_tasks:
            found[HERE / f"{file.stem}.md"] = all_tables(text)
    return found


def all_tables(text: str) -> str:
    """The page with all tables of a sweep over tasks."""
    cells = lines_of(text)
    return page(cells, tables(cells))


def main() -> None:
    """Take over what is named, and fill the README and the pages of docs/."""
    for named in sys.argv[1:]:
        take_over(Path(named))
    for path, text in pages().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
