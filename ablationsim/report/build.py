"""From a result to what its report shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ablationsim.case import Case, MeasuredSection
from ablationsim.device import Device
from ablationsim.device.protocol import describe
from ablationsim.geometry.geometry import Geometry
from ablationsim.physics.damage import ARRHENIUS_SETS
from ablationsim.provenance import Sourced, citations
from ablationsim.report import antenna
from ablationsim.report.around import found_around
from ablationsim.report.data import AntennaDrawing, ApplicatorDrawing, Citation, MeasuredRow, Parameter, ReportData
from ablationsim.results import Result
from ablationsim.tissue import Dielectric
from ablationsim.tissue.dielectric import QUANTITIES
from ablationsim.units import DIMENSIONS, ZERO_CELSIUS, show

_LEVELS = {
    "arrhenius": ("damage level ln Ω", 4.0),
    "cem43": ("ln(CEM43 / 240 min)", 4.0),
    "isotherm": ("above the isotherm / K", 10.0),
    "three_state": ("dead fraction above 0.8", 0.5),
}
_PRINTED = {"degC": "°C", "ohm": "Ω"}
_METHODS = ("pennes1948", "bank1985", "scikitfem2020")


def report_data(result: Result, inside: bool = True) -> ReportData:
    """Gather everything that the report of a run shows.

    Parameters
    ----------
    result : Result
    inside : bool
        Whether with the inside of its antennas, whose field is solved again for that.
    """
    case, frames = result.case, result.frames
    label, span = _LEVELS[case.zone.criterion]
    geometry = Geometry.from_case(case)
    around = found_around(result, geometry)
    parameters = [*_parameters(case), *(_parameter(name, sourced) for name, sourced in around.sources.items())]
    return ReportData(
        title=case.title,
        summary=_summary(result),
        device=_devices(case),
        zone=result.document,
        history=result.history.to_dict(),
        mesh=result.mesh,
        temperature_power_off=frames.temperature(frames.nearest(result.document["power_off_s"])),
        temperature_end=frames.temperature(len(frames) - 1),
        temperature_max=result.fields["max_temperature"],
        level=result.fields["level"],
        displacement=result.fields.get("displacement"),
        criterion=_criterion(result.document["criterion"]),
        level_label=label,
        level_span=span,
        applicators=[ApplicatorDrawing.of(applicator) for applicator in geometry.applicators],
        antennas=_antennas(case, geometry) if inside else [],
        surroundings=around.surroundings,
        patient=around.patient,
        margins=around.margins,
        measured=measured_rows(result),
        measured_source=_measured_source(case.measured),
        probes={probe.name: np.asarray(probe.position) for probe in case.probes},
        warnings=[*result.warnings, *around.problems],
        events=result.events,
        parameters=parameters,
        citations=_citations(parameters),
        provenance=_provenance(result.record),
    )


def _antennas(case: Case, geometry: Geometry) -> list[AntennaDrawing]:
    """Each kind of microwave antenna once."""
    kinds = {
        placed.device.name: (placed.device, applicator)
        for placed, applicator in zip(case.applicators, geometry.applicators, strict=True)
        if placed.device.antenna is not None
    }
    return [antenna.drawing(case, device, applicator) for device, applicator in kinds.values()]


def measured_rows(result: Result) -> list[MeasuredRow]:
    """Every measured quantity of the case beside its prediction, in the frame of the measurement."""
    measured = result.case.measured
    if measured is None:
        return []
    zone = result.document["contracted"] if measured.frame == "contracted" else result.document
    rows = []
    for key, name in (
        ("long_axis", "Long axis"),
        ("short_axis", "Short axis"),
        ("axial_length", "Length along the shaft"),
        ("transverse_diameter", "Diameter across the shaft"),
    ):
        length = getattr(measured, key)
        if length is not None:
            sd = None if length.sd is None else 1e3 * length.sd
            rows.append(MeasuredRow(name, "mm", zone[f"{key}_mm"], 1e3 * length.value, sd, measured.frame))
    if measured.volume is not None:
        sd = None if measured.volume.sd is None else 1e6 * measured.volume.sd
        rows.append(MeasuredRow("Volume", "mL", zone["volume_ml"], 1e6 * measured.volume.value, sd, measured.frame))
    for probe in measured.probe:
        rows += _probe_rows(result, probe)
    return rows


def _probe_rows(result: Result, probe: Any) -> list[MeasuredRow]:
    readings = result.history[f"probe_{probe.name}_c"]
    rows = []
    if probe.max_temperature is not None:
        measured = probe.max_temperature - ZERO_CELSIUS
        highest = float(readings.max())
        rows.append(MeasuredRow(f"Highest temperature, probe {probe.name}", "°C", highest, measured, probe.sd))
    if probe.time_to is not None:
        target = probe.time_to.temperature - ZERO_CELSIUS
        name = f"Time to {target:g} °C, probe {probe.name}"
        reached = _time_to(result.history["time_s"], readings, target)
        rows.append(MeasuredRow(name, "s", reached, probe.time_to.value, probe.time_to.sd))
    return rows


def _time_to(time: np.ndarray, temperature: np.ndarray, target: float) -> float | None:
    """Time of the first crossing of a temperature, between two steps; None if it is not reached."""
    above = np.flatnonzero(temperature >= target)
    if not len(above):
        return None
    i = int(above[0])
    return float(time[0]) if i == 0 else float(np.interp(target, temperature[i - 1 : i + 1], time[i - 1 : i + 1]))


def _criterion(criterion: Mapping[str, Any]) -> str:
    """What counts as ablated, in words."""
    match criterion["name"]:
        case "arrhenius":
            kinetics = criterion["set"].replace("_", " ")
            return f"an Arrhenius damage integral above {criterion['threshold']:g} (kinetics: {kinetics})"
        case "cem43":
            return f"more than {criterion['threshold_min']:g} cumulative equivalent minutes at 43 °C"
        case "isotherm":
            return f"a highest temperature above {criterion['temperature_c']:g} °C"
        case _:
            return f"a dead fraction of cells above {criterion['dead_fraction']:g} (three-state model)"


def _summary(result: Result) -> list[tuple[str, str]]:
    case, document, record = result.case, result.document, result.record
    kind = "axisymmetric" if record["axisymmetric"] else "3-D"
    domain = case.domain
    if domain.size is not None:
        extent = " × ".join(f"{1e3 * side:.0f}" for side in domain.size) + " mm box"
    else:
        extent = f"cylinder, radius {1e3 * (domain.radius or 0):.0f} mm, height {1e3 * (domain.height or 0):.0f} mm"
    rows = [("Tissue", f"{case.tissue.name}, {case.tissue.initial_temperature - ZERO_CELSIUS:.0f} °C at the start")]
    for applicator in case.applicators:
        steps = "; ".join(describe(step) for step in applicator.protocol)
        again = f" ({applicator.repeat} times)" if applicator.repeat > 1 else ""
        label = f"Protocol of {applicator.name}" if len(case.applicators) > 1 else "Protocol"
        rows.append((label, steps + again))
    if "microwave" in document:
        rows += _field(case, document["microwave"])
    else:
        extent += f"; electric boundary: {domain.boundary.replace('_', ' ')}"
    return [
        *rows,
        ("Domain", extent),
        ("Zone taken", f"{document['time_s'] - document['power_off_s']:.0f} s after the end of the protocol"),
        (
            "Mesh and steps",
            f"{kind}, {record['nodes']} nodes, {record['elements']} elements, {record['time_steps']} steps",
        ),
    ]


def _field(case: Case, microwave: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the field of the antennas was computed."""
    settings, solves, several = case.microwave, microwave["solves"], len(case.applicators) > 1
    count = f"{solves} field solve{'s' if solves > 1 else ''}"
    if settings.coupling == "full":
        coupling = f"full: solved again when the tissue has changed by {100 * settings.resolve:g} %; {count}"
    else:
        coupling = "fast: one field solve" + (" for each antenna" if several else "") + ", scaled"
    rows = [("Field coupling", coupling)]
    for law in _laws(case):
        floors = "" if settings.floors else ", without floors"
        rows.append(("Dielectric law", f"{law.title} ({law.name}); {settings.drying} drying{floors}"))
    if several:
        rows.append(("Several antennas", "incoherent: each field as if alone, powers add"))
    return rows


def _laws(case: Case) -> list[Dielectric]:
    """Laws of the tissue at the frequencies of the microwave antennas."""
    devices = [placed.device for placed in case.applicators if placed.device.antenna is not None]
    frequencies = dict.fromkeys(device.generator.frequency for device in devices)
    return [case.tissue.dielectric_at(frequency, floors=case.microwave.floors) for frequency in frequencies]


def _devices(case: Case) -> list[tuple[str, str]]:
    rows = []
    for applicator in case.applicators:
        device, generator = applicator.device, applicator.device.generator
        limits = [f"{generator.max_power:g} W"]
        limits += [] if generator.max_current is None else [f"{generator.max_current:g} A"]
        limits += [] if generator.max_voltage is None else [f"{generator.max_voltage:g} V"]
        rows += [
            (applicator.name if len(case.applicators) > 1 else "Device", f"{device.title} ({device.name})"),
            ("Modelled like", device.like),
            ("Generator limits", ", ".join(limits)),
        ]
        if device.modality == "mwa":
            rows.append(("Frequency", show(generator.frequency, "frequency")))
    return rows


def _parameters(case: Case) -> Iterable[Parameter]:
    """Every number with its origin: tissue, devices (each profile once), damage."""
    laws = _laws(case)
    for name, sourced in case.tissue.sources.items():
        # Microwaves see the dielectric law, electrodes the conductivity at their frequency.
        if not (laws and (name.startswith("electric_conductivity") or name in QUANTITIES)):
            yield _parameter(f"tissue: {name.replace('_', ' ')}", sourced)
    for dielectric in laws:
        for name, sourced in dielectric.sources.items():
            at_body = " at 37 °C" if name in QUANTITIES else ""
            yield _parameter(f"dielectric law {dielectric.name}: {name.replace('_', ' ')}{at_body}", sourced)
    placed = {applicator.device.name: applicator for applicator in case.applicators}
    for applicator in placed.values():
        device = applicator.device
        owner = device.name if len(placed) > 1 else "device"
        for name, sourced in device.parameters.items():
            # A protocol of the case takes the place of the device's own.
            if not name.startswith("default_protocol") or applicator.protocol == device.default_protocol:
                yield _parameter(f"{owner}: {_in_words(name, device)}", sourced)
    if case.zone.criterion == "arrhenius":
        law = ARRHENIUS_SETS[case.zone.arrhenius_set]
        for name, value, unit in (
            ("frequency factor", law.frequency_factor, "1/s"),
            ("activation energy", law.activation_energy, "J/mol"),
            ("threshold", law.threshold, ""),
        ):
            label = f"damage ({case.zone.arrhenius_set}): {name}"
            yield Parameter(label, f"{value:g}", unit, "published", law.source, law.verified)


def _in_words(place: str, device: Device) -> str:
    """Place of a number in a device profile for people: "applicator.sections[1].length" is "tip, length"."""
    numbered = re.sub(r"sections\[(\d+)\]", lambda match: device.applicator.sections[int(match[1]) - 1].name, place)
    plain = re.sub(r"^applicator\.|(?<=^antenna\.)(dimensions|materials)\.", "", numbered)
    return plain.replace(".", ", ").replace("_", " ")


def _parameter(name: str, sourced: Sourced) -> Parameter:
    def shown(value: float) -> str:
        return show(value, sourced.dimension).removesuffix(unit).strip()

    unit = DIMENSIONS[sourced.dimension].shown
    printed = _PRINTED.get(unit, unit.replace("m2", "m²").replace("m3", "m³").replace("K2", "K²"))
    limits = "" if sourced.range is None else f"{shown(sourced.range[0])} – {shown(sourced.range[1])}"
    verified = sourced.verified if sourced.citation is not None else None
    return Parameter(name, shown(sourced.value), printed, sourced.status, sourced.source, verified, limits)


def _citations(parameters: list[Parameter]) -> list[Citation]:
    known = citations()
    used: dict[str, bool] = {}
    for parameter in parameters:
        if parameter.source in known:
            used[parameter.source] = used.get(parameter.source, True) and parameter.verified is not False
    found = used | dict.fromkeys(_METHODS, True)
    return [Citation(key, known[key].text, verified, known[key].address or None) for key, verified in found.items()]


def _measured_source(measured: MeasuredSection | None) -> str:
    if measured is None:
        return ""
    return measured.source + (f" (n = {measured.n})" if measured.n else "")


def _provenance(record: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [(name, str(value)) for name, value in record["versions"].items()]
    return [
        ("Date (UTC)", record["date"]),
        ("Case SHA-256", record["case_sha256"]),
        *rows,
        ("Platform", record["platform"]),
        ("Wall time", f"set-up {record['setup_wall_s']:.1f} s, march {record['march_wall_s']:.1f} s"),
        ("Rejected steps", str(record["rejected_steps"])),
    ]
