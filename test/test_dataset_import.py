"""Recordings of people become episodes; bad ones end in one sentence, clean ones in none."""

import json
import re

import numpy as np
import pytest
from foreign_data import CONFIG, DATA, LeRobotFiles, RobosuiteFile, g1, lift

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.datasets.source import Source
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.policies.windows import windows_of


def test_g1_episodes_hold_the_numbers_of_the_files_frame_for_frame(tmp_path):
    source, contract = g1()
    imported = write(
        check(read(DATA / "g1_bottle", source), source, contract), source, contract, tmp_path / "e"
    )
    assert [one.recording for one in imported] == ["episode_000000", "episode_000001"]
    store = EpisodeStore(tmp_path / "e", contract)
    for table, name in zip(LeRobotFiles.committed().tables, store.list(), strict=True):
        episode = store.load(name)
        assert episode.manifest.verdict.level == "PASS"
        assert episode.manifest.meta["imported_from"]["licence"] == "MIT"
        assert episode.manifest.provenance.told == {"licence": "MIT"}
        state, command = episode.streams["joint_state"], episode.streams["robot_command"]
        np.testing.assert_array_equal(state.fields["position"], table["observation.state"])
        np.testing.assert_array_equal(command.fields["position"], table["action"])
        # every window shows the state of its own frame and the commands from that frame on
        windows = windows_of(contract, [episode], n_obs_steps=2, horizon=16)
        assert len(windows.observations) == len(table["action"])
        np.testing.assert_array_equal(windows.observations[1:, 1], table["observation.state"][1:])
        np.testing.assert_array_equal(windows.observations[1:, 0], table["observation.state"][:-1])
        np.testing.assert_allclose(windows.chunks[5], table["action"][5:21], rtol=0, atol=1e-12)


def test_lift_actions_are_the_next_joint_positions_and_the_gripper_command(tmp_path):
    source, contract = lift()
    path = DATA / "robosuite_human" / "lift.hdf5"
    write(check(read(path, source), source, contract), source, contract, tmp_path / "e")
    store = EpisodeStore(tmp_path / "e", contract)
    for name, demo in zip(store.list(), RobosuiteFile.committed().demos.values(), strict=True):
        episode = store.load(name)
        qpos = demo["states"][:, 1:17]
        state, command = episode.streams["joint_state"], episode.streams["robot_command"]
        np.testing.assert_array_equal(state.fields["position"][:, :7], qpos[:-1, :7])
        np.testing.assert_allclose(
            state.fields["position"][:, 7], (qpos[:-1, 7] - qpos[:-1, 8]) / 0.08
        )
        np.testing.assert_array_equal(command.fields["position"][:, :7], qpos[1:, :7])
        np.testing.assert_array_equal(
            command.fields["position"][:, 7], (1.0 - demo["actions"][:-1, 6]) / 2.0
        )
        assert episode.manifest.meta["scene"] == qpos[0].tolist()


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("deg", 180.0 / np.pi), ({"span": [-100.0, 100.0], "means": [-4.0, 4.0]}, 25.0)],
)
def test_declared_units_become_the_contracts(tmp_path, unit, factor):
    source, contract = g1()
    files = LeRobotFiles.committed()
    expected = [table["action"].astype(np.float64) for table in files.tables]
    for table in files.tables:
        for name in ("observation.state", "action"):
            table[name][:, :14] *= factor
    files.count_anew()
    raw = source.model_dump(mode="json")
    for channel in raw["channels"][:14]:
        channel["state"]["unit"] = channel["command"]["unit"] = unit
    declared = Source.model_validate(raw)
    checked = check(read(files.write(tmp_path / "d"), declared), declared, contract)
    for (converted, _), values in zip(checked, expected, strict=True):
        np.testing.assert_allclose(converted.command, values, atol=1e-6)


def test_a_unit_that_cannot_be_the_joints_is_refused(tmp_path):
    source, contract = g1()
    raw = source.model_dump(mode="json")
    raw["channels"][3]["state"]["unit"] = "mm"
    with pytest.raises(UserError, match="kLeftElbow.*mm.*left_elbow_joint is in rad"):
        Source.model_validate(raw).require_fits(contract)
    del raw["channels"][3]["state"]["unit"]
    path = tmp_path / "source.yaml"
    path.write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"missing 'channels\.3\.state\.unit'"):
        Source.from_yaml(path)


@pytest.mark.parametrize("unit", ["turns", ["rad"], 3])
def test_a_unit_that_is_none_is_told_once(tmp_path, unit):
    raw = g1()[0].model_dump(mode="json")
    raw["channels"][3]["state"]["unit"] = unit
    path = tmp_path / "source.yaml"
    path.write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"a unit is one of rad, deg, .* or a range: ") as told:
        Source.from_yaml(path)
    assert "more)" not in str(told.value)


def test_columns_that_no_joint_has_are_ignored_where_that_is_declared(tmp_path):
    files, (source, _) = LeRobotFiles.committed(), g1()
    for feature in ("observation.state", "action"):
        files.info["features"][feature]["names"][0].append("kWaistYaw")
        files.info["features"][feature]["shape"] = [27]
        for table in files.tables:
            table[feature] = np.pad(table[feature], ((0, 0), (0, 1)))
    files.count_anew()
    path = files.write(tmp_path / "d")
    with pytest.raises(UserError, match="kWaistYaw.*or name it under ignored"):
        read(path, source)
    source = source.model_copy(update={"ignored": ("kWaistYaw",)})
    assert all(converted.state.shape[1] == 26 for converted, _ in checked_of(path, source))


def checked_of(path, source):
    return check(read(path, source), source, g1()[1])


def test_states_that_were_read_slowly_are_found(tmp_path):
    """In these recordings the hands' states are new in three frames of ten, while they move."""
    files, (source, _) = LeRobotFiles.committed(), g1()
    (_, _), (_, before) = checked_of(files.write(tmp_path / "a"), source)
    assert before == ("states of 6 joints, right_hand_pinky first, are new 9 times a second",)
    for table in files.tables:
        fresh = 1e-4 * np.arange(len(table["timestamp"]), dtype=np.float32)[:, None]
        table["observation.state"][:, 14:] = (table["observation.state"][:, 14:] + fresh).clip(
            0.0, 1.0
        )
    files.count_anew()
    (_, _), (_, after) = checked_of(files.write(tmp_path / "b"), source)
    assert after == ()


def test_a_unit_that_makes_values_too_small_is_told(tmp_path):
    source, _ = g1()
    path = LeRobotFiles.committed().write(tmp_path / "d")
    raw = source.model_dump(mode="json")
    for channel in raw["channels"][:14]:
        channel["state"]["unit"] = channel["command"]["unit"] = "deg"
    for _, found in checked_of(path, Source.model_validate(raw)):
        assert re.match(r"no joint declared in deg moves through more than 0\.\d% of its", found[0])
    assert not any("is that its unit" in one for _, two in checked_of(path, source) for one in two)


def test_findings_are_reported_with_the_episode(tmp_path):
    source, contract = g1()
    files = LeRobotFiles.committed()
    still = {name: np.repeat(files.tables[0][name][:1], 30, axis=0) for name in files.tables[0]}
    files.tables[0] = {
        name: np.concatenate([still[name], values]) for name, values in files.tables[0].items()
    }
    files.tables[0]["observation.state"][:, 20] = 0.5
    rng = np.random.default_rng(0)
    times = np.arange(120) / 30.0 + rng.uniform(-0.008, 0.008, 120)
    files.tables[0]["timestamp"] = times
    files.count_anew()
    files.statistics = None
    path = files.write(tmp_path / "d")
    imported = write(check(read(path, source), source, contract), source, contract, tmp_path / "e")
    told = "; ".join(imported[0].findings)
    assert re.search(r"idle start: 1\.\d s", told) and "30 frames repeat the one before" in told
    assert "stuck: right_hand_pinky" in told
    assert "frames jitter" in told
    assert "no statistics to compare action with" in told
    manifest = EpisodeStore(tmp_path / "e").manifest("episode_0001")
    assert manifest.meta["findings"] == list(imported[0].findings)


def test_an_import_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    source, contract = g1()
    checked = check(read(DATA / "g1_bottle", source), source, contract)

    def interrupted(done, count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(checked, source, contract, tmp_path / "e", interrupted)
    assert list(tmp_path.iterdir()) == []
    write(checked, source, contract, tmp_path / "e")
    with pytest.raises(UserError, match="exists already"):
        write(checked, source, contract, tmp_path / "e")


def test_the_dataset_lies_where_the_variable_says(tmp_path, monkeypatch, capsys):
    words = ["dataset", "import", str(CONFIG / "sources" / "g1_bottle.yaml"), str(tmp_path / "e")]
    words += ["--contract", str(CONFIG / "g1_bottle.yaml")]
    monkeypatch.delenv("VDD_DATA", raising=False)
    assert cli.main(words) == 2
    assert "set VDD_DATA to the folder that holds g1_bottle" in capsys.readouterr().err
    monkeypatch.setenv("VDD_DATA", str(DATA))
    assert cli.main(words) == 2  # two of 80 episodes
    assert "lists 2 episodes, the source says 80" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()


def test_every_declaration_fits_its_contract():
    for path in sorted((CONFIG / "sources").glob("*.yaml")):
        contract = "g1_bottle" if path.stem == "g1_bottle" else "panda_gripper"
        Source.from_yaml(path).require_fits(Contract.from_yaml(CONFIG / f"{contract}.yaml"))


def test_a_contract_that_the_dataset_cannot_serve_is_refused(tmp_path):
    source, contract = g1()
    raw = contract.to_dict()
    for stream in raw["streams"].values():
        stream["rate_hz"] = 100.0
    fast = Contract.from_dict(raw)
    checked = check(read(DATA / "g1_bottle", source), source, fast)
    with pytest.raises(UserError, match=r"episode_000000.*came at 30.0 Hz instead of 100"):
        write(checked, source, fast, tmp_path / "e")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_the_one_that_was_declared():
    source, _ = lift()
    origin = source.origin.model_copy(update={"sha256": 64 * "0"})
    with pytest.raises(UserError, match=r"lift\.hdf5 is not the file.*000000000000"):
        read(DATA / "robosuite_human" / "lift.hdf5", source.model_copy(update={"origin": origin}))


def test_a_column_is_one_joints_only():
    source, contract = lift()
    raw = source.model_dump(mode="json")
    raw["channels"][0]["state"]["name"] = "qpos3"
    with pytest.raises(UserError, match="'qpos3' is declared as the state of several joints"):
        Source.model_validate(raw).require_fits(contract)


@pytest.mark.parametrize("parent", ["missing", "file"])
def test_a_folder_that_cannot_be_made_is_told_before_anything_is_written(tmp_path, parent):
    source, contract = g1()
    checked = check(read(DATA / "g1_bottle", source), source, contract)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is no folder"):
        write(checked, source, contract, tmp_path / parent / "e")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
