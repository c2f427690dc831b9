"""What a policy has to reach for a grade better than F: thresholds of a contract."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LEAST_SUCCESS = 0.5  # what fails more often than not is no pass anywhere
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Bound = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class CertificateDemands(BaseModel):
    """success: least lower end of the 95 % interval of success, with delays and without;
    success_loss, entropy_loss: by how much less often than its teacher it may succeed, and by how
    much less evenly it may spread over the ways, without delays; energy_distance: to its teacher,
    beyond the floor of two draws of the teacher, in standardised actions; off_support: share of its
    samples where its teacher has none; dead_experts: share of its experts (docs/metrics.md).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    success: Annotated[float, Field(ge=LEAST_SUCCESS, le=1.0)] = 0.8
    success_loss: Share = 0.1
    entropy_loss: Share = 0.2
    energy_distance: Bound = 0.05
    off_support: Share = 0.2
    dead_experts: Share = 0.5
