"""Every kind of damage is found, named by its own sentence, and never trained on unawares."""

from __future__ import annotations

from dataclasses import replace

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
        assert row["training_again"] in (*wanted[row["verdict"]], damage.AS_IT_WAS), row
        assert "\n" not in row["reason"]


def test_what_was_decoded_before_is_learned_from_as_it_was_where_only_bytes_changed(result):
    """Sizes, manifests and logs are looked at each time; bytes when they are decoded."""
    again = {row["name"]: row for row in result["rows"] if row["training_again"] == "as it was"}
    assert again and {row["family"] for row in again.values()} == {"recording"}
    assert all("sha256" in row["reason"] for row in again.values())


def test_windows_of_another_episode_would_be_seen(tmp_path, contract):
    sound_episodes(tmp_path / "sound", contract)
    before = damage.windows_of(tmp_path / "sound", contract, tmp_path / "cache")
    assert damage.same(before, before)
    changed = replace(before, read=lambda index: before.read(1 - index))
    assert not damage.same(changed, before)


def test_what_nobody_damaged_is_not_found(tmp_path, contract, contract_path):
    """The bench would see where nothing is found."""
    sound, cache = tmp_path / "sound", tmp_path / "cache"
    sound_episodes(sound, contract)
    before = damage.windows_of(sound, contract, cache)
    assert check.main(check.Args(sound, contract_path))["verdicts"] == {"PASS": 2}
    nothing = Kind("nothing", "files", "nothing is done", "BROKEN", "", lambda victim: None)
    nothing.do(Victim(sound))
    row = damage.row_of(nothing, sound, contract_path, cache, before)
    assert (row["ok"], row["verdict"], row["training"]) == (False, "PASS", damage.AS_IT_WAS)


def test_a_family_that_is_not_there_is_told(contract_path):
    with pytest.raises(UserError, match="no family teeth: name some of contents, folder"):
        damage.main(damage.Args(contract_path, only=("teeth",)))
