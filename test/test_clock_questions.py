"""Questions and answers of clocks, as anybody in the graph may write them."""

from __future__ import annotations

import json

import pytest

from vdd_ros.clock_offset import LATEST_NS, LONGEST, told_times

NAMES = ["asked_ns", "heard_ns"]


def test_what_a_clock_node_tells_is_read():
    text = json.dumps({"from": "me", "asked_ns": 5, "heard_ns": -LATEST_NS, "more": None})
    assert told_times(text, NAMES) == ("me", (5, -LATEST_NS))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "5",
        "[" * LONGEST,
        '{"from": ' * 100,
        " " * LONGEST + "{}",
        '{"from": "me", "asked_ns": 1}',
        '{"from": "me", "asked_ns": 1, "heard_ns": Infinity}',
        '{"from": "me", "asked_ns": 1, "heard_ns": NaN}',
        '{"from": "me", "asked_ns": 1, "heard_ns": 1.5}',
        '{"from": "me", "asked_ns": 1, "heard_ns": true}',
        '{"from": "me", "asked_ns": 1, "heard_ns": "2"}',
        '{"from": "me", "asked_ns": 1, "heard_ns": 1' + "0" * 400 + "}",
        '{"from": ["me"], "asked_ns": 1, "heard_ns": 1}',
    ],
    ids=lambda text: f"{text[-20:]!r}",
)
def test_anything_else_is_a_value_error(text):
    with pytest.raises(ValueError):
        told_times(text, NAMES)
