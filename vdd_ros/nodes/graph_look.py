"""GraphLook: what is to be seen of a contract's topics in the graph, without sending anything.

Messages wait in the readers' queues with the time at which they came, as the middleware says it,
and are taken out now and then; no callback runs. The robot's commands are not heard, as a gate
could take that for a robot: discovery says who does.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.duration import Infinite
from rclpy.node import Node
from rclpy.qos import LivelinessPolicy, QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo
from std_msgs.msg import String

from vdd_ros.bag import header_stamp_ns
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import COMPRESSED, Camera
from vdd_ros.contract_parts import Stream
from vdd_ros.errors import UserError
from vdd_ros.live_look import End, Look, Sample, Seen
from vdd_ros.nodes.messages import (
    RELIABILITY,
    command_qos,
    fields_of,
    latched_qos,
    message_class,
    qos_of,
)
from vdd_ros.picture_file import BrokenPicture, opened
from vdd_ros.urdf import Urdf, urdf_of

NAME = "contract_check"  # one of `listeners.ONLOOKERS`
POLL_S = 0.02
QUEUE = 2000  # messages of a topic between two polls
HIDDEN = ("_ros2cli", "_NODE_NAME_UNKNOWN_")


class Heard(NamedTuple):
    """received_ns, stamps_ns: of each message; newest: the bytes of the last."""

    received_ns: list[int]
    stamps_ns: list[int]
    newest: list[bytes]


class GraphLook:
    """A participant of its own. Use as a context manager; `look` once.

    namespace: that of the nodes that will use the contract; domain: None for ROS_DOMAIN_ID's.
    """

    def __init__(self, contract: Contract, namespace: str = "", domain: int | None = None):
        self._contract = contract
        self._context = Context()
        rclpy.init(
            args=[],
            context=self._context,
            domain_id=domain,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self._node = Node(
            NAME,
            namespace=namespace,
            context=self._context,
            enable_rosout=False,
            start_parameter_services=False,
        )
        # best effort beside it hears also whom the contract's reliability does not: so all that is
        # wrong with them is told at once
        self._readers = {
            (name, reliability): self._subscribe(source, reliability)
            for name, source in contract.sources.items()
            for reliability in {source.reliability, "best_effort"}
            if name != "robot_command"
        }
        self._description = self._reader("robot_description", String, latched_qos())
        self._heard: dict[tuple[str, str], Heard] = {
            key: Heard([], [], []) for key in self._readers
        }

    def __enter__(self) -> GraphLook:
        return self

    def __exit__(self, *_) -> None:
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def look(self, seconds: float) -> Look:
        """What is to be seen and heard within so long."""
        described = b""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            time.sleep(min(POLL_S, left_s))
            for key, reader in self._readers.items():
                for data, received_ns in _waiting(reader):
                    self._take(*key, data, received_ns)
            for data, _ in _waiting(self._description):
                described = data
        sources = self._contract.sources
        return Look(
            seconds,
            self._others(),
            {name: self._seen(name, source) for name, source in sources.items()},
            self._ends(self._contract.e_stop_topic),
            bool(self._node.count_publishers("/clock")),
            _urdf(described),
        )

    def _subscribe(self, source: Stream | Camera, reliability: str):
        qos = qos_of(source, QUEUE)
        qos.reliability = RELIABILITY[reliability]
        return self._reader(source.topic, message_class(source.type), qos)

    def _reader(self, topic: str, kind: type, qos: QoSProfile):
        return self._node.create_subscription(kind, topic, lambda _: None, qos, raw=True)

    def _take(self, name: str, reliability: str, data: bytes, received_ns: int) -> None:
        heard = self._heard[name, reliability]
        heard.received_ns.append(received_ns)
        if self._contract.sources[name].has_header:
            heard.stamps_ns.append(header_stamp_ns(data))
        heard.newest[:] = [data]

    def _others(self) -> tuple[str, ...]:
        """Full names of the nodes of others."""
        names = self._node.get_node_names_and_namespaces()
        full = {f"{namespace.rstrip('/')}/{name}" for name, namespace in names}
        mine = self._node.get_fully_qualified_name()
        hidden = {name for name in full if name.rpartition("/")[2].startswith(HIDDEN)}
        return tuple(sorted(full - hidden - {mine}))

    def _seen(self, name: str, source: Stream | Camera) -> Seen:
        is_command = name == "robot_command"
        mine = command_qos(self._contract, name) if is_command else qos_of(source)
        seen = self._ends(source.topic, mine)._replace(others=self._alike(source, is_command))
        if is_command:
            return seen
        both = [one for (of, _), one in self._heard.items() if of == name]
        heard = max(both, key=lambda one: len(one.received_ns))
        return seen._replace(
            received_ns=np.array(heard.received_ns, np.int64),
            stamps_ns=np.array(heard.stamps_ns, np.int64),
            newest=self._sample(source, heard.newest[-1]) if heard.newest else None,
        )

    def _ends(self, topic: str, mine: QoSProfile | None = None) -> Seen:
        """Who publishes and listens, by discovery. mine: the QoS with which we listen to the one
        and speak to the other."""
        full = self._node.resolve_topic_name(topic)

        def end(info: TopicEndpointInfo, publishes: bool) -> End:
            mismatch = ""
            if mine is not None:
                ours = _spelt_out(mine)
                pair = (info.qos_profile, ours) if publishes else (ours, info.qos_profile)
                verdict, reason = qos_check_compatible(*pair)
                mismatch = _told(reason) if verdict == QoSCompatibility.ERROR else ""
            return End(_name_of(info), info.topic_type, mismatch)

        publishers = self._node.get_publishers_info_by_topic(full)
        subscribers = self._node.get_subscriptions_info_by_topic(full)
        myself = self._node.get_fully_qualified_name()
        return Seen(
            full,
            tuple(end(info, True) for info in publishers),
            tuple(end(info, False) for info in subscribers if _name_of(info) != myself),
        )

    def _alike(self, source: Stream | Camera, is_listened_to: bool) -> tuple[str, ...]:
        """Other topics of a source's type, that somebody publishes or listens to."""
        mine = {self._node.resolve_topic_name(one.topic) for one in self._contract.sources.values()}
        count = self._node.count_subscribers if is_listened_to else self._node.count_publishers
        found = self._node.get_topic_names_and_types()
        alike = [topic for topic, types in found if source.type in types and topic not in mine]
        return tuple(topic for topic in alike if count(topic))

    def _sample(self, source: Stream | Camera, data: bytes) -> Sample:
        message: Any = deserialize_message(data, message_class(source.type))
        frame = message.header.frame_id if source.has_header else ""
        if isinstance(source, Camera):
            return Sample(frame=frame, picture=_picture(source, message))
        names = tuple(getattr(message, "name", None) or getattr(message, "joint_names", None) or ())
        try:
            told = fields_of(message, self._contract, source)
        except UserError as error:
            return Sample(str(error), names, frame=frame)
        if source.is_of_objects:
            return Sample(frame=frame)
        return Sample("", names, told.get("position"), "velocity" in told, frame)


def _spelt_out(qos: QoSProfile) -> QoSProfile:
    """The same, with what the middleware makes of what is left to it, as discovery tells it."""
    qos.deadline = qos.liveliness_lease_duration = Infinite
    qos.liveliness = LivelinessPolicy.AUTOMATIC
    return qos


def _told(reason: str) -> str:
    """The errors that a middleware names, without what it only suspects."""
    parts = [part.strip() for part in reason.split(";")]
    return ", ".join(part.removeprefix("ERROR: ") for part in parts if part.startswith("ERROR"))


def _waiting(reader) -> list[tuple[bytes, int]]:
    """Messages that came since the last time, and when [ns of the system's clock]."""
    found = []
    with (handle := reader.handle):
        while (taken := handle.take_message(reader.msg_type, True)) is not None:
            data, information = taken
            # not every middleware says when
            found.append((bytes(data), int(information["received_timestamp"]) or time.time_ns()))
    return found


def _name_of(info: TopicEndpointInfo) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _picture(camera: Camera, message: Any) -> str:
    """As the contract writes it; the size of a compressed one is read from its first bytes."""
    if camera.type != COMPRESSED:
        return f"{message.encoding} {message.width}x{message.height}"
    try:
        with opened(bytes(message.data)) as picture:
            return f"{str(picture.format).lower()} {picture.width}x{picture.height}"
    except BrokenPicture:
        return f"unreadable ({message.format!s:.40})"


def _urdf(data: bytes) -> Urdf | None:
    """What /robot_description says; None where nobody says it, or where it is no URDF."""
    if not data:
        return None
    try:
        return urdf_of(deserialize_message(data, String).data)
    except ValueError:
        return None
