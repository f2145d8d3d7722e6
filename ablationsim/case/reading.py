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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ablationsim.case import extent
from ablationsim.case.file import CaseFile
from ablationsim.case.sections import (
    ApplicatorSection,
    DeviceSection,
    DomainSection,
    MeasuredSection,
    ProbeSection,
    TissueSection,
)
from ablationsim.case.vessels import TumourSection, VesselSection
from ablationsim.device import Device, Step
from ablationsim.device.protocol import PullbackStep
from ablationsim.errors import CaseError, DeviceError, TissueError, best_match, problems_of
from ablationsim.tissue import Tissue

_LISTS = {"probe": ProbeSection, "vessel": VesselSection}
_MODALITIES = {"rfa": "is a radiofrequency electrode", "mwa": "is a microwave antenna"}


@dataclass
class Placed:
    """An applicator as far as it could be read.

    Attributes
    ----------
    place : str
        What its messages begin with.
    profile : str or None
    section : ApplicatorSection or None
    steps : list of Step or None
        The protocol, with None for malformed steps.
    device : Device or None
    """

    place: str
    profile: str | None
    section: ApplicatorSection | None
    steps: list[Step | None]
    device: Device | None = None


@dataclass
class Parts:
    """What was found in a case file: the parts of a case, and the problems.

    Attributes
    ----------
    problems : list of str
    tables : dict
        The valid tables, by name; of lists, the valid entries.
    placed : list of Placed
    tissue : Tissue or None
        With the overrides of the case.
    domain : DomainSection or None
        With centre and extents.
    """

    problems: list[str] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)
    placed: list[Placed] = field(default_factory=list)
    tissue: Tissue | None = None
    domain: DomainSection | None = None


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
    _read_tables(data, parts)
    _read_applicators(data, parts, directory)
    _read_tissue(parts)
    _check_modality(parts)
    _read_domain(data, parts, directory)
    _read_vessels(parts, directory)
    _check_names(parts)
    return parts


def _read_tables(data: Mapping[str, Any], parts: Parts) -> None:
    """Validate every table but those of the applicators."""
    parts.problems += [
        f"unknown key '{key}'{best_match(key, CaseFile.model_fields)}"
        for key in data
        if key not in CaseFile.model_fields
    ]
    for key, info in CaseFile.model_fields.items():
        if key in ("device", "protocol", "applicator"):
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
        parts.tissue = tissue.with_overrides(section.overrides, section.dielectric)


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


def _read_domain(data: Mapping[str, Any], parts: Parts, directory: Path) -> None:
    """Complete the domain and check that conductors and probes are inside."""
    domain = parts.tables["domain"]
    known = [(placed.section, placed.device) for placed in parts.placed if placed.section and placed.device]
    if not isinstance(domain, DomainSection) or not known:
        return
    if len(known) < len(parts.placed) and not (domain.centre and (domain.size or (domain.radius and domain.height))):
        # The domain follows from all applicators, and not all could be read.
        return
    if domain.mesh is not None:
        mesh = os.path.abspath(directory / domain.mesh)
        if not os.path.exists(mesh):
            parts.problems.append(f"domain.mesh: there is no file, or folder of a mesh in parts, {mesh}")
        domain = domain.model_copy(update={"mesh": mesh})
    if domain.frame == "applicator" and len(parts.placed) > 1:
        parts.problems.append(
            f"domain.frame: 'applicator' needs exactly one applicator, and the case has {len(parts.placed)}; "
            "use 'world'"
        )
        return
    domain = _with_frame(domain, any(data.get(key) for key in ("vessel", "tumour")) and len(parts.placed) == 1)
    places = [
        (name, withdrawn, device.applicator, section)
        for placed in parts.placed
        if (section := placed.section) and (device := placed.device)
        for name, withdrawn in _withdrawals(section, [*placed.steps] or device.default_protocol)
    ]
    if domain.frame == "applicator":
        frame = extent.Frame.along(known[0][0].tip, known[0][0].direction)
        # As the applicator sees itself, so that its pose does not change the last digit.
        seen = [(applicator, (0.0, 0.0, withdrawn), (0.0, 0.0, 1.0)) for _, withdrawn, applicator, _ in places]
    else:
        frame = extent.Frame.world()
        seen = [(applicator, _tip(section, by), section.direction) for _, by, applicator, section in places]
    parts.domain = extent.complete(domain, frame, *extent.bounding_box(seen))
    for section, device in known:
        monopolar = device.modality == "rfa" and "return" not in device.applicator.terminals
        if domain.boundary == "insulated" and monopolar:
            parts.problems.append(
                f"domain.boundary: 'insulated' leaves the monopolar {device.name} of applicator '{section.name}' "
                "without a return for its current; use 'far_field' or 'grounded', or a bipolar device"
            )
    if domain.mesh is not None:
        # The mesh file, not the extents, says where the tissue is.
        return
    for name, withdrawn, applicator, section in places:
        problem = extent.outside(applicator, _tip(section, withdrawn), section.direction, parts.domain, frame)
        if problem is not None:
            parts.problems.append(f"{name}: {problem}")
    for probe in parts.tables["probe"] or ():
        inside = float(extent.depth(parts.domain, frame, np.array([probe.position]))[0])
        if inside < 0.0:
            parts.problems.append(
                f"probe '{probe.name}' is {-1e3 * inside:.3g} mm outside {extent.describe(parts.domain)}"
            )


def _read_vessels(parts: Parts, directory: Path) -> None:
    """Find the files of vessels and tumour, and check what the tumour's perfusion is taken from."""
    parts.tables["vessel"] = tuple(
        _located(section, ("surface", "centreline", "labels"), f"vessel '{section.name}'", parts.problems, directory)
        for section in parts.tables["vessel"] or ()
    )
    domain, tumour = parts.tables["domain"], parts.tables["tumour"]
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


def _with_frame(domain: DomainSection, follows: bool) -> DomainSection:
    """Say which frame the domain is upright in, where the file does not; `follows` if it may be the applicator's."""
    if domain.frame is not None:
        return domain
    own = domain.shape == "box" or domain.centre is not None or domain.mesh is not None
    return domain.model_copy(update={"frame": "applicator" if follows and not own else "world"})


def _withdrawals(section: ApplicatorSection, steps: Sequence[Step | None]) -> list[tuple[str, float]]:
    """How far an applicator is withdrawn along its shaft, at the start and in the end [m], with a name for each."""
    distance = section.repeat * sum(step.distance for step in steps if isinstance(step, PullbackStep))
    name = f"applicator '{section.name}'"
    return [(name, 0.0)] if distance == 0.0 else [(name, 0.0), (f"{name}, withdrawn", distance)]


def _tip(section: ApplicatorSection, withdrawn: float) -> tuple[float, float, float]:
    """World position of the tip after a withdrawal [m]."""
    along = np.array(section.direction)
    x, y, z = np.array(section.tip) + withdrawn * along / np.linalg.norm(along)
    return float(x), float(y), float(z)


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
