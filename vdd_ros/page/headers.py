"""What a request says of itself, and what every answer tells a browser."""

from __future__ import annotations

import asyncio

from aiohttp import web

from vdd_ros.page.access import CSRF_HEADER, Asked, cookie_name

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Busy(asyncio.Protocol):
    """A connection more than there may be."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is let go at once."""
        transport.close()


def asked_of(request: web.Request) -> Asked:
    """What a request says of itself."""
    said = request.headers
    return Asked(
        method=request.method,
        path=request.path,
        address=request.remote or "",
        host=said.get("Host", ""),
        origin=said.get("Origin", ""),
        fetch_site=said.get("Sec-Fetch-Site", ""),
        cookie=request.cookies.get(cookie_name(request.host), ""),
        token=request.query.get("token", ""),
        csrf=said.get(CSRF_HEADER, ""),
    )


def sentence(status: int, text: str) -> web.Response:
    """An answer for a person."""
    return web.Response(status=status, text=f"{text}\n")


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Tell the browser of everything that this page does without."""
    response.headers.update(HEADERS)
