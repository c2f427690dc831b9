"""Teachers of other projects: the same numbers as a forward pass written from their papers."""

import json
import math
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from foreign_checkpoints import (
    ACTIONS,
    DIFFUSION_POLICY,
    GROUPS,
    LEROBOT,
    LEVELS,
    SCALES,
    SEEN,
    STEPS,
    TO,
    diffusion_policy_config,
    lerobot_action,
    lerobot_config,
    lerobot_seen,
    reference,
    write_diffusion_policy,
    write_lerobot,
)
from recordings import CONTRACT, ROOT, record
from safetensors.torch import load_file, save_file
from small_runs import POOL, STUDENT, TRAINING, words
from test_takeover import record_with_policy

from vdd_ros import cli
from vdd_ros.inference import OnnxPolicy
from vdd_ros.policies.beta_schedules import LevelIndex, sigmas_of
from vdd_ros.policies.foreign.diffusion_policy import RECIPE
from vdd_ros.policies.runs import load_any_student, load_teacher

# the policy's numbers, in its own order, and what a radian is in it
ORDER = (3, 0, 6, 5, 1, 2, 4)
UNITS = ["deg", "rad", "rad", {"span": [-100.0, 100.0], "means": [2.0, -1.0]}, "deg", "rad", "rad"]
JOINTS = CONTRACT.joint_names


@pytest.fixture(scope="module")
def episodes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    for number in range(3):
        record(folder, seconds=1.5 + 0.2 * number)
    return folder


def declare(path: Path, **changes: object) -> Path:
    def columns(name: str) -> list[dict]:
        return [
            {"name": f"{name}[{JOINTS[place]}]", "unit": unit}
            for place, unit in zip(ORDER, UNITS, strict=True)
        ]

    declared = {
        "format_version": 1,
        "rate_hz": 10.0,
        "observation": columns("joint_position"),
        "action": columns(CONTRACT.action.name),
    } | changes
    path.write_text(yaml.safe_dump(declared))
    return path


def to_theirs(values: torch.Tensor) -> torch.Tensor:
    """(..., 7) in the contract's order and unit -> the policy's."""
    theirs = values[..., list(ORDER)].clone()
    for at, unit in enumerate(UNITS):
        if unit == "deg":
            theirs[..., at] *= 180.0 / math.pi
        elif isinstance(unit, dict):
            theirs[..., at] = (theirs[..., at] - 2.0) / -3.0 * 200.0 - 100.0
    return theirs


def take(episodes: Path, checkpoint: Path, out: Path, *more: object) -> int:
    return cli.main(
        words("teacher", "import", checkpoint, out, "--episodes", episodes, "--held-out", 1,
              "--contract", ROOT / "config" / "panda_avoid.yaml", "--cache", out.parent / "cache",
              *more)
    )  # fmt: skip


def windows(count: int = 5) -> torch.Tensor:
    """(count, To, 7) in the contract's units."""
    generator = torch.Generator().manual_seed(5)
    return 0.3 * torch.randn(count, TO, 7, generator=generator) + torch.linspace(-1, 1, 7)


def closed_sigmas(schedule: str, first: float, last: float) -> torch.Tensor:
    """As diffusers has them: betas, then their running product."""
    if schedule == "squaredcos_cap_v2":
        bar = [math.cos((k / LEVELS + 0.008) / 1.008 * math.pi / 2) ** 2 for k in range(LEVELS + 1)]
        betas = [min(1 - bar[k + 1] / bar[k], 0.999) for k in range(LEVELS)]
    elif schedule == "scaled_linear":
        betas = (np.linspace(first**0.5, last**0.5, LEVELS) ** 2).tolist()
    elif schedule == "sigmoid":
        at = np.linspace(-6, 6, LEVELS)
        betas = (1 / (1 + np.exp(-at)) * (last - first) + first).tolist()
    else:
        betas = np.linspace(first, last, LEVELS).tolist()
    alpha_bar = np.cumprod(1 - np.array(betas))
    return torch.tensor(np.sqrt((1 - alpha_bar) / alpha_bar))


@pytest.mark.parametrize("schedule", ["squaredcos_cap_v2", "linear", "scaled_linear", "sigmoid"])
def test_levels_are_those_of_the_named_schedule(schedule):
    sigmas = sigmas_of(schedule, 0.001, 0.3, LEVELS)
    torch.testing.assert_close(sigmas, closed_sigmas(schedule, 0.001, 0.3), rtol=1e-9, atol=0.0)
    index = LevelIndex(sigmas)
    found = index(sigmas.float())
    torch.testing.assert_close(found, torch.arange(LEVELS).float(), rtol=0.0, atol=1e-4)
    between = index((sigmas[3] * sigmas[4]).sqrt()[None].float())
    assert float(between) == pytest.approx(3.5, abs=1e-4)
    assert index(torch.tensor([1e-9, 1e9])).tolist() == [0.0, LEVELS - 1.0]


def clean_of(kind: str, predicted, z, alpha_bar, clip):
    clean = predicted if kind == "sample" else (z - (1 - alpha_bar).sqrt() * predicted)
    clean = clean if kind == "sample" else clean / alpha_bar.sqrt()
    return clean if clip is None else clean.clamp(-clip, clip)


LEROBOTS = {
    "new": (True, {}),
    "old": (False, {}),
    "sample": (True, {"prediction_type": "sample", "use_film_scale_modulation": False}),
    "unclipped": (
        True,
        {"clip_sample": False, "beta_schedule": "linear", "beta_start": 0.001, "beta_end": 0.3},
    ),
}


@pytest.mark.parametrize("name", LEROBOTS)
def test_lerobot_denoises_as_its_own_architecture(name, episodes, tmp_path):
    is_new, changes = LEROBOTS[name]
    tensors = write_lerobot(tmp_path / "theirs", is_new, **changes)
    out = tmp_path / "run"
    assert take(episodes, tmp_path / "theirs", out, "--numbers", declare(tmp_path / "n.yaml")) == 0
    config, teacher = lerobot_config(**changes), load_teacher(out)
    assert (teacher.config.n_obs_steps, teacher.config.horizon) == (TO, STEPS - TO + 1)

    ends = config["beta_start"], config["beta_end"]
    sigmas = closed_sigmas(config["beta_schedule"], *ends)
    seen = lerobot_seen(to_theirs(windows()))
    k = torch.tensor([0, 3, 9, 15, 18])
    alpha_bar = (1 / (1 + sigmas[k] ** 2)).float()[:, None, None]
    generator = torch.Generator().manual_seed(1)
    clean = torch.rand(5, STEPS, ACTIONS, generator=generator) * 2 - 1
    noise = torch.randn(clean.shape, generator=generator)
    z = alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise
    predicted = reference(tensors, LEROBOT, GROUPS, z, k, seen.flatten(1))
    clip = 1.0 if config["clip_sample"] else None
    expected = clean_of(config["prediction_type"], predicted, z, alpha_bar, clip)
    assert clip is None or (expected.abs() == clip).any()  # clipping has something to do

    cond = torch.tensor(teacher.normalizer.features(windows().double().numpy())).float()
    with torch.no_grad():
        found = teacher.denoiser(
            (z / alpha_bar.sqrt()).flatten(1), sigmas[k].float(), cond
        ).unflatten(1, (STEPS, ACTIONS))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-4)

    chunks = teacher.normalizer.unnormalize(found.flatten(1).double().numpy(), windows().numpy())
    theirs = lerobot_action(expected)[:, TO - 1 :]
    torch.testing.assert_close(
        to_theirs(torch.tensor(chunks)).float(), theirs, rtol=1e-4, atol=0.02
    )


def test_commands_come_back_through_the_normalisation(episodes, tmp_path):
    write_lerobot(tmp_path / "theirs", True)
    take(episodes, tmp_path / "theirs", tmp_path / "run", "--numbers", declare(tmp_path / "n.yaml"))
    normalizer = load_teacher(tmp_path / "run").normalizer
    chunks = np.random.default_rng(0).normal(size=(4, STEPS - TO + 1, ACTIONS))
    observations = windows(4).numpy()
    z = normalizer.normalize(chunks, observations)
    np.testing.assert_allclose(normalizer.unnormalize(z, observations), chunks, atol=1e-12)
    executed = torch.tensor(z).unflatten(1, (STEPS, ACTIONS))[:, TO - 1 :]
    expected = to_theirs(torch.tensor(chunks))
    torch.testing.assert_close(lerobot_action(executed), expected, rtol=1e-6, atol=1e-6)


def test_diffusion_policy_denoises_as_its_own_architecture(episodes, tmp_path):
    tensors = write_diffusion_policy(tmp_path / "theirs")
    out = tmp_path / "run"
    assert take(episodes, tmp_path / "theirs", out, "--numbers", declare(tmp_path / "n.yaml")) == 0
    teacher = load_teacher(out)
    sigmas = closed_sigmas("linear", 0.001, 0.3)
    scale, offset = SCALES["obs"]
    seen = to_theirs(windows()) * scale + offset
    k = torch.tensor([0, 3, 9, 15, 19])
    alpha_bar = (1 / (1 + sigmas[k] ** 2)).float()[:, None, None]
    z = torch.randn(5, STEPS, ACTIONS, generator=torch.Generator().manual_seed(2))
    expected = reference(tensors, DIFFUSION_POLICY, GROUPS, z, k, seen.flatten(1))
    cond = torch.tensor(teacher.normalizer.features(windows().double().numpy())).float()
    with torch.no_grad():
        found = teacher.denoiser((z / alpha_bar.sqrt()).flatten(1), sigmas[k].float(), cond)
    torch.testing.assert_close(found.view_as(expected), expected, rtol=1e-3, atol=1e-3)
    chunks = teacher.normalizer.unnormalize(found.double().numpy(), windows().numpy())
    scale, offset = SCALES["action"]
    theirs = ((expected - offset) / scale)[:, TO - 1 :]
    torch.testing.assert_close(to_theirs(torch.tensor(chunks)).float(), theirs, rtol=1e-2, atol=0.1)


def test_steps_that_are_all_executed_have_no_past(episodes, tmp_path):
    write_diffusion_policy(tmp_path / "theirs", pred_action_steps_only=True)
    out = tmp_path / "run"
    assert take(episodes, tmp_path / "theirs", out, "--numbers", declare(tmp_path / "n.yaml")) == 0
    assert load_teacher(out).config.past == 0 and load_teacher(out).config.horizon == 4
    few = ["--training.steps", 2, "--training.batch-size", 8, "--threads", 1, *POOL]
    # with demonstrations and: a second noise level, a discriminator, a head on what the net knows
    for method in ("ctm", "add", "dmd2"):
        student = tmp_path / method
        given = words("distill", "--teacher", out, "--out", student, "--method", method, *few)
        assert cli.main([*given, "--allow-larger"]) == 0
        assert load_any_student(student).method == method


@pytest.fixture(scope="module")
def imported(episodes, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    write_lerobot(folder / "theirs", True)
    numbers = declare(folder / "n.yaml")
    assert take(episodes, folder / "theirs", folder / "run", "--numbers", numbers) == 0
    return folder / "run"


@pytest.mark.parametrize(("method", "more"), [("vdd", STUDENT), ("kd", [])])
def test_a_student_is_distilled_exported_and_judged(method, more, imported, tmp_path):
    run, bundle = tmp_path / "student", tmp_path / "bundle"
    steps = [
        "--training.steps",
        4,
        "--training.no-bf16",
        "--threads",
        1,
        "--training.batch-size",
        8,
    ]
    given = ["--teacher", imported, "--out", run, "--method", method, *steps, *POOL, *more]
    assert cli.main(words("distill", *given, "--allow-larger")) == 0
    assert load_any_student(run).contract == CONTRACT
    small = ["--judge.observations", 3, "--judge.samples", 2, "--judge.reference", 3]
    small += ["--judge.sampler.name", "euler", "--judge.sampler.steps", 2]
    judged = words("fidelity", "--teacher", imported, "--students", run, *small)
    assert cli.main(judged) == 0
    exported = words("export", "--run", run, "--teacher", imported, "--out", bundle)
    assert cli.main(exported) == 0
    assert (bundle / "policy.onnx").exists()


def test_its_graph_has_the_steps_that_are_executed(imported, tmp_path):
    bundle = tmp_path / "bundle"
    given = ["--run", imported, "--out", bundle, "--sampler-steps", 3, "--candidates", 2]
    assert cli.main(words("export", *given)) == 0
    policy = OnnxPolicy(bundle / "policy.onnx")
    assert (policy.horizon, policy.action_dim) == (STEPS - TO + 1, ACTIONS)


def refused(capsys, pattern: str, code: int) -> None:
    assert code == 2
    said = capsys.readouterr().err
    assert pattern in said and "Traceback" not in said


def test_methods_of_demonstrations_are_refused_where_the_past_is_unknown(
    imported, tmp_path, capsys
):
    given = ["--teacher", imported, "--out", tmp_path / "s", "--method", "cd", *POOL, *TRAINING]
    refused(capsys, "before the newest observation", cli.main(words("distill", *given)))
    assert not (tmp_path / "s" / "run.json").exists()


PICTURE = {"observation.image": {"type": "VISUAL", "shape": [3, 96, 96]}}
WRONG = {
    "picture": ({"input_features": lerobot_config()["input_features"] | PICTURE}, "pictures need"),
    "type": ({"type": "act"}, "type is 'act'"),
    "prediction": ({"prediction_type": "v_prediction"}, "prediction_type"),
    "schedule": ({"beta_schedule": "laplace"}, "beta schedule 'laplace'"),
    "horizon": ({"horizon": 7}, "multiple of 2"),
    "mode": ({"normalization_mapping": {"STATE": "QUANTILES"}}, "STATE is 'QUANTILES'"),
    "channels": ({"down_dims": [8, 32]}, "another network's"),
    "deeper": ({"down_dims": [8, 16, 32]}, "lacks diffusion.unet."),
    "groups": ({"n_groups": 3}, "do not divide"),
    "levels": ({"num_train_timesteps": 10**9}, "of 2 to 100000"),
    "huge": ({"down_dims": [8, 10**7]}, "another network's"),
    "kind": ({"clip_sample": "yes"}, "clip_sample is 'yes'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_read_of_lerobot_is_told(name, episodes, tmp_path, capsys):
    changes, pattern = WRONG[name]
    write_lerobot(tmp_path / "theirs", True)
    text = json.dumps(lerobot_config(**changes))
    (tmp_path / "theirs" / "config.json").write_text(text)
    if name == "mode":
        pre = tmp_path / "theirs" / "policy_preprocessor.json"
        pre.write_text(pre.read_text().replace('"STATE": "MIN_MAX"', '"STATE": "QUANTILES"'))
    out = tmp_path / "run"
    code = take(episodes, tmp_path / "theirs", out, "--numbers", declare(tmp_path / "n.yaml"))
    refused(capsys, pattern, code)
    assert not out.exists() and not list(tmp_path.glob("run*"))


POLICIES = {
    "local": ({"obs_as_global_cond": False, "obs_as_local_cond": True}, "obs_as_global_cond"),
    "convention": ({"oa_step_convention": False}, "oa_step_convention"),
    "transformer": ({"_target_": "diffusion_policy.policy.x.Transformer"}, "_target_"),
}


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_not_read_of_diffusion_policy_is_told(name, episodes, tmp_path, capsys):
    changes, pattern = POLICIES[name]
    write_diffusion_policy(tmp_path / "theirs")
    text = json.dumps(diffusion_policy_config(**changes))
    (tmp_path / "theirs" / "diffusion_policy.json").write_text(text)
    refused(capsys, pattern, take(episodes, tmp_path / "theirs", tmp_path / "run"))


def test_tensors_that_nobody_knows_are_refused(episodes, tmp_path, capsys):
    write_lerobot(tmp_path / "theirs", True)
    path = tmp_path / "theirs" / "model.safetensors"
    save_file(load_file(path) | {"diffusion.rgb_encoder.out.weight": torch.ones(2)}, path)
    refused(capsys, "rgb_encoder", take(episodes, tmp_path / "theirs", tmp_path / "run"))


def test_a_run_that_cannot_become_one_is_told_before_anything_is_made(episodes, tmp_path, capsys):
    write_lerobot(tmp_path / "theirs", True)
    numbers = ["--numbers", declare(tmp_path / "n.yaml")]
    out = tmp_path / "run"
    for count in (0, 3):
        code = take(episodes, tmp_path / "theirs", out, *numbers, "--held-out", count)
        refused(capsys, f"{count} of 3 episodes held out; hold out at least one and keep", code)
    shutil.copytree(episodes, tmp_path / "episodes")
    record_with_policy(tmp_path / "episodes", person=())  # from which nothing is learned
    code = take(tmp_path / "episodes", tmp_path / "theirs", out, *numbers)
    refused(capsys, "or nothing is held out: record more episodes", code)
    assert not list(tmp_path.glob("run*"))
    out.mkdir()
    code = take(episodes, tmp_path / "theirs", out, *numbers)
    refused(capsys, f"{out} exists already: name a folder that does not, or remove it", code)
    assert list(out.iterdir()) == []


def test_an_observation_that_never_moved_in_their_training_is_told(episodes, tmp_path, capsys):
    write_lerobot(tmp_path / "theirs", True)
    told = tmp_path / "theirs" / "policy_preprocessor.json"
    raw = json.loads(told.read_text())
    raw["steps"][1]["config"]["eps"] = 0.0  # which is added where nothing moved
    told.write_text(json.dumps(raw))
    path = tmp_path / "theirs" / "policy_preprocessor_step_3_normalizer_processor.safetensors"
    found = load_file(path)
    found["observation.state.max"][2] = found["observation.state.min"][2]
    save_file(found, path)
    out = tmp_path / "run"
    code = take(episodes, tmp_path / "theirs", out, "--numbers", declare(tmp_path / "n.yaml"))
    refused(capsys, "observation number 2 was scaled by a range of zero", code)
    assert not list(tmp_path.glob("run*"))


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("unpickled"),))


def test_a_pickle_is_never_opened_and_how_to_convert_it_is_told(
    episodes, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "latest.ckpt"
    path.write_bytes(pickle.dumps(Bomb()))
    refused(capsys, "save_file(", take(episodes, path, tmp_path / "run"))
    assert not (tmp_path / "unpickled").exists()


NUMBERS = {
    "few": ({"action": []}, "0 numbers are declared under action, the policy has 7"),
    "rate": ({"rate_hz": 30.0}, "policy_hz 10"),
    "open": ({"rate_hz": "???"}, "left open"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_order_and_units_are_never_guessed(name, episodes, tmp_path, capsys):
    changes, pattern = NUMBERS[name]
    write_lerobot(tmp_path / "theirs", True)
    numbers = declare(tmp_path / "n.yaml", **changes)
    code = take(episodes, tmp_path / "theirs", tmp_path / "run", "--numbers", numbers)
    refused(capsys, pattern, code)


def test_a_declaration_is_begun_and_asked_for(episodes, tmp_path, capsys):
    write_lerobot(tmp_path / "theirs", False)
    refused(capsys, "vdd teacher look", take(episodes, tmp_path / "theirs", tmp_path / "run"))
    out = tmp_path / "numbers.yaml"
    contract = ROOT / "config" / "panda_avoid.yaml"
    look = ["teacher", "look", tmp_path / "theirs", "--contract", contract, "--out", out]
    assert cli.main(words(*look)) == 0
    begun = yaml.safe_load(out.read_text())
    assert len(begun["observation"]) == SEEN and len(begun["action"]) == ACTIONS
    code = take(episodes, tmp_path / "theirs", tmp_path / "run", "--numbers", out)
    refused(capsys, "left open", code)


def test_an_action_that_never_moved_stays_where_it_was(episodes, tmp_path):
    write_lerobot(tmp_path / "theirs", False)
    path = tmp_path / "theirs" / "model.safetensors"
    tensors = load_file(path)
    tensors["unnormalize_outputs.buffer_action.max"][1] = 0.25
    tensors["unnormalize_outputs.buffer_action.min"][1] = 0.25
    save_file(tensors, path)
    take(episodes, tmp_path / "theirs", tmp_path / "run", "--numbers", declare(tmp_path / "n.yaml"))
    normalizer = load_teacher(tmp_path / "run").normalizer
    z = np.random.default_rng(0).normal(size=(3, STEPS * ACTIONS))
    chunks = normalizer.unnormalize(z, windows(3).numpy())
    np.testing.assert_allclose(chunks[..., ORDER[1]], 0.25)
    assert np.isfinite(normalizer.normalize(chunks + 0.1, windows(3).numpy())).all()


def test_the_recipe_of_the_docs_is_the_one_that_is_told():
    page = (ROOT / "docs" / "distilling.md").read_text(encoding="utf-8")
    shown = page.partition("```python\nimport dill")[2].partition("```")[0]
    assert [line for line in f"import dill{shown}".splitlines() if line] == RECIPE.splitlines()
