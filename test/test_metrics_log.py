"""metrics.jsonl: one line a report, none of a future that did not happen; event files."""

import builtins

import pytest

from vdd_ros.errors import UserError
from vdd_ros.policies.metrics_log import MetricsLog, read_metrics


def logged(folder, first: int, steps: list[int], began: float = 0.0, each: float = 2.0) -> None:
    """A training that goes on from `first` and takes `each` seconds between reports, in half of
    which it has a processor."""
    now = [began]
    log = MetricsLog(folder, clock=lambda: now[0], cpu_clock=lambda: 9.0 + 0.5 * now[0])
    log.begin(first, examples_per_step=10)
    for step in steps:
        now[0] += each
        log.write(step, {"loss": float(step)})


def test_lines_have_their_seconds_and_pace(tmp_path):
    logged(tmp_path / "run", 0, [50, 100], began=1000.0)
    assert read_metrics(tmp_path / "run") == [
        {"step": step, "loss": float(step), **figures, "examples_per_second": 250.0}
        for step, figures in (
            (50, {"seconds": 2.0, "cpu_seconds": 1.0}),
            (100, {"seconds": 4.0, "cpu_seconds": 2.0}),
        )
    ]


def test_what_came_after_the_saved_step_is_dropped(tmp_path):
    logged(tmp_path, 0, [50, 100, 150])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 200, "lo')
    logged(tmp_path, 120, [150, 200], began=7.0, each=1.0)
    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [50, 100, 150, 200]
    assert [line["seconds"] for line in lines] == [2.0, 4.0, 5.0, 6.0]
    assert [line["cpu_seconds"] for line in lines] == [1.0, 2.0, 2.5, 3.0]
    assert lines[2]["examples_per_second"] == 300.0
    logged(tmp_path, 0, [50])
    assert [line["step"] for line in read_metrics(tmp_path)] == [50]


def test_event_files_have_the_same_figures(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = MetricsLog(tmp_path, tensorboard=True)
    log.begin(0, examples_per_step=1)
    for step, loss in ((50, 0.5), (100, 0.25)):
        log.write(step, {"loss": loss})
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [(50, 0.5), (100, 0.25)]
    assert set(events.Tags()["scalars"]) == {
        "loss", "seconds", "cpu_seconds", "examples_per_second",
    }  # fmt: skip


def test_without_tensorboard_it_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *given):
        if name.startswith(("torch.utils.tensorboard", "tensorboard")):
            raise ImportError(name)
        return real(name, *given)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="TensorBoard is not installed"):
        MetricsLog(tmp_path, tensorboard=True)
    MetricsLog(tmp_path).begin(0, examples_per_step=1)
    assert read_metrics(tmp_path) == []
