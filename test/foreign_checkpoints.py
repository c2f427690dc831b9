"""Small networks in the layouts of LeRobot and diffusion_policy, with a forward pass of their own.

The pass is written from the published architecture, over a mapping of tensors by their names there.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

CHANNELS, KERNEL, GROUPS, EMBEDDING = (8, 16), 3, 4, 8
TO, STEPS, LEVELS = 2, 8, 20
STATE, ENVIRONMENT = 4, 3
SEEN = STATE + ENVIRONMENT
ACTIONS = 7


class Names(NamedTuple):
    """What a layout calls the parts of a U-Net."""

    prefix: str
    first: str
    second: str
    resize: str


LEROBOT = Names("diffusion.unet.", "conv1", "conv2", "")
DIFFUSION_POLICY = Names("model.", "blocks.0", "blocks.1", ".conv")


def random_weights(names: Names, has_scale: bool = True, seed: int = 0) -> dict[str, Tensor]:
    """Every tensor of a U-Net, by its name in that layout."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}

    def layer(name: str, *shape: int, out: int | None = None) -> None:
        scale = 1.0 / math.sqrt(math.prod(shape[1:]))
        tensors[f"{names.prefix}{name}.weight"] = scale * torch.randn(shape, generator=generator)
        bias = 0.1 * torch.randn(shape[0] if out is None else out, generator=generator)
        tensors[f"{names.prefix}{name}.bias"] = bias

    def norm(name: str, size: int) -> None:
        tensors[f"{names.prefix}{name}.weight"] = 1 + 0.2 * torch.randn(size, generator=generator)
        tensors[f"{names.prefix}{name}.bias"] = 0.1 * torch.randn(size, generator=generator)

    def block(name: str, enter: int, leave: int) -> None:
        for part, size in ((names.first, enter), (names.second, leave)):
            layer(f"{name}.{part}.block.0", leave, size, KERNEL)
            norm(f"{name}.{part}.block.1", leave)
        layer(f"{name}.cond_encoder.1", leave * (1 + has_scale), EMBEDDING + TO * SEEN)
        if enter != leave:
            layer(f"{name}.residual_conv", leave, enter, 1)

    low, high = CHANNELS
    layer("diffusion_step_encoder.1", 4 * EMBEDDING, EMBEDDING)
    layer("diffusion_step_encoder.3", EMBEDDING, 4 * EMBEDDING)
    block("down_modules.0.0", ACTIONS, low)
    block("down_modules.0.1", low, low)
    layer(f"down_modules.0.2{names.resize}", low, low, 3)
    block("down_modules.1.0", low, high)
    block("down_modules.1.1", high, high)
    block("mid_modules.0", high, high)
    block("mid_modules.1", high, high)
    block("up_modules.0.0", 2 * high, low)
    block("up_modules.0.1", low, low)
    layer(f"up_modules.0.2{names.resize}", low, low, 4)
    layer("final_conv.0.block.0", low, low, KERNEL)
    norm("final_conv.0.block.1", low)
    layer("final_conv.1", ACTIONS, low, 1)
    return tensors


def reference(
    tensors: dict[str, Tensor], names: Names, groups: int, z: Tensor, k: Tensor, seen: Tensor
) -> Tensor:
    """(B, T, Da) noised normalised actions, (B,) level indices, (B, To * S) -> (B, T, Da)."""

    def get(name: str) -> tuple[Tensor, Tensor]:
        return tensors[f"{names.prefix}{name}.weight"], tensors[f"{names.prefix}{name}.bias"]

    def conv(name: str, x: Tensor, size: int) -> Tensor:
        x = F.conv1d(x, *get(f"{name}.block.0"), padding=KERNEL // 2)
        return F.mish(F.group_norm(x, size, *get(f"{name}.block.1")))

    def block(name: str, x: Tensor) -> Tensor:
        hidden = conv(f"{name}.{names.first}", x, groups)
        film = F.linear(F.mish(told), *get(f"{name}.cond_encoder.1"))
        count = hidden.shape[1]
        if film.shape[1] == 2 * count:
            hidden = film[:, :count, None] * hidden + film[:, count:, None]
        else:
            hidden = hidden + film[:, :, None]
        hidden = conv(f"{name}.{names.second}", hidden, groups)
        if f"{names.prefix}{name}.residual_conv.weight" in tensors:
            x = F.conv1d(x, *get(f"{name}.residual_conv"))
        return hidden + x

    half = EMBEDDING // 2
    rates = torch.tensor([10_000.0 ** (-i / (half - 1)) for i in range(half)])
    angles = k[:, None].float() * rates
    wave = torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)
    wave = F.mish(F.linear(wave, *get("diffusion_step_encoder.1")))
    told = torch.cat([F.linear(wave, *get("diffusion_step_encoder.3")), seen], dim=-1)

    x = z.transpose(1, 2)
    fine = block("down_modules.0.1", block("down_modules.0.0", x))
    x = F.conv1d(fine, *get(f"down_modules.0.2{names.resize}"), stride=2, padding=1)
    coarse = block("down_modules.1.1", block("down_modules.1.0", x))
    x = block("mid_modules.1", block("mid_modules.0", coarse))
    x = block("up_modules.0.1", block("up_modules.0.0", torch.cat([x, coarse], dim=1)))
    x = F.conv_transpose1d(x, *get(f"up_modules.0.2{names.resize}"), stride=2, padding=1)
    x = conv("final_conv.0", x, 8)
    return F.conv1d(x, *get("final_conv.1")).transpose(1, 2)


def statistics(size: int, seed: int) -> dict[str, Tensor]:
    """min, max, mean, std of some numbers."""
    generator = torch.Generator().manual_seed(seed)
    low = -1.0 - torch.rand(size, generator=generator)
    high = 1.0 + torch.rand(size, generator=generator)
    std = 0.3 + torch.rand(size, generator=generator)
    return {"min": low, "max": high, "mean": (low + high) / 3, "std": std}


def lerobot_config(**changes: object) -> dict:
    feature = {
        "observation.state": {"type": "STATE", "shape": [STATE]},
        "observation.environment_state": {"type": "ENV", "shape": [ENVIRONMENT]},
    }
    return {
        "type": "diffusion",
        "n_obs_steps": TO,
        "horizon": STEPS,
        "n_action_steps": 4,
        "input_features": feature,
        "output_features": {"action": {"type": "ACTION", "shape": [ACTIONS]}},
        "normalization_mapping": {"STATE": "MIN_MAX", "ENV": "MEAN_STD", "ACTION": "MIN_MAX"},
        "down_dims": list(CHANNELS),
        "kernel_size": KERNEL,
        "n_groups": GROUPS,
        "diffusion_step_embed_dim": EMBEDDING,
        "use_film_scale_modulation": True,
        "noise_scheduler_type": "DDPM",
        "num_train_timesteps": LEVELS,
        "beta_schedule": "squaredcos_cap_v2",
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "prediction_type": "epsilon",
        "clip_sample": True,
        "clip_sample_range": 1.0,
    } | changes


STATISTICS = {
    "observation.state": statistics(STATE, 1),
    "observation.environment_state": statistics(ENVIRONMENT, 2),
    "action": statistics(ACTIONS, 3),
}


def write_lerobot(folder: Path, is_new: bool, **changes: object) -> dict[str, Tensor]:
    """A checkpoint as LeRobot saves it, with statistics beside the model or, before, within."""
    folder.mkdir(parents=True)
    config = lerobot_config(**changes)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = random_weights(LEROBOT, config["use_film_scale_modulation"])
    own = dict(tensors)
    if is_new:
        flat = {f"{f}.{n}": t for f, one in STATISTICS.items() for n, t in one.items()}
        modes = {"eps": 1e-8, "features": {}, "norm_map": config["normalization_mapping"]}
        for name, at, step in (("pre", 3, "normalizer"), ("post", 0, "unnormalizer")):
            state = f"policy_{name}processor_step_{at}_{step}_processor.safetensors"
            save_file(flat, folder / state)
            steps = [
                {"registry_name": f"{step}_processor", "config": modes, "state_file": state},
                {"registry_name": "device_processor", "config": {"device": "cpu"}},
            ]
            if name == "pre":
                renaming = {"registry_name": "rename_observations_processor"}
                steps.insert(0, renaming | {"config": {"rename_map": {}}})
            text = json.dumps({"name": f"policy_{name}processor", "steps": steps})
            (folder / f"policy_{name}processor.json").write_text(text)
    else:
        kinds = {"observation.state": "STATE", "observation.environment_state": "ENV"}
        for feature, one in STATISTICS.items():
            mode = config["normalization_mapping"][kinds.get(feature, "ACTION")]
            users = ["normalize_inputs"]
            if feature == "action":
                users = ["normalize_targets", "unnormalize_outputs"]
            for user in users:
                for name in ("min", "max") if mode == "MIN_MAX" else ("mean", "std"):
                    key = f"{user}.buffer_{feature.replace('.', '_')}.{name}"
                    own[key] = one[name].clone()
    save_file(own, folder / "model.safetensors")
    return tensors


def lerobot_seen(values: Tensor, mode_env: str = "MEAN_STD") -> Tensor:
    """(..., S) observations in its units -> normalised, MIN_MAX and then `mode_env`."""
    state, rest = values[..., :STATE], values[..., STATE:]
    low, high = STATISTICS["observation.state"]["min"], STATISTICS["observation.state"]["max"]
    state = 2 * (state - low) / (high - low) - 1
    if mode_env == "MEAN_STD":
        one = STATISTICS["observation.environment_state"]
        rest = (rest - one["mean"]) / one["std"]
    return torch.cat([state, rest], dim=-1)


def lerobot_action(z: Tensor) -> Tensor:
    low, high = STATISTICS["action"]["min"], STATISTICS["action"]["max"]
    return (z + 1) / 2 * (high - low) + low


def diffusion_policy_config(**changes: object) -> dict:
    model = {
        "_target_": "diffusion_policy.model.diffusion.conditional_unet1d.ConditionalUnet1D",
        "input_dim": ACTIONS,
        "local_cond_dim": None,
        "global_cond_dim": TO * SEEN,
        "diffusion_step_embed_dim": EMBEDDING,
        "down_dims": list(CHANNELS),
        "kernel_size": KERNEL,
        "n_groups": GROUPS,
        "cond_predict_scale": False,
    }
    noise = {
        "_target_": "diffusers.schedulers.scheduling_ddpm.DDPMScheduler",
        "num_train_timesteps": LEVELS,
        "beta_start": 0.001,
        "beta_end": 0.3,
        "beta_schedule": "linear",
        "variance_type": "fixed_small",
        "clip_sample": False,
        "prediction_type": "sample",
    }
    policy = {
        "_target_": (
            "diffusion_policy.policy.diffusion_unet_lowdim_policy.DiffusionUnetLowdimPolicy"
        ),
        "model": model,
        "noise_scheduler": noise,
        "horizon": STEPS,
        "obs_dim": SEEN,
        "action_dim": ACTIONS,
        "n_action_steps": 4,
        "n_obs_steps": TO,
        "num_inference_steps": LEVELS,
        "obs_as_local_cond": False,
        "obs_as_global_cond": True,
        "pred_action_steps_only": False,
        "oa_step_convention": True,
    }
    return {"policy": policy | changes}


# of each: scale, offset
SCALES = {
    "obs": (torch.linspace(0.5, 1.5, SEEN), torch.linspace(-0.2, 0.3, SEEN)),
    "action": (torch.linspace(1.2, 0.7, ACTIONS), torch.linspace(0.4, -0.1, ACTIONS)),
}


def write_diffusion_policy(folder: Path, **changes: object) -> dict[str, Tensor]:
    """A checkpoint as the recipe of the docs writes it out."""
    folder.mkdir(parents=True)
    (folder / "diffusion_policy.json").write_text(json.dumps(diffusion_policy_config(**changes)))
    tensors = random_weights(DIFFUSION_POLICY, has_scale=False)
    own = dict(tensors) | {"_dummy_variable": torch.zeros(0)}
    for name, (scale, offset) in SCALES.items():
        prefix = f"normalizer.params_dict.{name}"
        own |= {f"{prefix}.scale": scale.clone(), f"{prefix}.offset": offset.clone()}
        for part in ("min", "max", "mean", "std"):
            own[f"{prefix}.input_stats.{part}"] = torch.ones(len(scale))
    save_file(own, folder / "model.safetensors")
    return tensors
