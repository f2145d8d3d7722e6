"""Margins of a tumour: directions, capsule, vessels, needle, organs, shifts, confidence, what is written of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from anatomies import Small
from scipy.stats import maxwell
from skfem import MeshTet

import ablationsim
from ablationsim.case import Case
from ablationsim.errors import CaseError, GeometryError
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.mesh import Mesh
from ablationsim.report.margin_confidence import picture
from ablationsim.report.margin_figures import margin_figure
from ablationsim.report.margins import organ_rows, percent, rows, section, sentences
from ablationsim.results import Result
from ablationsim.study.margins import confidence as of_confidence
from ablationsim.study.margins.confidence import ALL, NEEDLE, confidence
from ablationsim.study.margins.document import document, write_confidence
from ablationsim.study.margins.runs import chosen_inputs, ends_of
from ablationsim.vasculature.build import vessels_of
from ablationsim.zone.case_margins import case_margins, target_of
from ablationsim.zone.extract import Surface
from ablationsim.zone.margin import margins
from ablationsim.zone.margin_ends import NearVessels, at_needles
from ablationsim.zone.margin_shift import best_shift
from ablationsim.zone.margin_sides import ACROSS, HANDLE, TIP, in_words, sides
from ablationsim.zone.margin_volumes import spent
from ablationsim.zone.margin_wanted import wanted
from ablationsim.zone.organs import Neighbours
from ablationsim.zone.target import Target

MM = 1e-3
CENTRE = np.array([50.0, -15.0, 63.0]) * MM
NOTHING = Surface(np.empty((0, 3)), np.empty((0, 3), dtype=np.int64), axisymmetric=False)


def ball(radius, centre=CENTRE):
    return Target.sphere(np.asarray(centre), radius * MM).surface


def block(half=20.0, n=19, centre=CENTRE):
    """Tetrahedra in a cube of tissue round the tumour."""
    ticks = np.linspace(-half, half, n) * MM
    made = MeshTet.init_tensor(ticks, ticks, ticks)
    cells = made.t.T.copy()
    edges = np.diff(made.p.T[cells], axis=1)
    turned = np.linalg.det(edges) < 0
    cells[turned, :2] = cells[turned, 1::-1]
    return Mesh(made.p.T + centre, cells, {}, {"outer": made.facets[:, made.boundary_facets()].T}, False)


def case_of(**tables):
    """A needle on the axis of z, and a tumour of 10 mm."""
    return Case.from_dict(
        {
            "title": "Margins <of> a ball",
            "applicator": [
                {
                    "name": "needle",
                    "profile": "mwa_emprint_13g_like",
                    "tip": [f"{x * 1e3} mm" for x in CENTRE - MM * np.array([0, 0, 15])],
                    "direction": [0.0, 0.0, 1.0],
                    "protocol": [{"mode": "power", "power": "60 W", "duration": "60 s"}],
                }
            ],
            "tissue": {"set": "liver_human"},
            "tumour": {"centre": [f"{x * 1e3} mm" for x in CENTRE], "radius": "10 mm", "set": "metastasis"},
            **tables,
        }
    )


def result_of(case, radius=16.0, offset=(0.0, 0.0, 0.0)):
    """What a run would leave whose zone is a ball."""
    mesh = block()
    away = np.linalg.norm(mesh.points - CENTRE - np.array(offset) * MM, axis=1)
    level = radius * MM - away
    fields = {"level": level, "max_temperature": 333.15 + level / MM, "cem43": np.exp(level / MM)}
    found = case_margins(case, mesh, fields, vessels=vessels_of(case), strain=0.1)
    inside = {"contracted": {"law": "uniform", "strain": 0.1}}
    zone = inside if found is None else {**inside, "margins": found.document}
    return Result(case, mesh, None, None, fields, zone, {}), found


def test_sides_say_where_the_zone_has_to_reach_farther():
    target = Target.sphere(CENTRE, 10 * MM)
    found = margins(ball(16, CENTRE + MM * np.array([0, 3, 0])), target)
    named = {side.name: side for side in sides(found, (0.0, 0.0, 2.0))}
    assert set(named) == {"right", "left", "anterior", "posterior", "superior", "inferior", HANDLE, TIP, ACROSS}
    assert named["posterior"].least == pytest.approx(3 * MM, abs=0.05 * MM)
    assert named["posterior"].missing == pytest.approx(2 * MM, abs=0.05 * MM)
    # The nearest point of the anterior side is at its edge, 54.7 degrees off.
    assert named["anterior"].least > 6 * MM
    assert named["anterior"].missing == 0.0
    assert named["right"].mean == pytest.approx(named["left"].mean, abs=0.05 * MM)
    assert sum(side.share for side in named.values() if side.along == "patient") == pytest.approx(1.0)
    # Within 45 degrees of the needle, either way, and the rest.
    assert named[HANDLE].share == pytest.approx((1 - np.sqrt(0.5)) / 2, abs=0.01)
    assert named[ACROSS].share == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert {side.name for side in sides(found, (0, 0, 1), patient=False)} >= {"+x", "-y", ACROSS}


def test_directions_in_words():
    assert in_words((-2.0, 0.1, 0.0)) == "left"
    assert in_words((0.5, -1.0, 0.1)) == "posterior and right"
    assert in_words((0.5, -1.0, 0.1), patient=False) == "-y and +x"
    assert in_words((0, 0, 0)) == "nowhere"


def test_margins_and_their_sides_turn_and_mirror_with_the_patient():
    tumour = Surface(CENTRE + (ball(10).points - CENTRE) * [1.2, 0.9, 1.0], ball(10).facets, False)
    zone = ball(17, CENTRE + MM * np.array([2, -3, 1]))
    mirror = np.diag([-1.0, 1.0, 1.0])
    before = margins(zone, Target.of(tumour))
    after = margins(
        Surface(zone.points @ mirror, zone.facets[:, ::-1], False),
        Target.of(Surface(tumour.points @ mirror, tumour.facets[:, ::-1], False)),
    )
    assert after.least == pytest.approx(before.least, abs=1e-5)
    assert after.share_under(5 * MM) == pytest.approx(before.share_under(5 * MM), abs=1e-3)
    one, other = ({s.name: s for s in sides(found, (0.0, 0.3, 1.0))} for found in (before, after))
    for name, opposite in (("right", "left"), ("left", "right"), ("anterior", "anterior"), (HANDLE, HANDLE)):
        assert other[opposite].least == pytest.approx(one[name].least, abs=2e-5)


def test_places_near_the_capsule_are_left_out_and_both_numbers_stated():
    target = Target.sphere(CENTRE, 10 * MM)
    # A flat capsule that touches the tumour on its right, where the zone ends too.
    capsule = CENTRE[0] + 10 * MM
    zone = ball(16, CENTRE - MM * np.array([6, 0, 0]))
    found = margins(zone, target, liver=lambda points: points[:, 0] - capsule).to_dict()
    rule = found["subcapsular_excluded"]
    assert found["mam_mm"] == pytest.approx(0.0, abs=0.05)
    # 5 mm of the height of a ball of 20 mm are a quarter of its surface.
    assert rule["share"] == pytest.approx(0.25, abs=0.01)
    # Where the capsule is 5 mm away the tumour's surface is 60 degrees off the axis.
    place = np.array([5.0 + 6.0, 10 * np.sqrt(0.75)])
    assert rule["mam_mm"] == pytest.approx(16 - np.linalg.norm(place), abs=0.2)
    assert rule["under_required"] < found["under_required"]
    assert "subcapsular_excluded" not in margins(zone, target).to_dict()


def test_without_a_zone_there_is_no_margin_and_no_made_up_number():
    target = Target.sphere(CENTRE, 10 * MM)
    found = margins(NOTHING, target)
    assert found.to_dict() == {
        "required_mm": 5.0,
        "mam_mm": None,
        "mean_mm": None,
        "coverage": 0.0,
        "under_0": 1.0,
        "under_required": 1.0,
    }
    assert all(side.least is None for side in sides(found, (0, 0, 1)))
    assert best_shift(NOTHING, found) is None
    assert spent(NOTHING, target).healthy_ml == 0.0
    with pytest.raises(GeometryError, match="must be a number"):
        margins(NOTHING, target, required=np.nan)
    with pytest.raises(GeometryError, match="must be closed"):
        Target.of(NOTHING)
    with pytest.raises(GeometryError, match="above zero"):
        Target.sphere(CENTRE, 0.0)


def test_best_shift_finds_a_zone_that_lies_beside_the_tumour():
    target = Target.sphere(CENTRE, 10 * MM)
    offset = np.array([3.0, -4.0, 6.0]) * MM
    zone = ball(16, CENTRE + offset)
    found = margins(zone, target)
    shift = best_shift(zone, found)
    np.testing.assert_allclose(shift.vector, -offset, atol=0.1 * MM)
    assert shift.least == pytest.approx(6 * MM, abs=0.1 * MM)
    assert shift.gain == pytest.approx(np.linalg.norm(offset), abs=0.1 * MM)
    told = shift.to_dict((0.0, 0.0, 1.0))
    assert told["deeper_mm"] == pytest.approx(6.0, abs=0.1)
    assert told["across_mm"] == pytest.approx(5.0, abs=0.1)
    assert told["words"] == "inferior and anterior"  # the right component is too small a part of it


def test_volumes_of_healthy_liver_and_of_what_is_not_liver():
    target = Target.sphere(CENTRE, 10 * MM)
    zone = ball(16)
    whole = spent(zone, target)
    inner, outer = (4 / 3 * np.pi * radius**3 * 1e-3 for radius in (10, 16))
    assert whole.tumour_ml == pytest.approx(inner, rel=0.005)
    assert whole.zone_ml == pytest.approx(outer, rel=0.005)
    assert whole.healthy_ml == pytest.approx(outer - inner, rel=0.01)
    assert whole.outside_liver_ml is None
    # The liver ends at the middle of both.
    half = spent(zone, target, lambda points: points[:, 0] - CENTRE[0])
    assert half.healthy_ml == pytest.approx((outer - inner) / 2, rel=0.02)
    assert half.outside_liver_ml == pytest.approx((outer - inner) / 2, rel=0.02)


def test_agreement_with_the_wanted_zone():
    target = Target.sphere(CENTRE, 10 * MM)
    exact = wanted(ball(15), target, 5 * MM)
    assert exact.dice > 0.99
    assert exact.volume_ml == pytest.approx(4 / 3 * np.pi * 15**3 * 1e-3, rel=0.01)
    assert wanted(ball(12), target, 5 * MM).dice == pytest.approx(2 * 12**3 / (12**3 + 15**3), abs=0.005)
    # No margin is wanted where there is no liver.
    half = wanted(ball(15), target, 5 * MM, lambda points: points[:, 0] - CENTRE[0])
    assert half.volume_ml == pytest.approx(4 / 3 * np.pi * (15**3 + 10**3) / 2 * 1e-3, rel=0.01)


def test_margins_that_end_at_a_vessel_are_told_apart():
    wall = CENTRE[0] - 14 * MM
    tube = {
        "name": "vein",
        "kind": "hepatic_vein",
        "points": [[f"{(wall - 4 * MM) * 1e3} mm", f"{CENTRE[1] * 1e3} mm", f"{z} mm"] for z in (20, 110)],
        "diameter": "8 mm",
        "flow": "200 mL/min",
    }
    still = {**tube, "name": "clotted", "occluded": True}
    still.pop("flow")
    zone, target = ball(14), Target.sphere(CENTRE, 10 * MM)
    found = margins(zone, target)
    near = NearVessels(vessels_of(case_of(vessel=[tube])), found)
    nearest = near.nearest(CENTRE - [10 * MM, 0, 0])
    assert (nearest["name"], nearest["kind"]) == ("vein", "hepatic_vein")
    assert nearest["distance_mm"] == pytest.approx(4.0, abs=0.1)
    told = near.at_walls(zone)
    # All margins are 4 mm; those whose edge is within 1 mm of the tube end there.
    assert 0.0 < told["share"] < 0.1
    assert told["under_required"] == pytest.approx(1.0)
    none = NearVessels(vessels_of(case_of(vessel=[still])), found)
    assert none.nearest(CENTRE) is None
    assert none.at_walls(zone) is None


def test_a_dent_beside_the_shaft_is_told_apart():
    # A ball with a funnel round the axis, on the side of the handle.
    zone = ball(16)
    around = np.linalg.norm((zone.points - CENTRE)[:, :2], axis=1)
    up = (zone.points - CENTRE)[:, 2] > 0
    points = zone.points - np.where(up & (around < 3 * MM), 5 * MM, 0.0)[:, None] * [0.0, 0.0, 1.0]
    zone = Surface(points, zone.facets, False)
    found = margins(zone, Target.sphere(CENTRE, 10 * MM))
    told = at_needles(zone, found, Geometry.from_case(case_of()).applicators)
    assert found.least < 1.2 * MM
    assert told["mam_mm"] > 1e3 * found.least + 1.0
    assert 0.0 < told["share"] < 0.2


def test_organs_beside_the_zone_have_the_temperature_of_the_model(tmp_path):
    small = Small(colon=True)
    anatomy = small.read(tmp_path)
    centre = np.array(small.centre) * MM - [0.0, 0.0, 36 * MM]  # of the colon
    mesh = block(24.0, 25, centre)
    temperature = 310.15 + 1e3 * (mesh.points[:, 2] - centre[2] + 5 * MM)  # a kelvin a millimetre, 37 °C at its foot
    fields = {"max_temperature": temperature, "cem43": 2.0 * temperature, "level": temperature - 318.15}
    neighbours = Neighbours(anatomy, mesh)
    told = neighbours.heated(fields)["colon"]
    image = anatomy.image
    voxels = np.argwhere(image.values == anatomy.named("colon").label) @ image.affine[:3, :3].T + image.affine[:3, 3]
    height = 1e3 * (voxels[:, 2] - centre[2] + 5 * MM)
    cell = np.prod(image.spacing) * 1e6
    # The highest points that are looked at lie half a millimetre above the centre of the highest voxels.
    assert told["max_temperature_c"] == pytest.approx(37.0 + height.max(), abs=0.6)
    assert told["above_43_ml"] == pytest.approx(cell * (height > 6.0).sum(), rel=0.15)
    assert told["in_zone_ml"] == pytest.approx(told["above_45_ml"])
    assert told["role"] == "organ"
    top = voxels[height.argmax()]
    zone = ball(5.0, top + MM * np.array([0, 0, 9]))
    assert 1e3 * neighbours.distances(zone)["colon"] == pytest.approx(4.0, abs=1.0)


def test_margins_of_a_case_before_and_after_contraction():
    case = case_of()
    _, found = result_of(case, offset=(0.0, 0.0, 2.0))
    told = found.document
    assert told["frame"] == "undeformed"
    assert told["decides"].startswith("undeformed")
    assert told["mam_mm"] == pytest.approx(4.0, abs=0.2)
    assert told["coverage"] == 1.0
    assert told["weakest"]["side"] == "-z"  # a ball in a block belongs to no patient
    assert told["shift"]["shift_mm"] == pytest.approx([0.0, 0.0, -2.0], abs=0.2)
    # By a tenth about the tip, 15 mm below the tumour's centre: centre and radius of the zone move toward it.
    centre, radius = -15 + 0.9 * 17, 0.9 * 16
    assert told["contracted"]["mam_mm"] == pytest.approx(radius - 10 - abs(centre), abs=0.2)
    mesh, level = block(), {}
    level["level"] = 16 * MM - np.linalg.norm(mesh.points - CENTRE, axis=1)
    level["max_temperature"] = level["cem43"] = level["level"]
    moved = case_margins(case, mesh, {**level, "displacement": -0.1 * (mesh.points - CENTRE)})
    assert moved.contracted.least == pytest.approx((14.4 - 10) * MM, abs=0.1 * MM)
    assert case_margins(replace(case, tumour=None), mesh, level) is None
    # A ball of viable tissue in the closed zone is not covered, although its surface is not the zone's.
    hole = np.minimum(level["level"], np.linalg.norm(mesh.points - CENTRE, axis=1) - 6 * MM)
    assert case_margins(case, mesh, {**level, "level": hole}).undeformed.coverage == pytest.approx(1 - 0.6**3, abs=0.02)


def test_a_patient_case_knows_liver_tumour_and_organs(tmp_path):
    small = Small(centre=(50.0, -15.0, 63.0), liver=(24.0, 22.0, 20.0))
    path = small.write(tmp_path)
    data = {"labels": str(path), "structures": small.structures, "tumour": "tumour"}
    base = case_of()
    case = replace(
        case_of(patient=data, tumour={"set": "metastasis"}), applicators=base.applicators, domain=base.domain
    )
    target = target_of(case)
    assert target.volume * 1e6 == pytest.approx(4 / 3 * np.pi, rel=0.05)
    np.testing.assert_allclose(target.centre, CENTRE, atol=0.3 * MM)
    _, found = result_of(case)
    told = found.document
    assert told["tumour"] == "tumour"
    assert told["mam_mm"] == pytest.approx(6.0, abs=0.7)  # a third of a voxel of 2 mm
    assert {side["along"] for side in told["directions"]} == {"patient", "needle"}
    assert told["outside_liver_ml"] == pytest.approx(0.0, abs=0.3)
    assert "subcapsular_excluded" in told["contracted"]
    assert told["organs"] == {}


def test_confidence_in_a_ball_is_that_of_its_formula(monkeypatch, tmp_path):
    result, _ = result_of(case_of())
    found = confidence(result, tmp_path, names=("none",), needle_sd=2 * MM, samples=256)
    assert list(found.spreads) == [NEEDLE]
    spread = found.spreads[NEEDLE]
    # The margin is 6 mm less the length of the shift, whose distribution is Maxwell's.
    for margin in (1.0, 3.0, 5.0):
        assert spread.reached(margin * MM) == pytest.approx(maxwell.cdf(6 - margin, scale=2), abs=0.04)
    assert found.required == 5 * MM
    # With runs: at the ends of the perfusion the ball is 2 mm larger and smaller.
    monkeypatch.setattr(of_confidence, "zones_of", lambda ends, jobs, told: [ball(18), ball(14)][: len(ends)])
    found = confidence(result, tmp_path, names=("tissue.perfusion",), needle_sd=0.0, samples=64)
    (varied,) = found.varied
    assert [end.folder.name for end in varied.ends] == ["tissue_perfusion_low", "tissue_perfusion_high"]
    assert varied.least == pytest.approx((8 * MM, 4 * MM), abs=0.1 * MM)
    alone = found.spreads["tissue.perfusion"].least
    assert 4 * MM - 1e-4 <= alone.min() < alone.max() <= 8 * MM + 1e-4
    np.testing.assert_allclose(found.spreads[ALL].least, alone, atol=1e-9)
    told = document(found)
    assert told["varied"][0]["ends"][1]["mam_mm"] == pytest.approx(4.0, abs=0.1)
    assert told["needle"]["origin"].startswith("assumed")
    assert json.loads(write_confidence(tmp_path / "new", found).read_text()) == told
    assert len(picture(found).axes) == 2


def test_runs_behind_a_confidence_change_one_number_each(tmp_path):
    case = case_of()
    perfusion, efficiency = chosen_inputs(case, None)
    assert (perfusion.name, efficiency.name) == ("tissue.perfusion", "device.antenna.efficiency")
    low, high = ends_of(case, perfusion, tmp_path)
    assert low.case.tissue.perfusion == perfusion.limits.low < case.tissue.perfusion
    assert high.case.applicators == case.applicators
    assert replace(low.case, tissue=case.tissue) == case
    with pytest.raises(CaseError, match=r"no uncertain number 'tissue.perfusoin'.*tissue\.perfusion"):
        chosen_inputs(case, ["tissue.perfusoin"])
    with pytest.raises(CaseError, match=r"(?s)0 to 20 mm.*draws"):
        confidence(Result(case, None, None, None, {}, {}, {}), tmp_path, needle_sd=1.0, samples=1)


def test_what_a_person_reads():
    result, found = result_of(case_of(), radius=12.0)
    margin = found.document
    first, second, *_ = sentences(margin)
    assert first.startswith("The tumour is covered; on the")
    assert first.endswith("mm less than the 5 mm asked for.")
    assert second.count(" mm") == 7
    text = section(margin, b"png")
    assert "Research" not in text  # said once, by the page
    assert "Minimal ablative margin" in text
    assert "PMC4122121" in text
    assert "<script" not in section({**margin, "directions": [{**margin["directions"][0], "name": "<script>"}]}, None)
    none = case_margins(result.case, result.mesh, {**result.fields, "level": result.fields["level"] - 1.0})
    assert sentences(none.document)[0].startswith("There is no zone")
    assert {row.undeformed for row in rows(none.document)} >= {"–"}
    assert organ_rows({"organs": {"bile_duct": {"distance_mm": 3.0}}}) == [("bile duct", "3.0 mm", *"–––––")]
    assert [percent(x) for x in (1.0, 0.99999, 0.5, 1e-5, 0.0)] == ["100.0 %", "> 99.9 %", "50.0 %", "< 0.1 %", "0.0 %"]
    for each in (found, none):
        figure = margin_figure(each, [(0.0, 0.0, 1.0)])
        figure.canvas.draw()
        assert len(figure.axes) >= 2


def test_a_run_with_a_tumour_measures_its_margins_and_the_command_prints_them(
    quick_cli, tmp_path, monkeypatch, small, small_run
):
    monkeypatch.setenv("COLUMNS", "120")
    file = tmp_path / "tumour.toml"
    tumour = '[tumour]\ncentre = ["3 mm", "0 mm", "10 mm"]\nradius = "3 mm"\nset = "metastasis"\n'
    tumour += '[domain]\nradius = "30 mm"\nheight = "70 mm"\n[zone]'
    file.write_text(small.replace("[zone]", tumour).replace('checkpoint_interval = "1 ms"', "tolerance = 4.0"))
    folder = tmp_path / "run"
    case = Case.load(file)
    simulated = ablationsim.simulate(case, folder)
    margin = json.loads((folder / "zone.json").read_text())["margins"]
    # The zone of a few seconds is thinner than the tumour is wide.
    assert margin["mam_mm"] < 0 < margin["coverage"] < 1
    assert margin["tumour_ml"] == pytest.approx(4 / 3 * np.pi * 0.027, rel=0.01)
    assert margin["directions"][0]["name"] == "+x"
    assert margin == simulated.document["margins"]
    asked = quick_cli("margins", folder, "--required", "1 mm", "--output", tmp_path / "out")
    assert asked.returncode == 0, asked.stderr
    assert "Surface with less than 1 mm" in " ".join(asked.stdout.split())
    assert (tmp_path / "out" / "margins.png").read_bytes()[:4] == b"\x89PNG"
    sure = quick_cli("margins", folder, "--confidence", "--vary", "none", "--draws", "16", "--output", tmp_path / "out")
    assert sure.returncode == 0, sure.stderr
    assert json.loads((tmp_path / "out" / "confidence.json").read_text())["draws"] == 16
    assert (tmp_path / "out" / "confidence.png").exists()
    none = quick_cli("margins", small_run.folder)
    assert none.returncode == 2
    assert "no tumour" in none.stderr
