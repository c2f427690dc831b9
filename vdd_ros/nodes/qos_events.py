"""What the middleware tells of publishers and subscribers that do not fit together."""

from __future__ import annotations

from rclpy.qos import qos_policy_name_from_kind

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

__all__ = ["PublisherEventCallbacks", "SubscriptionEventCallbacks", "qos_mismatch"]


def qos_mismatch(topic: str, info) -> str:
    """What an event of incompatible QoS says, and what to do."""
    policy = qos_policy_name_from_kind(info.last_policy_kind).lower()
    return (
        f"another node on {topic} differs in {policy}, so nothing passes between them: let it have "
        "the QoS that the contract declares, or write its own into the contract"
    )
