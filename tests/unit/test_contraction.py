"""How heated tissue contracts: the law, the state that a run carries, and the zone that comes of it."""

from __future__ import annotations

import json
from itertools import pairwise

import meshio
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from verification.cases_meshes import box, cylinder

from ablationsim import Case, simulate
from ablationsim.case.sections import ZoneSection
from ablationsim.errors import CaseError, SolverError
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.generate import generate
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics import contraction, elasticity
from ablationsim.physics.contraction import TIME_CONSTANT, contract, equilibrium_strain
from ablationsim.physics.damage import Damage, DamageModel
from ablationsim.physics.elasticity import displacement
from ablationsim.physics.shaft import along_shaft
from ablationsim.report.section import Plane, section
from ablationsim.report.section import contracted as outline
from ablationsim.results import Result
from ablationsim.study.audit import audit
from ablationsim.units import ZERO_CELSIUS
from ablationsim.zone import contracted, history_contraction, measure, moved

ROSSMANN = {60.0: 0.123, 65.0: 0.138, 75.0: 0.166, 85.0: 0.192, 95.0: 0.217}
HEATED = {
    "device": {"profile": "rfa_cooltip_17g_3cm_like"},
    "tissue": {"set": "liver_porcine_ex_vivo"},
    "protocol": [{"mode": "power", "power": "80 W", "duration": "40 s"}],
    "mesh": {"resolution": 4},
    "zone": {"cooling": "5 s"},
}


def kelvin(celsius: float) -> np.ndarray:
    return np.array([celsius + ZERO_CELSIUS])


# --- the law


@pytest.mark.parametrize(("celsius", "strain"), ROSSMANN.items())
def test_what_was_measured_is_reached_in_15_minutes(celsius: float, strain: float) -> None:
    found = np.zeros(1)
    for _ in range(9):
        contract(found, kelvin(celsius), kelvin(celsius), 1.0 - np.exp(-100.0 / TIME_CONSTANT))
    assert found[0] == pytest.approx(strain, rel=1e-3)


def test_outside_of_what_was_measured_nothing_happens_below_50_and_no_more_above_95() -> None:
    assert equilibrium_strain(kelvin(37.0)) == equilibrium_strain(kelvin(50.0)) == 0.0
    assert equilibrium_strain(kelvin(300.0)) == equilibrium_strain(kelvin(95.0)) == 0.217
    assert (np.diff(contraction.STRAINS) > 0.0).all()


def test_the_time_constant_of_a_case_is_that_of_the_law() -> None:
    assert ZoneSection().contraction_time == TIME_CONSTANT


@pytest.mark.parametrize("intervals", [1, 7])
def test_at_one_temperature_the_way_is_exponential(intervals: int) -> None:
    model, damage = DamageModel("arrhenius", contraction_time=80.0), Damage.none(kelvin(37.0))
    for _ in range(intervals):
        model.advance(damage, kelvin(75.0), kelvin(75.0), 120.0 / intervals)
    assert damage.contraction[0] == pytest.approx(0.166 * (1.0 - np.exp(-1.5)), rel=1e-12)


def test_over_a_ramp_it_is_of_second_order() -> None:
    def rate(t: float, strain: np.ndarray) -> np.ndarray:
        return np.maximum(equilibrium_strain(kelvin(52.0 + 0.4 * t)) - strain, 0.0) / TIME_CONSTANT

    exact = solve_ivp(rate, (0.0, 90.0), [0.0], rtol=1e-11, atol=1e-13, max_step=0.5).y[0, -1]
    errors = []
    for intervals in (18, 36, 72):
        strain, at = np.zeros(1), np.linspace(52.0, 88.0, intervals + 1)
        for start, end in pairwise(at):
            contract(strain, kelvin(start), kelvin(end), 1.0 - np.exp(-90.0 / intervals / TIME_CONSTANT))
        errors.append(abs(strain[0] - exact))
    assert np.log2(errors[0] / errors[1]) > 1.8
    assert errors[-1] < 1e-5


def test_it_never_goes_back_and_goes_on_while_it_is_warm() -> None:
    model, damage = DamageModel("isotherm"), Damage.none(kelvin(37.0))
    model.advance(damage, kelvin(90.0), kelvin(90.0), 100.0)
    hot = damage.contraction.copy()
    model.advance(damage, kelvin(70.0), kelvin(70.0), 100.0)
    warm = damage.contraction.copy()
    model.advance(damage, kelvin(55.0), kelvin(20.0), 1000.0)
    assert 0.0 < hot[0] < warm[0] < equilibrium_strain(kelvin(70.0))[0]
    assert damage.contraction[0] == warm[0]


# --- the key


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("histroy", "zone.contraction: expected 'history', or a fraction .*; did you mean 'history'?"),
        ("60 %", r"zone.contraction: 60 % is outside 0 % to 50 % \(measured contractions reach 43 %"),
        ("12 mm", "zone.contraction expects a fraction"),
        (True, "zone.contraction expects a fraction"),
    ],
)
def test_what_is_neither_history_nor_a_strain_is_refused(value: object, complaint: str) -> None:
    with pytest.raises(CaseError, match=complaint):
        Case.from_dict({**HEATED, "zone": {"contraction": value}})


@pytest.mark.parametrize(("value", "kept"), [("history", "history"), ("15 %", 0.15)])
def test_a_resolved_case_keeps_the_law(value: str, kept: object) -> None:
    case = Case.from_dict({**HEATED, "zone": {"contraction": value, "contraction_time": "40 s"}})
    again = Case.from_resolved(json.loads(json.dumps(case.resolved()))).zone
    assert (again.contraction, again.contraction_time) == (kept, 40.0)


def test_the_audit_takes_the_strain_of_a_run_or_what_is_assumed(heated: Result) -> None:
    run = heated.document["contracted"]["strain"]
    assert audit(heated.case, volume_ml=2.0).strain == 0.12
    assert audit(heated.case, volume_ml=2.0, result=heated).strain == run


# --- needles


def needle_case(dimension: str) -> Geometry:
    return Geometry.from_case(Case.from_dict({**HEATED, "domain": {"dimension": dimension}}))


def test_the_half_plane_and_space_agree_round_a_needle() -> None:
    shares = []
    for dimension, resolution in (("axisymmetric", 1.0), ("3d", 4.0)):
        geometry = needle_case(dimension)
        mesh, needle = generate(geometry, resolution), geometry.applicators[0]
        across = mesh.points[:, 0] if mesh.axisymmetric else np.hypot(*mesh.points[:, :2].T)
        far = np.hypot(across / 0.016, (mesh.points[:, -1] - 0.015) / 0.021)
        found = displacement(mesh, 0.2 * np.clip(1.5 - far, 0.0, 1.0), along_shaft(mesh, geometry.applicators))
        before = measure(mesh, 1.0 - far, needle.tip, needle.axis)
        after = measure(moved(mesh, found), 1.0 - far, needle.tip, needle.axis)
        assert after.axial_length_mm is not None
        assert before.axial_length_mm is not None
        shares.append([after.volume_ml / before.volume_ml, after.axial_length_mm / before.axial_length_mm])
    assert shares[1] == pytest.approx(shares[0], rel=0.02)


def test_one_shaft_alone_guides_tissue_and_tines_do_not() -> None:
    corners = np.vstack([np.zeros(3), 0.1 * np.eye(3)])

    def guided(profile: str, count: int = 1) -> list[bool]:
        placed = {"profile": profile, "protocol": HEATED["protocol"]}
        several = [{**placed, "name": f"n{i}", "tip": [f"{30 * i} mm", "0 mm", "0 mm"]} for i in range(count)]
        case = Case.from_dict({"applicator": several, "tissue": HEATED["tissue"], "domain": {"dimension": "3d"}})
        needles = Geometry.from_case(case).applicators
        surfaces = [surface.name for surface in needles[0].surfaces]
        facets = {name: np.array([[i, i, i]]) for i, name in enumerate(surfaces)}
        found = along_shaft(Mesh(corners, np.array([[0, 1, 2, 3]]), {}, facets, axisymmetric=False), needles)
        assert {tuple(row) for row in found.tolist()} <= {(0.0, 0.0, 0.0), tuple(needles[0].axis)}
        return [bool(found[i].any()) for i in range(len(surfaces))]

    assert all(guided("rfa_cooltip_17g_3cm_like"))
    assert not any(guided("rfa_cooltip_17g_3cm_like", 2))
    assert not any(guided("rfa_cooltip_cluster_like"))
    expandable = guided("rfa_starburst_xl_like")
    assert expandable[0]
    assert not expandable[-1]


def test_nothing_heated_moves_nothing() -> None:
    mesh = box(2, 0.04)
    assert not displacement(mesh, np.zeros(len(mesh.points)), np.zeros_like(mesh.points)).any()


def test_a_mesh_that_is_too_large_for_one_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticity, "LARGEST", 20)
    mesh = box(2, 0.04)
    with pytest.raises(SolverError, match="on at most 20 nodes, and the mesh has 27"):
        displacement(mesh, np.ones(len(mesh.points)), np.zeros_like(mesh.points))


# --- a run


@pytest.fixture(scope="module")
def heated(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return simulate(Case.from_dict(HEATED), tmp_path_factory.mktemp("run") / "run")


def test_the_zone_is_measured_where_its_tissue_went(heated: Result) -> None:
    found = heated.document["contracted"]
    assert found["law"] == "history"
    before = measure(heated.mesh, heated.fields["level"])
    after = measure(moved(heated.mesh, heated.fields["displacement"]), heated.fields["level"])
    expected = history_contraction(before, after, {})
    assert {key: found[key] for key in expected if key != "isotherms"} == pytest.approx(
        {key: value for key, value in expected.items() if key != "isotherms"}
    )
    assert found["volume_ml"] == pytest.approx((1.0 - found["strain"]) ** 3 * heated.zone.volume_ml)
    assert 0.01 < found["strain"] < 0.1  # of 40 s
    assert found["isotherms"]["50"]["volume_ml"] > found["isotherms"]["60"]["volume_ml"]


def test_tissue_slides_along_the_needle_toward_the_middle_of_the_zone(heated: Result) -> None:
    mesh, found = heated.mesh, heated.fields["displacement"]
    walls = np.unique(np.concatenate([nodes.ravel() for name, nodes in mesh.facets.items() if name.startswith("A0:")]))
    assert np.abs(found[walls, 0]).max() == 0.0
    tip, top = (np.linalg.norm(mesh.points - [0.0, z], axis=1).argmin() for z in (0.0, 0.03))
    assert found[tip, 1] > 1e-4
    assert found[top, 1] < -1e-4
    largest = np.linalg.norm(found, axis=1).max()
    assert np.linalg.norm(found[np.unique(mesh.facets["outer"])], axis=1).max() < 0.1 * largest
    beyond = heated.document["beyond_tip_mm"] - heated.document["contracted"]["beyond_tip_mm"]
    assert beyond > 0.5 * 1e3 * found[tip, 1]
    assert heated.fields["contraction"].max() < 0.217


def test_the_fields_are_kept_and_shown(heated: Result) -> None:
    assert heated.folder is not None
    again = Result.load(heated.folder)
    for name in ("contraction", "displacement"):
        np.testing.assert_array_equal(again.fields[name], heated.fields[name])
    last = meshio.read(sorted((heated.folder / "fields").glob("*.vtu"))[-1]).point_data
    np.testing.assert_allclose(last["displacement_mm"][:, [0, 2]], 1e3 * heated.fields["displacement"])
    assert not last["displacement_mm"][:, 1].any()
    np.testing.assert_allclose(last["contraction_percent"], 100.0 * heated.fields["contraction"])


@pytest.mark.parametrize("axisymmetric", [True, False])
def test_the_picture_shows_tissue_where_it_went(axisymmetric: bool) -> None:
    mesh = cylinder(4, 0.02, 0.04) if axisymmetric else box(3, 0.04)
    plane = Plane(np.array([0.0, 0.0, 0.01]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    tip = plane.origin[-mesh.dimension :]
    plane = plane if axisymmetric else Plane(np.array([0.0, 0.011, 0.01]), plane.right, plane.up)
    cut = section(mesh, plane)
    uniform, went = outline(cut, plane, 0.1), outline(cut, plane, 0.1, -0.1 * (mesh.points - tip))
    np.testing.assert_allclose(went.points, uniform.points, atol=1e-12)
    assert len(went.points) > 4


def test_slower_contraction_is_less_and_a_uniform_one_scales() -> None:
    short = {**HEATED, "protocol": [{"mode": "power", "power": "80 W", "duration": "15 s"}]}
    strains = [
        simulate(Case.from_dict({**short, "zone": {"contraction_time": time}})).document["contracted"]["strain"]
        for time in ("300 s", "30 s")
    ]
    assert 0.0 < strains[0] < strains[1]
    uniform = simulate(Case.from_dict({**short, "zone": {"contraction": "10 %"}}))
    found = uniform.document["contracted"]
    assert (found["law"], found["strain"]) == ("uniform", 0.1)
    assert found["volume_ml"] == contracted(uniform.zone, 0.1).volume_ml
    assert "displacement" not in uniform.fields
