"""Lines and points of 3D Slicer (.mrk.json), in world coordinates: metres, RAS.

The files are in millimetres, and in LPS unless they say RAS; that is turned here, at reading and at writing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from ablationsim.errors import CaseError, MeshError, problems_of
from ablationsim.vessels.coordinates import METRES, to_world

Floats = NDArray[np.float64]

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
"""What a file says it follows; the name of a schema, which nothing is fetched from."""

LARGEST = 10_000_000
"""Bytes: no file of lines is larger than this."""

_TURN = np.array([-1.0, -1.0, 1.0])


class _Point(BaseModel):
    label: str = ""
    position: Annotated[list[float], Field(min_length=3, max_length=3)] | None = None
    positionStatus: str = "defined"


class _Markup(BaseModel):
    type: str
    name: str = ""
    # The defaults are those of Slicer's own schema.
    coordinateSystem: Literal["LPS", "RAS"] = "LPS"
    coordinateUnits: Literal["mm", "um"] | tuple[Literal["mm", "um"], str, str] = "mm"
    controlPoints: list[_Point] = Field(default_factory=list)


class _File(BaseModel):
    markups: list[_Markup]


@dataclass(frozen=True, eq=False)
class Markup:
    """One markup of a file.

    Attributes
    ----------
    kind : str
        As Slicer calls it: "Line", "Fiducial", ...
    name : str
        Empty when the file does not say.
    points : (k, 3) float64
        The points that are placed, world coordinates, RAS [m].
    labels : tuple of str
        Of the points.
    """

    kind: str
    name: str
    points: Floats
    labels: tuple[str, ...]


def read_markups(path: Path) -> list[Markup]:
    """Read all markups of a file.

    Raises
    ------
    CaseError
        If there is no such file, it is no markups file, or its points cannot lie in a patient.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise CaseError(
                [f"{path} is larger than {LARGEST / 1e6:.0f} MB, which no file of a few lines is"], str(path)
            )
        found = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CaseError([f"{path} cannot be read: {error.strerror}"], str(path)) from error
    except ValidationError as error:
        raise CaseError(
            [f"{path} is no markups file of 3D Slicer: {text}" for text in problems_of(error, _File)], str(path)
        ) from error
    return [
        _in_world(markup, f"{path}, markup '{markup.name or number}'") for number, markup in enumerate(found.markups, 1)
    ]


def _in_world(markup: _Markup, where: str) -> Markup:
    placed = [
        point for point in markup.controlPoints if point.position is not None and point.positionStatus != "undefined"
    ]
    points = np.array([point.position for point in placed], dtype=np.float64).reshape(-1, 3)
    unit = markup.coordinateUnits if isinstance(markup.coordinateUnits, str) else markup.coordinateUnits[0]
    if len(points) == 1:
        # A single point has no size that would tell a wrong unit.
        points = points * METRES[unit] * (_TURN if markup.coordinateSystem == "LPS" else 1.0)
    elif len(points):
        try:
            points = to_world(points, unit, markup.coordinateSystem, where)
        except MeshError as error:
            raise CaseError([str(error)], where) from error
    return Markup(markup.type, markup.name, points, tuple(point.label for point in placed))


def line_text(name: str, entry: Sequence[float], tip: Sequence[float]) -> str:
    """Return the text of a file with one line, a needle from its entry to its tip, which `read_markups` reads back.

    Parameters
    ----------
    name : str
        What a person reads.
    entry, tip : (3,) float
        World coordinates, RAS [m].
    """
    points = [
        {
            "id": str(number),
            "label": label,
            "position": [float(x) for x in 1e3 * _TURN * place + 0.0],
            "selected": True,
            "locked": True,
            "visibility": True,
            "positionStatus": "defined",
        }
        for number, (label, place) in enumerate((("entry", entry), ("tip", tip)), start=1)
    ]
    line = {"type": "Line", "name": name, "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
    return json.dumps({"@schema": SCHEMA, "markups": [line]}, indent=2) + "\n"
