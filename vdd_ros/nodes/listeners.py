"""Whether anyone hears the commands.

An arm that joins in the middle would be sent where it is not: commands that nobody hears are a jump
later on. So nothing is sent before the robot listens, and when it no longer does, that is a stop.
"""

from __future__ import annotations

import time

from rclpy.publisher import Publisher

# Both sides of a connection learn of it one after the other.
SETTLING_S = 0.1


class Listeners:
    """The subscribers of one publisher."""

    def __init__(self, publisher: Publisher):
        self._publisher = publisher
        self._since_s: float | None = None

    def present(self) -> bool:
        """Whether there has been a subscriber for long enough to hear what is published now."""
        if self._publisher.get_subscription_count() == 0:
            self._since_s = None
            return False
        now_s = time.monotonic()
        since_s = self._since_s  # another thread may ask, and forget it, at the same time
        if since_s is None:
            self._since_s = since_s = now_s
        return now_s - since_s >= SETTLING_S
