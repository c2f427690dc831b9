"""Settings of methods as people write them: what is read, and what is said of anything else."""

from __future__ import annotations

import pytest

from vdd_ros.errors import UserError
from vdd_ros.policies.objectives.settings import Setting, objective_of, read_words, settings_of

REFUSED = [
    ("boot", {"levels": 1}, "levels are 2 or more, boundary_weight is not negative"),
    ("boot", {"boundary_weight": -1}, "levels are 2 or more, boundary_weight is not negative"),
    ("cd", {"sigma_min": 0}, "levels fall from sigma_max to sigma_min, width is positive"),
    ("cd", {"sigma_max": 0.001}, "levels fall from sigma_max to sigma_min, width is positive"),
    ("cd", {"width": 0}, "levels fall from sigma_max to sigma_min, width is positive"),
    ("ctm", {"steps": 0}, "levels are 2 or more, denoising is not negative"),
    ("ctm", {"decay": 1}, "decay and noise_share are numbers from 0 to 1"),
    ("ctm", {"noise_share": 1.5}, "decay and noise_share are numbers from 0 to 1"),
    ("dsno", {"points": 3}, "steps are a multiple of points, of which there are several"),
    ("dsno", {"points": 1}, "steps are a multiple of points, of which there are several"),
    ("guidance", {"guidance": 5}, "guidance lies between 0 and guidance_max, which is more"),
    ("guidance", {"start": 1}, "steps are 1 or more, start is a share of the training"),
    ("ict", {"first": 641}, "levels grow from first, 2 or more; log_std is positive"),
    ("lcm", {"skip": 80}, "skip is less than levels, solver heun or ddim"),
    ("lcm", {"guidance": 1}, "guidance lies between 0 and guidance_max"),
    ("nll", {"settle": 0}, "settle is a share of the training"),
    ("nll", {"last_rate": 0}, "start is a share of the training, last_rate positive"),
    ("nll", {"sparsity": -0.1}, "sigma_start and sparsity must not be negative"),
    ("reflow", {"steps": 0}, "steps are 1 or more"),
    ("tract", {"middle": 7}, "steps, middle and ends are multiples, each of the next"),
    ("tract", {"decay": 1}, "decay is a number from 0 to less than 1"),
    ("vdd", {"start": 1.1}, "start and settle are shares of the training"),
    ("vdd", {"sigma_min": 0.3}, "sigma_min must be positive and the smallest sigma"),
    ("vdd", {"last_rate": 0}, "last_rate must be positive"),
    ("vdd", {"band": 1}, "observations and samples must be positive, band above 1"),
    ("vdd", {"forward_weight": -1}, "weights must not be negative"),
]


@pytest.mark.parametrize(("method", "given", "sentence"), REFUSED)
def test_what_a_method_cannot_be_trained_with_is_told(method, given, sentence):
    written = {name: str(value) for name, value in given.items()}
    for values in (given, written):
        with pytest.raises(UserError, match=f"^{method}: {sentence}: "):
            objective_of(method, values)


@pytest.mark.parametrize(
    ("kind", "allowed", "read", "refused"),
    [
        (float, "a number", {"1e-2": 0.01, "3": 3.0}, ["", "many", "nan", "inf", "none"]),
        (int, "a whole number", {"12": 12}, ["1.5", "1e2", "none"]),
        (bool, "true or false", {"true": True, "False": False}, ["perhaps", "none"]),
        (int | None, "a whole number, or none", {"none": None, "7": 7}, ["nothing"]),
        (
            tuple[int, ...],
            "a whole number or several, with commas between them",
            {"1, 2,3": (1, 2, 3), "4": (4,)},
            ["1;2", "1,,2"],
        ),
    ],
)
def test_values_are_read_as_people_write_them(kind, allowed, read, refused):
    setting = Setting("x", kind, None)
    assert setting.allowed == allowed
    assert {word: setting.read(word) for word in read} == read
    for word in refused:
        with pytest.raises(ValueError, match=f"^x is {word!r}; write {allowed}$"):
            setting.read(word)


def test_a_word_of_several_is_told_which():
    with pytest.raises(UserError, match="lcm: solver is 'euler'; write one of heun, ddim"):
        objective_of("lcm", {"solver": "euler"})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["levels"], "'levels' is no setting: write NAME=VALUE, such as sigma_min=0.01"),
        (["levels=3", "levels=4"], "levels is given twice, 3 and 4: say which"),
        (["boundary-weight=1", "boundary_weight=2"], "boundary_weight is given twice"),
    ],
)
def test_words_that_are_no_settings_are_told(words, sentence):
    with pytest.raises(UserError, match=sentence):
        read_words("boot", words)


def test_what_there_is_not_is_told_with_what_there_is():
    with pytest.raises(UserError, match="no method 'gan': choose one of vdd, vdd-paper, nll"):
        settings_of("gan")
    with pytest.raises(
        UserError, match="reflow has no setting 'levels', only sigma_min, sigma_max"
    ):
        objective_of("reflow", {"levels": 3})
