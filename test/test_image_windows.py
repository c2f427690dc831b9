"""Windows that see pictures: the ones that a policy would have seen, decoded when asked for."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import RATE_HZ, camera
from recordings import CONTRACT, SECOND
from seeing import HEIGHT, WIDTH, photograph, record_seen, seeing

from vdd_ros.camera_images import CameraImages
from vdd_ros.cdr import image_cdr
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.image_fit import fitted
from vdd_ros.policies import stored_pictures
from vdd_ros.policies.pictures import cameras_of
from vdd_ros.policies.stored_windows import FILE_NAME, open_windows, store_windows
from vdd_ros.policies.window_cache import cached_windows
from vdd_ros.policies.window_source import WindowSource, in_memory
from vdd_ros.policies.windows import Windows, WindowSizes, windows_of

SIZES = WindowSizes(2, 4)
SEEING = seeing()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> EpisodeStore:
    folder = tmp_path_factory.mktemp("seen") / "episodes"
    for seconds in (0.4, 0.6, 0.5):
        record_seen(SEEING, folder, seconds)
    return EpisodeStore(folder, SEEING)


@pytest.fixture(scope="module")
def episodes(store):
    return [store.load(name) for name in store.list()]


@pytest.fixture(scope="module")
def wanted(episodes) -> Windows:
    return windows_of(SEEING, episodes, *SIZES)


def whole(source: WindowSource) -> Windows:
    return Windows.joined(list(source.blocks(0)))


def same(found: Windows, wanted: Windows) -> None:
    for name, part in wanted.arrays.items():
        np.testing.assert_allclose(found.arrays[name], part, rtol=1e-6, err_msg=name)
    assert found.pictures is not None and wanted.pictures is not None
    np.testing.assert_array_equal(found.pictures.ages_s, wanted.pictures.ages_s)
    for image in range(len(SEEING.images)):
        one, other = found.pictures.pixels(image), wanted.pictures.pixels(image)
        np.testing.assert_array_equal(one, other)


def test_a_window_sees_the_newest_picture_that_had_arrived_and_was_old_enough(wanted, episodes):
    pictures = wanted.pictures
    assert pictures is not None and len(pictures) == len(wanted.episode)
    period_ns, arrives_ns, rows = SECOND / RATE_HZ, 5_000_000, len(pictures)
    for image, one in enumerate(SEEING.images):
        delay_ns = one.delay_s * 1e9
        ages_ns = pictures.ages_s[:, image] * 1e9
        # the first one holds until there is another: it may be younger than the delay
        settled = pictures.numbers[:, image] > 0
        assert settled.sum() > rows / 2
        assert ages_ns[settled].min() >= max(delay_ns, arrives_ns) - 1e3
        assert ages_ns.max() < max(delay_ns, arrives_ns) + period_ns + 1e3
    view = SEEING.cameras["front"]
    number = int(pictures.numbers[-1, 0])
    shown = fitted(photograph(view, SECOND + number * SECOND // RATE_HZ), view, SEEING.images[0])
    np.testing.assert_array_equal(pictures[-1:].pixels(0)[0], shown)
    assert episodes[0].images("front").camera.encoding == "rgb8"


def test_they_come_from_the_cache_and_from_memory_alike(store, episodes, wanted, tmp_path):
    for _ in range(2):  # made, then found
        same(whole(cached_windows(store, store.list(), SEEING, SIZES, tmp_path)), wanted)
    same(whole(in_memory(SEEING, episodes, *SIZES)), wanted)
    some = wanted.of_episodes(np.array([2, 1]))
    found = Windows.joined(list(in_memory(SEEING, episodes, *SIZES).of(range(1, 3)).blocks(0)))
    same(found, some)


def test_a_run_keeps_them_fitted_after_the_recordings_are_gone(episodes, wanted, tmp_path):
    source = in_memory(SEEING, episodes, *SIZES)
    store_windows(tmp_path / FILE_NAME, source, 2)
    stored_pictures.store_pictures(tmp_path / stored_pictures.FILE_NAME, SEEING, source)
    both = [open_windows(tmp_path, held_out) for held_out in (False, True)]
    same(Windows.joined([one.all() for one in both]), wanted)
    rows = np.array([5, 3, 3, 11])
    same(both[0].at(rows), wanted.at(rows))
    assert both[0].pictures is not None
    np.testing.assert_array_equal(both[0].pictures[rows].pixels(1), wanted.pictures[rows].pixels(1))


def test_pictures_are_decoded_one_by_one_and_only_when_asked(store, tmp_path, monkeypatch):
    decoded = []
    real = CameraImages.picture
    monkeypatch.setattr(
        CameraImages, "picture", lambda self, number: decoded.append(number) or real(self, number)
    )
    source = cached_windows(store, store.list(), SEEING, SIZES, tmp_path)
    windows = whole(source)
    assert not decoded
    windows.pictures[:40].pixels(0)
    assert 0 < len(decoded) <= 15, "each of them once, however many windows see it"
    decoded.clear()
    stored_pictures.store_pictures(tmp_path / "pictures", SEEING, source)
    seen = sum(
        len(n) for i in source.chosen for n in stored_pictures.picture_numbers(source.read(i))
    )
    assert len(decoded) == seen


def test_a_contract_without_images_learns_from_the_same_recordings(store, episodes):
    blind = Contract.from_dict(SEEING.to_dict() | {"images": []})
    windows = windows_of(blind, episodes, *SIZES)
    assert windows.pictures is None
    np.testing.assert_array_equal(
        windows_of(CONTRACT, episodes, *SIZES).observations, windows.observations
    )


def broken(one, now):
    data = image_cdr(one, photograph(one, now), now)
    return data[: len(data) // 2] if (now - SECOND) // (SECOND // RATE_HZ) == 7 else data


def test_a_damaged_picture_is_told_with_its_place(tmp_path):
    record_seen(SEEING, tmp_path, 0.6, wrist=broken)
    episode = EpisodeStore(tmp_path, SEEING).load("episode_0001")
    windows = windows_of(SEEING, [episode], *SIZES)
    with pytest.raises(UserError, match="picture 7 of wrist in episode episode_0001 cannot be us"):
        windows.pictures.pixels(1)


def test_a_camera_that_was_silent_is_told(tmp_path):
    record_seen(SEEING, tmp_path, 0.6, wrist=lambda one, now: None)
    store = EpisodeStore(tmp_path, SEEING)
    with pytest.raises(UserError, match=r"not fit to learn from.*wrist has no picture"):
        cached_windows(store, store.list(), SEEING, SIZES, tmp_path / "cache")
    with pytest.raises(UserError, match="episode_0001 has no pictures of wrist, which panda_avoid"):
        cameras_of(SEEING, store.load("episode_0001"))


def test_pictures_of_another_size_than_the_contract_says_are_told(tmp_path):
    small = camera("wrist", "jpeg", width=WIDTH // 2, height=HEIGHT // 2)
    image = {"name": "hand", "camera": "wrist", "width": 32, "height": 24}
    record_seen(seeing([image], wrist=small), tmp_path, 0.4)
    store = EpisodeStore(tmp_path, SEEING)
    with pytest.raises(UserError, match="camera_width 40 of camera wrist instead of 80"):
        cached_windows(store, store.list(), SEEING, SIZES, tmp_path / "cache")
