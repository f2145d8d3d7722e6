"""What the tables of a device profile have in common: frozen models that refuse unknown keys, and their quantities."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from ablationsim.device.protocol import Positive
from ablationsim.units import Length, Quantity


class Spec(BaseModel):
    """A table of a profile; the numbers are SI floats."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _whole(value: float) -> int:
    if value < 1.0 or value != int(value):
        raise ValueError(f"must be a whole number of at least 1, got {value:g}")
    return int(value)


PositiveLength = Annotated[Length, Positive]
"""A length greater than zero [m]."""
Count = Annotated[int, Quantity("ratio"), AfterValidator(_whole)]
"""A whole number of at least one."""
