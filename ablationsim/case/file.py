"""A whole case file, table by table."""

from __future__ import annotations

from pydantic import Field

from ablationsim.case.access import AccessSection
from ablationsim.case.measured import MeasuredSection
from ablationsim.case.patient import PatientSection
from ablationsim.case.planning import PlanSection
from ablationsim.case.sections import (
    ApplicatorSection,
    DeviceSection,
    DomainSection,
    MeshSection,
    MicrowaveSection,
    ProbeSection,
    Section,
    TimeSection,
    ZoneSection,
)
from ablationsim.case.tissue import TissueSection
from ablationsim.case.vessels import TumourSection, VesselSection
from ablationsim.device.protocol import Step


class CaseFile(Section):
    """A whole case file. Either ``[device]`` and ``[[protocol]]``, or any number of ``[[applicator]]``."""

    title: str = "Untitled case"
    device: DeviceSection | None = None
    protocol: tuple[Step, ...] | None = Field(default=None, min_length=1)
    applicator: tuple[ApplicatorSection, ...] | None = Field(default=None, min_length=1)
    tissue: TissueSection
    patient: PatientSection | None = None
    access: AccessSection = AccessSection()
    plan: PlanSection = PlanSection()
    domain: DomainSection = DomainSection()
    vessel: tuple[VesselSection, ...] = ()
    tumour: TumourSection | None = None
    probe: tuple[ProbeSection, ...] = ()
    zone: ZoneSection = ZoneSection()
    mesh: MeshSection = MeshSection()
    time: TimeSection = TimeSection()
    microwave: MicrowaveSection = MicrowaveSection()
    measured: MeasuredSection | None = None
