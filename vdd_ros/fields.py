"""Fields of files that are checked when they are read: bounds, and names with a rule for spelling
them, which a wrong one is told in words."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Part(BaseModel):
    """A key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def spelled(pattern: str, rule: str) -> AfterValidator:
    """Of a text that the whole of `pattern` has to match; rule: the same for people."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(rule)
        return text

    return AfterValidator(check)


Name = Annotated[
    str,
    spelled(
        r"[a-z][a-z0-9_]*",
        "a name is of small letters, digits and _, a letter first, such as left_arm",
    ),
]
Topic = Annotated[
    str,
    spelled(
        r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*",
        "a topic is words of letters, digits and _ with / between them, none with a digit first, "
        "such as /arm/joint_states",
    ),
]
