"""Whether another node drives the robot, as far as discovery knows: two do not add up."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.publisher import Publisher

from vdd_ros.nodes.hosting import full_name
from vdd_ros.nodes.listeners import UNKNOWN


def rival_of(
    node: Node, publisher: Publisher, running: bool = False, old: bool = False
) -> str | None:
    """Another node that publishes what `publisher` of this node does. One of this node's own name
    may be itself from before it was killed, until discovery forgets it.

    running: to one that runs, one whose name is not known yet does not count, as it is known at the
    next look; old: nor does one of its own name, which is the newer of both.
    """
    if node.count_publishers(publisher.topic_name) < 2:
        return None
    mine = f"/{full_name(node)}"
    ends = node.get_publishers_info_by_topic(publisher.topic_name)
    names = [f"{end.node_namespace.rstrip('/')}/{end.node_name}" for end in ends]
    if running:
        names = [name for name in names if not name.endswith(UNKNOWN)]
    if not old and names.count(mine) > 1:
        return f"a second {mine} (or one that was killed less than half a minute ago)"
    return next((name for name in names if name != mine), None)
