"""The page in a real browser, with a real recorder: episodes by clicks and keys; what it refuses.

Requests that no browser would send are written as raw HTTP.
"""

from __future__ import annotations

import http.client
import io
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pytest
from harness import CONTRACT_PATH, running_node, wait_for
from PIL import Image as Picture
from playwright.sync_api import Browser, Page, expect, sync_playwright
from robots import moving_arm
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from vdd_ros.episode import EpisodeStore
from vdd_ros.page.access import cookie_name
from vdd_ros.page.orders import LARGEST_BYTES
from vdd_ros.part import left_overs
from vdd_ros.session import PAUSE_S

SOON_MS = 40_000.0
CHROMIUM = shutil.which("chromium")
# of its own accord it would look for updates, and for a graphics card
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
CAMERAS = "front:/front/image_raw wrist:/wrist/image_raw/compressed"


class Served(NamedTuple):
    """url: as it was printed."""

    url: str
    output: Callable[[], str]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def demos(folder):
    (folder / "demos").mkdir()
    return folder / "demos"


@pytest.fixture(scope="module")
def store(demos) -> EpisodeStore:
    return EpisodeStore(demos)


def serve(domain: int, demos, **more: object) -> Iterator[Served]:
    parameters = {"contract": CONTRACT_PATH, "directory": demos, "port": 0, "countdown": 0.5}
    with running_node("page_node", domain, parameters | more) as node:
        (url,) = wait_for(
            lambda: re.findall(r"the page is at (\S+)\n", node.output), "the page's address"
        )
        yield Served(url, lambda: node.output)


@pytest.fixture(scope="module")
def resets(observer) -> Iterator[list[float]]:
    """When a scene was set back; while it lasts it is there to be."""
    times: list[float] = []

    def set_back(_, response):
        times.append(time.monotonic())
        response.success = True
        return response

    service = observer.node.create_service(Trigger, "scene/reset", set_back)
    yield times
    observer.node.destroy_service(service)


@pytest.fixture(scope="module")
def served(domain, observer, demos, resets) -> Iterator[Served]:
    """The page, with a recorder and an arm that moves."""
    parameters = {"contract": CONTRACT_PATH, "directory": demos}
    with running_node("recorder_node", domain, parameters), moving_arm(observer):
        yield from serve(domain, demos, previews=f"'{CAMERAS}'", reset="scene/reset")


@pytest.fixture(scope="module")
def abroad(domain, demos) -> Iterator[Served]:
    """The page for other machines too."""
    yield from serve(domain, demos, host="0.0.0.0")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, served) -> Iterator[Page]:
    """The page as a browser shows it; whatever it complains of is a failure."""
    page, complaints = browser.new_page(viewport={"width": 1280, "height": 900}), []
    page.set_default_timeout(SOON_MS)
    expect.set_options(timeout=SOON_MS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: told.type == "error" and complaints.append(told.text))
    page.goto(served.url)
    state(page, "READY")
    yield page
    page.close()
    assert complaints == []


def state(page: Page, word: str) -> None:
    """Waits until it is what is seen from three metres."""
    expect(page.locator("#state")).to_have_text(word)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def record(page: Page) -> str:
    """Starts an episode by a click; its name."""
    press(page, "Start")
    state(page, "RECORDING")
    expect(page.locator("#detail")).to_have_text(re.compile(r"episode_\d{4}"))
    return page.locator("#detail").inner_text()


def keep_whatever_it_is(page: Page, verdict: str) -> None:
    """Says yes where a busy machine made it a FAIL, which is asked about."""
    if verdict == "FAIL":
        question = page.get_by_role("alertdialog")
        expect(question).to_contain_text("did not pass: keep it all the same?")
        question.get_by_role("button", name="Yes, keep it").click()


def test_an_episode_by_clicks(page, served, store):
    expect(page.locator("#streams tr", has_text="joint_state")).to_contain_text("observer")
    expect(page.locator("#streams tr", has_text="joint_state")).to_contain_text(
        re.compile(r"\d ms")
    )
    expect(page.locator("#space")).to_contain_text("iB")
    assert page.get_by_role("button", name="Keep").is_disabled()
    name = record(page)
    expect(page.locator("#clock")).to_have_text("0:01")
    page.get_by_label("Note").fill("a <b>can</b> fell")
    press(page, "Add note")
    press(page, "Success")
    expect(page.get_by_role("button", name="Success")).to_have_attribute("aria-pressed", "true")
    press(page, "Stop")
    expect(page.locator("#state")).to_have_text(re.compile("PASS|WARN|FAIL"))
    verdict = page.locator("#state").inner_text()
    press(page, "Keep")
    keep_whatever_it_is(page, verdict)
    state(page, "READY")
    row = page.locator("#episodes li", has_text=name)
    expect(row).to_contain_text(verdict)
    expect(row).to_contain_text("success")
    expect(row).to_contain_text("a <b>can</b> fell")  # as text, not as a part of the page
    manifest = store.load(name).manifest
    assert manifest.verdict.level == verdict
    assert (manifest.meta["success"], manifest.meta["note"]) == (True, "a <b>can</b> fell")
    assert served.output().count("\n") == 1, "what is refused or done is no noise in the log"


def test_discarding_takes_a_second_press(page, store):
    before = store.list()
    name = record(page)
    press(page, "Discard")
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text(f"Discard {name}? It cannot be brought back.")
    question.get_by_role("button", name="No").click()
    expect(question).to_be_hidden()
    state(page, "RECORDING")
    press(page, "Discard")
    question.get_by_role("button", name="Yes").click()
    state(page, "READY")
    assert store.list() == before


def test_one_is_set_aside_and_what_is_left_over_is_shown(page, store, demos):
    before, name = store.list(), record(page)
    expect(page.locator("#left-over")).to_be_hidden()
    press(page, "Set aside")
    state(page, "READY")
    expect(page.locator("#said")).to_contain_text(f"{name} is set aside: ")
    told = f"1 recording was never saved: `vdd dataset recover {demos}`"
    expect(page.locator("#left-over")).to_contain_text(told)
    assert store.list() == before and left_overs(demos) == [name]
    shutil.rmtree(demos / ".quarantine")
    expect(page.locator("#left-over")).to_be_hidden()


def test_an_episode_by_keys(page, store):
    expect(page.get_by_role("button", name="Start")).to_be_enabled()
    page.keyboard.press("s")
    state(page, "RECORDING")
    name = page.locator("#detail").inner_text()
    page.keyboard.press("o")
    page.keyboard.type("sky dunk")  # letters of buttons, in a line of text
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    expect(page.get_by_role("button", name="Failure")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    page.keyboard.press("s")
    expect(page.locator("#state")).to_have_text(re.compile("PASS|WARN|FAIL"))
    verdict = page.locator("#state").inner_text()
    page.keyboard.press("k")
    keep_whatever_it_is(page, verdict)
    state(page, "READY")
    meta = store.manifest(name).meta
    assert (meta["note"], meta["success"]) == ("sky dunk", False)


def test_recording_again_by_keys_and_the_scene_by_a_button(page, store, resets):
    before, times = store.list(), len(resets)
    name = record(page)
    page.keyboard.press("r")
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text(f"Discard {name} and record it again?")
    expect(question.get_by_role("button", name="Yes")).to_be_enabled()
    page.keyboard.press("r")
    state(page, "RECORDING")
    expect(page.locator("#said")).to_contain_text(f"discarded {name}")
    assert len(resets) == times + 1 and store.list() == before
    assert page.get_by_role("button", name="Set scene back").is_disabled()
    press(page, "Discard")
    question.get_by_role("button", name="Yes").click()
    state(page, "READY")
    press(page, "Set scene back")
    wait_for(lambda: len(resets) == times + 3, "a scene set back")
    state(page, "READY")


def test_every_browser_sees_one_and_the_same(page, browser, served):
    other = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    other.goto(served.url)
    expect(page.locator("#browsers")).to_have_text("2")
    name = record(page)
    state(other, "RECORDING")
    press(other, "Discard")
    expect(page.get_by_role("alertdialog")).to_be_visible()
    time.sleep(PAUSE_S)
    page.get_by_role("button", name="Yes").click()
    state(other, "READY")
    expect(other.locator("#said")).to_contain_text(f"discarded {name}")
    width = other.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "on a phone nothing is beyond the edge"
    other.close()


def test_cameras_are_shown_while_somebody_looks(page, observer):
    raw = observer.node.create_publisher(Image, "/front/image_raw", 1)
    packed = observer.node.create_publisher(CompressedImage, "/wrist/image_raw/compressed", 1)
    wait_for(raw.get_subscription_count, "who looks at a camera")
    wait_for(packed.get_subscription_count, "who looks at a camera")
    red = np.full((48, 64, 3), (0, 0, 200), dtype=np.uint8)
    message = Image(height=48, width=64, encoding="bgr8", step=192, data=red.tobytes())
    jpeg = jpeg_of(Picture.new("RGB", (64, 48), (0, 0, 200)))

    def shown() -> list:
        raw.publish(message)
        packed.publish(CompressedImage(format="jpeg", data=jpeg))
        return page.evaluate(
            """[...document.querySelectorAll("#cameras img")].map((image) => {
                const canvas = document.createElement("canvas");
                const context = canvas.getContext("2d");
                context.drawImage(image, 0, 0);
                return [image.naturalWidth, ...context.getImageData(9, 9, 1, 1).data.slice(0, 3)];
            })"""
        )

    wait_for(lambda: [width for width, *_ in shown()] == [64, 64], "two pictures")
    np.testing.assert_allclose(shown(), [[64, 200, 0, 0], [64, 0, 0, 200]], atol=6)
    page.goto("about:blank")
    wait_for(lambda: raw.get_subscription_count() == 0, "nobody who looks any more")
    for publisher in (raw, packed):
        observer.node.destroy_publisher(publisher)


def jpeg_of(picture: Picture.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95)
    return file.getvalue()


def test_a_token_opens_the_page_once_and_leaves_the_address(browser, abroad):
    address, token = abroad.url.split("?token=")
    context = browser.new_context()
    page = context.new_page()
    stranger = page.goto(abroad.origin)
    assert stranger is not None and stranger.status == 401
    page.goto(f"{abroad.origin}/?token={token}")
    expect(page.locator("#state")).not_to_have_text("OFFLINE")
    assert page.url == f"{abroad.origin}/"
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
        cookie_name(abroad.origin),
        True,
        "Strict",
    )
    assert cookie["value"] != token
    page.reload()
    expect(page.locator("#state")).not_to_have_text("OFFLINE")
    context.close()
    assert abroad.output().count(token) == 1, "it is printed once"


# ---- without a browser


class Answer(NamedTuple):
    status: int
    text: str
    headers: dict[str, str]


def ask(served: Served, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """One request; headers by their names with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in given, skip_accept_encoding=True)
    if body:
        given.setdefault("Content-Length", str(len(body)))
    for name, value in given.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    answer = Answer(response.status, response.read().decode(), dict(response.getheaders()))
    connection.close()
    return answer


@pytest.fixture(scope="module")
def own(served) -> dict[str, str]:
    """Headers of the page's own requests, with what only it can read."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", "/events")
    response = connection.getresponse()
    assert response.readline() == b"event: hello\n"
    told = json.loads(response.readline().removeprefix(b"data: "))
    connection.close()
    return {
        "Content_Type": "application/json",
        "Origin": served.origin,
        told["header"].replace("-", "_"): told["csrf"],
    }


START = json.dumps({"action": "start"}).encode()
CANCEL = json.dumps({"action": "cancel"}).encode()


def test_the_page_tells_browsers_what_they_may_do_with_it(served):
    answer = ask(served, "GET", "/")
    assert answer.status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    for path in ("/", "/page.css", "/page.js"):
        text = ask(served, "GET", path).text
        assert not re.search(r"https?://|style=|onclick|innerHTML", text), path


def test_its_own_order_is_taken(served, own):
    assert ask(served, "POST", "/do", CANCEL, **own).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "changed", "status"),
    [
        ("POST", "/do", START, {"Host": "evil.example"}, 421),
        ("GET", "/events", b"", {"Host": "evil.example"}, 421),
        ("POST", "/do", START, {"Origin": "http://evil.example"}, 403),
        ("POST", "/do", START, {"Origin": "null"}, 403),
        ("POST", "/do", START, {"X_VDD_Page": "guessed"}, 403),
        ("POST", "/do", START, {"Sec_Fetch_Site": "cross-site"}, 403),
        ("POST", "/do", START, {"Content_Type": "text/plain"}, 415),
        ("POST", "/do", START, {"Content_Encoding": "gzip"}, 415),
        ("POST", "/do", b"{}", {}, 409),
        ("POST", "/do", b'{"action": "erase"}', {}, 409),
        ("POST", "/do", b" " * (LARGEST_BYTES + 1), {}, 413),
        ("POST", "/do", b"{}", {"Content_Length": str(1 << 40)}, 413),
        ("GET", "/do?action=start", b"", {}, 405),
        ("PUT", "/do", START, {}, 405),
        ("OPTIONS", "/do", b"", {}, 405),
        ("GET", "/previews/..%2f..%2fetc%2fpasswd", b"", {}, 404),
        ("GET", "/previews/nobody", b"", {}, 404),
        ("GET", "/../../etc/passwd", b"", {}, 404),
        ("GET", "/static/page.js", b"", {}, 404),
        ("GET", "/" + "a" * 20_000, b"", {}, 400),
    ],
)
def test_what_is_refused_is_refused_in_a_sentence(served, own, method, path, body, changed, status):
    before = ask(served, "GET", "/episodes").text
    answer = ask(served, method, path, body, **{**own, **changed})
    assert answer.status == status
    assert 0 < len(answer.text) < 1000
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert ask(served, "GET", "/episodes").text == before


def test_a_request_that_lacks_what_only_the_page_knows_starts_nothing(served, own):
    for name in ("Origin", "X_VDD_Page"):
        lacking = {key: value for key, value in own.items() if key != name}
        assert ask(served, "POST", "/do", START, **lacking).status == 403


def test_strangers_from_other_machines_learn_nothing(abroad):
    token = abroad.url.split("?token=")[1]
    for path in ("/", "/events", "/episodes", "/page.js", f"/episodes?token={token[:-1]}x"):
        assert ask(abroad, "GET", path).status == 401
    assert (
        ask(abroad, "GET", "/episodes", Cookie=f"{cookie_name(abroad.origin)}={token}").status
        == 401
    )
    entered = ask(abroad, "GET", f"/?token={token}")
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert ask(abroad, "GET", "/episodes", Cookie=cookie.split(";")[0]).status == 200


def test_a_port_that_is_taken_ends_in_one_sentence(domain, demos, served):
    parameters = {"contract": CONTRACT_PATH, "directory": demos, "port": served.port}
    with running_node("page_node", domain, parameters) as node:
        assert node.wait() == 2
        assert node.output.count("\n") == 1 and "cannot be served at 127.0.0.1" in node.output
