"""What all sections and records of settings are."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section: unknown keys are refused, and values are never converted ("4000" is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)
