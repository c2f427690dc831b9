"""The page's server by itself: crowds, those who connect and say nothing, and how it ends."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future
from http.client import HTTPConnection, HTTPResponse

import pytest
from recordings import record

from vdd_ros.errors import UserError
from vdd_ros.page import server as page_server
from vdd_ros.page.access import Access
from vdd_ros.page.episode_list import EpisodeList
from vdd_ros.page.orders import Order
from vdd_ros.page.previews import Previews
from vdd_ros.page.server import MOST_BROWSERS, MOST_CONNECTIONS, PageServer


class Page:
    """A server, and who takes its orders."""

    def __init__(self, folder):
        self.orders: list[Order] = []
        self.refuses = ""
        self.access = Access("127.0.0.1")
        self.server = PageServer(self.access, self._take, EpisodeList(folder), Previews({}, str))
        self.port = self.server.start("127.0.0.1", 0)

    def _take(self, order: Order) -> Future[None]:
        taken: Future[None] = Future()
        self.orders.append(order)
        if self.refuses:
            taken.set_exception(UserError(self.refuses))
        else:
            taken.set_result(None)
        return taken

    def get(self, path: str) -> tuple[HTTPConnection, HTTPResponse]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        return connection, connection.getresponse()

    def order(self, **order: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        own = {"Origin": f"http://127.0.0.1:{self.port}", "X-VDD-Page": self.access.csrf}
        own["Content-Type"] = "application/json"
        connection.request("POST", "/do", json.dumps(order), own)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@pytest.fixture
def page(tmp_path) -> Iterator[Page]:
    page = Page(tmp_path)
    yield page
    page.server.close()


def event(answer: HTTPResponse) -> tuple[str, dict]:
    kind = answer.readline().decode().removeprefix("event: ").strip()
    data = json.loads(answer.readline().removeprefix(b"data: "))
    assert answer.readline() == b"\n"
    return kind, data


def test_orders_are_handed_on_and_refusals_come_back(page):
    assert page.order(action="note", episode="e", text="hello") == (200, "{}")
    assert page.orders == [Order(action="note", episode="e", text="hello")]
    page.refuses = "there is no episode in hand"
    assert page.order(action="stop") == (409, "there is no episode in hand\n")


def test_a_browser_is_told_every_state_and_the_newest_episodes(page, tmp_path):
    connection, answer = page.get("/events")
    assert event(answer) == ("hello", {"csrf": page.access.csrf, "header": "X-VDD-Page"})
    name = record(tmp_path)
    state, end_s = {"number": 0, "episodes": 0}, time.monotonic() + 30.0
    while state["episodes"] == 0 and time.monotonic() < end_s:
        page.server.publish({"number": (number := state["number"] + 1)})
        kind, state = event(answer)
        assert (kind, state["browsers"], state["number"]) == ("state", 1, number)
    listed = json.loads(page.get("/episodes")[1].read())
    assert [row["name"] for row in listed["rows"]] == [name]
    connection.close()


def test_there_are_only_so_many_browsers(page):
    looking = [page.get("/events") for _ in range(MOST_BROWSERS)]
    for _, answer in looking:
        assert event(answer)[0] == "hello"
    connection, answer = page.get("/events")
    assert answer.status == 503 and b"browsers look at this page already" in answer.read()
    connection.close()


def test_there_are_only_so_many_connections_and_who_says_nothing_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(page_server, "PATIENCE_S", 1.0)
    page = Page(tmp_path)
    crowd = [page.connect() for _ in range(MOST_CONNECTIONS)]
    late = page.connect()
    assert late.recv(1) == b"", "one too many is closed at once"
    for silent in crowd:
        assert silent.recv(1) == b"", "who asks for nothing is let go"
    assert page.get("/")[1].status == 200
    page.server.close()


def test_it_ends_while_browsers_look(page):
    _, answer = page.get("/events")
    assert event(answer)[0] == "hello"
    page.server.close()
    answer.read()  # to its end
    assert answer.isclosed()


def test_a_place_that_cannot_be_served_ends_in_one_sentence(page, tmp_path):
    for host, port in (("127.0.0.1", page.port), ("no-such-host.invalid", 0)):
        other = PageServer(Access(host), page._take, EpisodeList(tmp_path), Previews({}, str))
        with pytest.raises(UserError, match=f"cannot be served at {host}:{port}"):
            other.start(host, port)
        other.close()


def test_one_that_ends_just_when_it_is_asked_to_is_closed(page, tmp_path):
    """As where its port was taken: its loop is closed before its thread has ended."""
    other = PageServer(page.access, page._take, EpisodeList(tmp_path), Previews({}, str))
    with pytest.raises(UserError, match="cannot be served"):
        other.start("127.0.0.1", page.port)
    other._thread.join()
    other._thread.is_alive = lambda: True  # as it may still have been a moment before
    other.publish({"state": "idle"})
    other.close()
