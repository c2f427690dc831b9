"""PageServer: the page over HTTP, in a thread of its own.

GET  /  /page.css  /page.js    the page
GET  /events                   its state, as server-sent events
GET  /episodes                 the newest episodes, as JSON
GET  /previews/NAME            a camera's newest picture
POST /do                       an order, as JSON
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from vdd_ros.errors import UserError
from vdd_ros.page.access import CSRF_HEADER, Access, cookie_name
from vdd_ros.page.episode_list import EpisodeList
from vdd_ros.page.headers import Busy, add_headers, asked_of, sentence
from vdd_ros.page.orders import LARGEST_BYTES, Order
from vdd_ros.page.previews import Previews

FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
MOST_CONNECTIONS = 64
MOST_BROWSERS = 16
LOOK_PERIOD_S = 1.0
ALIVE_S = 5.0  # how often something is sent to a browser, so that it knows of a lost connection
PATIENCE_S = 10.0
KEPT_S = 30.0  # a connection that asks for nothing more


class PageServer:
    """access: who may ask; take: puts an order where it is carried out and gives a future of when
    it was taken, which may end in a UserError. Use `start`, `publish` and `close`, from any thread.
    """

    def __init__(
        self,
        access: Access,
        take: Callable[[Order], Future[None]],
        episodes: EpisodeList,
        previews: Previews,
    ):
        self.browsers = 0
        self._access, self._take = access, take
        self._episodes, self._previews = episodes, previews
        self._state = ""  # as it was published last, JSON
        self._changed = asyncio.Event()
        self._workers = ThreadPoolExecutor(2, "page_worker")  # read files and make pictures
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._mute: set[RequestHandler] = set()  # connections that have not asked for anything yet
        self._thread = threading.Thread(target=self._run, name="page_server", daemon=True)
        static = files("vdd_ros.page") / "static"
        self._files = {
            path: (static.joinpath(name).read_bytes(), kind) for path, (name, kind) in FILES.items()
        }

    def start(self, host: str, port: int) -> int:
        """Serve from now on; the port, which for 0 is any free one; raises UserError."""
        began: Future[int] = Future()
        self._begin = (host, port, began)
        self._thread.start()
        return began.result()

    def publish(self, state: dict) -> None:
        """What browsers are to show from now on."""
        of_server = {"browsers": self.browsers, "episodes": self._episodes.version}
        text = json.dumps(state | of_server)
        if text != self._state:
            self._tell(self._show, text)

    def close(self) -> None:
        """Serve no more."""
        self._tell(self._stop.set)
        if self._thread.is_alive():
            self._thread.join()
        self._workers.shutdown()

    def _tell(self, what: Callable[..., object], *args: object) -> None:
        """Have the server's thread do something. One that has ended, as where its port was taken,
        has closed its loop, or does so just now."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *args)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        host, port, began = self._begin
        # bodies stay as they came: what a small one uncompresses to is nobody's business here
        runner = web.AppRunner(
            self._app(), access_log=None, auto_decompress=False, keepalive_timeout=KEPT_S
        )
        await runner.setup()
        handler = runner.server
        assert handler is not None

        def connect() -> asyncio.Protocol:
            if len(self._mute.union(handler.connections)) >= MOST_CONNECTIONS:
                return Busy()
            protocol = handler()
            self._mute.add(protocol)
            self._loop.call_later(PATIENCE_S, self._drop_if_mute, protocol)
            return protocol

        try:
            server = await self._loop.create_server(connect, host, port)
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            began.set_exception(
                UserError(
                    f"the page cannot be served at {host}:{port} ({error}): choose another port"
                )
            )
            return
        began.set_result(server.sockets[0].getsockname()[1])
        await self._look_until_stopped()
        server.close()
        self._show(self._state)  # wakes whoever waits for a change
        await runner.cleanup()

    async def _look_until_stopped(self) -> None:
        """Looks after the episodes while somebody sees them."""
        while not self._stop.is_set():
            if self.browsers:
                await self._loop.run_in_executor(self._workers, self._episodes.look)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_PERIOD_S)

    def _drop_if_mute(self, protocol: RequestHandler) -> None:
        """Who connects and asks for nothing must not take a place for ever."""
        if protocol in self._mute:
            self._mute.remove(protocol)
            if protocol.transport is not None:
                protocol.transport.close()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=LARGEST_BYTES)
        app.on_response_prepare.append(add_headers)
        for path in FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/events", self._events)
        app.router.add_get("/episodes", self._list)
        app.router.add_get("/previews/{name:[A-Za-z0-9_]+}", self._preview)
        app.router.add_post("/do", self._do)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler) -> web.StreamResponse:
        self._mute.discard(request.protocol)
        asked = asked_of(request)
        if refusal := self._access.refusal(asked, time.monotonic()):
            return sentence(*refusal)
        try:
            response = await handler(request)
        except UserError as error:
            return sentence(409, str(error))
        except asyncio.TimeoutError:
            return sentence(503, "this took too long: try again")
        except web.HTTPException as error:
            return sentence(error.status, f"{error.reason}: {request.method} {request.path[:80]}")
        if self._access.brings_token(asked) and not response.prepared:
            name = cookie_name(request.host)
            response.set_cookie(name, self._access.cookie, httponly=True, samesite="Strict")
        return response

    async def _file(self, request: web.Request) -> web.Response:
        body, kind = self._files[request.path]
        return web.Response(body=body, content_type=kind, charset="utf-8")

    async def _list(self, request: web.Request) -> web.Response:
        found = self._episodes
        return web.json_response({"total": found.total, "rows": found.rows})

    async def _preview(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._previews.cameras:
            raise web.HTTPNotFound()
        picture = await self._loop.run_in_executor(
            self._workers, self._previews.picture, name, time.monotonic()
        )
        if picture is None:
            return web.Response(status=204)
        return web.Response(body=picture, content_type="image/jpeg")

    async def _do(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json" or "Content-Encoding" in request.headers:
            raise web.HTTPUnsupportedMediaType(reason="orders are plain JSON")
        if (request.content_length or 0) > LARGEST_BYTES:
            raise web.HTTPRequestEntityTooLarge(LARGEST_BYTES, request.content_length or 0)
        order = Order.read(await asyncio.wait_for(request.read(), PATIENCE_S))
        await asyncio.wait_for(asyncio.wrap_future(self._take(order)), PATIENCE_S)
        return web.json_response({})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self.browsers >= MOST_BROWSERS:
            return sentence(503, f"{MOST_BROWSERS} browsers look at this page already")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.browsers += 1
        try:
            first = {"csrf": self._access.csrf, "header": CSRF_HEADER}
            await _send(response, "hello", json.dumps(first))
            while not self._stop.is_set():
                changed = self._changed
                if self._state:
                    await _send(response, "state", self._state)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), ALIVE_S)
        except (ConnectionError, asyncio.TimeoutError):  # it went away, or takes nothing any more
            pass
        finally:
            self.browsers -= 1
        return response

    def _show(self, text: str) -> None:
        self._state = text
        self._changed.set()
        self._changed = asyncio.Event()


async def _send(response: web.StreamResponse, event: str, data: str) -> None:
    """One server-sent event; raises TimeoutError where nobody takes it."""
    await asyncio.wait_for(response.write(f"event: {event}\ndata: {data}\n\n".encode()), PATIENCE_S)
