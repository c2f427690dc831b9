"""What is read of a sealed folder is what a program can use, whatever somebody wrote into it."""

from __future__ import annotations

import pytest

from vdd_ros.sealed_folder import Refused, parsed_json, to_json


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "1e999", "-1e999", "9" * 19, "-" + "9" * 400]
)
def test_a_number_that_no_array_can_hold_is_none(number):
    with pytest.raises(Refused, match=r"here is not readable JSON \(.* is no number\)"):
        parsed_json(f'{{"values": [1, {number}]}}'.encode(), "here")


def test_numbers_are_read_as_they_were_written():
    value = {"values": [0, -1, 10**18 - 1, 1.7976931348623157e308, 5e-324, -0.1]}
    assert parsed_json(to_json(value), "here") == value
