"""Plots of a sweep over tasks: they show the cells' means, and fit a page."""

from __future__ import annotations

import io

import numpy as np
import pytest
from made_cells import CORE, cell
from PIL import Image

from vdd_ros.commands.sweep.tasks.plots import (
    COLOURS,
    FIDELITY,
    LEAST,
    behaviour,
    colours,
    dots,
    fidelity,
    plots,
)

TASKS = tuple(f"task_{number}" for number in range(9))
T_95 = 4.302653  # Student's t of two degrees of freedom


def cells() -> list[dict]:
    """Success falls and distance grows with the task; seeds differ."""
    rng = np.random.default_rng(0)
    return [
        cell(
            task,
            seed,
            method,
            success=0.9 - 0.05 * place + 0.01 * seed,
            energy_distance=float(0.001 * (place + 1) * rng.uniform(0.9, 1.1)),
            off_support=0.0 if method == "imc" else 0.01 * (place + 1),
        )
        for place, task in enumerate(TASKS)
        for seed in (1, 2, 3)
        for method in CORE
    ]


def test_a_dot_is_the_mean_over_seeds_with_its_interval():
    first, *rest = dots(cells(), "vdd", "success")
    half = T_95 * np.std([0.01, 0.02, 0.03], ddof=1) / 3**0.5
    assert first == pytest.approx((0.92, 0.92 - half, 0.92 + half), abs=1e-6)
    assert rest[-1].mean == pytest.approx(0.52)
    alone = [one for one in cells() if one["seed"] == 1]
    assert dots(alone, "vdd", "success")[0] == pytest.approx((0.91, 0.91, 0.91))
    partly = [one for one in cells() if (one["task"], one["method"]) != ("task_1", "vdd")]
    assert [dot is None for dot in dots(partly, "vdd", "success")] == [False, True, *[False] * 7]


def test_methods_without_a_colour_of_their_own_are_told_apart():
    names = ["teacher", "kd", "vdd", "cd", "progressive", "ctm", "dmd", "ddgan"]
    own = colours(names)
    assert own["vdd"] == COLOURS["vdd"] and len(set(own.values())) == len(names)
    assert colours(names[1:]).items() < own.items()


def test_every_method_has_its_colour_and_every_task_its_dot():
    for drawn, methods in ((behaviour(cells()), CORE), (fidelity(cells()), CORE[1:])):
        for axes in drawn.axes:
            points = [line for line in axes.lines if line.get_marker() in ("o", "v")]
            colours = [line.get_color() for line in points]
            assert colours == [COLOURS[name] for name in methods for _ in TASKS]
            assert len(set(colours)) == len(methods)
            x = sorted(float(line.get_xdata()[0]) for line in points)
            assert min(np.diff(x)) > 0.05 and [round(one) for one in x[:: len(methods)]] == list(
                range(9)
            )


def test_what_has_no_logarithm_is_at_the_bottom_and_points_down():
    figure = fidelity(cells())
    distance, support = figure.axes
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log"]
    down = [line for line in support.lines if line.get_marker() == "v"]
    assert len(down) == len(TASKS)
    assert {float(line.get_ydata()[0]) for line in down} == {LEAST["off_support"]}
    assert not [line for line in distance.lines if line.get_marker() == "v"]
    for axes, name in zip(figure.axes, FIDELITY, strict=True):
        assert axes.get_ylim()[0] < LEAST[name]


def test_the_teachers_floor_is_a_line_over_each_task():
    made = [one | {"energy_distance": 0.002} if one["method"] == "teacher" else one
            for one in cells()]  # fmt: skip
    distance, _ = fidelity(made).axes
    ends = [lines.get_segments()[0] for lines in distance.collections]
    floors = [segment for segment in ends if segment[0][0] != segment[1][0]]
    assert [segment.mean(0) for segment in floors] == [
        pytest.approx((place, 0.002)) for place in range(9)
    ]


def test_pictures_fit_a_page_and_ablations_are_not_in_them():
    ablation = [cell("task_0", 1, "vdd-2", ablation=True)]
    made = plots([*cells(), *ablation])
    assert made == plots(cells())
    assert list(made) == ["edm_behaviour.png", "edm_fidelity.png"]
    for image in made.values():
        assert Image.open(io.BytesIO(image)).size[0] == 1400
        assert len(image) < 300_000
    assert plots([one for one in cells() if one["method"] != "vdd"]) == {}
