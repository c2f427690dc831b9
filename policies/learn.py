"""From episodes to a teacher run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import Run
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.diffusion_loss import denoising_loss
from vdd_ros.policies.encoder import EncoderConfig, make_encoder
from vdd_ros.policies.examples import Examples, examples_of, fit_normalizer
from vdd_ros.policies.metrics_log import MetricsLog
from vdd_ros.policies.players import LossOf, Nets, Player, parameters_of
from vdd_ros.policies.pool import blurred
from vdd_ros.policies.run_folder import finish, state_in
from vdd_ros.policies.runs import Teacher, load_teacher, sizes_of
from vdd_ros.policies.sighted import (
    SeenExamples,
    Sighted,
    keep_pictures,
    pixels_of,
    seen_examples,
    settings_of,
)
from vdd_ros.policies.stored_pictures import FILE_NAME as PICTURES
from vdd_ros.policies.stored_windows import FILE_NAME as WINDOWS
from vdd_ros.policies.stored_windows import StoredWindows, open_windows, store_windows
from vdd_ros.policies.teacher import TeacherConfig, make_teacher
from vdd_ros.policies.training import QUIET, Report, TrainingConfig, train
from vdd_ros.policies.window_source import WindowSource, calibrations_of, in_memory
from vdd_ros.policies.windows import require_positions


def train_teacher(
    contract: Contract,
    episodes: Sequence[Episode] | WindowSource,
    folder: Path,
    config: TeacherConfig,
    training: TrainingConfig,
    held_out: int,
    report: Report = QUIET,
    tensorboard: bool = False,
    encoder: EncoderConfig | None = None,
) -> Teacher:
    """Train on all but the last `held_out` episodes; a run broken off in `folder` is taken up.

    episodes: in memory, or a source of their windows, by the sizes of `config`; encoder: of a
    contract with images, learned together with the rest.
    """
    log = MetricsLog(folder, tensorboard)
    source = (
        episodes
        if isinstance(episodes, WindowSource)
        else in_memory(contract, episodes, config.n_obs_steps, config.horizon)
    )
    if not 0 < held_out < len(source.facts):
        raise UserError(
            f"{held_out} of {len(source.facts)} episodes held out; hold out at least one and train "
            "on at least one"
        )
    if config.reference_degree == 0:
        require_positions(contract, "reference_degree 0")
    trained_on = len(source.facts) - held_out
    for_training = source.of(range(trained_on))
    if not len(for_training) or len(for_training) == len(source):
        part = "held out" if len(for_training) else "trained on"
        raise UserError(
            f"nobody took over in the episodes of a policy that are {part}: name demonstrations "
            "last when merging, of which some are held out"
        )
    normalizer = fit_normalizer(
        for_training, config.rank, np.random.default_rng(training.seed), config.reference_degree
    )
    data = examples_of(normalizer, for_training, folder)
    torch.manual_seed(training.seed)
    eyes = make_encoder(encoder or EncoderConfig(), contract) if contract.images else None
    denoiser = make_teacher(config, *sizes_of(normalizer, eyes))
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "teacher": asdict(config),
        "training": asdict(training),
        "processes": distributed.processes(),
    }
    if eyes is not None:
        settings |= settings_of(eyes.config, contract)
    state_file = state_in(folder, settings, *data)
    stored, shown = (
        folder / state_file.name.replace("state", kind) for kind in ("windows", "pictures")
    )
    if distributed.is_first():
        # before the training: where they are read from may be gone after it
        store_windows(stored, source, trained_on)
    if eyes is None:
        net, loss = denoiser, _loss(denoiser, config)
        given: Examples | SeenExamples = data
    else:
        keep_pictures(shown, contract, source)
        kept = open_windows(folder, False, stored.name, shown.name)
        net = Sighted(eyes, denoiser)
        loss, given = _sighted_loss(net, config, kept), seen_examples(data, kept)
    nets = Nets({"teacher": net}, training.ema_decay)
    player = Player("teacher", parameters_of(net), loss)
    weights = train(nets, [player], given, training, state_file, report, log=log)
    notes = {
        "held_out": source.names[trained_on:],
        "trained_on": for_training.names,
        "corrections": [one.name for one in source.facts if one.of_policy],
        "calibrations": calibrations_of(source.facts),
    }
    if distributed.is_first():
        stored.replace(folder / WINDOWS)
        if eyes is not None:
            shown.replace(folder / PICTURES)
    finish(folder, Run("teacher", settings, contract, normalizer, notes), weights)
    return load_teacher(folder)


def _loss(denoiser: Denoiser, config: TeacherConfig) -> LossOf:
    def loss(batch: Examples, progress: float, generator: torch.Generator) -> Tensor:
        seen = blurred(batch.cond, config.observation_noise, generator)
        return denoising_loss(denoiser, batch.chunks, seen, config.noise, generator)

    return loss


def _sighted_loss(net: Sighted, config: TeacherConfig, stored: StoredWindows) -> LossOf:
    """Each window is encoded once, and its chunk noised several times."""
    views, draws = stored.views, net.encoder.config.draws
    assert views is not None and isinstance(net.net, Denoiser)
    denoiser = net.net

    def loss(batch: SeenExamples, progress: float, generator: torch.Generator) -> Tensor:
        pixels = pixels_of(views, batch.numbers)
        shown = net.encoder.learned(pixels, batch.ages_s, generator)
        state = blurred(batch.cond, config.observation_noise, generator)
        seen = torch.cat([state, shown], dim=1).repeat(draws, 1)
        chunks = batch.chunks.repeat(draws, 1)
        return denoising_loss(denoiser, chunks, seen, config.noise, generator)

    return loss
