"""Every link of every page leads somewhere, in the repository as well as in the site."""

from __future__ import annotations

import re

import pytest
import yaml
from pages import PAGES, ROOT, anchors_of, links_of

DOCS = ROOT / "docs"


def broken(page, targets) -> list[str]:
    lost = []
    for target in targets:
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors_of(place)):
            lost.append(target)
    return lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_anchors_lead_somewhere(page):
    assert broken(page, links_of(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# A `title`, with: signs\n\n## Twice\n\n## Twice\n\n```\n# no title\n```\n")
    page.write_text(
        "[a](other.md) [b](other.md#a-title-with-signs) [c](other.md#twice-1) [d](#none)\n"
        "![e](none.png) [f](other.md#no-title) `[g](none)` [h](https://none) [i [j]](none.md)\n"
    )
    assert broken(page, links_of(page)) == ["#none", "none.png", "other.md#no-title", "none.md"]


def pages_named(nav) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [
        one
        for part in (nav.values() if isinstance(nav, dict) else nav)
        for one in pages_named(part)
    ]


def test_the_site_shows_every_page_once_and_loads_nothing_from_elsewhere():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    site = yaml.safe_load(re.sub(r"!!python\S+", "", text))
    named = pages_named(site["nav"])
    assert sorted(named) == sorted(
        str(page.relative_to(DOCS)) for page in PAGES if DOCS in page.parents
    )
    assert site["nav"][0] == {"Home": "index.md"}
    assert [next(iter(one)) for one in site["nav"][1:]] == [
        "Tutorials", "Guides", "Results", "Reference", "Explanation",
    ]  # fmt: skip
    assert site["theme"]["font"] is False and site["plugins"] == ["search"]
