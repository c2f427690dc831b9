"""Who may ask the page for what: other pages, other hosts, strangers, and those in a hurry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdd_ros.page.access import (
    ADDRESSES,
    CHANGES_AT_ONCE,
    CHANGES_PER_S,
    REQUESTS_AT_ONCE,
    Access,
    Asked,
    Rates,
    host_of,
)

HERE = Access("127.0.0.1", names=("bench7", "bench7.local"))
ABROAD = Access("0.0.0.0", names=("bench7", "bench7.local"))


def get(path: str = "/events", **more: str) -> Asked:
    return Asked("GET", path, "10.0.0.1", **{"host": "localhost:8421", **more})


def post(access: Access, **more: str) -> Asked:
    own = {
        "host": "localhost:8421",
        "origin": "http://localhost:8421",
        "fetch_site": "same-origin",
        "csrf": access.csrf,
    }
    return Asked("POST", "/do", "10.0.0.1", **{**own, **more})


def status(access: Access, asked: Asked, now_s: float = 0.0) -> int:
    refusal = access.refusal(asked, now_s)
    return 200 if refusal is None else refusal.status


@pytest.fixture
def here() -> Access:
    return Access("127.0.0.1", names=("bench7", "bench7.local"))


@pytest.fixture
def abroad() -> Access:
    return Access("0.0.0.0", names=("bench7", "bench7.local"))


@pytest.mark.parametrize(
    ("host", "at_home", "beyond"),
    [
        ("localhost:8421", 200, 200),
        ("LOCALHOST.:9000", 200, 200),  # through a tunnel with another port
        ("127.0.0.1:8421", 200, 200),
        ("[::1]:8421", 200, 200),
        ("bench7:8421", 200, 200),
        ("bench7.local", 200, 200),
        ("192.168.1.7:8421", 421, 200),  # nobody can point an address elsewhere
        ("evil.example:8421", 421, 421),
        ("localhost.evil.example", 421, 421),
        ("127.0.0.1.evil.example", 421, 421),
        ("2130706433", 421, 421),
        ("", 421, 421),
        ("[", 421, 421),
    ],
)
def test_a_host_that_may_be_somebody_elses_name_is_refused(here, abroad, host, at_home, beyond):
    assert status(here, get(host=host)) == at_home
    assert status(abroad, get(host=host, cookie=abroad.cookie)) == beyond


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 200),
        ({"fetch_site": ""}, 200),  # an older browser
        ({"origin": ""}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:8000"}, 403),  # another server of this machine
        ({"origin": "https://localhost:8421"}, 403),
        ({"origin": "http://localhost:8421.evil.example"}, 403),
        ({"fetch_site": "cross-site"}, 403),
        ({"fetch_site": "same-site"}, 403),
        ({"csrf": ""}, 403),
        ({"csrf": "é"}, 403),
        ({"csrf": "\udcff"}, 403),
    ],
)
def test_only_the_page_itself_changes_something(here, changed, expected):
    assert status(here, post(here, **changed)) == expected


def test_another_pages_requests_are_refused_but_a_link_may_lead_here(here):
    assert status(here, get("/previews/front", fetch_site="cross-site")) == 403
    assert status(here, get("/", fetch_site="cross-site")) == 200
    assert status(here, get("/", fetch_site="none")) == 200


def test_beyond_this_machine_it_takes_the_token_once_and_then_the_cookie(abroad):
    assert HERE.token is None and abroad.token and len(abroad.token) >= 40
    assert Access("127.0.0.1").csrf != HERE.csrf and ABROAD.token != abroad.token
    for path in ("/", "/events", "/episodes", "/page.js"):
        assert status(abroad, get(path)) == 401
        assert status(abroad, get(path, token=abroad.token[:-1])) == 401
        assert status(abroad, get(path, token=abroad.token)) == 200
        assert status(abroad, get(path, cookie=abroad.token)) == 401
        assert status(abroad, get(path, cookie=abroad.cookie)) == 200
    assert abroad.token not in abroad.cookie
    assert status(abroad, post(abroad)) == 401
    assert status(abroad, post(abroad, cookie=abroad.cookie)) == 200
    assert status(abroad, post(abroad, cookie=abroad.cookie, csrf="")) == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_takes_no_token(host):
    assert Access(host).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "bench7", "", "127.0.0.1.x"])
def test_everything_else_does(host):
    assert Access(host).token is not None


def test_the_name_it_is_served_at_is_its_own():
    access = Access("robot7.lab")
    assert status(access, get(host="robot7.lab:8421", cookie=access.cookie)) == 200
    assert status(access, get(host="robot8.lab:8421", cookie=access.cookie)) == 421


def test_who_asks_too_often_waits_and_others_do_not(here):
    for _ in range(int(REQUESTS_AT_ONCE)):
        assert status(here, get()) == 200
    assert status(here, get()) == 429
    assert status(here, get()._replace(address="10.0.0.2")) == 200
    assert status(here, get(), now_s=1.0) == 200


def test_changes_are_fewer_than_requests(here):
    asked = [status(here, post(here)) for _ in range(int(CHANGES_AT_ONCE) + 1)]
    assert asked == [200] * int(CHANGES_AT_ONCE) + [429]
    assert status(here, post(here), now_s=1.0 / CHANGES_PER_S + 1e-6) == 200


@given(st.lists(st.floats(0.0, 0.2), min_size=1, max_size=60))
def test_a_bucket_never_lets_more_through_than_it_holds(pauses):
    rates, now_s, allowed = Rates(per_s=3.0, at_once=4.0), 0.0, 0
    for pause in pauses:
        now_s += pause
        allowed += rates.allow("a", now_s)
        assert allowed <= 4.0 + 3.0 * now_s + 1e-6


def test_addresses_do_not_pile_up():
    rates = Rates(1.0, 1.0)
    for number in range(3 * ADDRESSES):
        rates.allow(str(number), 0.0)
    assert len(rates._buckets) == ADDRESSES


@given(st.text(max_size=40))
def test_any_host_header_is_read(header):
    assert isinstance(host_of(header), str)
    assert isinstance(HERE.refusal(get(host=header), 0.0), tuple | None)
