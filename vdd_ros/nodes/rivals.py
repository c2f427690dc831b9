"""Whether another node drives the robot, as far as discovery knows: two do not add up."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.publisher import Publisher

from vdd_ros.nodes.hosting import full_name
from vdd_ros.nodes.listeners import UNKNOWN

# Of two nodes of one name the newer gives way: who ran for so long before knowing is the older. DDS
# announces a participant every 3 s.
OLD_S = 3.5


def rival_of(node: Node, publisher: Publisher, ran_s: float | None = None) -> str | None:
    """Another node that publishes what `publisher` of this node does. One of this node's own name
    may be itself from before it was killed, until discovery forgets it.

    ran_s: for how long the node runs, None before. To one that runs, one whose name is not known
    yet does not count, as it is known at the next look; to one that ran for `OLD_S`, nor does one
    of its own name, which is the newer of both.
    """
    if node.count_publishers(publisher.topic_name) < 2:
        return None
    mine = f"/{full_name(node)}"
    ends = node.get_publishers_info_by_topic(publisher.topic_name)
    names = [f"{end.node_namespace.rstrip('/')}/{end.node_name}" for end in ends]
    if ran_s is not None:
        names = [name for name in names if not name.endswith(UNKNOWN)]
    if (ran_s or 0.0) <= OLD_S and names.count(mine) > 1:
        return f"a second {mine} (or one that was killed less than half a minute ago)"
    return next((name for name in names if name != mine), None)
