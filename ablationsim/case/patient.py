"""``[patient]``: the labelled image of a patient, and what of it becomes vessels and tumour of the case."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ablationsim.case.sections import Section
from ablationsim.case.vessels import VesselSection
from ablationsim.device.protocol import NotNegative, Positive
from ablationsim.errors import GeometryError, best_match
from ablationsim.units import Conductivity, PerfusionRate, ThermalConductivity, VolumetricHeatCapacity

if TYPE_CHECKING:
    from ablationsim.anatomy import Anatomy

KINDS: Mapping[str, str] = {
    "hepatic_vein": "hepatic_vein",
    "portal_vein": "portal_vein",
    "hepatic_artery": "hepatic_artery",
    # All that matters of a vein of 20 mm is that its blood stays cold.
    "vena_cava": "hepatic_vein",
}
"""Kind of vessel that a structure becomes, by its role; bile ducts carry no heat away that is worth counting."""


class AroundSection(Section):
    """``[patient.around]``: the tissue round the liver, at 37 °C; what is left out is as in the liver.

    Muscle and diaphragm conduct heat and take it up nearly as the liver does, and fat half as well; for current the
    liver lies between the two. Only blood flow differs much: all that is not liver has little.

    Attributes
    ----------
    perfusion : float
        Perfusion rate [1/s]. The default is that of muscle at rest, 37 mL/min/kg at 1090 kg/m3, recalled from the IT'IS
        tables of tissue properties and not checked: assumed.
    thermal_conductivity : float or None
        [W/m/K]
    heat_capacity : float or None
        Volumetric [J/m3/K].
    electric_conductivity : float or None
        At about 480 kHz [S/m]. Antennas do not see it: their field is that of an unbounded liver.
    """

    perfusion: Annotated[PerfusionRate, NotNegative] = 6.7e-4
    thermal_conductivity: Annotated[ThermalConductivity, Positive] | None = None
    heat_capacity: Annotated[VolumetricHeatCapacity, Positive] | None = None
    electric_conductivity: Annotated[Conductivity, Positive] | None = None


class PatientSection(Section):
    """``[patient]``: a labelled image of a patient; world coordinates are then its own, RAS.

    Attributes
    ----------
    labels : str
        Label image (.nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd), absolute once it has been read.
    structures : dict of str to int or None
        Labels by the names of structures, such as ``{liver = 1, hepatic_vein = 2}``; what the file says when left out.
    tumour : str or None
        The structure that is treated; the only tumour when left out.
    outside : {"tissue", "air", "body_temperature"}
        What surrounds the liver: other tissue, nothing that takes up heat or current, or tissue that keeps the
        temperature of the body.
    around : AroundSection
        That other tissue.
    ct : str or None
        Image of grey values of the same patient, for pictures only.
    """

    labels: str
    structures: dict[str, int] | None = Field(default=None, min_length=1)
    tumour: str | None = None
    outside: Literal["tissue", "air", "body_temperature"] = "tissue"
    around: AroundSection = AroundSection()
    ct: str | None = None

    @model_validator(mode="after")
    def _around_what(self) -> Self:
        if "around" in self.model_fields_set and self.outside != "tissue" and self.around != AroundSection():
            raise ValueError(f"around describes tissue, and outside is '{self.outside}'; leave one of them out")
        return self

    def anatomy(self) -> Anatomy:
        """Read the image; a file that has not changed is read once in a process.

        Raises
        ------
        GeometryError
            If the image cannot be used.
        """
        try:
            status = os.stat(self.labels)
        except OSError as error:
            raise GeometryError(f"The label image {self.labels} cannot be read: {error.strerror}.") from error
        named = None if self.structures is None else tuple(self.structures.items())
        return _read(self.labels, named, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(path: str, named: tuple[tuple[str, int], ...] | None, changed: int, size: int) -> Anatomy:
    """The anatomy in a file of a time of change and a size, which are there to tell files apart."""
    from ablationsim.anatomy import Anatomy

    return Anatomy.read(Path(path), None if named is None else dict(named))


def located(section: PatientSection, directory: Path, problems: list[str]) -> PatientSection | None:
    """The section with absolute paths and the structures of its file, checked; None if they cannot be known.

    Parameters
    ----------
    section : PatientSection
        As it stands in the case file.
    directory : Path
        Where relative paths start.
    problems : list of str
        What is wrong is added to it.
    """
    paths = {key: os.path.abspath(directory / path) for key in ("labels", "ct") if (path := getattr(section, key))}
    missing = [f"patient.{key}: there is no file {path}" for key, path in paths.items() if not os.path.isfile(path)]
    problems += missing
    found = section.model_copy(update=paths)
    if any(problem.startswith("patient.labels") for problem in missing):
        return None
    try:
        anatomy = found.anatomy()
    except GeometryError as error:
        # A list of problems becomes one of the problems of the case.
        problems.append("patient: " + str(error).replace(":\n  - ", ": ").replace("\n  - ", " "))
        return None
    tumours = [structure.name for structure in anatomy.of_role("tumour")]
    if not anatomy.of_role("liver"):
        names = ", ".join(structure.name for structure in anatomy.structures) or "none"
        problems.append(
            f"patient.structures: none of the structures of {found.labels} is the liver (they are {names}); name it, "
            "such as structures = { liver = 1 }"
        )
    if found.tumour is not None and found.tumour not in tumours:
        problems.append(
            f"patient.tumour: there is no tumour '{found.tumour}'"
            + (best_match(found.tumour, tumours) if tumours else f"; {found.labels} has none")
        )
    elif found.tumour is None and len(tumours) > 1:
        problems.append(
            f"patient.tumour: the image has {len(tumours)} tumours ({', '.join(tumours)}); say which one is treated, "
            f"such as tumour = '{tumours[0]}'"
        )
    update: dict[str, Any] = {"structures": {structure.name: structure.label for structure in anatomy.structures}}
    if found.tumour is None and len(tumours) == 1:
        update["tumour"] = tumours[0]
    return found.model_copy(update=update)


def target(section: PatientSection) -> dict[str, Any]:
    """Keys of ``[tumour]`` that say where the tumour of a checked section is; none if it has no tumour."""
    if section.tumour is None or section.tumour not in (section.structures or {}):
        return {}
    return {"labels": section.labels, "label": (section.structures or {})[section.tumour]}


def vessels_in(section: PatientSection, given: Sequence[VesselSection]) -> tuple[VesselSection, ...]:
    """Vessels that the structures of a checked section are, where the case itself says nothing about their labels.

    Parameters
    ----------
    section : PatientSection
        With its structures.
    given : sequence of VesselSection
        Those of the case, with absolute paths.
    """
    described = {(vessel.labels, vessel.label) for vessel in given}
    return tuple(
        VesselSection(name=structure.name, kind=kind, labels=section.labels, label=structure.label)  # type: ignore[arg-type]
        for structure in section.anatomy().structures
        if (kind := KINDS.get(structure.role)) is not None and (section.labels, structure.label) not in described
    )
