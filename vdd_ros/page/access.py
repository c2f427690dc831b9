"""Access: who may ask the page for what.

A browser shows this page beside others, and every one of them can make it send requests here. So a
request has to name a host that nobody else can point at this machine (DNS rebinding), must not come
from another page, and changes something only with what this page alone can read (CSRF). Beyond
this machine it also needs a token.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

COOKIE = "vdd_page"
CSRF_HEADER = "X-VDD-Page"
# several browsers with several cameras, which may all come through one tunnel
REQUESTS_PER_S, REQUESTS_AT_ONCE = 200.0, 400.0
CHANGES_PER_S, CHANGES_AT_ONCE = 5.0, 10.0
ADDRESSES = 256  # that are told apart


def cookie_name(host: str) -> str:
    """Of the page at a Host: cookies do not tell ports apart, and two arms have two pages."""
    port = host.rpartition(":")[2]
    return f"{COOKIE}_{port if port.isdigit() else 80}"


class Asked(NamedTuple):
    """What a request says of itself; headers it lacks are empty. token: in the address; fetch_site:
    the browser's own word on where the request is from, `Sec-Fetch-Site`."""

    method: str
    path: str
    address: str
    host: str
    origin: str = ""
    fetch_site: str = ""
    cookie: str = ""
    token: str = ""
    csrf: str = ""


class Refusal(NamedTuple):
    """status: of HTTP; sentence: for the person who asked."""

    status: int
    sentence: str


@dataclass
class Access:
    """host: address that the server listens on; names: of this machine, by which a browser may
    call it; csrf: what only the page itself can read.

    token: None while the server listens on this machine alone, otherwise needed once in the
    address; from then on a cookie made of it does.
    """

    host: str
    names: Iterable[str] = ()
    token: str | None = None
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def __post_init__(self) -> None:
        self._is_local = is_loopback(self.host)
        if not self._is_local and self.token is None:
            self.token = secrets.token_urlsafe(32)
        self._names = {name.lower().rstrip(".") for name in (*self.names, self.host, "localhost")}
        self._requests = Rates(REQUESTS_PER_S, REQUESTS_AT_ONCE)
        self._changes = Rates(CHANGES_PER_S, CHANGES_AT_ONCE)

    @property
    def cookie(self) -> str:
        """What a browser shows once its token was right; the token cannot be told from it."""
        return hmac.new((self.token or "").encode(), b"cookie", hashlib.sha256).hexdigest()

    def brings_token(self, asked: Asked) -> bool:
        """Whether the right token is in the address, so that the browser is to have the cookie."""
        return self.token is not None and same(asked.token, self.token)

    def refusal(self, asked: Asked, now_s: float) -> Refusal | None:
        """Why a request is not served, or None."""
        if not self._requests.allow(asked.address, now_s):
            return Refusal(429, "too many requests: wait a few seconds")
        if not self._is_own_host(asked.host):
            return Refusal(
                421,
                f"this page is not called {asked.host!r:.80}: use the machine's address, or say so "
                "in page_node's parameter `names`",
            )
        is_visit = asked.method == "GET" and asked.path == "/"  # which tells and changes nothing
        if asked.fetch_site not in ("", "none", "same-origin") and not is_visit:
            return Refusal(403, "this request comes from another page")
        if self.token is not None and not self._has_entered(asked):
            return Refusal(401, "open the address that page_node printed, with its token")
        if asked.method in ("GET", "HEAD"):
            return None
        return self._change_refusal(asked, now_s)

    def _change_refusal(self, asked: Asked, now_s: float) -> Refusal | None:
        if asked.origin.lower() != f"http://{asked.host.lower()}":
            return Refusal(403, "only this page itself may change something (Origin)")
        if not same(asked.csrf, self.csrf):
            return Refusal(403, f"only this page itself may change something ({CSRF_HEADER})")
        if not self._changes.allow(asked.address, now_s):
            return Refusal(429, "too many changes: wait a few seconds")
        return None

    def _has_entered(self, asked: Asked) -> bool:
        return same(asked.cookie, self.cookie) or self.brings_token(asked)

    def _is_own_host(self, header: str) -> bool:
        """An address cannot be pointed elsewhere; a name can, unless it is this machine's own."""
        name = host_of(header)
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback if self._is_local else True


class Rates:
    """A bucket for each address: `at_once` requests, and then `per_s` [1/s]."""

    def __init__(self, per_s: float, at_once: float):
        self.per_s, self.at_once = per_s, at_once
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # (left, when)

    def allow(self, address: str, now_s: float) -> bool:
        """Whether one more may come now."""
        left, then_s = self._buckets.pop(address, (self.at_once, now_s))
        left = min(self.at_once, left + (now_s - then_s) * self.per_s)
        allowed = left >= 1.0
        self._buckets[address] = (left - allowed, now_s)
        while len(self._buckets) > ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed


def same(given: str, wanted: str) -> bool:
    """Compared in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def host_of(header: str) -> str:
    """The host of a Host header, without port and brackets, lower case."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
