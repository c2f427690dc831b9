"""Orders: what a browser may ask for, checked before anything looks at it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vdd_ros.errors import UserError

LARGEST_BYTES = 16 * 1024
LONGEST_NOTE = 2000  # characters
ANYTIME = ("start", "cancel", "reset")  # need no episode


class Order(BaseModel):
    """One press of a button.

    episode: the one that the browser showed, so that a press that comes late means no other one;
    text: of a note.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    action: Literal[
        "start", "stop", "save", "aside", "discard", "again", "confirm", "cancel", "success",
        "failure", "note", "reset",
    ]  # fmt: skip
    episode: str = Field("", max_length=200)
    text: str = Field("", max_length=LONGEST_NOTE)

    @classmethod
    def read(cls, body: bytes) -> Order:
        """From JSON; raises UserError."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(step) for step in fault["loc"]) or "the order"
            raise UserError(f"{place}: {fault['msg']}"[:300]) from None
