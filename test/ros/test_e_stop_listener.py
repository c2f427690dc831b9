"""Whose word on the e-stop counts, with and without ROS saying who published it."""

from __future__ import annotations

import pytest
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from vdd_ros.nodes.e_stop import EStopListener

GID = {"data": [1] * 16, "implementation_identifier": "rmw_fastrtps_cpp"}


class Ear:
    """A listener that is told words as rclpy tells them, and what it passed on."""

    def __init__(self, node):
        self.told: list[bool] = []
        self.listener = EStopListener(node, "/e_stop", self.told.append)

    def hear(self, number: int, pressed: bool, **who) -> None:
        information = {"publication_sequence_number": number, **who}
        self.listener._hear(Bool(data=pressed), information)

    def let_go(self) -> bool:
        request = SetBool.Request(data=False)
        return self.listener._answer(request, SetBool.Response()).success


@pytest.fixture
def ear(observer):
    ear = Ear(observer.node)
    yield ear
    ear.listener.destroy()


def test_where_ros_does_not_say_who_published_a_press_counts_until_the_service_lets_go(ear):
    """Beside a panel that says False all the time, a second publisher counts from one."""
    for number in range(1, 51):
        ear.hear(number, False)
    ear.hear(1, True)
    ear.hear(51, False)
    assert ear.told[-2:] == [True, True] and ear.listener.pressed
    assert ear.let_go() and not ear.listener.pressed and not ear.told[-1]


def test_where_ros_says_who_published_a_word_that_was_overtaken_counts_no_more(ear):
    for number, pressed in ((1, False), (3, True), (2, False), (3, True)):
        ear.hear(number, pressed, publisher_gid=GID)
    assert ear.told == [False, True] and ear.listener.pressed
    ear.hear(4, False, publisher_gid=GID)
    assert not ear.listener.pressed
