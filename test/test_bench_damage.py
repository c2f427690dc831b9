"""Every kind of damage is found, named by its own sentence, and never trained on unawares."""

from __future__ import annotations

import pytest

from vdd_ros.commands.bench import damage
from vdd_ros.commands.bench.damage.kinds import Kind, Victim, sound_episodes
from vdd_ros.commands.dataset import check
from vdd_ros.errors import UserError


@pytest.fixture(scope="module")
def result(contract_path) -> dict:
    return damage.main(damage.Args(contract_path))


def test_there_are_fifty_kinds_and_more_and_no_two_are_alike(result):
    assert result["kinds"] == len({(row["family"], row["name"]) for row in result["rows"]}) >= 50


def test_each_is_found_named_and_not_trained_on_unawares(result):
    missed = [row for row in result["rows"] if not row["ok"]]
    assert result["ok"] and not missed, missed
    for row in result["rows"]:
        wanted = {"BROKEN": ("refused", "not there"), "FAIL": ("refused",), "WARN": ("told",)}
        assert row["training"] in wanted[row["verdict"]], row
        assert "\n" not in row["reason"]


def test_what_nobody_damaged_is_not_found(tmp_path, contract, contract_path):
    """The bench would see where nothing is found."""
    sound_episodes(tmp_path, contract)
    assert check.main(check.Args(tmp_path, contract_path))["verdicts"] == {"PASS": 2}
    nothing = Kind("nothing", "files", "nothing is done", "BROKEN", "", lambda victim: None)
    nothing.do(Victim(tmp_path))
    row = damage.row_of(nothing, tmp_path, contract_path)
    assert (row["ok"], row["verdict"], row["training"]) == (False, "PASS", None)


def test_a_family_that_is_not_there_is_told(contract_path):
    with pytest.raises(UserError, match="no family teeth: there are contents, folder"):
        damage.main(damage.Args(contract_path, only=("teeth",)))
