"""Files outside of docs/ that pages link to, made part of the site.

On GitHub such a link leads to the file itself. mkdocs knows only what lies in docs/, so each file
is copied to `source/` of the site and its links are made to lead there.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

LINK = re.compile(r"(\]\()([^)\s#:]+)(\))")  # neither an anchor nor an address
PLACE = "source"


def outside(page: str, target: str) -> str | None:
    """The path from the repository's root of what a page links to, None where it is in docs/."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    return None if path.startswith("docs/") else path


def on_files(files, config):
    """Add every linked file that exists; mkdocs itself complains of the others."""
    root = Path(config.config_file_path).parent
    for page in [file for file in files if file.is_documentation_page()]:
        for _, target, _ in LINK.findall(page.content_string):
            path = outside(page.src_uri, target)
            if path and (root / path).is_file() and not path.endswith(".md"):
                place = f"{PLACE}/{path}"
                if not files.get_file_from_path(place):
                    files.append(File.generated(config, place, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Let links to those files lead to their copies."""
    depth = page.file.src_uri.count("/")

    def led(match: re.Match) -> str:
        path = outside(page.file.src_uri, match[2])
        if path is None or not files.get_file_from_path(f"{PLACE}/{path}"):
            return match[0]
        return f"{match[1]}{'../' * depth}{PLACE}/{path}{match[3]}"

    return LINK.sub(led, markdown)
