"""Where a number comes from: every value of a tissue set or a device profile carries its source and how sure it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, get_args

from ablationsim.errors import AblationSimError, best_match
from ablationsim.units import DIMENSIONS, exact, parse, show

if TYPE_CHECKING:
    pass

Status = Literal["published", "calculated", "assumed", "calibrated"]
"""Origin of a number: read in a publication, computed from published ones, chosen, or fitted to measurements."""

_KEYS = ("value", "status", "verified", "source", "range", "range_source", "note")


@dataclass(frozen=True)
class Citation:
    """One entry of ``citations.toml``.

    Attributes
    ----------
    key : str
        Name used by sets and profiles.
    text : str
        Authors, title, where and when.
    doi, url : str or None
        Address; at least one is given.
    """

    key: str
    text: str
    doi: str | None = None
    url: str | None = None

    @property
    def address(self) -> str:
        """Link that a reader can follow."""
        return f"https://doi.org/{self.doi}" if self.doi else str(self.url)


@cache
def citations() -> Mapping[str, Citation]:
    """All known citations by key."""
    text = resources.files("ablationsim").joinpath("citations.toml").read_text(encoding="utf-8")
    return {key: Citation(key, **entry) for key, entry in tomllib.loads(text).items()}


def citation(key: str) -> Citation:
    """Look up a citation.

    Raises
    ------
    AblationSimError
        If there is no such key; the message names the nearest ones.
    """
    known = citations()
    if key not in known:
        raise AblationSimError(f"no citation '{key}' in citations.toml{best_match(key, known)}")
    return known[key]


@dataclass(frozen=True)
class Sourced:
    """A number with its origin.

    Attributes
    ----------
    value : float
        In SI units, kelvin.
    dimension : str
        A key of `ablationsim.units.DIMENSIONS`.
    text : str
        The value as written in the file.
    status : {"published", "calculated", "assumed", "calibrated"}
    verified : bool
        Whether the number was read in its source; False for numbers recalled or guessed.
    source : str
        A key of ``citations.toml``, or a sentence that explains the choice.
    range : tuple of float or None
        Range in which the number may be chosen (low, high), SI.
    range_source : str
        Where the range comes from, like `source`; empty when from the same.
    note : str
    """

    value: float
    dimension: str
    text: str
    status: Status
    verified: bool
    source: str
    range: tuple[float, float] | None = None
    range_source: str = ""
    note: str = ""

    @classmethod
    def read(cls, data: Any, dimension: str) -> Sourced:
        """Build from the TOML form ``{ value = "1.47 mm", status = "published", source = "key", ... }``.

        Parameters
        ----------
        data : Sourced or mapping
            Keys ``value``, ``status``, ``source``; optional ``verified`` (default false), ``range`` (two
            quantities), ``range_source`` and ``note``.
        dimension : str
            A key of `ablationsim.units.DIMENSIONS`.

        Raises
        ------
        ValueError
            If a key is missing, unknown or malformed, a published number names no known citation, or the value lies
            outside its range.
        """
        if isinstance(data, Sourced):
            return data
        if not (isinstance(data, Mapping) and data):
            example = DIMENSIONS[dimension].example
            raise ValueError(
                f'expects a number with its origin, {{ value = "{example}", status = ..., source = ... }}, got {data!r}'
            )
        for key in data:
            if key not in _KEYS:
                raise ValueError(f"unknown key '{key}'{best_match(str(key), _KEYS)}")
        for key in ("value", "status", "source"):
            if key not in data:
                raise ValueError(f"{key} is missing")
        status, source, verified = data["status"], data["source"], data.get("verified", False)
        if status not in get_args(Status):
            raise ValueError(f"status {status!r} is not a choice{best_match(str(status), get_args(Status))}")
        if verified not in (True, False):
            raise ValueError(f"verified must be true or false, got {verified!r}")
        _check_source(source)
        if status == "published" and " " in source:
            raise ValueError("a published number names its citation key as source")
        if "range_source" in data:
            _check_source(data["range_source"])
        sourced = cls(
            value=parse(data["value"], dimension),
            dimension=dimension,
            text=str(data["value"]),
            status=status,
            verified=verified,
            source=source,
            range=_limits(data["range"], dimension) if "range" in data else None,
            range_source=data.get("range_source", ""),
            note=data.get("note", ""),
        )
        problem = sourced.outside(sourced.value)
        if problem:
            raise ValueError(problem)
        return sourced

    def outside(self, value: float) -> str | None:
        """What to tell a person when a value (SI) is outside the published range; None when it is inside."""
        # One part in 1e9: limits and value may be written in different units.
        if self.range is None or self.range[0] * (1 - 1e-9) <= value <= self.range[1] * (1 + 1e-9):
            return None
        low, high = (show(limit, self.dimension) for limit in self.range)
        origin = _origin(self.range_source or self.source)
        return f"{show(value, self.dimension)} is outside the range {low} to {high} ({origin})"

    @property
    def citation(self) -> Citation | None:
        """The publication, where the source is one."""
        return citations().get(self.source)

    @property
    def origin(self) -> str:
        """The source as a person reads it."""
        return _origin(self.source)

    def to_dict(self) -> dict[str, Any]:
        """The TOML form again, with values as text; `read` gives back an equal object."""
        data: dict[str, Any] = {
            "value": self.text,
            "status": self.status,
            "verified": self.verified,
            "source": self.source,
        }
        if self.range is not None:
            data["range"] = [exact(limit, self.dimension) for limit in self.range]
        for key in ("range_source", "note"):
            if getattr(self, key):
                data[key] = getattr(self, key)
        return data


def _origin(source: str) -> str:
    """A source as a person reads it."""
    cited = citations().get(source)
    return source if cited is None else f"{cited.text}, {cited.address}"


def _check_source(source: Any) -> None:
    if not isinstance(source, str) or not source.strip():
        raise ValueError("a source is a citation key or a sentence")
    if " " not in source and source not in citations():
        raise ValueError(f"no citation '{source}' in citations.toml{best_match(source, citations())}")


def _limits(data: Any, dimension: str) -> tuple[float, float]:
    if not isinstance(data, (list, tuple)) or len(data) != 2:
        raise ValueError(f"range expects two quantities [low, high], got {data!r}")
    low, high = (parse(limit, dimension) for limit in data)
    if low > high:
        raise ValueError(f"range has its low end {data[0]!r} above its high end {data[1]!r}")
    return low, high
