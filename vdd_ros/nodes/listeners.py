"""Whether the robot hears the commands.

An arm that joins in the middle would be sent where it is not: commands that nobody hears are a jump
later on. So nothing is sent before the robot listens, and when it no longer does, that is a stop.
Recorders listen as well, and are no robot.
"""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.publisher import Publisher

from vdd_ros.nodes.hosting import steady_timer

# Both sides of a connection learn of it one after the other.
SETTLING_S = 0.1
LOOK_PERIOD_S = 0.05
# Asking who listens holds up other threads: only when somebody came or went, or so often.
ASK_PERIOD_S = 1.0
# Nodes that only look on; names of `ros2 topic echo` and the like begin with the second.
ONLOOKERS = (
    "recorder_node", "flight_recorder_node", "trial_node", "command_observer", "contract_check",
    "teleop_node", "rosbag2_recorder", "foxglove_bridge", "rosbridge_websocket",
)  # fmt: skip
COMMAND_LINE = "_ros2cli"
# So long DDS remembers a participant that says nothing. Of two of which only one was forgotten by
# the other, each may wait for the other (eProsima/Fast-DDS, issues 155 and 457).
REMEMBERED_S = 20.0
ABSENT = "no robot listens to commands"
UNKNOWN = "_NODE_NAME_UNKNOWN_"  # an endpoint whose node has not been discovered yet
ROBOT_HELP = (
    "full name of the node that must listen to commands, such as /forward_position_controller; "
    "empty: any that is no recorder"
)


class Listeners:
    """The subscribers of one publisher of robot commands.

    robot: full name of the only node that counts, empty for any that does not merely look on. A
    thread that keeps time asks `present`; who listens is found out in the node's own.
    """

    def __init__(self, node: Node, publisher: Publisher, robot: str):
        self._node = node
        self._publisher = publisher
        self._robot = f"/{robot.lstrip('/')}" if robot else ""
        self._count = 0  # of subscribers, when it was last asked who they are
        self._asked_s = self._changed_s = -ASK_PERIOD_S
        self._since_s: float | None = None
        self._looked_s = time.monotonic()
        self._stood_s = 0.0
        self._timer = steady_timer(node, LOOK_PERIOD_S, self._look)
        self._look()

    def present(self) -> bool:
        """Whether the robot has listened for long enough to hear what is published now."""
        since_s = self._since_s  # another thread may forget it at the same time
        return since_s is not None and time.monotonic() - since_s >= SETTLING_S

    def absence(self) -> str:
        """That nobody is `present`, and why a robot may not be found though it is there."""
        if self._stood_s < REMEMBERED_S:
            return ABSENT
        return (
            f"{ABSENT}: this process stood still for {self._stood_s:.0f} s, for longer than DDS "
            f"remembers it: end it and start it again"
        )

    def destroy(self) -> None:
        """Look no more."""
        self._node.destroy_timer(self._timer)

    def _look(self) -> None:
        count, now_s = self._publisher.get_subscription_count(), time.monotonic()
        self._stood_s = max(self._stood_s, now_s - self._looked_s)
        self._looked_s = now_s
        if count == 0:
            self._count, self._since_s = 0, None
            return
        if count != self._count:
            self._changed_s = now_s
        # for a while after somebody came or went, names and count may not fit each other yet
        settled = now_s - self._changed_s >= ASK_PERIOD_S
        if settled and now_s - self._asked_s < ASK_PERIOD_S:
            return
        ends = self._node.get_subscriptions_info_by_topic(self._publisher.topic_name)
        names = [f"{end.node_namespace.rstrip('/')}/{end.node_name}" for end in ends]
        is_there = any(self._is_robot(name) for name in names)
        # one whose name is not known yet is asked for again at the next look
        self._count = -1 if any(name.endswith(UNKNOWN) for name in names) else count
        self._asked_s = now_s
        self._since_s = (self._since_s or now_s) if is_there else None

    def _is_robot(self, name: str) -> bool:
        if self._robot:
            return name == self._robot
        bare = name.rsplit("/", 1)[-1]
        return bare not in (*ONLOOKERS, UNKNOWN) and not bare.startswith(COMMAND_LINE)
