"""Teachers and students of a contract with images: trained, distilled, taken up, read again."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from seeing import record_seen, seeing

from vdd_ros import cli
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.policies import sighted, training
from vdd_ros.policies.checkpoint import checkpoint_hash
from vdd_ros.policies.distil import distil
from vdd_ros.policies.distil_few_step import distil_few_step
from vdd_ros.policies.encoder import Encoder, EncoderConfig
from vdd_ros.policies.judge import JudgeConfig, judged
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.likelihood import likelihood_of
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.objectives import FEW_STEP
from vdd_ros.policies.own_eyes import seen_batch
from vdd_ros.policies.pool import PoolConfig, and_visited, rows_of_pool, training_pool
from vdd_ros.policies.runs import load_any_student, load_teacher, training_examples
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import TrainingConfig

SEEING = seeing()
ENCODER = EncoderConfig(channels=4, stages=2, keypoints=4, features=6, draws=2)
TEACHER = TeacherConfig(n_obs_steps=2, horizon=4, rank=5, width=16, blocks=1, observation_noise=0.1)
TRAINING = TrainingConfig(steps=12, batch_size=8, bf16=False, save_every=5, warmup_steps=2)
STUDENT = StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4)
POOL, SAMPLER = PoolConfig(size=60), SamplerConfig("euler", 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> EpisodeStore:
    folder = tmp_path_factory.mktemp("sighted") / "episodes"
    for seconds in (0.5, 0.6, 0.7):
        record_seen(SEEING, folder, seconds)
    return EpisodeStore(folder, SEEING)


@pytest.fixture(scope="module")
def episodes(store):
    return [store.load(name) for name in store.list()]


@pytest.fixture(scope="module")
def teacher(episodes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "teacher"
    return train_teacher(SEEING, episodes, folder, TEACHER, TRAINING, 1, encoder=ENCODER)


def test_encoder_and_network_learn_together_and_are_read_again(teacher):
    torch.manual_seed(TRAINING.seed)
    begun = Encoder(ENCODER, SEEING)
    assert isinstance(teacher.encoder, Encoder) and teacher.encoder.config == ENCODER
    moved = {
        name: not torch.equal(tensor, begun.state_dict()[name])
        for name, tensor in teacher.encoder.state_dict().items()
    }
    assert all(moved.values()), moved
    assert teacher.sizes == (7, 14 + 2 * 7, 5, 2, 7)
    assert {path.name for path in teacher.folder.iterdir()} >= {
        "pictures.safetensors", "windows.safetensors", "weights.safetensors", "run.json",
    }  # fmt: skip
    assert not list(teacher.folder.glob("pictures-*")) + list(teacher.folder.glob("state-*"))
    raw = json.loads((teacher.folder / "run.json").read_text())
    assert raw["configs"]["encoder"]["features"] == 6
    assert raw["configs"]["images"][0]["resampling"] == "triangle"


def test_a_picture_is_encoded_once_however_many_windows_see_it(teacher):
    pictures = open_windows(teacher.folder, held_out=False).pictures
    assert pictures is not None
    with torch.no_grad():
        pixels = [torch.from_numpy(pictures.pixels(image)) for image in range(2)]
        wanted = teacher.encoder(pixels, torch.from_numpy(pictures.ages_s))
    encoded = []
    hooks = [
        net.register_forward_hook(lambda net, given, found: encoded.append(len(found)))
        for net in teacher.encoder.nets
    ]
    torch.testing.assert_close(teacher.encoder.of(pictures), wanted, rtol=1e-4, atol=1e-5)
    distinct = sum(len(np.unique(numbers)) for numbers in pictures.numbers.T)
    assert sum(encoded) == distinct < len(pictures)
    for hook in hooks:
        hook.remove()


def test_features_are_encoded_once_and_kept(teacher, monkeypatch):
    data, _ = training_examples(teacher)
    stored = open_windows(teacher.folder, held_out=False)
    assert stored.pictures is not None
    torch.testing.assert_close(data.cond[:, 14:], teacher.encoder.of(stored.pictures))
    monkeypatch.setattr(Encoder, "of", lambda *_: pytest.fail("it was encoded again"))
    again, _ = training_examples(teacher)
    torch.testing.assert_close(again.cond, data.cond)
    pool = training_pool(teacher, POOL, SAMPLER, 0)
    # noise is for what a robot tells of itself: a feature is one of those that were encoded
    known = {row.tobytes() for row in data.cond[:, 14:].numpy()}
    assert all(row.tobytes() in known for row in pool.cond[:, 14:].numpy())
    assert not (pool.cond[:, None, :14] == data.cond[None, :, :14]).all(-1).any()


@pytest.mark.parametrize("method", ["vdd", "nll"])
def test_a_student_has_its_teachers_encoder(teacher, tmp_path, method):
    parts = (teacher, tmp_path / method, method, STUDENT, TRAINING)
    student = distil(*parts, pool=POOL, sampler=SAMPLER, prune=0.01)
    assert student.encoder is not None
    for name, tensor in teacher.encoder.state_dict().items():
        torch.testing.assert_close(student.encoder.state_dict()[name], tensor)
    again = load_any_student(tmp_path / method)
    assert again.encoder is not None and again.contract == SEEING
    data, _ = training_examples(teacher)
    with torch.no_grad():
        here, there = student.moe(data.cond[:4]), again.moe(data.cond[:4])
    torch.testing.assert_close(here.means, there.means)


@pytest.mark.parametrize("method", ["vdd", "nll"])
def test_a_student_may_learn_to_see_as_well(teacher, tmp_path, method):
    parts = (teacher, tmp_path / "s", method, STUDENT, TRAINING)
    student = distil(*parts, pool=POOL, sampler=SAMPLER, encoder="trained", start="k-means")
    assert student.encoder is not None
    moved = [
        not torch.equal(tensor, teacher.encoder.state_dict()[name])
        for name, tensor in student.encoder.state_dict().items()
    ]
    assert all(moved)
    raw = json.loads((tmp_path / "s" / "run.json").read_text())
    assert raw["configs"]["encoder_use"] == "trained"
    assert student.notes == teacher.notes | {"teacher_hash": checkpoint_hash(teacher.folder)}
    again = load_teacher(teacher.folder)
    for name, tensor in teacher.encoder.state_dict().items():
        assert torch.equal(tensor, again.encoder.state_dict()[name]), "its teacher's stays"


def test_what_sees_by_itself_sees_the_pictures_of_its_own_observations(teacher):
    """Encoded anew by the teacher's encoder they are the features that the pool has."""
    data = training_pool(teacher, POOL, SAMPLER, 0)
    seen = seen_batch(data, teacher, rows_of_pool(teacher, POOL, 0))
    views = open_windows(teacher.folder, held_out=False).views
    with torch.no_grad():
        shown = teacher.encoder(sighted.pixels_of(views, seen.numbers), seen.ages_s)
    torch.testing.assert_close(shown, data.cond[:, 14:], rtol=1e-4, atol=1e-4)


def test_who_cannot_learn_to_see_says_so(teacher, tmp_path):
    def trained(method="vdd", pool=POOL, **more):
        parts = (teacher, tmp_path / "s", method, STUDENT, TRAINING)
        distil(*parts, pool=pool, sampler=SAMPLER, encoder="trained", **more)

    with pytest.raises(UserError, match="by VddPaper several parts of a student learn in turn"):
        trained("vdd-paper")
    with pytest.raises(UserError, match="observations between recorded ones have no pictures"):
        trained(pool=PoolConfig(size=60, between=0.5))
    with pytest.raises(UserError, match="leave out prune"):
        trained(prune=0.1)


def test_so_has_one_of_few_steps_and_one_of_transformers(episodes, teacher, tmp_path):
    parts = (teacher, tmp_path / "kd", "kd", TRAINING, FEW_STEP["kd"]())
    few = distil_few_step(*parts, pool=POOL, sampler=SAMPLER)
    assert few.encoder is not None
    attending = TeacherConfig(
        n_obs_steps=2, horizon=4, rank=5, width=16, blocks=1, heads=2, net="transformer"
    )
    one = train_teacher(SEEING, episodes, tmp_path / "t", attending, TRAINING, 1, encoder=ENCODER)
    config = StudentConfig(3, 16, 1, bottleneck=4, trunk="transformer", heads=2)
    student = distil(
        one, tmp_path / "s", "vdd", config, TRAINING, pool=POOL, sampler=SAMPLER, allow_larger=True
    )
    assert student.moe.trunk.window.images == 2


def test_they_are_judged_and_explain_episodes(teacher, episodes, tmp_path):
    parts = (teacher, tmp_path / "s", "nll", STUDENT, TRAINING)
    student = distil(*parts, pool=POOL, sampler=SAMPLER)
    config = JudgeConfig(8, 4, 8, SAMPLER)
    found = judged(teacher, {"nll": student}, ["linear-gaussian"], config)
    assert np.isfinite([found["nll"]["nll"], found["linear-gaussian"]["nll"]]).all()
    assert np.isfinite(likelihood_of(student, episodes[2]).nll).all()


def test_a_training_broken_off_is_taken_up(episodes, teacher, tmp_path, monkeypatch):
    class Broken(Exception):
        pass

    def breaking(step, steps, loss):
        raise Broken

    monkeypatch.setattr(training, "REPORT_EVERY", 7)
    with pytest.raises(Broken):
        train_teacher(SEEING, episodes, tmp_path, TEACHER, TRAINING, 1, breaking, encoder=ENCODER)
    assert list(tmp_path.glob("pictures-*.safetensors")) and list(tmp_path.glob("state-*"))
    monkeypatch.setattr(sighted, "store_pictures", lambda *_: pytest.fail("they are there"))
    again = train_teacher(SEEING, episodes, tmp_path, TEACHER, TRAINING, 1, encoder=ENCODER)
    for name, tensor in load_file(teacher.folder / "weights.safetensors").items():
        torch.testing.assert_close(tensor, load_file(again.folder / "weights.safetensors")[name])


def test_observations_without_pictures_are_refused(teacher):
    data = training_pool(teacher, POOL, SAMPLER, 0)
    with pytest.raises(UserError, match="visited observations are numbers alone, and this teacher"):
        and_visited(data, teacher, np.zeros((2, 2, 7)), SAMPLER, 0)


def test_a_run_that_lost_its_encoder_or_its_pictures_says_so(teacher, tmp_path):
    raw = json.loads((teacher.folder / "run.json").read_text())
    for name in ("weights.safetensors", "windows.safetensors"):
        (tmp_path / name).write_bytes((teacher.folder / name).read_bytes())
    (tmp_path / "run.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"pictures.safetensors is missing; train anew"):
        training_examples(load_teacher(tmp_path))
    del raw["configs"]["encoder"]
    (tmp_path / "run.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"tells of images and of no encoder"):
        load_teacher(tmp_path)


def test_vdd_train_takes_an_encoder(store, tmp_path, capsys):
    (tmp_path / "contract.yaml").write_text(json.dumps(SEEING.to_dict()))
    words = f"""train --episodes {store.folder} --out {tmp_path / "run"} --held-out 1
        --contract {tmp_path / "contract.yaml"} --cache {tmp_path / "cache"} --threads 1
        --teacher.horizon 4 --teacher.rank 5 --teacher.width 16 --teacher.blocks 1
        --training.steps 3 --training.batch-size 4 --encoder.channels 4 --encoder.stages 1
        --encoder.features 6 --encoder.shared --encoder.augment.colour 0.1"""
    assert cli.main(words.split()) == 0, capsys.readouterr().err
    found = load_teacher(tmp_path / "run")
    assert found.encoder is not None and len(found.encoder.nets) == 1
    assert found.encoder.config.augment.colour == 0.1
