"""`Case`: what to simulate, complete and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ablationsim.case.access import AccessSection
from ablationsim.case.file import CaseFile
from ablationsim.case.measured import MeasuredSection
from ablationsim.case.patient import PatientSection
from ablationsim.case.planning import PlanSection
from ablationsim.case.reading import Parts, parse_toml, read_parts, read_text
from ablationsim.case.sections import (
    DomainSection,
    MeshSection,
    MicrowaveSection,
    ProbeSection,
    TimeSection,
    ZoneSection,
)
from ablationsim.case.vessels import TumourSection, VesselSection
from ablationsim.device import Device, Step
from ablationsim.errors import CaseError, TissueError, problems_of
from ablationsim.tissue import Tissue
from ablationsim.units import SI

RESOLVED_VERSION = 3
"""Version of the form that `Case.resolved` writes."""


@dataclass(frozen=True)
class PlacedDevice:
    """A device in its place, with its protocol.

    Attributes
    ----------
    name : str
    device : Device
    tip : tuple of float
        World coordinates [m].
    direction : tuple of float
        From the tip toward the handle; any length but zero.
    roll : float
        Rotation about the shaft [rad].
    protocol : tuple of Step
        One after the other.
    start : float
        Delay before the protocol begins [s].
    repeat : int
        How often the protocol runs.
    entry : tuple of float or None
        Where the needle enters the patient, world coordinates [m]; None when the case does not say. Of no influence on
        results.
    """

    name: str
    device: Device
    tip: tuple[float, float, float]
    direction: tuple[float, float, float]
    roll: float
    protocol: tuple[Step, ...]
    start: float = 0.0
    repeat: int = 1
    entry: tuple[float, float, float] | None = None

    @property
    def end(self) -> float:
        """Time at which the protocol ends at the latest [s]."""
        return self.start + self.repeat * sum(step.duration for step in self.protocol)


@dataclass(frozen=True)
class Case:
    """What to simulate; every default is filled in and everything is in SI units.

    Attributes
    ----------
    title : str
    applicators : tuple of PlacedDevice
    tissue : Tissue
        With the overrides of the case.
    domain : DomainSection
        With centre and extents.
    patient : PatientSection or None
        With absolute paths and its structures.
    access : AccessSection
        What the way of a needle through the patient must keep. Of no influence on results.
    plan : PlanSection
        What a plan is to reach, and what it may vary. Of no influence on results.
    vessels : tuple of VesselSection
        Those of the patient included.
    tumour : TumourSection or None
    probes : tuple of ProbeSection
    zone : ZoneSection
    mesh : MeshSection
    time : TimeSection
    microwave : MicrowaveSection
        Of no effect without microwave antennas.
    measured : MeasuredSection or None
    text : str
        The case file as it was read; empty when the case did not come from a file. Not compared.
    """

    title: str
    applicators: tuple[PlacedDevice, ...]
    tissue: Tissue
    domain: DomainSection
    patient: PatientSection | None
    access: AccessSection
    plan: PlanSection
    vessels: tuple[VesselSection, ...]
    tumour: TumourSection | None
    probes: tuple[ProbeSection, ...]
    zone: ZoneSection
    mesh: MeshSection
    time: TimeSection
    microwave: MicrowaveSection
    measured: MeasuredSection | None
    text: str = field(default="", compare=False)

    @classmethod
    def load(cls, path: str | Path) -> Case:
        """Read a case file (TOML), or the ``resolved.json`` of a run.

        Raises
        ------
        CaseError
            With every problem found.
        """
        path = Path(path)
        text = read_text(path)
        if path.suffix == ".json":
            try:
                data = json.loads(text)
            except json.JSONDecodeError as error:
                raise CaseError([f"not valid JSON: {error}"], str(path)) from error
            return cls.from_resolved(data)
        return cls._build(read_parts(parse_toml(text, path), path.parent), str(path), text)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], directory: str | Path = ".") -> Case:
        """Build from the content of a case file; relative paths in it start at `directory`.

        Raises
        ------
        CaseError
            With every problem found.
        """
        return cls._build(read_parts(data, Path(directory)), "the case")

    @classmethod
    def problems(cls, source: str | Path | Mapping[str, Any]) -> list[str]:
        """Everything that is wrong with a case file or its content; empty when it can be run."""
        try:
            if isinstance(source, Mapping):
                cls.from_dict(source)
            else:
                cls.load(source)
        except CaseError as error:
            return error.problems
        return []

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of a case file, for editors."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **CaseFile.model_json_schema()}

    @classmethod
    def _build(cls, parts: Parts, source: str, text: str = "") -> Case:
        if parts.problems or parts.tissue is None or parts.domain is None:
            raise CaseError(parts.problems, source)
        placed = tuple(
            PlacedDevice(
                name=section.name,
                device=device,
                tip=section.tip,
                direction=section.direction,
                roll=section.roll,
                protocol=tuple(step for step in found.steps if step is not None) or device.default_protocol,
                start=section.start,
                repeat=section.repeat,
                entry=section.entry,
            )
            for found in parts.placed
            if (section := found.section) and (device := found.device)
        )
        tables = parts.tables
        return cls(
            title=tables["title"],
            applicators=placed,
            tissue=parts.tissue,
            domain=parts.domain,
            patient=tables["patient"],
            access=tables["access"],
            plan=tables["plan"],
            vessels=tables["vessel"],
            tumour=tables["tumour"],
            probes=tables["probe"],
            zone=tables["zone"],
            mesh=tables["mesh"],
            time=tables["time"],
            microwave=tables["microwave"],
            measured=tables["measured"],
            text=text,
        )

    @property
    def end(self) -> float:
        """Time at which the last protocol ends at the latest [s]; cooling comes after."""
        return max(applicator.end for applicator in self.applicators)

    @property
    def inputs(self) -> list[str]:
        """Files that the case was made from, besides itself."""
        mesh = self.domain.mesh
        if mesh is not None and os.path.isdir(mesh):
            # A mesh in parts: this one has the sums of all of them.
            mesh = os.path.join(mesh, "index.json")
        parts = [mesh, *(path for v in self.vessels for path in (v.surface, v.centreline, v.labels))]
        parts.append(self.tumour.labels if self.tumour else None)
        parts.append(self.patient.labels if self.patient else None)
        return sorted({path for path in parts if path})

    def resolved(self) -> dict[str, Any]:
        """Everything as plain SI data that JSON can hold, with device profiles and tissue properties included."""
        return {
            "resolved_version": RESOLVED_VERSION,
            "title": self.title,
            "applicators": [_plain(PlacedDevice, applicator) for applicator in self.applicators],
            "tissue": {"name": self.tissue.name, **self.tissue.to_dict()},
            **{key: _plain(kind, getattr(self, key)) for key, kind in _SECTIONS.items()},
        }

    def decisive(self) -> dict[str, Any]:
        """The part of `resolved` that decides about results."""
        return decisive(self.resolved())

    @classmethod
    def from_resolved(cls, data: Mapping[str, Any]) -> Case:
        """Build from what `resolved` gave; the case is equal to the one that was written.

        Other entries of the mapping are not read, so that a run can add what it wants to record.

        Raises
        ------
        CaseError
            If an entry is missing or malformed, or the version is not known.
        """
        source = "the resolved case"
        version = data.get("resolved_version") if isinstance(data, Mapping) else None
        if version != RESOLVED_VERSION:
            raise CaseError([f"resolved_version is {version!r}; this program reads version {RESOLVED_VERSION}"], source)
        problems: list[str] = []
        found: dict[str, Any] = {}
        for key, kind in {"title": str, "applicators": tuple[PlacedDevice, ...], **_SECTIONS}.items():
            if key in _ADDED and key not in data:
                found[key] = _ADDED[key]
                continue
            try:
                found[key] = TypeAdapter(kind).validate_python(data.get(key), context=SI)
            except ValidationError as error:
                problems += problems_of(error, kind, key)
        tissue = data.get("tissue")
        tissue = dict(tissue) if isinstance(tissue, Mapping) else {}
        try:
            found["tissue"] = Tissue.from_dict(str(tissue.pop("name", "")), tissue)
        except TissueError as error:
            problems.append(str(error))
        if problems:
            raise CaseError(problems, source)
        return cls(**found)


_SECTIONS: Mapping[str, Any] = {
    "domain": DomainSection,
    "patient": PatientSection | None,
    "access": AccessSection,
    "plan": PlanSection,
    "vessels": tuple[VesselSection, ...],
    "tumour": TumourSection | None,
    "probes": tuple[ProbeSection, ...],
    "zone": ZoneSection,
    "mesh": MeshSection,
    "time": TimeSection,
    "microwave": MicrowaveSection,
    "measured": MeasuredSection | None,
}


_ADDED: Mapping[str, Any] = {"patient": None, "access": AccessSection(), "plan": PlanSection()}
"""Sections that the form did not have at first, with what a case without them has."""


def decisive(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """What of a resolved case decides about its results: two cases that agree in it are the same to a run."""
    kept = {key: value for key, value in resolved.items() if key not in ("access", "plan")}
    kept["time"] = _without(resolved.get("time", {}), "checkpoint_interval")
    kept["applicators"] = [_without(applicator, "entry") for applicator in resolved.get("applicators", ())]
    patient = kept.pop("patient", None)
    return kept if patient is None else {**kept, "patient": _without(patient, "ct")}


def _without(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


def _plain(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).dump_python(value, mode="json")
