"""JSON of others: what is not read is passed over, what is read has the type that is told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class JsonPart(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
