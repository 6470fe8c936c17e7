"""What all OpenSLO documents share: names, metadata, durations."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from productops.domain.monitoring_slo import OnSpent
from productops.domain.monitoring_slo_window import duration_s
from productops.domain.release import Environment

API_VERSION = "openslo/v1"
VENTURE, ENVIRONMENT, ON_SPENT = "productops/venture", "productops/environment", "productops/on-spent"
ANNOTATIONS = (VENTURE, ENVIRONMENT, ON_SPENT)
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$", description="Letters, digits, '-', '_' and '.'.")]
Text = Annotated[str, Field(max_length=1050)]


class Strict(BaseModel):
    """Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SloMetadata(Strict):
    """Name of a document; annotations that begin with ``productops/`` say what OpenSLO has no field for."""

    name: Name
    displayName: str = Field(default="", max_length=255)  # noqa: N815 - OpenSLO's spelling, here and below
    labels: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @field_validator("annotations")
    @classmethod
    def _known(cls, given: dict[str, str]) -> dict[str, str]:
        unknown = sorted(key for key in given if key.startswith("productops/") and key not in ANNOTATIONS)
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not known; known are {', '.join(ANNOTATIONS)}")
        for key, allowed in ((ENVIRONMENT, tuple(Environment)), (ON_SPENT, tuple(OnSpent))):
            if key in given and given[key] not in allowed:
                raise ValueError(f"{key} must be one of {', '.join(allowed)}, not {given[key]!r}")
        return given

    @property
    def venture(self) -> str | None:
        """The owner, where it is named here."""
        return self.annotations.get(VENTURE)


def check_duration(text: str) -> str:
    """Raises: ValueError for what is no duration."""
    duration_s(text)
    return text
