"""What a policy has to reach for a grade better than F: thresholds of a contract."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vdd_ros.fields import Part, Positive, Share

LEAST_SUCCESS = 0.5  # what fails more often than not is no pass anywhere


class CertificateDemands(Part):
    """success: least lower end of the 95 % interval of success, with delays and without;
    success_loss, entropy_loss: by how much less often than its teacher it may succeed, and by how
    much less evenly it may spread over the ways, without delays; energy_distance: to its teacher,
    beyond the floor of two draws of the teacher, in standardised actions; off_support: share of its
    samples where its teacher has none; dead_experts: share of its experts (docs/metrics.md).
    """

    success: Annotated[float, Field(ge=LEAST_SUCCESS, le=1.0)] = 0.8
    success_loss: Share = 0.1
    entropy_loss: Share = 0.2
    energy_distance: Positive = 0.05
    off_support: Share = 0.2
    dead_experts: Share = 0.5
