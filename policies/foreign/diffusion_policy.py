"""diffusion_policy's DiffusionUnetLowdimPolicy, written out by RECIPE: its checkpoints are pickles.

Read is what conditions on observations globally and executes from the newest one on.
"""

from __future__ import annotations

from pathlib import Path

from vdd_ros.errors import UserError
from vdd_ros.policies.foreign.checkpoint import (
    PREDICTIONS,
    WEIGHTS,
    Checkpoint,
    Keys,
    read_json,
    read_tensors,
    renamed,
    taken,
    unet_names,
)
from vdd_ros.policies.imported import ImportedConfig, Scaling
from vdd_ros.policies.unet import UnetSizes

CONFIG = "diffusion_policy.json"
POLICY = "diffusion_policy.policy.diffusion_unet_lowdim_policy.DiffusionUnetLowdimPolicy"
UNET = "diffusion_policy.model.diffusion.conditional_unet1d.ConditionalUnet1D"
RECIPE = """\
import dill, json, os, torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
OmegaConf.register_new_resolver("eval", eval, replace=True)
got, out = torch.load("CHECKPOINT", pickle_module=dill, map_location="cpu"), "teacher"
state = got["state_dicts"].get("ema_model") or got["state_dicts"]["model"]
os.makedirs(out, exist_ok=True)
save_file({k: v.clone().contiguous() for k, v in state.items()}, f"{out}/model.safetensors")
cfg = OmegaConf.to_container(got["cfg"], resolve=True)
json.dump({"policy": cfg["policy"]}, open(f"{out}/diffusion_policy.json", "w"), indent=1)
"""
BLOCK = {
    **{f"first.{layer}": f"blocks.0.block.{layer}" for layer in (0, 1)},
    **{f"second.{layer}": f"blocks.1.block.{layer}" for layer in (0, 1)},
    "film.1": "cond_encoder.1",
    "beside": "residual_conv",
}
OTHERS = ("normalizer.", "mask_generator.", "_dummy_variable")


def read(folder: Path) -> Checkpoint:
    """Raises UserError for another policy, and for what is missing or damaged."""
    policy = read_json(folder / CONFIG).under("policy")
    model, noise = policy.under("model"), policy.under("noise_scheduler")
    policy.require("_target_", (POLICY,), "pictures and transformers are not")
    model.require("_target_", (UNET,), "other networks are not")
    policy.require("obs_as_global_cond", (True,), "observations as a local condition are not")
    model.require("local_cond_dim", (None,), "local conditions are not")
    only_executed = policy.get("pred_action_steps_only", bool, False)
    policy.require(
        "oa_step_convention", (True,), "it is not told which step is of the newest observation"
    )
    config = _config(policy, model, noise, only_executed)
    tensors = read_tensors(folder / WEIGHTS)
    names = unet_names(config, "model.", BLOCK, ".conv")
    weights = renamed(tensors, names, OTHERS, folder / WEIGHTS)
    seen = policy.get("obs_dim", int)
    return Checkpoint(
        config,
        weights,
        _scaling(tensors, "obs", seen, folder / WEIGHTS),
        _scaling(tensors, "action", config.unet.action_dim, folder / WEIGHTS),
        {"obs": seen},
    )


def _config(policy: Keys, model: Keys, noise: Keys, only_executed: bool) -> ImportedConfig:
    target = noise.get("_target_", str)
    if target.rpartition(".")[2] not in ("DDPMScheduler", "DDIMScheduler"):
        raise UserError(f"{noise.where} is a {target}; read are DDPMScheduler and DDIMScheduler")
    for name in ("thresholding", "rescale_betas_zero_snr"):
        noise.require(name, (False,), "what changes levels or samples is not", False)
    noise.require("trained_betas", (None,), "only named beta schedules are")
    predicted = noise.require("prediction_type", tuple(PREDICTIONS), "others are not", "epsilon")
    To, executed = policy.get("n_obs_steps", int), policy.get("n_action_steps", int)
    is_clipped = noise.get("clip_sample", bool, True)  # diffusers' own where it is not said
    unet = UnetSizes(
        action_dim=policy.get("action_dim", int),
        cond_dim=policy.get("obs_dim", int) * To,
        channels=model.sizes("down_dims"),
        kernel=model.get("kernel_size", int),
        groups=model.get("n_groups", int),
        embedding=model.get("diffusion_step_embed_dim", int),
        has_scale=model.get("cond_predict_scale", bool, False),
    )
    try:
        return ImportedConfig(
            layout="diffusion_policy",
            n_obs_steps=To,
            steps=executed if only_executed else policy.get("horizon", int),
            past=0 if only_executed else To - 1,
            unet=unet,
            prediction=PREDICTIONS[predicted],
            levels=noise.get("num_train_timesteps", int),
            schedule=noise.get("beta_schedule", str),
            beta_first=noise.get("beta_start", float, 0.0001),
            beta_last=noise.get("beta_end", float, 0.02),
            clip=noise.get("clip_sample_range", float, 1.0) if is_clipped else None,
            executed=executed,
        )
    except ValueError as error:
        raise UserError(f"{policy.where}: {error}") from None


def _scaling(tensors: dict, name: str, size: int, where: Path) -> Scaling:
    """Of both its modes: normalised = scale * value + offset."""
    prefix = f"normalizer.params_dict.{name}"
    scale = taken(tensors, f"{prefix}.scale", size, where)
    if (scale == 0.0).any():
        raise UserError(f"{where}: {prefix}.scale has a zero, which nothing was scaled by")
    return Scaling(1.0 / scale, -taken(tensors, f"{prefix}.offset", size, where) / scale)
