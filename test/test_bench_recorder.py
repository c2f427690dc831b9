"""The bench of the recorder: what was sent against what is there, and two writers compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pictures import contract_with, end_of, recorded

from docs.results.sections.recordings import of_bench_recorder
from vdd_ros.bag import header_stamp_ns, read_bag
from vdd_ros.camera_images import CameraImages, camera_bag
from vdd_ros.cdr import image_cdr
from vdd_ros.commands.bench import recorder, recorder_kill
from vdd_ros.commands.bench.writer_rate import OF_IMAGES, Kind, measure_writers, row_of
from vdd_ros.errors import UserError
from vdd_ros.images import decode_image
from vdd_ros.manifest import Manifest
from vdd_ros.nodes.bench_sources import messages_of

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config" / "panda_cameras.yaml"


def test_what_was_sent_and_is_not_there_was_dropped(tmp_path):
    recorded(contract_with(), tmp_path).save(end_of(1.0))
    manifest = Manifest.read(tmp_path / "episode_0001")
    sent = {"joint_state": 200, "front": 30, "wrist": 30}
    assert recorder.counts(sent, manifest)["dropped"] == 0
    found = recorder.counts({"joint_state": 203, "front": 31, "side": 5}, manifest)
    assert found["dropped"] == 3 + 1 + 5
    assert found["recorded"] == {"joint_state": 200, "front": 30, "side": 0}


def test_the_bench_has_pictures_of_one_kind_and_loses_nothing_on_the_way():
    args = recorder.Args(contract=EXAMPLE, joint_rate=500.0, camera_rate=10.0)
    assert not recorder.bench_contract(args, recorder.NONE).cameras
    for kind, (message, encoding) in recorder.PICTURES.items():
        contract = recorder.bench_contract(args, kind)
        streams = [contract.streams["joint_state"], *contract.cameras.values()]
        assert {one.reliability for one in streams} == {"reliable"}
        assert [one.rate_hz for one in streams] == [500.0, 10.0, 10.0]
        assert {(one.type, one.encoding) for one in contract.cameras.values()} == {
            (message, encoding)
        }
        made = messages_of(contract, "wrist")
        assert len({bytes(one) for one in made}) == len(made)
        assert decode_image(contract.cameras["wrist"], bytes(made[0])).shape == (480, 640, 3)


def test_both_writers_write_the_same_messages(tmp_path, monkeypatch):
    """What they leave is looked at before it is removed."""
    contract = contract_with()
    left: dict[str, list] = {}

    def keep(folder, path):
        name = folder.name.split("_")[1]
        left.setdefault(name, []).append(path.read_bytes())
        path.unlink()
        folder.rmdir()

    monkeypatch.setattr("vdd_ros.commands.bench.writer_rate._remove", keep)
    data = image_cdr(contract.cameras["front"], messages_picture(), 7)
    kind = Kind(contract.cameras, [("front", data)] * 5, OF_IMAGES)
    row = row_of("raw", kind, {"raw": contract}, tmp_path, blocks=2)
    assert row["mb"] == pytest.approx(5 * len(data) / 1e6) and row["messages"] == 5
    assert len(left["ours"]) == len(left["bare"]) == 3, "one to warm up"
    assert all(file.count(data) == 5 for files in left.values() for file in files)
    assert row["ratio_least"] <= row["ratio"] <= row["ratio_most"]


def messages_picture():
    from pictures import scene

    return scene(contract_with().cameras["front"], 0)


def test_the_rate_is_that_of_the_worst_kind(tmp_path):
    contracts = {name: contract_with() for name in ("raw", "jpeg")}
    rows, ratios = measure_writers(contracts, tmp_path, 1, 0.05)
    assert [row["name"] for row in rows] == ["joints", "raw", "jpeg"]
    assert ratios["rate_over_bare_writer"] == min(row["ratio"] for row in rows)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_measured_is_told():
    for args, said in (
        (recorder.Args(blocks=0), "blocks is 0"),
        (recorder.Args(seconds=0.0), "must be above 0"),
        (recorder.Args(contract=EXAMPLE.with_name("panda_avoid.yaml")), "has no cameras"),
        (recorder.Args(contract=Path("none.yaml")), "no contract at"),
    ):
        with pytest.raises(UserError, match=said):
            recorder.main(args)


def test_pictures_are_looked_for_after_a_kill(tmp_path):
    """A session that records pictures, too, and is killed: what was old is there again."""
    path = tmp_path / "small.yaml"
    raw = contract_with().to_dict()
    path.write_text(json.dumps(raw))  # which is YAML as well
    result = recorder_kill.main(recorder_kill.Args(2, contract=path, seed=3))
    assert result["ok"] and result["saved_lost"] == result["saved_altered"] == 0


def test_times_of_pictures_are_among_those_recovered(tmp_path):
    contract = contract_with()
    recorded(contract, tmp_path).save(end_of(1.0))
    path = tmp_path / "episode_0001" / "episode_0001_0.mcap"
    found = recorder_kill.pictures_of(path)
    images = CameraImages(camera_bag(path.parent, "episode_0001"), contract, "front")
    stamps = {header_stamp_ns(images.message(number)) for number in range(len(images))}
    assert stamps <= set(found) and len(found) == 60 and len(stamps) == 30
    assert recorder_kill.joints_of(path) == [one.received_ns for one in read_bag(path).messages]


@pytest.mark.slow
def test_the_whole_bench_finds_every_message_of_a_short_recording(tmp_path, monkeypatch):
    monkeypatch.delitem(recorder.PICTURES, "jpeg")
    result = recorder.main(
        recorder.Args(
            seconds=1.0, joint_rate=100.0, camera_rate=10.0, blocks=1, megabytes=1.0,
            contract=EXAMPLE, folder=tmp_path,
        )
    )  # fmt: skip
    live = [row for row in result["rows"] if "sent" in row]
    assert [row["name"] for row in live] == ["none", "raw"] and result["dropped"] == 0
    assert all(count > 0 for row in live for count in row["sent"].values())
    assert all(share >= 0.0 for row in live for share in row["cpu"].values())
    assert list(tmp_path.iterdir()) == []
    fill(result)


def fill(result: dict) -> None:
    """The page says what the line says."""
    text = of_bench_recorder(json.dumps(result) + "\n")
    assert "0 dropped (goal: 0)" in text and "| joints | 32 KiB, zstd |" in text
