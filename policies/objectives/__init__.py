"""Ways from a teacher to a student, one file each, all trained by the one loop in training.py."""

from vdd_ros.policies.objectives.add import Add
from vdd_ros.policies.objectives.asm import Asm
from vdd_ros.policies.objectives.base import (
    STUDENT,
    Batch,
    Objective,
    Paired,
    SeenBatch,
    fit,
    require_learnable,
)
from vdd_ros.policies.objectives.boot import Boot
from vdd_ros.policies.objectives.consistency import Cd, Ct
from vdd_ros.policies.objectives.ctm import Ctm
from vdd_ros.policies.objectives.ddgan import Ddgan
from vdd_ros.policies.objectives.diff_instruct import DiffInstruct
from vdd_ros.policies.objectives.dmd import Dmd
from vdd_ros.policies.objectives.dmd2 import Dmd2
from vdd_ros.policies.objectives.dsno import Dsno
from vdd_ros.policies.objectives.em import Em
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.objectives.guidance import Guidance
from vdd_ros.policies.objectives.ict import Ict
from vdd_ros.policies.objectives.imc import Imc
from vdd_ros.policies.objectives.instaflow import Instaflow
from vdd_ros.policies.objectives.kd import Kd
from vdd_ros.policies.objectives.lcm import Lcm
from vdd_ros.policies.objectives.nfsd import Nfsd
from vdd_ros.policies.objectives.nll import Nll
from vdd_ros.policies.objectives.progressive import Progressive
from vdd_ros.policies.objectives.reflow import Reflow
from vdd_ros.policies.objectives.sds import Sds
from vdd_ros.policies.objectives.tract import Tract
from vdd_ros.policies.objectives.ufogen import Ufogen
from vdd_ros.policies.objectives.vdd import Vdd
from vdd_ros.policies.objectives.vdd_paper import VddPaper
from vdd_ros.policies.objectives.vsd import Vsd

# students that are mixtures of Gaussian experts
OBJECTIVES: dict[str, type[Objective]] = {
    "vdd": Vdd,
    "vdd-paper": VddPaper,
    "nll": Nll,
    "em": Em,
    "imc": Imc,
}

# students that make a chunk of noise in few calls
FEW_STEP: dict[str, type[FewStep]] = {
    "kd": Kd,
    "progressive": Progressive,
    "tract": Tract,
    "reflow": Reflow,
    "instaflow": Instaflow,
    "dsno": Dsno,
    "cd": Cd,
    "ct": Ct,
    "ict": Ict,
    "lcm": Lcm,
    "ctm": Ctm,
    "boot": Boot,
    "guidance": Guidance,
    "sds": Sds,
    "nfsd": Nfsd,
    "vsd": Vsd,
    "diff-instruct": DiffInstruct,
    "dmd": Dmd,
    "dmd2": Dmd2,
    "asm": Asm,
    "ddgan": Ddgan,
    "ufogen": Ufogen,
    "add": Add,
}

__all__ = [
    "FEW_STEP",
    "OBJECTIVES",
    "STUDENT",
    "Batch",
    "Em",
    "FewStep",
    "Imc",
    "Nll",
    "Objective",
    "Paired",
    "SeenBatch",
    "Vdd",
    "VddPaper",
    "fit",
    "require_learnable",
]
