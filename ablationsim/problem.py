"""From a case and its mesh to the coupled problem that is marched in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablationsim.anatomy import Distance
from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.device.generator import Controller
from ablationsim.device.profile import InfusionSpec
from ablationsim.errors import GeometryError
from ablationsim.fem.kernels import Array
from ablationsim.fem.location import Locator
from ablationsim.fem.probing import Probes
from ablationsim.fem.space import P1Space
from ablationsim.fem.tissue_share import TissueShare
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.geometry import Geometry, conductor_centre
from ablationsim.mesh.mesh import Mesh
from ablationsim.parallel import on_first
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
from ablationsim.physics.surroundings import Beyond, HeldSurface, Surroundings, liver_share, nodal_share
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
_TUMOUR = "tumour"  # region of a mesh that is fitted to it
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
    liver = _liver(case, mesh)
    beyond = None if liver is None else _beyond(case, liver)
    lumens = Lumens(mesh, flowing, beyond) if flowing or beyond else None
    space = P1Space(mesh, lumens.tissue if lumens else None)
    surfaces = [s for s in geometry.surfaces.values() if mesh.has_facets(s.name)]
    temperature = case.tissue.initial_temperature
    cooled = [
        CooledSurface([s.name], s.wall_coefficient, s.coolant_temperature) for s in surfaces if s.wall_coefficient > 0
    ]
    tables = case.tissue.tables()
    conductivity = float(np.interp(temperature, tables.temperature, tables.thermal_conductivity))
    exchange = None
    if lumens is not None and flowing:
        exchange = VesselExchange(space, flowing, temperature, lumens.blood_temperature, conductivity)
    around, share = Surroundings.none(space.n_nodes), None
    if liver is not None and beyond is None:
        share = liver_share(mesh, lambda points: -liver(points))
        around = _other_tissue(case, share)
    elif liver is not None and lumens is not None and beyond is not None:
        held = None
        if beyond.temperature is not None:
            held = HeldSurface(space, liver.surface(), lumens.outside, beyond.temperature, temperature, conductivity)
        assert lumens.tissue.beyond is not None
        within = nodal_share(mesh, 0.25 * np.repeat(1.0 - lumens.tissue.beyond[:, None], 4, axis=1))
        around = Surroundings.none(space.n_nodes, held, within)
    bioheat = Bioheat(
        space,
        case.tissue,
        cooled,
        reference=temperature,
        vessels=exchange,
        perfusion=_perfusion(case, mesh, share),
        surroundings=around,
    )
    reach = max(applicator.radius for applicator in geometry.applicators) + 1e-3
    probes = np.array([probe.position for probe in case.probes]).reshape(-1, 3)
    # All applicators of a case are of one kind.
    if case.applicators[0].device.modality == "mwa":
        source: Source = _microwave(case, geometry, bioheat, around.within)
    else:
        source = _radiofrequency(case, geometry, bioheat, lumens, around)
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


def _liver(case: Case, mesh: Mesh) -> Distance | None:
    """Distance to the surface of the patient's liver, if the case has a patient; all ranks call this."""
    patient = case.patient
    if patient is None:
        return None
    return on_first(mesh.distribution.comm, lambda: patient.anatomy().distance(whole_liver=True))


def _beyond(case: Case, liver: Distance) -> Beyond | None:
    """What is beyond the liver, where that is no tissue whose heating is computed."""
    assert case.patient is not None
    match case.patient.outside:
        case "tissue":
            return None
        case "air":
            return Beyond(lambda points: -liver(points))
        case "body_temperature":
            sigma = case.tissue.value("electric_conductivity")
            return Beyond(lambda points: -liver(points), case.tissue.blood_temperature, sigma)


def _other_tissue(case: Case, liver: Array) -> Surroundings:
    """Properties of the tissue round the liver, of which each node has a share ``(n,)``."""
    assert case.patient is not None
    around, tissue = case.patient.around, case.tissue

    def relative(value: float | None, own: float) -> float:
        return 1.0 if value is None else value / own

    return Surroundings.of_tissue(
        liver,
        conductivity=relative(around.thermal_conductivity, tissue.value("thermal_conductivity")),
        capacity=relative(around.heat_capacity, tissue.value("density") * tissue.value("heat_capacity")),
        electric=relative(around.electric_conductivity, tissue.value("electric_conductivity")),
    )


def _radiofrequency(
    case: Case, geometry: Geometry, bioheat: Bioheat, lumens: Lumens | None, around: Surroundings
) -> RadiofrequencySource:
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
    sigma_factor = around.electric * _sigma_factor(case, geometry, mesh)
    conducting = beyond = None
    if lumens is not None and lumens.tissue.beyond is not None:
        beyond = (lumens.tissue.beyond > 0.0).astype(np.float64)
        if case.patient is not None and case.patient.outside == "air":
            conducting = around.within
            if outer != "insulated":
                _check_return(mesh, lumens, channels)
    electric = Electric(space, terminals, outer, centre, rtol, conducting)
    if lumens is None:
        return RadiofrequencySource(space, bioheat.tables, electric, channels, sigma_factor)
    return RadiofrequencySource(
        space, bioheat.tables, electric, channels, sigma_factor, lumens.blood_conductivity, beyond
    )


def _check_return(mesh: Mesh, lumens: Lumens, channels: Sequence[Channel]) -> None:
    """Current of monopolar electrodes leaves through the edge of the block, some of which has to be in the liver."""
    inside = bool(np.any(~lumens.empty[np.unique(mesh.facets["outer"])]))
    if any(not channel.negative for channel in channels) and not mesh.distribution.comm.any(inside):
        raise GeometryError(
            "patient.outside = 'air' leaves a monopolar electrode without a return for its current: the liver ends "
            "before the block of tissue does on every side. Use 'tissue' or 'body_temperature', or a bipolar device."
        )


def _microwave(case: Case, geometry: Geometry, bioheat: Bioheat, within: Array | None) -> MicrowaveSource:
    """Antennas with their feeds and field solvers; of each node a share ``(n,)`` is in the liver."""
    locator = Locator(bioheat.space.mesh)
    antennas = [
        _antenna(case, part.device, geometry, applicator, bioheat.space, locator, within)
        for part, applicator in zip(case.applicators, geometry.applicators, strict=True)
    ]
    return MicrowaveSource(antennas, case.microwave, case.tissue.initial_temperature)


def _antenna(
    case: Case,
    device: Device,
    geometry: Geometry,
    applicator: Applicator,
    space: P1Space,
    locator: Locator,
    within: Array | None,
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
        within=within,
    )


def _perfusion(case: Case, mesh: Mesh, liver: Array | None) -> Array | None:
    """Perfusion rate of intact tissue at the nodes [1/s]; None where it is the same everywhere.

    A tumour has its own, and so has other tissue, where the liver has only a share ``(n,)`` of the nodes.
    """
    within = _perfusion_within(case, mesh)
    if liver is None:
        return within
    assert case.patient is not None
    rate = case.tissue.perfusion if within is None else within
    return liver * rate + (1.0 - liver) * case.patient.around.perfusion


def _perfusion_within(case: Case, mesh: Mesh) -> Array | None:
    """Perfusion rate of the tissue and of a tumour in it [1/s]; None without a tumour."""
    tumour = case.tumour
    if tumour is None:
        return None
    rate = tumour.perfusion
    if rate is None:
        assert tumour.set is not None
        rate = Tissue.load(tumour.set).perfusion
    if _TUMOUR in mesh.regions:
        others = np.setdiff1d(np.arange(len(mesh.cells)), mesh.regions[_TUMOUR])
        inside = nodal_share(mesh, TissueShare.of_region(mesh, others).load)
    elif tumour.labels is not None and tumour.label is not None:
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
