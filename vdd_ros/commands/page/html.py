"""HTML of a page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

from vdd_ros.commands.page.style import CSS


def document(title: str, body: list[str]) -> str:
    """A whole page around its sections."""
    return "\n".join(
        [
            "<!doctype html>",
            "<html lang=en><head><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width, initial-scale=1'>",
            f"<title>{escape(title)}</title><style>{CSS}</style></head>",
            "<body><main>",
            *body,
            "</main></body></html>\n",
        ]
    )


def figure(png: bytes, name: str, text: str) -> str:
    """A picture inside the page, its name and a few words under it."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    alt = escape(f"{name}: {text}", quote=True)
    caption = f"<figcaption><b>{escape(name)}</b> {escape(text)}</figcaption>"
    return f"<figure><img src='{source}' alt='{alt}'>{caption}</figure>"


def definitions(pairs: Iterable[tuple[str, str]], kind: str = "facts") -> str:
    """Terms and what they are."""
    return (
        f"<dl class={kind}>"
        + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in pairs)
        + "</dl>"
    )
