"""How much flows in vessels, which way, and how well it takes up heat."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablationsim.case import Case
from ablationsim.case.vessels import VesselSection
from ablationsim.errors import CaseError
from ablationsim.tissue import Tissue
from ablationsim.units import SI
from ablationsim.vasculature.build import build_vessel, build_vessels, vessels_of
from ablationsim.vasculature.opening import is_case, is_image, section_of
from ablationsim.vasculature.table import branch_table, heading, label_table, left_out
from ablationsim.vessels.flow import blood_model, directed, mean_diameter, murray_flows, tube_flows, upstream_of
from ablationsim.vessels.fluids import GLASS_CONDUCTIVITY, fluid, fluid_sources
from ablationsim.vessels.image import LabelContent
from ablationsim.vessels.nusselt import LAMINAR, TURBULENT, convection, nusselt_number, through_wall, wall_coefficient
from ablationsim.vessels.trees import murray_constant, tree_sources
from ablationsim.vessels.vessel import Centreline

BODY = 310.15
BLOOD = fluid("blood", BODY)
ML_MIN = 1e-6 / 60.0


def area(diameter):
    return 0.25 * math.pi * diameter**2


def graph(*branches):
    """Centrelines from (first end, last end, first place [mm], last place [mm], diameter [mm])."""
    points = tuple(1e-3 * np.linspace(start, stop, 5) for _, _, start, stop, _ in branches)
    radii = tuple(np.full(5, 0.5e-3 * diameter) for *_, diameter in branches)
    return Centreline(points, radii, np.array([(first, last) for first, last, *_ in branches]))


def y_tree(trunk=10.0, left=8.0, right=5.0):
    """A trunk along z that parts at the origin; every branch is given against or along the flow at random."""
    return graph(
        (0, 1, (0, 0, 0), (0, 0, -40), trunk),
        (0, 2, (0, 0, 0), (20, 0, 20), left),
        (3, 0, (-20, 0, 20), (0, 0, 0), right),
    )


def lumens(pieces):
    return {piece.number: mean_diameter(piece.points, piece.radii) for piece in pieces}


@pytest.mark.parametrize(
    ("diameter", "speed", "number", "coefficient"),
    [
        (0.5e-3, 0.01, 3.7, 3850),
        (1e-3, 0.03, 4.1, 2130),
        (2e-3, 0.06, 6.1, 1590),
        (3e-3, 0.08, 8.9, 1540),
        (5e-3, 0.12, 15.2, 1580),
        (8e-3, 0.15, 23.1, 1500),
        (10e-3, 0.17, 28.2, 1470),
    ],
)
def test_coefficient_of_blood_in_the_entrance_region(diameter, speed, number, coefficient):
    flowing = convection(BLOOD, speed * area(diameter), diameter, 30e-3)
    assert flowing.speed == pytest.approx(speed)
    assert flowing.nusselt == pytest.approx(number, rel=0.01)
    assert flowing.coefficient == pytest.approx(coefficient, rel=0.003)
    assert wall_coefficient(BLOOD, speed * area(diameter), diameter, 30e-3) == pytest.approx(flowing.coefficient)


def test_limits_of_the_laminar_law():
    assert nusselt_number(1e-9, 24.0, 0.1) == pytest.approx(3.66)
    # Graetz number 1000: 3.66 + 66.8 / (1 + 0.04 x 100).
    assert nusselt_number(1000.0, 10.0, 0.1) == pytest.approx(3.66 + 66.8 / 5.0)


def test_turbulent_law_by_hand():
    friction = (1.8 * 4.0 - 1.5) ** -2 / 8.0
    developed = friction * 9000.0 * 7.0 / (1.0 + 12.7 * math.sqrt(friction) * (7.0 ** (2 / 3) - 1.0))
    assert nusselt_number(1e4, 7.0, 1e-9) == pytest.approx(developed, rel=1e-5)
    assert nusselt_number(1e4, 7.0, 0.125) == pytest.approx(1.25 * developed)
    # Water at 20 °C, fully developed: within the 10 % of the correlation from that of Dittus and Boelter.
    assert developed == pytest.approx(0.023 * 1e4**0.8 * 7.0**0.4, rel=0.1)


def test_transition_joins_both_laws():
    for reynolds in (LAMINAR, TURBULENT):
        below, above = (nusselt_number(reynolds * (1.0 + x), 24.0, 0.1) for x in (-1e-9, 1e-9))
        assert below == pytest.approx(above, rel=1e-7)
    middle = nusselt_number(0.5 * (LAMINAR + TURBULENT), 24.0, 0.1)
    assert middle == pytest.approx(0.5 * (nusselt_number(LAMINAR, 24.0, 0.1) + nusselt_number(TURBULENT, 24.0, 0.1)))


@given(
    low=st.floats(1e-3, 3e4),
    factor=st.floats(1.0, 10.0),
    prandtl=st.floats(2.0, 50.0),
    ratio=st.floats(1e-3, 10.0),
)
def test_more_flow_never_takes_less_heat(low, factor, prandtl, ratio):
    slow, fast = (nusselt_number(reynolds, prandtl, ratio) for reynolds in (low, low * factor))
    assert 3.66 <= slow <= fast * (1.0 + 1e-12)


@given(flow=st.floats(0.0, 1e-4), more=st.floats(0.0, 1e-4), diameter=st.floats(0.5e-3, 15e-3))
def test_coefficient_grows_with_the_flow(flow, more, diameter):
    slow, fast = (wall_coefficient(BLOOD, rate, diameter, 20e-3, 1e-3, 1.1) for rate in (flow, flow + more))
    assert 0.0 <= slow <= fast * (1.0 + 1e-12)


def test_nothing_flows_nothing_is_carried_off():
    assert wall_coefficient(BLOOD, 0.0, 5e-3, 30e-3) == 0.0
    assert wall_coefficient(BLOOD, 0.0, 5e-3, 30e-3, 1e-3, 1.1) == 0.0


def test_wall_of_glass_adds_its_resistance():
    water = fluid("water", 293.15)
    inner = wall_coefficient(water, 100 * ML_MIN, 3.4e-3, 30e-3)
    outer = wall_coefficient(water, 100 * ML_MIN, 3.4e-3, 30e-3, 1e-3, 1.1)
    # Both resistances of a metre of tube, from fluid to outer surface [m K/W].
    resistance = 1.0 / (math.pi * 3.4e-3 * inner) + math.log(5.4 / 3.4) / (2.0 * math.pi * 1.1)
    assert 1.0 / (math.pi * 5.4e-3 * outer) == pytest.approx(resistance, rel=1e-12)
    assert through_wall(inner, 3.4e-3, 1e-9, 1.1) == pytest.approx(inner, rel=1e-5)
    # However fast the water, the glass remains.
    assert through_wall(1e9, 3.4e-3, 1e-3, 1.1) == pytest.approx(1.1 / (2.7e-3 * math.log(5.4 / 3.4)), rel=1e-4)


def test_numbers_of_glass_are_marked_as_recalled():
    assert GLASS_CONDUCTIVITY.value == 1.1
    assert GLASS_CONDUCTIVITY.verified is False


def test_fluids():
    assert (BLOOD.density, BLOOD.heat_capacity, BLOOD.thermal_conductivity) == (1060.0, 3617.0, 0.52)
    assert pytest.approx(3.5e-3) == BLOOD.viscosity
    assert BLOOD.viscosity * BLOOD.heat_capacity / BLOOD.thermal_conductivity == pytest.approx(24.3, rel=0.01)
    cold, warm = fluid("water", 293.15), fluid("water", BODY)
    assert cold.viscosity == pytest.approx(1.0016e-3, rel=1e-4)
    assert warm.viscosity == pytest.approx(0.6913e-3, rel=1e-4)
    saline = fluid("saline", 293.15)
    assert replace(saline, name="water", electric_conductivity=cold.electric_conductivity) == cold
    assert saline.electric_conductivity > 10.0 * cold.electric_conductivity
    for name in ("blood", "water", "saline"):
        for key, number in fluid_sources(name, BODY).items():
            low, high = number.range or (number.value, number.value)
            assert low <= number.value <= high, key
    assert not fluid_sources("blood", BODY)["electric_conductivity"].verified
    assert fluid_sources("blood", BODY)["density"].verified


def test_water_between_rows_follows_the_correlation():
    """Pátek et al. 2009, at temperatures in the middle of the rows."""
    for celsius in (2.5, 17.5, 33.5, 52.5, 70.0, 90.0):
        reduced = (celsius + 273.15) / 300.0
        terms = ((280.68, -1.9), (511.45, -7.7), (61.131, -19.6), (0.45903, -40.0))
        expected = 1e-6 * sum(factor * reduced**power for factor, power in terms)
        water = fluid("water", celsius + 273.15)
        assert water.viscosity == pytest.approx(expected, rel=0.012)
        terms = ((0.80201, -0.32), (-0.25992, -5.7), (0.10024, -12.0), (-0.032005, -15.0))
        expected = sum(factor * reduced**power for factor, power in terms)
        assert water.thermal_conductivity == pytest.approx(expected, rel=0.003)


def test_fluids_that_are_not_known_or_not_liquid():
    with pytest.raises(CaseError, match="no fluid 'watr'; did you mean 'water'"):
        fluid("watr", BODY)
    with pytest.raises(
        CaseError, match=r"temperature is 120 degC; the properties of water hold from 0 degC to 100 degC"
    ):
        fluid("water", 393.15)


def test_usual_flow_of_the_trees():
    portal = murray_constant("portal_vein")
    assert portal * 12e-3**3 / area(12e-3) == pytest.approx(0.19)
    # Murray: the speed goes with the diameter.
    assert portal * 5e-3**3 / area(5e-3) == pytest.approx(0.19 * 5 / 12)
    assert murray_constant("hepatic_vein") * 10e-3**3 / area(10e-3) == pytest.approx(0.10)
    assert murray_constant("hepatic_artery") * 5e-3**3 == pytest.approx(3.5 * 70 * ML_MIN)
    for kind in ("portal_vein", "hepatic_vein", "hepatic_artery"):
        for number in tree_sources(kind).values():
            assert number.range is not None
            assert number.range[0] < number.value < number.range[1]


def test_portal_blood_flows_away_from_the_thickest_end():
    trunk, left, right = directed(y_tree())
    assert (trunk.number, left.number, right.number) == (1, 2, 3)
    assert trunk.points[0] == pytest.approx([0, 0, -40e-3])
    assert trunk.points[-1] == pytest.approx([0, 0, 0])
    assert left.points[-1] == pytest.approx([20e-3, 0, 20e-3])
    assert right.points[0] == pytest.approx([0, 0, 0])
    assert trunk.length == pytest.approx(40e-3)


def test_blood_of_hepatic_veins_flows_to_the_thickest_end():
    *veins, trunk = directed(y_tree(), toward_root=True)
    assert {vein.number for vein in veins} == {2, 3}
    assert trunk.number == 1
    assert trunk.points[-1] == pytest.approx([0, 0, -40e-3])
    for vein in veins:
        assert vein.points[-1] == pytest.approx([0, 0, 0])


def test_inlet_decides_against_the_thickness():
    first, *others = directed(y_tree(), inlet=(-0.019, 0.0, 0.021))
    assert first.points[0] == pytest.approx([-20e-3, 0, 20e-3])
    assert {piece.points[-1][2] for piece in others} == {-40e-3, 20e-3}


def test_tapering_tube_has_its_root_at_the_thick_end():
    points = np.linspace((0.0, 0.0, 0.0), (0.0, 0.0, 0.05), 9)
    centreline = Centreline((points,), (np.linspace(1e-3, 4e-3, 9),), np.array([(0, 1)]))
    (piece,) = directed(centreline)
    assert piece.points[0] == pytest.approx([0, 0, 0.05])
    assert piece.radii[0] == pytest.approx(4e-3)


def test_every_part_of_a_tree_has_its_own_root():
    pieces = directed(
        graph(
            (0, 1, (0, 0, 0), (0, 0, 30), 4.0),
            (1, 2, (0, 0, 30), (0, 0, 60), 3.0),
            (3, 4, (50, 0, 0), (50, 0, 30), 6.0),
            (4, 5, (50, 0, 30), (50, 0, 60), 8.0),
        )
    )
    starts = {tuple(np.round(1e3 * piece.points[0])) for piece in pieces}
    assert starts == {(50, 0, 60), (50, 0, 30), (0, 0, 0), (0, 0, 30)}
    assert pieces[0].points[0] == pytest.approx([0.05, 0, 0.06])
    assert pieces[0].number == 1


def loop(side=3.0):
    """A trunk, two branches, and a thin leak between their ends, from where they go on."""
    return graph(
        (0, 1, (0, 0, -40), (0, 0, 0), 10.0),
        (1, 2, (0, 0, 0), (20, 0, 20), 8.0),
        (1, 3, (0, 0, 0), (-20, 0, 20), 6.0),
        (3, 2, (-20, 0, 20), (20, 0, 20), side),
        (2, 4, (20, 0, 20), (30, 0, 50), 7.0),
        (3, 5, (-20, 0, 20), (-30, 0, 50), 5.0),
    )


@pytest.mark.parametrize("toward_root", [False, True])
def test_loop_is_opened_at_its_thinnest_branch(toward_root):
    pieces = directed(loop(), toward_root=toward_root)
    assert len(pieces) == 6
    away = -1.0 if toward_root else 1.0
    for piece in pieces:
        if abs(piece.points[0][2] - piece.points[-1][2]) > 1e-9:
            assert away * (piece.points[-1][2] - piece.points[0][2]) > 0.0
    brought = upstream_of(pieces, murray_flows(pieces, lumens(pieces), 1.0))
    for place, sources in enumerate(brought):
        assert all(source < place for source in sources)


def test_loops_without_an_end():
    ring = graph((0, 0, (0, 0, 0), (0, 0, 30), 4.0))
    (piece,) = directed(ring)
    assert upstream_of((piece,), {1: 1.0}) == [{}]
    two = graph(
        (0, 1, (0, 0, 0), (0, 0, 30), 4.0), (1, 0, (0, 0, 30), (0, 0, 0), 3.0), (1, 1, (0, 0, 30), (0, 9, 30), 2)
    )
    pieces = directed(two)
    assert pieces[0].radii[0] == pytest.approx(2e-3)
    brought = upstream_of(pieces, murray_flows(pieces, lumens(pieces), 1.0))
    assert all(source < place for place, sources in enumerate(brought) for source in sources)


def test_trunk_brings_each_branch_its_blood():
    pieces = directed(y_tree())
    flows = murray_flows(pieces, lumens(pieces), 1.0 / 10e-3**3)
    assert flows == pytest.approx({1: 1.0, 2: 0.512, 3: 0.125})
    assert upstream_of(pieces, flows) == [{}, {0: pytest.approx(0.512)}, {0: pytest.approx(0.125)}]


def test_trunk_brings_no_more_than_it_has():
    pieces = directed(y_tree(trunk=10.0, left=9.5, right=9.0), inlet=(0.0, 0.0, -0.04))
    flows = murray_flows(pieces, lumens(pieces), 1.0 / 10e-3**3)
    brought = upstream_of(pieces, flows)
    assert brought[1][0] + brought[2][0] == pytest.approx(1.0)
    assert brought[1][0] / brought[2][0] == pytest.approx((9.5 / 9.0) ** 3)


def test_veins_bring_their_blood_to_the_trunk():
    pieces = directed(y_tree(), toward_root=True)
    flows = murray_flows(pieces, lumens(pieces), 1.0 / 10e-3**3)
    assert sorted(upstream_of(pieces, flows)[2].values()) == pytest.approx([0.125, 0.512])
    pieces = directed(y_tree(left=9.5, right=9.0), toward_root=True, inlet=(0.0, 0.0, -0.04))
    flows = murray_flows(pieces, lumens(pieces), 1.0 / 10e-3**3)
    assert sum(upstream_of(pieces, flows)[2].values()) == pytest.approx(1.0)


@given(
    parents=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    sizes=st.lists(st.floats(1.0, 12.0), min_size=16, max_size=16),
    leaks=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=4),
    toward_root=st.booleans(),
)
def test_any_graph_is_ordered_and_balanced(parents, sizes, leaks, toward_root):
    links = [(parent % (node + 1), node + 1) for node, parent in enumerate(parents)]
    links += [(first % (len(parents) + 1), last % (len(parents) + 1)) for first, last in leaks]
    places = [(7.0 * node, (5 * node) % 11, (3 * node) % 7) for node in range(len(parents) + 1)]
    tree = graph(*((a, b, places[a], np.add(places[b], 0.5), sizes[i]) for i, (a, b) in enumerate(links)))
    pieces = directed(tree, toward_root=toward_root)
    flows = murray_flows(pieces, lumens(pieces), 1.0)
    brought = upstream_of(pieces, flows)
    carried = dict.fromkeys(range(len(pieces)), 0.0)
    for place, (piece, sources) in enumerate(zip(pieces, brought, strict=True)):
        assert all(source < place for source in sources)
        assert sum(sources.values()) <= flows[piece.number] * (1.0 + 1e-9)
        for source, flow in sources.items():
            assert pieces[source].end == piece.start
            carried[source] += flow
    for place, piece in enumerate(pieces):
        assert carried[place] <= flows[piece.number] * (1.0 + 1e-9)
    assert sorted(flows) == list(range(1, len(links) + 1))


def test_tube_keeps_its_flow():
    chain = graph(
        (0, 1, (0, 0, 0), (0, 0, 30), 4.0), (2, 1, (0, 0, 60), (0, 0, 30), 3.0), (2, 3, (0, 0, 60), (0, 0, 90), 5.0)
    )
    pieces = directed(chain, inlet=(0.0, 0.0, 0.0))
    flows = tube_flows(pieces, lumens(pieces), 2.0 / 4e-3**3)
    assert [flows[piece.number] for piece in pieces] == pytest.approx([2.0, 2.0, 2.0])
    assert upstream_of(pieces, flows) == [{}, {0: pytest.approx(2.0)}, {1: pytest.approx(2.0)}]
    assert all(np.allclose(a.points[-1], b.points[0]) for a, b in pairwise(pieces))


def test_forked_tube_shares_its_flow():
    pieces = directed(y_tree(trunk=10.0, left=8.0, right=4.0))
    flows = tube_flows(pieces, lumens(pieces), 9.0 / 10e-3**3)
    assert flows == pytest.approx({1: 9.0, 2: 8.0, 3: 1.0})


@pytest.mark.parametrize(
    ("kind", "chosen", "diameter", "flow", "equilibration", "expected"),
    [
        ("portal_vein", "auto", 5e-3, 0.0, 1.0, "still"),
        ("portal_vein", "fixed", 5e-3, 0.0, 1.0, "still"),
        ("portal_vein", "auto", 0.9e-3, 1e-8, 0.005, "perfusion"),
        ("portal_vein", "transport", 0.9e-3, 1e-8, 0.005, "perfusion"),
        ("tube", "auto", 0.9e-3, 1e-8, 0.005, "transport"),
        ("portal_vein", "auto", 2e-3, 1e-7, 0.045, "transport"),
        ("portal_vein", "fixed", 2e-3, 1e-7, 0.045, "fixed"),
        ("portal_vein", "auto", 5e-3, 1.5e-6, 0.28, "fixed"),
        ("portal_vein", "transport", 5e-3, 1.5e-6, 0.28, "transport"),
        ("tube", "auto", 3.4e-3, 1.7e-8, 0.014, "transport"),
    ],
)
def test_model_of_the_blood(kind, chosen, diameter, flow, equilibration, expected):
    assert blood_model(kind, chosen, diameter, flow, equilibration) == expected


def table_of(**values):
    """A vessel's table in SI units: by default a glass tube of 3.4 mm that water flows through."""
    tube = {
        "name": "tube",
        "kind": "tube",
        "points": [[0, 0, 0], [0, 0, 0.06]],
        "diameter": 3.4e-3,
        "flow": 100 * ML_MIN,
    }
    data = {**tube, **values}
    return VesselSection.model_validate({key: x for key, x in data.items() if x is not None}, context=SI)


def case_of(*vessels):
    return Case.from_dict(
        {
            "device": {"profile": "rfa_cooltip_17g_3cm_like"},
            "tissue": {"set": "liver_human"},
            "vessel": list(vessels),
        }
    )


def written(**values):
    """A vessel's table as written in a case file."""
    vein = {
        "name": "vein",
        "kind": "portal_vein",
        "points": [["20 mm", "0 mm", "-30 mm"], ["20 mm", "0 mm", "30 mm"]],
        "diameter": "5 mm",
    }
    data = {**vein, **values}
    return {key: value for key, value in data.items() if value is not None}


HUMAN = Tissue.load("liver_human")
EXCISED = Tissue.load("liver_porcine_ex_vivo")


def test_glass_tube():
    built = build_vessel(table_of(wall_thickness=1e-3, wall_conductivity=1.1), EXCISED)
    (branch,) = built.vessel.branches
    assert built.vessel.fluid == replace(fluid("water", 294.15), electric_conductivity=0.0)
    assert built.vessel.inlet_temperature == EXCISED.initial_temperature
    # The wall is the outer surface of the glass; the flow is in the lumen.
    assert branch.diameter == pytest.approx(5.4e-3, rel=5e-3)
    assert built.lumen(branch) == pytest.approx(3.4e-3, rel=8e-3)
    lateral = built.vessel.wall.areas[~built.vessel.wall.capped].sum()
    assert lateral == pytest.approx(math.pi * 5.4e-3 * 60e-3, rel=5e-3)
    assert branch.flow == pytest.approx(100 * ML_MIN)
    assert branch.points[0] == pytest.approx([0, 0, 0], abs=1e-9)
    assert branch.points[-1] == pytest.approx([0, 0, 0.06], abs=1e-9)
    expected = wall_coefficient(built.vessel.fluid, branch.flow, 3.4e-3, 30e-3, 1e-3, 1.1)
    assert branch.wall_coefficient == pytest.approx(expected, rel=0.01)
    assert branch.model == "fixed"
    bare = build_vessel(table_of(), EXCISED)
    assert bare.vessel.fluid.electric_conductivity == fluid("water", 294.15).electric_conductivity


def test_slow_water_is_followed_and_none_stands_still():
    for flow, model in ((100 * ML_MIN, "fixed"), (1 * ML_MIN, "transport"), (0.0, "still")):
        (branch,) = build_vessel(table_of(flow=flow), EXCISED).vessel.branches
        assert branch.model == model
        assert (branch.wall_coefficient == 0.0) == (flow == 0.0)


def test_flow_from_the_speed():
    (branch,) = build_vessel(table_of(flow=None, speed=18.4e-3), EXCISED).vessel.branches
    # Lehmann et al. 2016 print 10 mL/min for 18.4 mm/s in 3.4 mm.
    assert branch.flow == pytest.approx(10 * ML_MIN, rel=0.01)


def test_given_coefficient_is_that_of_the_lumen():
    given = {"wall_coefficient": 2000.0, "wall_thickness": 1e-3, "wall_conductivity": 1.1}
    built = build_vessel(table_of(**given), EXCISED)
    (branch,) = built.vessel.branches
    assert branch.wall_coefficient == pytest.approx(through_wall(2000.0, 3.4e-3, 1e-3, 1.1), rel=0.01)
    assert built.coefficient_given


def test_portal_branch_by_default():
    built = build_vessel(table_of(kind="portal_vein", diameter=5e-3, flow=None), HUMAN)
    vessel = built.vessel
    (branch,) = vessel.branches
    assert vessel.fluid == BLOOD
    assert vessel.inlet_temperature == HUMAN.blood_temperature
    assert branch.flow == pytest.approx(murray_constant("portal_vein") * 5e-3**3, rel=0.02)
    assert branch.model == "fixed"
    assert vessel.flowing
    assert "No flow given: 93" in built.notes[-1]
    assert {"density", "viscosity", "reference_speed", "reference_diameter"} <= set(built.sources)
    (still,) = build_vessel(table_of(kind="portal_vein", flow=None, occluded=True), HUMAN).vessel.branches
    assert (still.model, still.flow, still.wall_coefficient) == ("still", 0.0, 0.0)


def test_values_of_a_vessel_that_contradict_each_other():
    for values, message in (
        ({"wall_thickness": 1e-3}, "wall_thickness needs wall_conductivity, such as '1.1 W/m/K' for glass"),
        ({"wall_conductivity": 1.1}, "wall_conductivity needs wall_thickness"),
        ({"inlet": (0.0, 0.0, 0.0)}, "inlet is of no use with points"),
        ({"kind": "portal_vein", "wall_thickness": 1e-3, "wall_conductivity": 1.1}, "the kind is 'portal_vein'"),
        ({"temperature": 400.0}, "the properties of water hold from 0 degC to 100 degC"),
    ):
        with pytest.raises(CaseError) as caught:
            build_vessel(table_of(**values), EXCISED)
        (problem,) = caught.value.problems
        assert message in problem


def test_vessels_of_a_case_and_all_their_problems():
    case = case_of(written(), written(name="artery", kind="hepatic_artery", diameter="2 mm"))
    first, second = vessels_of(case)
    assert (first.name, second.name) == ("vein", "artery")
    assert second.branches[0].flow == pytest.approx(245 * ML_MIN * (2 / 5) ** 3, rel=0.02)
    assert [built.vessel.name for built in build_vessels(case)] == ["vein", "artery"]
    with pytest.raises(CaseError) as caught:
        vessels_of(
            case_of(
                written(wall_thickness="1 mm", wall_conductivity="1 W/m/K"),
                written(name="water", kind="tube", flow="1 mL/min", temperature="150 degC"),
            )
        )
    one, two = caught.value.problems
    assert one == "vessel 'vein': wall_thickness is for a tube's own wall; the kind is 'portal_vein'"
    assert two.startswith("vessel 'water': temperature is 150 degC")


def test_tree_from_a_file_is_read_once_and_has_its_flows(tmp_path):
    path = tmp_path / "tree.csv"
    rows = ["branch,x,y,z,radius"]
    for name, start, stop, radius in (
        ("trunk", (0, 0, -5), (0, 0, 0), 1.7),
        ("left", (0, 0, 0), (3, 0, 3), 1.55),
        ("right", (0, 0, 0), (-3, 0, 3), 1.2),
        ("middle", (-3, 0, 3), (-5, 0, 5), 0.9),
        ("thin", (-3, 0, 3), (-3, 0, 6), 0.45),
    ):
        rows += [",".join([name, *(f"{x:g}" for x in place), f"{radius}"]) for place in np.linspace(start, stop, 9)]
    path.write_text("\n".join(rows) + "\n")
    tree = written(points=None, diameter=None, centreline=str(path), unit="mm", flow="100 mL/min")
    portal, veins = vessels_of(case_of(tree, {**tree, "name": "veins", "kind": "hepatic_vein"}))
    assert portal.wall is veins.wall
    trunk, left, right, middle, thin = portal.branches
    assert trunk.flow == pytest.approx(100 * ML_MIN)
    assert left.flow == pytest.approx(100 * ML_MIN * (1.55 / 1.7) ** 3)
    assert [branch.model for branch in portal.branches] == ["fixed", "fixed", "transport", "transport", "perfusion"]
    assert list(right.upstream) == [0]
    assert middle.flow / thin.flow == pytest.approx(8.0)
    assert thin.upstream == {2: pytest.approx(thin.flow)}
    assert veins.branches[-1].name == "1"
    # What the branches bring is more than flows through the trunk, and is cut to that.
    assert left.flow + right.flow > trunk.flow
    assert sum(veins.branches[-1].upstream.values()) == pytest.approx(trunk.flow)
    built = build_vessel(section_of(path, kind="portal_vein", unit="mm"), HUMAN)
    assert built.notes[-1] == "1 of 5 branches are thinner than 1 mm and taken as part of the tissue's perfusion."


def test_table_of_branches():
    built = build_vessel(table_of(kind="portal_vein", diameter=5e-3, flow=None), HUMAN)
    table = branch_table(built)
    cells = [next(iter(column.cells)) for column in table.columns]
    assert cells[0] == "1"
    assert [str(column.header).split("\n")[-1] for column in table.columns[1:5]] == ["mm", "mm", "mL/min", "mm/s"]
    assert float(cells[4].split()[0]) == pytest.approx(79.2, rel=0.01)
    assert float(cells[5]) == pytest.approx(120, rel=0.01)
    assert str(table.columns[7].header) == "h\nW/m2/K"
    assert float(cells[7]) == pytest.approx(built.vessel.branches[0].wall_coefficient, rel=0.005)
    assert cells[9] == "as it enters"
    assert left_out(built) == ""
    assert left_out(built, most=0) == "1 thinner branches are not shown; --all shows them."
    assert heading(built).startswith("tube: portal vein, blood of 37 °C, 1 branch, wall of 9.4")


def test_table_of_labels():
    table = label_table([LabelContent(2, 1000, 1.5e-6, np.array([0.01, -0.02, 0.0305]))])
    assert [next(iter(column.cells)) for column in table.columns] == ["2", "1000", "1.5 mL", "10.0, -20.0, 30.5 mm"]


def test_files_are_told_by_their_names(tmp_path):
    assert is_image(tmp_path / "liver.NII.gz")
    assert is_case(tmp_path / "case.toml")
    assert section_of(tmp_path / "liver.nii.gz", kind="hepatic_vein", label=2).labels is not None
    assert section_of(tmp_path / "left branch.stl", kind="portal_vein", unit="mm").name == "left_branch"
    assert section_of(tmp_path / "a.csv", kind="portal_vein", unit="mm").centreline is not None
    lines = tmp_path / "a.vtp"
    lines.write_text('<Piece NumberOfPoints="9" NumberOfVerts="0" NumberOfLines="1" NumberOfPolys="0">')
    assert section_of(lines, kind="portal_vein", unit="mm").centreline is not None
    lines.write_text('<Piece NumberOfPoints="9" NumberOfVerts="0" NumberOfLines="0" NumberOfPolys="5">')
    assert section_of(lines, kind="portal_vein", unit="mm").surface is not None
    with pytest.raises(CaseError, match="give one, such as --unit mm"):
        section_of(tmp_path / "a.stl", kind="portal_vein")
    with pytest.raises(CaseError, match="'portal_vien' is not a choice; did you mean 'portal_vein'"):
        section_of(tmp_path / "a.stl", kind="portal_vien", unit="mm")
