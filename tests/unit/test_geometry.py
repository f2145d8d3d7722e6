"""Placement, applicators, domain and the checks of the whole geometry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ablationsim.device.profile import ApplicatorSpec, Device
from ablationsim.errors import GeometryError
from ablationsim.geometry.applicator import TINE_TURN, Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import Geometry, conductor_centre
from ablationsim.geometry.placement import Placement

NEEDLE = Device.load("rfa_cooltip_17g_3cm_like").applicator
STARBURST = Device.load("rfa_starburst_xl_like").applicator
CLUSTER = Device.load("rfa_cooltip_cluster_like").applicator
ANTENNA = Device.load("mwa_slot_reference")


def place(
    spec: ApplicatorSpec = NEEDLE,
    tip: Sequence[float] = (0, 0, 0),
    direction: Sequence[float] = (0, 0, 1),
    index: int = 0,
) -> Applicator:
    return Applicator.build(index, spec, Placement.along(tip, direction))


def block(applicator: Applicator, radius: float = 0.06, height: float = 0.12) -> Domain:
    return Domain.cylinder(conductor_centre([applicator]), radius, height)


@pytest.mark.parametrize("direction", [(0, 0, 1), (0, 0, -1), (1, 2, 3), (-0.3, 0.1, -2), (1, 0, 0)])
def test_placement_is_a_rigid_motion_that_takes_z_to_the_direction(direction: tuple[float, float, float]) -> None:
    placement = Placement.along((0.01, -0.02, 0.03), direction, roll=0.7)
    assert placement.rotation @ placement.rotation.T == pytest.approx(np.eye(3))
    assert np.linalg.det(placement.rotation) == pytest.approx(1)
    assert placement.axis == pytest.approx(np.array(direction) / np.linalg.norm(direction))
    points = np.random.default_rng(1).normal(size=(5, 3))
    assert placement.to_device(placement.to_world(points)) == pytest.approx(points)
    assert placement.to_world([0, 0, 0]) == pytest.approx(placement.tip)


def test_roll_turns_about_the_shaft() -> None:
    assert Placement.along(roll=np.pi / 2).to_world([1, 0, 0]) == pytest.approx([0, 1, 0])


def test_direction_without_length_is_refused() -> None:
    with pytest.raises(GeometryError, match="must have a length"):
        Placement.along((0, 0, 0), (0, 0, 0))


def test_sections_stack_from_the_tip_and_carry_terminals() -> None:
    needle = place(NEEDLE, index=2)
    assert needle.sections[0].z0 == 0
    assert all(below.z1 == above.z0 for below, above in zip(needle.sections[:-1], needle.sections[1:], strict=True))
    assert needle.sections[0].terminal == "A2:active"
    assert needle.sections[-1].terminal is None
    assert needle.section_at(10.0) is needle.sections[-1]
    assert [surface.name for surface in needle.surfaces] == [f"A2:{s.name}" for s in NEEDLE.sections]


@pytest.mark.parametrize(("shape", "tip_length"), [("conical", "2 mm"), ("hemispherical", "0 mm"), ("flat", "0 mm")])
def test_outline_runs_from_the_axis_and_has_every_section_boundary(shape: str, tip_length: str) -> None:
    spec = NEEDLE.model_copy(update={"tip_shape": shape, "tip_length": float(tip_length.split()[0]) * 1e-3})
    outline = place(spec).outline
    assert outline[0].tolist() == [0, 0]
    assert (np.diff(outline[:, 0]) >= 0).all()
    assert (np.diff(outline[:, 1]) >= 0).all()
    assert (np.abs(np.diff(outline, axis=0)).sum(axis=1) > 0).all()
    for section in place(spec).sections:
        assert np.abs(outline[:, 1] - section.z1).min() < 1e-12


def test_a_section_boundary_on_the_cone_lies_on_the_outline() -> None:
    short = NEEDLE.sections[0].model_copy(update={"name": "point", "length": 1e-3})
    spec = NEEDLE.model_copy(update={"sections": (short, *NEEDLE.sections), "tip_length": 4e-3})
    outline = place(spec).outline
    assert outline[1] == pytest.approx([NEEDLE.diameter / 8, 1e-3])


def test_tip_longer_than_the_shaft_is_refused() -> None:
    with pytest.raises(GeometryError, match="mm long"):
        place(NEEDLE.model_copy(update={"tip_length": 1.0}))


def test_tines_are_evenly_spaced_smooth_and_pass_through_their_points() -> None:
    group = STARBURST.tines[0]
    tines = place(STARBURST).tines
    assert len(tines) == group.count
    azimuths = np.sort(np.arctan2(*np.array([tine.path[-1, 1::-1] for tine in tines]).T) % (2 * np.pi))
    assert np.diff(azimuths) == pytest.approx(2 * np.pi / group.count)
    path = tines[0].path
    along = np.diff(path, axis=0) / np.linalg.norm(np.diff(path, axis=0), axis=1)[:, None]
    assert np.arccos((along[:-1] * along[1:]).sum(axis=1)).max() < 1.5 * TINE_TURN
    half_plane = np.column_stack([np.hypot(path[:, 0], path[:, 1]), path[:, 2]])
    for point in group.path:
        assert np.linalg.norm(half_plane - point, axis=1).min() < 2e-3
    assert half_plane[-1] == pytest.approx(group.path[-1])


def test_insulated_length_of_a_tine_ends_at_a_node() -> None:
    group = STARBURST.tines[0].model_copy(update={"exposed_from": 7e-3})
    applicator = place(STARBURST.model_copy(update={"tines": (group,)}))
    tine = applicator.tines[0]
    length = np.linalg.norm(np.diff(tine.path, axis=0), axis=1)
    assert length[tine.insulated_pieces()].sum() == pytest.approx(7e-3, rel=1e-3)
    assert applicator.surfaces[-1].name == "A0:tine_insulated"
    assert applicator.surfaces[-1].terminal is None


def test_cluster_needles_are_their_spacing_apart() -> None:
    assert CLUSTER.cluster is not None
    shafts = place(CLUSTER).shafts
    assert len(shafts) == CLUSTER.cluster.count
    for i in range(len(shafts)):
        assert np.linalg.norm(shafts[i] - shafts[i - 1]) == pytest.approx(CLUSTER.cluster.spacing)
    assert shafts.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)


def test_domain_depth() -> None:
    cylinder = Domain.cylinder((0, 0, 0.01), 0.05, 0.08)
    assert cylinder.depth([[0, 0, 0.01], [0.03, 0.04, 0.01], [0, 0, 0.06]]) == pytest.approx([0.04, 0, -0.01])
    box = Domain.box((0, 0, 0), (0.02, 0.04, 0.06))
    assert box.depth([0.004, 0, 0]) == pytest.approx(0.006)
    assert cylinder.volume == pytest.approx(np.pi * 0.05**2 * 0.08)
    with pytest.raises(GeometryError, match="positive"):
        Domain.box((0, 0, 0), (0.02, 0, 0.06))


def test_depth_in_a_domain_along_a_tilted_shaft() -> None:
    placement = Placement.along((0.1, 0.2, -0.3), (1, -2, 2), roll=0.3)
    domain = Domain.cylinder(placement.to_world((0, 0, 0.01)), 0.05, 0.08, placement)
    local = [[0, 0, 0.01], [0.03, 0.04, 0.01], [0, 0, 0.06], [0.049, 0, 0.02]]
    assert domain.depth(placement.to_world(local)) == pytest.approx([0.04, 0, -0.01, 0.001])
    assert domain.axis == pytest.approx([1 / 3, -2 / 3, 2 / 3])
    assert domain.to_world([0, 0, 0.04]) == pytest.approx(placement.to_world((0, 0, 0.05)))
    assert domain.volume == pytest.approx(np.pi * 0.05**2 * 0.08)
    assert domain.circumradius == pytest.approx(np.hypot(0.05, 0.04))
    assert domain.upright().centre == pytest.approx([0, 0, 0.01])
    assert domain.upright().frame is None


def test_a_tilted_needle_fits_its_own_domain_and_not_an_upright_one() -> None:
    tilted = place(NEEDLE, (0, 0, 0), (1, 0, 0.2))
    centre = conductor_centre([tilted])
    own = Geometry.build([tilted], Domain.cylinder(centre, 0.01, 0.06, tilted.placement))
    assert not own.axisymmetric
    with pytest.raises(GeometryError, match="inside the cylinder"):
        Geometry.build([tilted], Domain.cylinder(centre, 0.01, 0.06))


def test_auto_dimension_follows_the_symmetry() -> None:
    upright, tilted = place(), place(NEEDLE, (0, 0, 0), (0.1, 0, 1))
    assert Geometry.build([upright], block(upright)).axisymmetric
    assert Geometry.build([place(NEEDLE, (0, 0, 0), (0, 0, -1))], Domain.cylinder((0, 0, 0), 0.06, 0.12)).axisymmetric
    assert not Geometry.build([upright], block(upright), "3d").axisymmetric
    assert not Geometry.build([tilted], block(tilted)).axisymmetric
    assert not Geometry.build([place(STARBURST)], block(place(STARBURST))).axisymmetric
    assert not Geometry.build([place(CLUSTER)], block(place(CLUSTER))).axisymmetric


def test_asking_for_absent_symmetry_says_what_breaks_it() -> None:
    with pytest.raises(GeometryError, match="has tines"):
        Geometry.build([place(STARBURST)], block(place(STARBURST)), "axisymmetric")


def test_conductor_outside_the_domain_is_refused_with_the_distance() -> None:
    with pytest.raises(GeometryError, match=r"-10\.00 mm inside"):
        Geometry.build([place()], Domain.cylinder((0, 0, 0), 0.06, 0.04))


def test_a_conductor_fully_inside_may_have_a_shaft_that_leaves() -> None:
    needle = place()
    assert needle.length > 0.06
    assert Geometry.build([needle], block(needle, height=0.06)).terminals == ("A0:active",)


@pytest.mark.parametrize(
    ("tip", "direction"),
    [((0.0015, 0, 0), (0, 0, 1)), ((-0.02, 0, 0.01), (1, 0, 0)), ((-0.02, 0.001, 0.01), (2, 0.01, 0))],
)
def test_touching_applicators_are_refused(tip: tuple[float, ...], direction: tuple[float, ...]) -> None:
    both = [place(), place(NEEDLE, tip, direction, index=1)]
    with pytest.raises(GeometryError, match="come within"):
        Geometry.build(both, Domain.box((0, 0, 0.015), (0.2, 0.2, 0.2)))


def test_separate_applicators_are_accepted() -> None:
    both = [place(), place(NEEDLE, (0.015, 0, 0), (0.2, 0, 1), index=1)]
    geometry = Geometry.build(both, Domain.box((0, 0, 0.015), (0.2, 0.2, 0.2)))
    assert geometry.terminals == ("A0:active", "A1:active")
    assert not geometry.axisymmetric


def test_radiating_sections_take_the_place_of_bare_conductors() -> None:
    applicator = Applicator.build(0, ANTENNA.applicator, Placement.along((0, 0, 0.01)), "needle", ANTENNA.antenna)
    radiating = ANTENNA.applicator.sections[0].length
    assert applicator.antenna is ANTENNA.antenna
    assert [section.heated for section in applicator.sections] == [True, False]
    assert [surface.terminal for surface in applicator.surfaces] == [None, None]
    (line, radius), *others = applicator.heated_lines()
    assert others == []
    assert radius == pytest.approx(0.895e-3)
    assert line == pytest.approx(np.array([(0, 0, 0.01), (0, 0, 0.01 + radiating)]))
    assert conductor_centre([applicator]) == pytest.approx([0, 0, 0.01 + radiating / 2])
    geometry = Geometry.build([applicator], block(applicator))
    assert geometry.axisymmetric
    assert geometry.terminals == ()


def test_heat_enters_through_bare_conductors_of_radiofrequency() -> None:
    assert [section.heated for section in place(NEEDLE).sections] == [True, False]
    assert not any(surface.radiating for surface in place(NEEDLE).surfaces)
    bipolar = place(Device.load("rfa_bipolar_like").applicator)
    assert [section.heated for section in bipolar.sections] == [s.terminal is not None for s in bipolar.sections]


def test_an_antenna_outside_the_domain_is_refused_with_the_distance() -> None:
    applicator = Applicator.build(0, ANTENNA.applicator, Placement.along(), None, ANTENNA.antenna)
    with pytest.raises(GeometryError, match=r"its antenna reaches to -6\.00 mm inside"):
        Geometry.build([applicator], Domain.cylinder((0, 0, 0), 0.06, 0.02))
