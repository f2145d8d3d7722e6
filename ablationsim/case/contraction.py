"""How a case says by which law heated tissue contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo

from ablationsim.errors import best_match
from ablationsim.units import Quantity, show

LARGEST = 0.5
"""Limit of a uniform strain; measured contractions reach 43 % (Farina et al. 2014)."""


@dataclass(frozen=True)
class HistoryOrStrain:
    """Marker for pydantic: "history", or a uniform strain as a fraction with its unit."""

    def read(self, value: Any, info: ValidationInfo) -> float | Literal["history"]:
        """Take the word, or parse the fraction."""
        if value == "history":
            return "history"
        if isinstance(value, str) and value.isalpha():
            expected = "expected 'history', or a fraction with its unit, such as '12 %'"
            raise ValueError(f"{expected}, got {value!r}{best_match(value, ['history'])}")
        strain = Quantity("fraction").read(value, info)
        if not 0.0 <= strain <= LARGEST:
            limits = f"0 % to {show(LARGEST, 'fraction')} (measured contractions reach 43 %, Farina et al. 2014)"
            raise ValueError(f"{show(strain, 'fraction')} is outside {limits}")
        return strain

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "description": "history, or fraction with its unit", "examples": ["history", "12 %"]}
