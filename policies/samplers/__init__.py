"""Samplers: ways from noise to a clean chunk, by the names that configurations use."""

from vdd_ros.policies.samplers.adaptive import adaptive_sde
from vdd_ros.policies.samplers.base import Denoise, Draw, Sampler, drawing
from vdd_ros.policies.samplers.multistep import PNDM_WARM_UP, deis, dpm_2m, dpmpp_2m, ipndm, pndm
from vdd_ros.policies.samplers.one_step import dpm_2s, dpmpp_2s, euler, genie, heun
from vdd_ros.policies.samplers.stochastic import churned_heun, ddim, euler_maruyama, renoised


def _once(steps: int) -> int:
    return steps


def _twice(steps: int) -> int:
    """The last step, to 0, is Euler's."""
    return 2 * steps - 1


def _pndm(steps: int) -> int:
    return steps + 3 * min(PNDM_WARM_UP, steps - 1)


SAMPLERS: dict[str, Sampler] = {
    "euler": Sampler(euler, _once, "DDIM, eta 0: Song et al., ICLR 2021"),
    "heun": Sampler(heun, _twice, "Karras et al., NeurIPS 2022"),
    "dpm_2s": Sampler(dpm_2s, _twice, "DPM-Solver: Lu et al., NeurIPS 2022"),
    "dpm_2m": Sampler(dpm_2m, _once, "DPM-Solver: Lu et al., NeurIPS 2022"),
    "dpmpp_2s": Sampler(dpmpp_2s, _twice, "DPM-Solver++: Lu et al. 2022"),
    "dpmpp_2m": Sampler(dpmpp_2m, _once, "DPM-Solver++: Lu et al. 2022"),
    "genie": Sampler(genie, _twice, "GENIE: Dockhorn et al., NeurIPS 2022"),
    "pndm": Sampler(pndm, _pndm, "PNDM: Liu et al., ICLR 2022"),
    "ipndm": Sampler(ipndm, _once, "PNDM: Liu et al., ICLR 2022; DEIS: Zhang and Chen, ICLR 2023"),
    "deis_2": Sampler(deis(2), _once, "DEIS: Zhang and Chen, ICLR 2023"),
    "deis_3": Sampler(deis(3), _once, "DEIS: Zhang and Chen, ICLR 2023"),
    "deis_4": Sampler(deis(4), _once, "DEIS: Zhang and Chen, ICLR 2023"),
    "ancestral": Sampler(ddim(1.0), _once, "DDPM: Ho et al., NeurIPS 2020", True),
    "ddim_half": Sampler(ddim(0.5), _once, "DDIM, eta 1/2: Song et al., ICLR 2021", True),
    "euler_maruyama": Sampler(euler_maruyama, _once, "Song et al., ICLR 2021 (score SDE)", True),
    "churned_heun": Sampler(
        churned_heun(churn=8.0, low=0.05, high=10.0, noise_scale=1.0),
        _twice,
        "Karras et al., NeurIPS 2022, algorithm 2",
        True,
    ),
    "renoised": Sampler(renoised, _once, "Consistency models: Song et al., ICML 2023", True),
    "adaptive_sde": Sampler(
        adaptive_sde(relative=0.05, absolute=0.01), None, "Jolicoeur-Martineau et al. 2021", True
    ),
}

__all__ = ["SAMPLERS", "Denoise", "Draw", "Sampler", "drawing"]
