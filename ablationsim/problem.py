"""From a case and its mesh to the coupled problem that is marched in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.device.generator import Controller
from ablationsim.device.profile import InfusionSpec
from ablationsim.errors import GeometryError
from ablationsim.fem.kernels import Array
from ablationsim.fem.location import Locator
from ablationsim.fem.probing import Probes
from ablationsim.fem.space import P1Space
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.geometry import Geometry, conductor_centre
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.antenna_field import (
    Extent,
    antenna_solver,
    complex_permittivity,
    power_depth,
    radiating_part,
)
from ablationsim.physics.antennas import Antenna, MicrowaveSource
from ablationsim.physics.bioheat import Bioheat, CooledSurface
from ablationsim.physics.circuit import Channel
from ablationsim.physics.damage import DamageModel
from ablationsim.physics.electric import Electric
from ablationsim.physics.feed import Feed, wall_top
from ablationsim.physics.lumens import Lumens
from ablationsim.physics.radiofrequency import RadiofrequencySource
from ablationsim.physics.source import Source
from ablationsim.physics.vapour import Supply, Vapour
from ablationsim.physics.vessel_exchange import VesselExchange
from ablationsim.step import Problem, TimeControl
from ablationsim.tissue import Tissue
from ablationsim.vessels.image import LabelImage, mask_at
from ablationsim.vessels.vessel import Vessel

STEP_TOLERANCE = 3.0
"""Default tolerance of a time step [K]: see `ablationsim.step.TimeControl`."""

_ELECTRIC_RTOL = 1e-4
_SHARED_ELECTRIC_RTOL = 1e-13  # over ranks, whose number must not show although their multigrid hierarchies differ
_INFUSION_EDGE = 1e-3  # m: width over which infused tissue passes into dry tissue


def assemble(case: Case, geometry: Geometry, mesh: Mesh, vessels: Sequence[Vessel] = ()) -> Problem:
    """Build the coupled problem.

    Parameters
    ----------
    case : Case
        What to simulate.
    geometry : Geometry
        Applicators in place.
    mesh : Mesh
        Tissue, with facets named after the applicators' surfaces.
    vessels : sequence of Vessel
        Those of the case.

    Raises
    ------
    GeometryError
        If a generator has no return for its current, or a probe lies outside the tissue.
    MeshError
        If a surface of an applicator is missing from the mesh.
    """
    flowing = [vessel for vessel in vessels if vessel.flowing]
    lumens = Lumens(mesh, flowing) if flowing else None
    space = P1Space(mesh, lumens.tissue if lumens else None)
    surfaces = [s for s in geometry.surfaces.values() if mesh.has_facets(s.name)]
    temperature = case.tissue.initial_temperature
    cooled = [
        CooledSurface([s.name], s.wall_coefficient, s.coolant_temperature) for s in surfaces if s.wall_coefficient > 0
    ]
    tables = case.tissue.tables()
    conductivity = float(np.interp(temperature, tables.temperature, tables.thermal_conductivity))
    exchange = VesselExchange(space, flowing, temperature, lumens.blood_temperature, conductivity) if lumens else None
    bioheat = Bioheat(
        space,
        case.tissue,
        cooled,
        reference=temperature,
        vessels=exchange,
        perfusion=_perfusion(case, mesh),
    )
    reach = max(applicator.radius for applicator in geometry.applicators) + 1e-3
    probes = np.array([probe.position for probe in case.probes]).reshape(-1, 3)
    # All applicators of a case are of one kind.
    if case.applicators[0].device.modality == "mwa":
        source: Source = _microwave(case, geometry, bioheat)
    else:
        source = _radiofrequency(case, geometry, bioheat, lumens)
    return Problem(
        bioheat=bioheat,
        source=source,
        damage=DamageModel(
            case.zone.criterion,
            case.zone.arrhenius_set,
            case.zone.isotherm_temperature,
            case.zone.contraction_time,
        ),
        thermocouples=[
            Probes.at(mesh, mesh_coordinates(mesh, a.to_world(a.thermocouples)), reach) for a in geometry.applicators
        ],
        probes=Probes.at(mesh, mesh_coordinates(mesh, probes), reach),
        initial_temperature=temperature,
        control=TimeControl(tolerance=STEP_TOLERANCE * case.time.tolerance),
        lumens=lumens,
        vapour=_vapour(case, geometry, bioheat) if case.tissue.value("vapour_carried") > 0.0 else None,
    )


def controllers(case: Case) -> list[Controller]:
    """One controller for the generator of each applicator."""
    return [Controller(a.protocol, a.device.generator, repeat=a.repeat, start=a.start) for a in case.applicators]


def mesh_coordinates(mesh: Mesh, points: Array) -> Array:
    """World points ``(p, 3)`` [m] in the coordinates of the mesh: themselves, or ``(r, z)`` on an axisymmetric mesh."""
    if not mesh.axisymmetric:
        return points
    return np.column_stack([np.hypot(points[:, 0], points[:, 1]), points[:, 2]])


def _radiofrequency(case: Case, geometry: Geometry, bioheat: Bioheat, lumens: Lumens | None) -> RadiofrequencySource:
    """Electrodes and the circuits of their generators."""
    space, mesh = bioheat.space, bioheat.space.mesh
    names = list(geometry.terminals)
    surfaces = [s for s in geometry.surfaces.values() if mesh.has_facets(s.name)]
    terminals = [[s.name for s in surfaces if s.terminal == name] for name in names]
    channels = [_channel(applicator, names) for applicator in geometry.applicators]
    outer = case.domain.boundary
    if outer == "insulated" and any(not channel.negative for channel in channels):
        raise GeometryError(
            "domain.boundary = 'insulated' leaves a monopolar electrode without a return for its current. Use "
            "'far_field' or 'grounded', or a bipolar device."
        )
    centre = mesh_coordinates(mesh, conductor_centre(geometry.applicators)[None])[0]
    rtol = _SHARED_ELECTRIC_RTOL if mesh.distribution.parted else _ELECTRIC_RTOL
    electric = Electric(space, terminals, outer, centre, rtol)
    sigma_factor = _sigma_factor(case, geometry, mesh)
    blood = lumens.blood_conductivity if lumens else None
    return RadiofrequencySource(space, bioheat.tables, electric, channels, sigma_factor, blood)


def _microwave(case: Case, geometry: Geometry, bioheat: Bioheat) -> MicrowaveSource:
    """Antennas with their feeds and field solvers."""
    locator = Locator(bioheat.space.mesh)
    antennas = [
        _antenna(case, part.device, geometry, applicator, bioheat.space, locator)
        for part, applicator in zip(case.applicators, geometry.applicators, strict=True)
    ]
    return MicrowaveSource(antennas, case.microwave, case.tissue.initial_temperature)


def _antenna(
    case: Case, device: Device, geometry: Geometry, applicator: Applicator, space: P1Space, locator: Locator
) -> Antenna:
    assert device.antenna is not None
    frequency = device.generator.frequency
    law = case.tissue.dielectric_at(frequency, case.microwave.floors)
    unheated = np.array(case.tissue.initial_temperature)
    permittivity, conductivity = float(law.permittivity(unheated)), float(law.conductivity(unheated))
    if geometry.axisymmetric:
        extent = Extent.of(geometry.domain, applicator)
    else:
        depth = power_depth(complex_permittivity(permittivity, conductivity, frequency), frequency)
        extent = Extent.round(device, depth).within(geometry.domain, applicator)
    # A coarse mesh of the tissue may do where one of the antenna does not.
    solver = antenna_solver(device, applicator, permittivity, extent, min(case.mesh.resolution, 1.0))
    return Antenna(
        applicator,
        radiating=radiating_part(device),
        cooled=any(section.wall_coefficient > 0.0 for section in applicator.sections),
        frequency=frequency,
        feed=Feed(
            efficiency=device.antenna.efficiency,
            attenuation=device.antenna.shaft_attenuation,
            port=solver.mesh.port_height,
            end=applicator.length,
            surface=wall_top(space, applicator),
            heats=case.microwave.shaft_heating,
        ),
        solver=solver,
        dielectric=law,
        space=space,
        locator=locator,
    )


def _perfusion(case: Case, mesh: Mesh) -> Array | None:
    """Perfusion rate of intact tissue at the nodes, if the case has a tumour with one of its own [1/s]."""
    tumour = case.tumour
    if tumour is None:
        return None
    rate = tumour.perfusion
    if rate is None:
        assert tumour.set is not None
        rate = Tissue.load(tumour.set).perfusion
    if tumour.labels is not None and tumour.label is not None:
        inside = mask_at(LabelImage.read(tumour.labels), tumour.label, mesh.points)
    else:
        assert tumour.centre is not None
        assert tumour.radius is not None
        centre = mesh_coordinates(mesh, np.array([tumour.centre]))[0]
        inside = (np.linalg.norm(mesh.points - centre, axis=1) < tumour.radius).astype(np.float64)
    own = rate * tumour.perfusion_factor
    return case.tissue.perfusion + inside * (own - case.tissue.perfusion)


def _channel(applicator: Applicator, names: list[str]) -> Channel:
    def of(pole: str) -> tuple[int, ...]:
        name = f"A{applicator.index}:{pole}"
        return (names.index(name),) if name in names else ()

    return Channel(of("active"), of("return"))


def _sigma_factor(case: Case, geometry: Geometry, mesh: Mesh) -> Array:
    """Multiplier of the electric conductivity at the nodes: infused saline round the tips, one elsewhere."""
    factor = np.ones(len(mesh.points))
    points = mesh.points if not mesh.axisymmetric else np.insert(mesh.points, 1, 0.0, axis=1)
    for placed, applicator in zip(case.applicators, geometry.applicators, strict=True):
        infusion = placed.device.infusion
        if infusion is not None:
            factor *= 1.0 + (infusion.conductivity_factor - 1.0) * _infused(infusion, applicator.to_device(points))
    return factor


def _vapour(case: Case, geometry: Geometry, bioheat: Bioheat) -> Vapour:
    """Transport of vapour, with the water that applicators infuse."""
    mesh = bioheat.space.mesh
    points = mesh.points if not mesh.axisymmetric else np.insert(mesh.points, 1, 0.0, axis=1)
    supplies = [
        Supply(infusion.flow, _infused(infusion, applicator.to_device(points)))
        for placed, applicator in zip(case.applicators, geometry.applicators, strict=True)
        if (infusion := placed.device.infusion) is not None and infusion.flow > 0.0
    ]
    return Vapour(bioheat, case.tissue, supplies)


def _infused(infusion: InfusionSpec, points: Array) -> Array:
    """Share of saline at device-frame points: one within the radius of the infused length of the shaft."""
    distance = np.hypot(
        np.hypot(points[:, 0], points[:, 1]), points[:, 2] - np.clip(points[:, 2], 0.0, infusion.length)
    )
    return 0.5 * (1.0 - np.tanh((distance - infusion.radius) / _INFUSION_EDGE))
