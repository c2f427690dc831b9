"""LeRobot's own DiffusionPolicy beside what is read of its checkpoint.

.lerobot/bin/python docs/data/teacher_with_lerobot.py write FOLDER     (LeRobot's environment)
python docs/data/teacher_with_lerobot.py compare FOLDER                (this project's)
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

STATE, ENVIRONMENT, ACTION, TO, STEPS, ROWS = 7, 6, 7, 2, 16, 64


def write(folder: Path) -> None:
    """A policy with random weights and statistics, and what it makes of random inputs."""
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    from lerobot.policies.diffusion.processor_diffusion import (
        make_diffusion_pre_post_processors,
    )

    torch.manual_seed(0)
    sizes = {
        "observation.state": (FeatureType.STATE, STATE),
        "observation.environment_state": (FeatureType.ENV, ENVIRONMENT),
        "action": (FeatureType.ACTION, ACTION),
    }
    features = {name: PolicyFeature(kind, (size,)) for name, (kind, size) in sizes.items()}
    config = DiffusionConfig(
        n_obs_steps=TO,
        horizon=STEPS,
        n_action_steps=8,
        down_dims=(64, 128, 256),
        device="cpu",
        input_features={name: features[name] for name in sizes if name != "action"},
        output_features={"action": features["action"]},
        crop_shape=None,
    )
    policy = DiffusionPolicy(config).eval()
    stats = {
        name: {"min": -1 - torch.rand(n), "max": 1 + torch.rand(n), "mean": torch.zeros(n)}
        | {"std": torch.ones(n)}
        for name, (_, n) in sizes.items()
    }
    before, after = make_diffusion_pre_post_processors(config, dataset_stats=stats)
    policy.save_pretrained(folder)
    before.save_pretrained(folder)
    after.save_pretrained(folder)

    values = {name: torch.randn(ROWS, TO, sizes[name][1]) for name in sizes if name != "action"}
    normal = before({name: one.clone() for name, one in values.items()})
    seen = torch.cat([normal[name] for name in values], dim=-1).flatten(1)
    z, k = torch.randn(ROWS, STEPS, ACTION), torch.randint(100, (ROWS,))
    with torch.no_grad():
        predicted = policy.diffusion.unet(z, k, global_cond=seen)
    scheduler = policy.diffusion.noise_scheduler
    clean = torch.stack(
        [
            scheduler.step(predicted[row], int(k[row]), z[row]).pred_original_sample
            for row in range(ROWS)
        ]
    )
    known = {"values": torch.cat(list(values.values()), dim=-1), "z": z, "k": k, "clean": clean}
    known |= {"predicted": predicted, "alpha_bar": scheduler.alphas_cumprod.clone()}
    known["commands"] = after(clean.flatten(0, 1)).view_as(clean)
    save_file({name: one.contiguous() for name, one in known.items()}, folder / "known.tensors")


def compare(folder: Path) -> None:
    """Print the largest difference of each."""
    from vdd_ros.policies.foreign import read_checkpoint
    from vdd_ros.policies.imported import make_imported

    found, known = read_checkpoint(folder), load_file(folder / "known.tensors")
    config, count = found.config, TO * (STATE + ENVIRONMENT)
    denoiser = make_imported(config, STATE + ENVIRONMENT, count, STEPS * ACTION)
    weights = {f"net.unet.{name}": one for name, one in found.weights.items()}
    weights |= {"net.to_seen": torch.eye(count), "net.seen_at_zero": torch.zeros(count)}
    denoiser.load_state_dict(weights)
    sigmas = config.index.sigmas.double()
    print("alpha_bar", float((1 / (1 + sigmas**2) - known["alpha_bar"]).abs().max()))
    seen_scale, seen_centre = map(torch.tensor, (found.seen.scale, found.seen.centre))
    seen = (known["values"].double() - seen_centre) / seen_scale
    sigma = sigmas[known["k"]].float()
    x = (known["z"] * (1 + sigma[:, None, None] ** 2).sqrt()).flatten(1)
    with torch.no_grad():
        predicted = denoiser.predict(x, sigma, seen.flatten(1).float())
        clean = denoiser(x, sigma, seen.flatten(1).float())
    print("predicted", float((predicted - known["predicted"].flatten(1)).abs().max()))
    print("clean", float((clean - known["clean"].flatten(1)).abs().max()))
    scale, centre = map(torch.tensor, (found.action.scale, found.action.centre))
    commands = clean.view_as(known["z"]).double() * scale + centre
    print("commands", float((commands - known["commands"]).abs().max()))


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
