"""Lags between signals: known ones are found between the points of any grid, others told."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from vdd_ros.lag import GRID_S, NoLag, Signal, find_lag, signal

TIMES_S = np.arange(0.0, 12.0, 0.01)


def wave(times_s: np.ndarray) -> np.ndarray:
    """A chirp from .25 to 1.5 Hz that comes and goes."""
    phase = 2.0 * np.pi * (0.25 * times_s + 0.052 * times_s**2)
    return np.sin(phase) * np.clip(np.minimum(times_s, 12.0 - times_s), 0.0, 1.0)


def column(times_s: np.ndarray, values: np.ndarray) -> Signal:
    return Signal(times_s, values[:, None])


LED = column(TIMES_S, wave(TIMES_S))


@pytest.mark.parametrize("lag_s", [0.0123, 0.0871, -0.0418, 0.31])
def test_a_lag_between_the_samples_is_found(lag_s):
    seen_s = TIMES_S + 0.0037
    found = find_lag(LED, column(seen_s, 0.3 + 2.0 * wave(seen_s - lag_s)), -0.1, 0.5)
    assert found.seconds == pytest.approx(lag_s, abs=2e-5)
    assert found.gain == pytest.approx(2.0, rel=1e-3) and found.explained > 0.9999


def test_the_interval_is_that_of_the_fisher_information_where_the_noise_is_white():
    rng, lag_s, noise = np.random.default_rng(0), 0.05, 0.01
    slope = np.gradient(wave(TIMES_S - lag_s), TIMES_S)
    columns = np.stack([np.ones(len(TIMES_S)), wave(TIMES_S - lag_s)], axis=1)
    slope -= columns @ np.linalg.lstsq(columns, slope, rcond=None)[0]
    wanted = noise / np.sqrt((slope**2).sum())
    found = [
        find_lag(LED, column(TIMES_S, wave(TIMES_S - lag_s) + rng.normal(0.0, noise, 1200)), 0, 0.5)
        for _ in range(60)
    ]
    errors = np.array([one.seconds - lag_s for one in found])
    assert errors.std() == pytest.approx(wanted, rel=0.35)
    assert np.median([one.std_s for one in found]) == pytest.approx(wanted, rel=0.35)


def test_noise_that_lasts_widens_the_interval():
    """A controller's error of today is that of a moment ago: as white noise it would look small."""
    rng, found = np.random.default_rng(1), []
    for lasts in (1, 20):
        noise = np.convolve(rng.normal(0.0, 0.01, 1300), np.ones(lasts) / np.sqrt(lasts), "same")
        seen = wave(TIMES_S - 0.05) + noise[:1200]
        found.append(find_lag(LED, column(TIMES_S, seen), 0.0, 0.5).std_s)
    assert found[1] > 2.0 * found[0]


def test_several_columns_are_fitted_at_once():
    """With any sign, as a picture's pixels depend on functions of several joints."""
    rng = np.random.default_rng(2)
    other = wave(0.7 * TIMES_S)
    both = np.stack([wave(TIMES_S), other], axis=1)
    led = Signal(TIMES_S, np.concatenate([both, both**2], axis=1))
    seen_s = np.arange(1.0, 11.0, 1 / 30)
    numbers = led.at(seen_s - 0.0634) @ rng.normal(size=(4, 6))
    found = find_lag(led, Signal(seen_s, numbers), -0.5, 0.5)
    assert found.seconds == pytest.approx(0.0634, abs=3e-4)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (np.zeros(1200), "does not do what led"),
        (np.random.default_rng(0).normal(size=1200), "does not do what led"),
        (-wave(TIMES_S), "moves the other way than what led, by -1.00"),
        (wave(TIMES_S - 0.5), "at an end of those looked through"),
        (wave(TIMES_S + 0.14), "at an end of those looked through"),
    ],
    ids=["still", "noise", "mirrored", "late", "early"],
)
def test_what_has_no_lag_is_told(seen, why):
    with pytest.raises(NoLag, match=why):
        find_lag(LED, column(TIMES_S, seen), -0.1, 0.4)


def test_a_motion_that_repeats_itself_is_told_with_both_lags():
    sine = np.sin(2.0 * np.pi * 4.0 * TIMES_S)
    seen = np.sin(2.0 * np.pi * 4.0 * (TIMES_S - 0.1))
    with pytest.raises(NoLag, match=r"0\.(35|10)0 s fits as well as one of 0\.(35|10)0 s"):
        find_lag(column(TIMES_S, sine), column(TIMES_S, seen), 0.0, 0.5)


def test_too_little_is_told():
    short = column(TIMES_S[:80], wave(TIMES_S)[:80])
    with pytest.raises(NoLag, match="overlap for 0.29 s beside the 0.5 s"):
        find_lag(short, short, 0.0, 0.5)
    with pytest.raises(NoLag, match="fewer than two samples"):
        find_lag(LED, column(TIMES_S[:1], TIMES_S[:1]), 0.0, 0.5)


def test_samples_in_any_order_that_are_not_finite_or_repeat_are_put_right():
    stamps = np.array([30, 10, 20, 20, 40])
    found = signal(stamps, np.array([[3.0], [1.0], [2.0], [9.0], [np.nan]]), 10)
    np.testing.assert_allclose(found.times_s, [0.0, 1e-8, 2e-8])
    np.testing.assert_allclose(found.values[:, 0], [1.0, 2.0, 3.0])
    assert GRID_S == 0.005


def test_a_robot_that_records_needs_no_scipy():
    """What it takes to follow its commands is told of every episode, when it stops."""
    program = (
        "import sys; sys.modules['scipy'] = None\n"
        "import numpy as np\n"
        "from vdd_ros.lag import Signal, find_lag\n"
        "times = np.arange(0.0, 6.0, 0.01)\n"
        "wave = lambda t: np.sin(2.0 * t + 0.5 * t**2)[:, None]\n"
        "led, seen = Signal(times, wave(times)), Signal(times, wave(times - 0.05))\n"
        "print(round(find_lag(led, seen, 0.0, 0.5).seconds, 4))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "0.05", done.stderr
