"""What a training computes on: nothing is left behind on the processor, and the same is drawn.

There need be no GPU: torch's device `meta` has tensors without numbers, and whatever mixes them
with tensors of the processor fails as it would with a GPU's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from seeing import record_seen, seeing, seen_episodes

from vdd_ros import cli
from vdd_ros.errors import UserError
from vdd_ros.policies import device
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.diffusion_loss import denoising_loss
from vdd_ros.policies.encoder import Encoder, EncoderConfig
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.objectives import OBJECTIVES, STUDENT, Batch, SeenBatch
from vdd_ros.policies.own_eyes import WithOwnEyes
from vdd_ros.policies.players import Nets
from vdd_ros.policies.sighted import Sighted
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher, sample_chunks
from vdd_ros.policies.training import TrainingConfig

META = torch.device("meta")
B, NEWEST, C, R = 8, 5, 10, 6
STUDENT_CONFIG = StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4)
EYES = EncoderConfig(channels=4, stages=2, keypoints=4, features=6, draws=2)


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """Trainings compute on a device that has no numbers."""
    token = device._CURRENT.set(META)
    yield
    device._CURRENT.reset(token)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def teacher_of(**changes: object) -> Denoiser:
    return make_teacher(TeacherConfig(width=16, blocks=1, **changes), NEWEST, C, R)


def batch() -> Batch:
    return device.placed_batch(Batch(torch.randn(B, C), torch.randn(B, R), torch.randn(B, R)))


@pytest.mark.parametrize("net", ["mlp", "transformer"])
@pytest.mark.parametrize("prediction", ["edm", "epsilon", "v"])
def test_all_of_a_teacher_s_loss_is_on_the_device(elsewhere, net, prediction):
    teacher, data = teacher_of(net=net, prediction=prediction).to(META), batch()
    with device.computing():
        loss = denoising_loss(teacher, data.demos, data.cond, TeacherConfig().noise, generator())
    loss.backward()
    assert loss.device == META and all(one.grad.device == META for one in teacher.parameters())


@pytest.mark.parametrize("method", OBJECTIVES)
def test_all_of_a_mixture_s_losses_are_on_the_device(elsewhere, method):
    teacher, objective = teacher_of().to(META), OBJECTIVES[method]()
    student = GaussianMoE(STUDENT_CONFIG, NEWEST, C, R).to(META)
    nets = Nets({STUDENT: student, **objective.auxiliaries(student, teacher)}, 0.99)
    data = batch()
    for player in objective.players(nets, teacher):
        with device.computing():
            loss = player.loss(data, 0.3, generator())
        loss.backward(inputs=list(player.parameters))
        assert loss.device == META


class Views:
    """Pictures of noise, read on the processor."""

    def pixels(self, image: int, numbers: np.ndarray) -> np.ndarray:
        shape = seeing().images[image].shape
        return np.random.default_rng(image).integers(0, 256, (len(numbers), *shape), np.uint8)


def test_a_student_with_eyes_of_its_own_learns_on_the_device(elsewhere):
    encoder = Encoder(EYES, seeing())
    seen = C + encoder.count * encoder.image_dim
    teacher = make_teacher(
        TeacherConfig(width=16, blocks=1), NEWEST, seen, R, encoder.count, encoder.image_dim
    ).to(META)
    moe = GaussianMoE(STUDENT_CONFIG, NEWEST, seen, R, encoder.count, encoder.image_dim)
    net = Sighted(encoder, moe).to(META)
    (player,) = WithOwnEyes(OBJECTIVES["vdd"](), Views(), C).players(
        Nets({STUDENT: net}, 0.99), teacher
    )
    numbers, ages_s = torch.zeros(B, 2, dtype=torch.int64), torch.zeros(B, 2)
    data = SeenBatch(torch.randn(B, seen), torch.randn(B, R), torch.randn(B, R), numbers, ages_s)
    placed = device.placed_batch(data)
    assert placed.numbers is numbers and placed.ages_s.device == META
    with device.computing():
        loss = player.loss(placed, 0.5, generator())
    loss.backward()
    learned = dict(encoder.named_parameters())
    assert all(one.grad is not None and one.grad.device == META for one in learned.values())


def test_samples_are_drawn_on_the_device(elsewhere):
    """Up to where they are brought back, which what has no numbers cannot be."""
    teacher = teacher_of().to(META)
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        sample_chunks(
            teacher.denoise, torch.zeros(B, C), R, TeacherConfig().noise,
            SamplerConfig("heun", 3), generator(),
        )  # fmt: skip


def test_what_is_drawn_is_the_same_wherever_it_is_used():
    shares = torch.tensor([[0.1, 0.2, 0.7]]).expand(4, 3)

    def drawn(of: torch.Generator) -> list[torch.Tensor]:
        return [
            torch.randn(3, 2, generator=of),
            torch.rand((5,), generator=of),
            torch.randint(7, (4,), generator=of),
            torch.randperm(6, generator=of),
            torch.multinomial(shares, 2, replacement=True, generator=of),
        ]

    usual = drawn(generator(3))
    with device.Drawn(torch.device("cpu")):
        again = drawn(generator(3))
    for one, other in zip(usual, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_networks_are_brought_back(elsewhere):
    """Or that is tried: what has no numbers cannot be."""
    net, was_lent = torch.nn.Linear(2, 2), []
    with (
        pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"),
        device.lent(net, object()),
    ):
        was_lent.append(net.weight.device)
    assert was_lent == [META]


def test_on_the_processor_nothing_is_copied():
    data = Batch(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 1))
    with device.on_device("cpu"):
        assert device.placed_batch(data) is data and device.placed(data.cond) is data.cond
        net = torch.nn.Linear(1, 1)
        before = net.weight.data_ptr()
        with device.lent(net):
            assert net.weight.data_ptr() == before


@pytest.mark.parametrize("command", ["train", "distill"])
def test_a_gpu_that_is_not_there_is_told_before_anything_is_written(
    tmp_path, capsys, command, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # wherever this runs
    folder = tmp_path / "e"
    record_seen(seeing(), folder)
    words = {
        "train": ["--episodes", folder, "--contract", "config/panda_avoid.yaml"],
        "distill": ["--teacher", tmp_path / "t"],
    }[command]
    words = [command, *words, "--out", tmp_path / "run", "--device", "cuda"]
    assert cli.main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert "device is cuda, and torch" in said and "leave out --device" in said
    assert not (tmp_path / "run").exists()


def test_more_processes_than_gpus_are_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(UserError, match="start no more processes than GPUs"):
        device._found("cuda")


def test_an_encoder_learns_in_bfloat16_and_nearly_the_same(tmp_path, monkeypatch):
    """On a processor that has such products only in software; the norm and places stay float32."""
    contract = seeing()
    episodes = seen_episodes(contract, tmp_path / "episodes", 0.5, 0.5)
    kinds: set[torch.dtype] = set()
    conv2d = torch.nn.functional.conv2d

    def watched(*args, **kwargs):
        made = conv2d(*args, **kwargs)
        kinds.add(made.dtype)
        return made

    monkeypatch.setattr(torch.nn.functional, "conv2d", watched)
    config = TeacherConfig(n_obs_steps=2, horizon=4, rank=5, width=16, blocks=1)
    learned = {}
    for has in (False, True):
        monkeypatch.setattr(device, "has_bf16", lambda has=has: has)
        kinds.clear()
        training = TrainingConfig(steps=3, batch_size=8, warmup_steps=1, learning_rate=1e-3)
        run = tmp_path / f"run{has}"
        learned[has] = train_teacher(contract, episodes, run, config, training, 1, encoder=EYES)
        assert (torch.bfloat16 in kinds) == has
    names = dict(learned[False].encoder.named_parameters())
    for name, tensor in learned[True].encoder.named_parameters():
        assert tensor.dtype == torch.float32 and torch.isfinite(tensor).all()
        assert (tensor - names[name]).abs().max() < 1e-2, name
