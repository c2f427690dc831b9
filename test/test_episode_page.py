"""What is shown of episodes: the page's sections, and the file for the Rerun viewer, read back."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from recordings import CONTRACT, SECOND, STARTED, feed, record

from vdd_ros import cli
from vdd_ros.commands.dataset import rerun_file
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError


def record_with_gap(folder) -> str:
    """Nothing of the joints for .3 s."""
    recorder = DemoRecorder(CONTRACT, folder, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    late = (SECOND + SECOND // 4, SECOND + SECOND * 11 // 20)
    feed(recorder, SECOND, 0.8, lambda name, ns: name == "joint_state" and late[0] < ns < late[1])
    recorder.save(SECOND + SECOND * 8 // 10)
    return recorder.name


def test_the_page_tells_the_verdict_its_reasons_and_every_stream(tmp_path):
    page = tmp_path / "page.html"
    name = record_with_gap(tmp_path / "demos")
    words = ["dataset", "show", str(tmp_path / "demos"), name, "--page", str(page)]
    assert cli.main(words) == 0
    text = page.read_text()
    assert re.search(r">FAIL</b></p><ul>.*<li>joint_state was silent for 0.300 s", text)
    for stream in CONTRACT.streams:
        assert f"<th scope=row>{stream}</th>" in text
    for title in ("Joints", "Velocities", "Intervals"):
        assert f"<b>{title}</b>" in text
    assert text.count("data:image/png;base64") == 3
    assert not re.findall(r"(?:src|href)=(?!['\"]?data:)", text)


def test_nothing_is_drawn_where_a_stream_was_silent(tmp_path):
    from vdd_ros.commands.dataset import episode_panels

    episode = EpisodeStore(tmp_path).load(record_with_gap(tmp_path))
    data = episode.streams["joint_state"]
    line = episode_panels._line(episode, "joint_state", "blue", data.fields["position"])
    assert np.isnan(line.times_s).sum() == 1 and len(line.times_s) == len(data) + 1
    assert np.isnan(line.values[np.isnan(line.times_s)]).all()


@pytest.fixture
def episodes(tmp_path):
    return [EpisodeStore(tmp_path).load(record(tmp_path, seconds)) for seconds in (0.5, 0.6)]


def test_every_number_that_was_sent_is_a_series(episodes):
    found = {one.entity: one for one in rerun_file.series_of(episodes[0])}
    fields = {entity.rsplit("/", 1)[0] for entity in found}
    assert fields == {
        "episode_0001/joint_state/position",
        "episode_0001/joint_state/velocity",
        "episode_0001/teleop_command/position",
        "episode_0001/robot_command/position",
    }
    assert len(found) == 4 * CONTRACT.n_joints
    joint = found[f"episode_0001/joint_state/velocity/{CONTRACT.joint_names[2]}"]
    data = episodes[0].streams["joint_state"]
    np.testing.assert_array_equal(joint.values, data.fields["velocity"][:, 2])
    np.testing.assert_allclose(joint.times_s, (data.stamps_ns - SECOND) * 1e-9)


def test_without_the_library_one_sentence_says_how_to_get_it(tmp_path, episodes, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(UserError, match=r"pip install 'vdd_ros\[looking\]'"):
        rerun_file.write(episodes, tmp_path / "demos.rrd")
    assert not list(tmp_path.glob("*.rrd"))


def test_the_file_for_rerun_holds_the_numbers_of_the_episodes(tmp_path, episodes):
    pytest.importorskip("rerun", reason="rerun-sdk is an extra of 500 MB (vdd_ros[looking])")
    from rerun.chunk import RrdReader

    path = tmp_path / "demos.rrd"
    count = rerun_file.write(episodes, path)
    chunks = {str(chunk.entity_path).lstrip("/"): chunk for chunk in RrdReader(path).stream()}
    series = [one for episode in episodes for one in rerun_file.series_of(episode)]
    assert count == len(series) == 8 * CONTRACT.n_joints
    assert {f"{episode.name}/verdict" for episode in episodes} <= chunks.keys()
    for one in series:
        batch = chunks[one.entity].to_record_batch()
        values = np.concatenate(batch["Scalars:scalars"].to_pylist())
        np.testing.assert_array_equal(values, one.values)
        times_ns = batch["stamp"].cast("int64").to_numpy()
        np.testing.assert_allclose(times_ns * 1e-9, one.times_s, atol=1e-9)
    assert [file.name for file in tmp_path.glob("*demos.rrd")] == ["demos.rrd"]
    with pytest.raises(UserError, match="is no folder"):
        rerun_file.write(episodes, tmp_path / "nowhere" / "demos.rrd")
