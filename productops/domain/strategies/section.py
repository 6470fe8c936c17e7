"""What every strategy's section of the catalog has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of ``spec.rollout``: frozen, and a misspelt field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
