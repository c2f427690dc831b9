"""page_node: recording in a browser, through recorder_node.

    ros2 run vdd_ros page_node --ros-args -p contract:=... -p directory:=demonstrations

It prints the address. Beyond this machine (`host`) the address has a token.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from concurrent.futures import Future as Promise
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import String

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.calls import Calls
from vdd_ros.nodes.camera_watch import CameraWatch, jpeg_of
from vdd_ros.nodes.hosting import full_name_of, run_node, steady_timer
from vdd_ros.nodes.messages import LEVELS
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.page.access import Access
from vdd_ros.page.episode_list import EpisodeList
from vdd_ros.page.model import PageModel, Report
from vdd_ros.page.orders import Order
from vdd_ros.page.previews import Camera, Previews, cameras_of
from vdd_ros.session import Session, Step

if TYPE_CHECKING:
    from vdd_ros.page.server import PageServer

LOOK_PERIOD_S = 0.02
SHOW_PERIOD_S = 0.1
SOURCES_PERIOD_S = 2.0
LEVEL_NAMES = {level: name for name, level in LEVELS.items()}


@dataclass(frozen=True)
class PageParameters:
    contract: str = parameter("", "path of the contract YAML", required=True)
    directory: str = parameter("", "folder that episodes are saved in", required=True)
    recorder: str = parameter("recorder_node", "name of the recorder's node")
    countdown: float = parameter(3.0, "from a start to the first moment recorded [s]", lower=0.0)
    episodes: int = parameter(
        0, "episodes to save, of which the page says how many are left, 0: no end", lower=0
    )
    host: str = parameter(
        "127.0.0.1", "address to serve the page at; beyond this machine it takes a token"
    )
    port: int = parameter(8421, "port to serve the page at, 0: any free one", lower=0, upper=65535)
    names: str = parameter(
        "", "names, separated by spaces, by which browsers may call this machine beside its own"
    )
    reset: str = parameter(
        "",
        "services (std_srvs/Trigger) that set the scene back after every episode, separated by "
        "spaces, such as 'sim_node/reset command_gate/reset'",
    )
    previews: str = parameter(
        "", "cameras as NAME:TOPIC, separated by spaces, such as front:/front/image_raw/compressed"
    )


class PageNode(Node):
    """Hosts a PageModel and a PageServer: presses of buttons in, the recorder's services out."""

    def __init__(self) -> None:
        super().__init__("page_node")
        settings = read_parameters(self, PageParameters)
        contract = Contract.from_yaml(settings.contract)
        recorder = full_name_of(self, settings.recorder)
        resets = settings.reset.split()
        session = Session(0, settings.countdown, sets_back=bool(resets))
        self.model = PageModel(contract, recorder, session, settings.episodes)
        self._orders: SimpleQueue[tuple[Order, Promise]] = SimpleQueue()
        self._calls = Calls(self, settings.recorder, resets)
        self._notes = self.create_publisher(String, f"{settings.recorder}/annotate", 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        own = {name: Camera(one.topic, one.type) for name, one in contract.cameras.items()}
        self._previews = Previews(own | cameras_of(settings.previews), jpeg_of)
        self._cameras = CameraWatch(self, self._previews)
        names = {platform.node(), f"{platform.node()}.local", *settings.names.split()}
        access = Access(settings.host, names)
        episodes = EpisodeList(settings.directory)
        self._server = server_class()(access, self._take, episodes, self._previews)
        port = self._server.start(settings.host, settings.port)
        print(f"the page is at {address(settings.host, port, access.token)}", flush=True)
        steady_timer(self, LOOK_PERIOD_S, self._look)
        steady_timer(self, SHOW_PERIOD_S, self._show)
        steady_timer(self, SOURCES_PERIOD_S, self._find_sources)

    def destroy_node(self) -> None:
        """Serve no more."""
        self._server.close()
        super().destroy_node()

    def _take(self, order: Order) -> Promise:
        """Called by the server's thread: carried out in this node's own."""
        taken: Promise = Promise()
        self._orders.put((order, taken))
        return taken

    def _look(self) -> None:
        now_s = time.monotonic()
        self._calls.look(now_s)
        self._do(self.model.tick(now_s, time_of_day()))
        while not self.model.busy:  # who is quick waits until the recorder has answered
            try:
                order, taken = self._orders.get_nowait()
            except Empty:
                return
            self._carry_out(order, taken)

    def _carry_out(self, order: Order, taken: Promise) -> None:
        if not taken.set_running_or_notify_cancel():  # the browser has gone away
            return
        try:
            self._do(self.model.take(order, time.monotonic()))
        except UserError as error:
            taken.set_exception(error)
        else:
            taken.set_result(None)
        self._show()

    def _do(self, steps: list[Step]) -> None:
        for step in steps:
            if step.command:
                self._calls.ask(step.command, partial(self._on_answer, step.command))
            else:
                self._note(*step.note)

    def _note(self, name: str, value: object) -> None:
        if self._notes.get_subscription_count() == 0:
            self.model.lost_note("is the recorder running?", time_of_day())
        else:
            self._notes.publish(String(data=json.dumps({name: value})))

    def _on_answer(self, command: str, done: bool, told: str) -> None:
        self._do(self.model.answered(command, done, told, time.monotonic(), time_of_day()))
        self._show()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            report = Report(
                LEVEL_NAMES.get(status.level, "stale"),
                status.message,
                {pair.key: pair.value for pair in status.values},
                time.monotonic(),
            )
            self.model.report(status.name, report, time_of_day())

    def _show(self) -> None:
        now_s = time.monotonic()
        self._cameras.look(now_s)
        if self._server.browsers:
            cameras = list(self._previews.cameras)
            self._server.publish(self.model.snapshot(now_s) | {"cameras": cameras})

    def _find_sources(self) -> None:
        """Who publishes the streams and pictures, while somebody looks."""
        if self._server.browsers:
            for name, source in self.model.contract.sources.items():
                topic = self.resolve_topic_name(source.topic)
                ends = self.get_publishers_info_by_topic(topic)
                self.model.sources[name] = sorted({end.node_name for end in ends})


def server_class() -> type[PageServer]:
    """The server, which needs a library that nothing else does; raises UserError."""
    try:
        from vdd_ros.page.server import PageServer
    except ImportError as error:
        raise UserError(
            f"the page needs aiohttp ({error}): install python3-aiohttp, or vdd_ros[page]"
        ) from None
    return PageServer


def address(host: str, port: int, token: str | None) -> str:
    """What is to be opened in a browser."""
    if host in ("0.0.0.0", "::"):
        host = platform.node()
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")


def time_of_day() -> str:
    """For people who read the page."""
    return time.strftime("%H:%M:%S")


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(PageNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
