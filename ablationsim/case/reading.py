"""Reading a case file: every problem is found in one go.

Each table is validated by itself, so that a mistake in one does not hide mistakes in another; what could be read is
then checked against devices, tissue and domain.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ablationsim.case import patient
from ablationsim.case.block import read_domain
from ablationsim.case.file import CaseFile
from ablationsim.case.inflow import tissue_with, tumour_with, vessels_with
from ablationsim.case.measured import MeasuredSection
from ablationsim.case.parts import Parts, Placed
from ablationsim.case.patient import PatientSection
from ablationsim.case.placing import in_place
from ablationsim.case.sections import (
    ApplicatorSection,
    DeviceSection,
    DomainSection,
    MeshSection,
    ProbeSection,
)
from ablationsim.case.tissue import TissueSection
from ablationsim.case.vessels import TumourSection, VesselSection
from ablationsim.device import Device, Step
from ablationsim.errors import CaseError, DeviceError, TissueError, best_match, problems_of
from ablationsim.tissue import Tissue
from ablationsim.units import SI

_LISTS = {"probe": ProbeSection, "vessel": VesselSection}
_MODALITIES = {"rfa": "is a radiofrequency electrode", "mwa": "is a microwave antenna"}


def read_text(path: Path) -> str:
    """Content of a case file.

    Raises
    ------
    CaseError
        If there is no such file or it cannot be read as text.
    """
    try:
        # Some editors begin a file with a byte order mark, which TOML does not know.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise CaseError(["there is no such file"], str(path)) from error
    except OSError as error:
        raise CaseError([f"the file cannot be read: {error.strerror}"], str(path)) from error
    except UnicodeDecodeError as error:
        raise CaseError([f"the file is not UTF-8 text (byte {error.start})"], str(path)) from error


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Tables of a case file.

    Raises
    ------
    CaseError
        If the text is not TOML; the message has the line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CaseError([f"not valid TOML: {error}"], str(path)) from error


def read_parts(data: Mapping[str, Any], directory: Path) -> Parts:
    """Validate every table, then check what could be read against devices, tissue and domain.

    Parameters
    ----------
    data : mapping
        Content of a case file.
    directory : Path
        Where relative paths in it start.
    """
    parts = Parts()
    data = _read_patient(data, parts, directory)
    _read_tables(data, parts)
    _read_applicators(data, parts, directory)
    _read_tissue(parts)
    _read_tumour(data, parts)
    _check_modality(parts)
    read_domain(data, parts, directory)
    _read_vessels(parts, directory)
    _check_mesh(data, parts)
    _check_names(parts)
    return parts


def _read_patient(data: Mapping[str, Any], parts: Parts, directory: Path) -> Mapping[str, Any]:
    """Read the image of a patient; returns the content of the file with the place of the tumour filled in."""
    parts.tables["patient"] = None
    if "patient" not in data:
        return data
    section = _valid(PatientSection, data["patient"], "patient", parts.problems)
    if section is not None:
        parts.tables["patient"] = section = patient.located(section, directory, parts.problems)
    tumour = data.get("tumour")
    if not isinstance(tumour, Mapping) or any(key in tumour for key in ("centre", "radius", "labels", "label")):
        return data
    place = {} if section is None else patient.target(section)
    if place:
        return {**data, "tumour": {**tumour, **place}}
    if section is not None and not any(problem.startswith("patient") for problem in parts.problems):
        parts.problems.append(
            "tumour: the image of the patient has no tumour; name its label in patient.structures, such as "
            "tumour = 2, or give centre and radius of a sphere"
        )
    # What else is wrong with the table is found with any place.
    _valid(TumourSection, {**tumour, "labels": "", "label": 1}, "tumour", parts.problems)
    return {key: value for key, value in data.items() if key != "tumour"}


def _read_tumour(data: Mapping[str, Any], parts: Parts) -> None:
    """The tumour as a closed inflow leaves it; a patient's is perfused like the liver where the file is silent."""
    section, tissue = parts.tables["patient"], parts.tables["tissue"]
    if isinstance(tissue, TissueSection) and isinstance(parts.tables["tumour"], TumourSection):
        parts.tables["tumour"] = tumour_with(parts.tables["tumour"], tissue.inflow)
    place = {} if section is None else patient.target(section)
    if place and "tumour" not in data and parts.tissue is not None:
        content = {**place, "perfusion": parts.tissue.perfusion}
        parts.tables["tumour"] = TumourSection.model_validate(content, context=SI)


def _read_tables(data: Mapping[str, Any], parts: Parts) -> None:
    """Validate every table but those of the applicators."""
    parts.problems += [
        f"unknown key '{key}'{best_match(key, CaseFile.model_fields)}"
        for key in data
        if key not in CaseFile.model_fields
    ]
    for key, info in CaseFile.model_fields.items():
        if key in ("patient", "device", "protocol", "applicator"):
            continue
        if key not in data:
            if info.is_required():
                parts.problems.append(f"[{key}] is missing")
            parts.tables[key] = None if info.is_required() else info.default
        elif key in _LISTS and isinstance(data[key], list):
            found = [
                _valid(_LISTS[key], item, f"{key}[{i}]", parts.problems) for i, item in enumerate(data[key], start=1)
            ]
            parts.tables[key] = tuple(entry for entry in found if entry is not None)
        else:
            parts.tables[key] = _valid(info.annotation, data[key], key, parts.problems)


def _read_applicators(data: Mapping[str, Any], parts: Parts, directory: Path) -> None:
    """Read either [device] with [[protocol]], or every [[applicator]], and hold them against their device profiles."""
    if "applicator" in data:
        parts.problems += [
            f"[{key}] and [[applicator]] exclude each other: give a profile and a protocol to each [[applicator]]"
            for key in ("device", "protocol")
            if key in data
        ]
        for number, item in enumerate(_list(data["applicator"], "applicator", parts.problems), start=1):
            _read_placed(item, f"applicator[{number}]", parts)
    elif "device" in data:
        steps = _steps(data["protocol"], "protocol", parts.problems) if "protocol" in data else []
        device = _valid(DeviceSection, data["device"], "device", parts.problems)
        if device is not None:
            section = ApplicatorSection(name="A0", profile=device.profile)
            parts.placed.append(Placed("", device.profile, section, steps))
    else:
        parts.problems.append("[device] is missing: give [device] with [[protocol]], or one or more [[applicator]]")
    for placed in parts.placed:
        _read_device(placed, parts.problems, directory)
        if placed.section is not None and placed.device is not None:
            placed.section, problems = in_place(placed.section, placed.device, directory)
            parts.problems += [placed.place + problem for problem in problems]


def _read_placed(item: Any, place: str, parts: Parts) -> None:
    steps: list[Step | None] = []
    profile = None
    if isinstance(item, Mapping):
        # A mistake in one part of the table must not hide what is wrong with protocol or profile.
        profile = item.get("profile")
        if "protocol" in item:
            steps = _steps(item["protocol"], f"{place}.protocol", parts.problems)
            item = {key: value for key, value in item.items() if key != "protocol"}
    section = _valid(ApplicatorSection, item, place, parts.problems)
    parts.placed.append(Placed(f"{place}.", profile if isinstance(profile, str) else None, section, steps))


def _read_device(placed: Placed, problems: list[str], directory: Path) -> None:
    profile = placed.profile
    if profile is None:
        return
    try:
        placed.device = Device.load(directory / profile if profile.endswith(".toml") else profile)
    except DeviceError as error:
        problems.append(f"{placed.place or 'device.'}profile: {error}")
        return
    for number, step in enumerate(placed.steps, start=1):
        if step is not None:
            # One step at a time keeps the numbering where a step of the protocol is malformed.
            found = placed.device.protocol_problems([step])
            problems += [placed.place + problem.replace("protocol[1]", f"protocol[{number}]", 1) for problem in found]


def _read_tissue(parts: Parts) -> None:
    section = parts.tables["tissue"]
    if not isinstance(section, TissueSection):
        return
    try:
        tissue = Tissue.load(section.set)
    except TissueError as error:
        parts.problems.append(f"tissue.set: {error}")
        return
    problems = tissue.override_problems(section.overrides, section.dielectric)
    parts.problems += [f"tissue.{problem.removeprefix('initial_')}" for problem in problems]
    if not problems:
        parts.tissue = tissue_with(tissue.with_overrides(section.overrides, section.dielectric), section.inflow)


def _check_modality(parts: Parts) -> None:
    """All applicators are of one kind, and the tissue is described at the frequencies of the antennas."""
    known = [(placed.section.name, placed.device) for placed in parts.placed if placed.section and placed.device]
    if len({device.modality for _, device in known}) > 1:
        kinds = ", ".join(f"'{name}' {_MODALITIES[device.modality]}" for name, device in known)
        parts.problems.append(f"all applicators of a case must be of one kind: {kinds}; run a case for each kind")
    if parts.tissue is not None:
        frequencies = {device.generator.frequency for _, device in known if device.modality == "mwa"}
        for frequency in sorted(frequencies):
            parts.problems += [f"tissue.{problem}" for problem in parts.tissue.dielectric_problems(frequency)]


def _read_vessels(parts: Parts, directory: Path) -> None:
    """Find the files of vessels and tumour, and check what the tumour's perfusion is taken from."""
    parts.tables["vessel"] = tuple(
        _located(section, ("surface", "centreline", "labels"), f"vessel '{section.name}'", parts.problems, directory)
        for section in parts.tables["vessel"] or ()
    )
    own, domain, tumour = parts.tables["patient"], parts.tables["domain"], parts.tables["tumour"]
    if own is not None:
        parts.tables["vessel"] += patient.vessels_in(own, parts.tables["vessel"])
    if isinstance(parts.tables["tissue"], TissueSection):
        closed = parts.tables["tissue"].inflow
        parts.tables["vessel"] = vessels_with(parts.tables["vessel"], closed, parts.problems)
    if isinstance(domain, DomainSection) and domain.mesh is None:
        parts.problems += [
            f"vessel '{section.name}': facets name a wall in a mesh of your own; give that mesh as domain.mesh"
            for section in parts.tables["vessel"]
            if section.facets is not None
        ]
    if any(section.labels for section in [*parts.tables["vessel"], *([tumour] if tumour else [])]):
        parts.problems += [
            f"vessel '{section.name}': {key} needs orientation, 'RAS' or 'LPS': the case has label images, whose axes "
            "are known, while those of this file are not"
            for section in parts.tables["vessel"]
            for key in ("surface", "centreline")
            if getattr(section, key) is not None and section.orientation is None
        ]
    if isinstance(tumour, TumourSection):
        parts.tables["tumour"] = _located(tumour, ("labels",), "tumour", parts.problems, directory)
        if tumour.set is not None and tumour.set not in Tissue.names():
            parts.problems.append(f"tumour.set: no tissue set '{tumour.set}'{best_match(tumour.set, Tissue.names())}")


def _located(section: Any, keys: Sequence[str], name: str, problems: list[str], directory: Path) -> Any:
    """The section with absolute paths under the keys that are given."""
    paths = {key: os.path.abspath(directory / path) for key in keys if (path := getattr(section, key)) is not None}
    problems += [f"{name}: there is no file {path}" for path in paths.values() if not os.path.isfile(path)]
    return section.model_copy(update=paths)


def _check_mesh(data: Mapping[str, Any], parts: Parts) -> None:
    """A mesh is fitted only to what there is, and only one that is generated."""
    mesh, domain = parts.tables["mesh"], parts.tables["domain"]
    if not isinstance(mesh, MeshSection):
        return
    needed = {"liver": ("patient", "[patient], whose liver that is"), "tumour": ("tumour", "a tumour")}
    own = isinstance(domain, DomainSection) and domain.mesh is not None
    for key, (table, what) in needed.items():
        if getattr(mesh, key) != "fitted":
            continue
        if table not in data and parts.tables[table] is None:
            parts.problems.append(f"mesh.{key}: 'fitted' needs {what}, and the case has none")
        if own:
            parts.problems.append(f"mesh.{key}: 'fitted' is for a mesh that is generated, and domain.mesh gives one")


def _check_names(parts: Parts) -> None:
    """Names are unique, and measured probes are probes of the case."""
    probes = [probe.name for probe in parts.tables["probe"] or ()]
    applicators = [placed.section.name for placed in parts.placed if placed.section]
    vessels = [vessel.name for vessel in parts.tables["vessel"] or ()]
    for kind, names in (("probe", probes), ("applicator", applicators), ("vessel", vessels)):
        parts.problems += [f"{count} {kind}s are named '{name}'" for name, count in Counter(names).items() if count > 1]
    measured = parts.tables["measured"]
    if isinstance(measured, MeasuredSection):
        for number, probe in enumerate(measured.probe, start=1):
            if probe.name not in probes:
                match = best_match(probe.name, probes) or "; the case has no probes"
                parts.problems.append(f"measured.probe[{number}].name: there is no probe '{probe.name}'{match}")


def _steps(value: Any, place: str, problems: list[str]) -> list[Step | None]:
    return [
        _valid(Step, step, f"{place}[{i}]", problems) for i, step in enumerate(_list(value, place, problems), start=1)
    ]


def _list(value: Any, place: str, problems: list[str]) -> list[Any]:
    if not isinstance(value, list) or not value:
        table = re.sub(r"\[\d+\]", "", place)
        problems.append(f"{place} is {'empty' if value == [] else 'not a list'}; write one [[{table}]] table for each")
        return []
    return value


def _valid(kind: Any, value: Any, place: str, problems: list[str]) -> Any:
    """The validated table, or None; of [tissue] and [domain] what remains without the keys that are wrong."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        problems += problems_of(error, kind, place)
        wrong = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
    if kind not in (TissueSection, DomainSection) or not isinstance(value, Mapping):
        return None
    try:
        return TypeAdapter(kind).validate_python({key: item for key, item in value.items() if key not in wrong})
    except ValidationError:
        # What remains is not a table of its own, and what is wrong with it has been said.
        return None
