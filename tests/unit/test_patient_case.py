"""Cases of a patient: what of the image becomes the case, what is refused with which words, and what lies around."""

import copy
import json
import re

import numpy as np
import pytest
from anatomies import LABELS, Small

from ablationsim.case import Case
from ablationsim.case.case import decisive
from ablationsim.errors import CaseError, GeometryError
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.patient import patient_warnings
from ablationsim.march import March
from ablationsim.mesh.generate import mesh_of
from ablationsim.parallel import ALONE
from ablationsim.prepare import mesh_and_vessels, warnings_of
from ablationsim.problem import assemble, controllers
from ablationsim.vasculature.build import vessels_of

SMALL_LIVER = Small(spacing=(2.0, 2.0, 2.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a label image that says what its labels are."""
    place = tmp_path_factory.mktemp("patient")
    SMALL_LIVER.write(place, table=True)
    return place


@pytest.fixture
def data():
    """A case of that patient: a needle whose middle lies in the tumour."""
    return {
        "patient": {"labels": "labels.nii.gz"},
        "applicator": [
            {
                "name": "needle",
                "profile": "rfa_cooltip_17g_3cm_like",
                "target": ["50 mm", "-15 mm", "63 mm"],
                "direction": [0, 0, 1],
                "protocol": [{"mode": "power", "power": "40 W", "duration": "1 s"}],
            }
        ],
        "tissue": {"set": "liver_human"},
        "tumour": {"set": "metastasis"},
        "zone": {"criterion": "isotherm", "isotherm_temperature": "40 degC", "cooling": "0 s"},
        "mesh": {"resolution": 4.0},
        "time": {"tolerance": 10.0},
    }


def problems(data, folder):
    with pytest.raises(CaseError) as error:
        Case.from_dict(data, folder)
    return error.value.problems


def test_vessels_and_tumour_are_those_of_the_image(data, folder):
    case = Case.from_dict(data, folder)
    image = str(folder / "labels.nii.gz")
    assert case.patient.labels == image
    assert case.patient.structures == {
        name: LABELS[name] for name in ("liver", "hepatic_vein", "portal_vein", "tumour")
    }
    assert case.patient.tumour == "tumour"
    assert (case.tumour.labels, case.tumour.label, case.tumour.set) == (image, LABELS["tumour"], "metastasis")
    assert [(v.name, v.kind, v.labels, v.label) for v in case.vessels] == [
        ("hepatic_vein", "hepatic_vein", image, LABELS["hepatic_vein"]),
        ("portal_vein", "portal_vein", image, LABELS["portal_vein"]),
    ]
    assert case.inputs == [image]
    assert case.domain.frame == "applicator"
    assert not Geometry.from_case(case).axisymmetric
    assert Case.from_resolved(json.loads(json.dumps(case.resolved()))) == case


def test_image_is_read_once(data, folder):
    case, again = (Case.from_dict(data, folder) for _ in range(2))
    assert case.patient.anatomy() is again.patient.anatomy()


def test_names_of_the_case_come_before_those_of_the_file(data, folder):
    data["patient"]["structures"] = {"liver": 1, "vena_cava": 2, "tumour": 4}
    case = Case.from_dict(data, folder)
    assert [(v.name, v.kind) for v in case.vessels] == [("vena_cava", "hepatic_vein")]


def test_vessel_of_the_case_takes_the_place_of_that_of_the_image(data, folder):
    data["vessel"] = [
        {"name": "portal", "kind": "portal_vein", "labels": "labels.nii.gz", "label": 3, "flow": "200 mL/min"}
    ]
    case = Case.from_dict(data, folder)
    assert [v.name for v in case.vessels] == ["portal", "hepatic_vein"]
    assert case.vessels[0].flow == pytest.approx(200e-6 / 60)


def test_tumour_without_a_table_is_perfused_like_the_liver(data, folder):
    del data["tumour"]
    case = Case.from_dict(data, folder)
    assert case.tumour.label == LABELS["tumour"]
    assert case.tumour.perfusion == case.tissue.perfusion


def test_what_decides_about_results(data, folder):
    case = Case.from_dict(data, folder)
    data["patient"]["ct"] = "labels.nii.gz"
    other = Case.from_dict(data, folder)
    assert other != case
    assert other.decisive() == case.decisive()
    data["patient"]["outside"] = "air"
    assert Case.from_dict(data, folder).decisive() != case.decisive()
    # Cases without a patient are to runs what they were before there were patients.
    assert "patient" not in decisive({**case.resolved(), "patient": None})


def test_everything_that_is_wrong_is_said_at_once(data, folder):
    data["patient"] |= {"labels": "nothing.nii.gz", "ct": "nowhere.nii.gz"}
    data["tumour"] = {"sett": "hcc"}
    data["mesh"]["resolution"] = 9
    found = problems(data, folder)
    assert f"patient.labels: there is no file {folder / 'nothing.nii.gz'}" in found
    assert f"patient.ct: there is no file {folder / 'nowhere.nii.gz'}" in found
    assert "unknown key 'sett' in tumour; did you mean 'set'?" in found
    assert any(problem.startswith("mesh.resolution") for problem in found)
    assert len(found) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"structures": {"liver": 1, "tumour": 9}}, r"patient: .*label 9"),
        ({"structures": {"portal_vein": 3, "tumour": 4}}, r"none of the structures .* is the liver"),
        ({"structures": {"liver": 1, "tumour_1": 4, "tumour_2": 3}}, r"patient.tumour: the image has 2 tumours"),
        ({"tumour": "tumor"}, r"patient.tumour: there is no tumour 'tumor'; did you mean 'tumour'\?"),
        ({"structures": {"liver": 1, "portal_vein": 3}}, r"tumour: the image of the patient has no tumour"),
        ({"outside": "vacuum"}, r"patient.outside: 'vacuum' is not a choice"),
        ({"outside": "air", "around": {"perfusion": "0.001 1/s"}}, r"around describes tissue, and outside is 'air'"),
        ({"lables": "x"}, r"unknown key 'lables' in patient; did you mean 'labels'"),
    ],
)
def test_what_is_wrong_with_a_patient(data, folder, change, said):
    data["patient"] |= change
    (found,) = problems(data, folder)
    assert re.search(said, found), found


def test_mesh_is_fitted_only_to_what_there_is(data, folder):
    del data["patient"], data["tumour"]
    data["applicator"][0] |= {"target": ["0 mm", "0 mm", "0 mm"]}
    data["mesh"] |= {"liver": "fitted", "tumour": "fitted"}
    assert [problem.split(":")[0] for problem in problems(data, folder)] == ["mesh.liver", "mesh.tumour"]


def warned(data, folder):
    case = Case.from_dict(data, folder)
    return patient_warnings(case, Geometry.from_case(case))


def at(data, x, y, z):
    data["applicator"][0]["target"] = [f"{value} mm" for value in (x, y, z)]
    return data


def test_needle_in_the_liver_needs_no_words(data, folder):
    assert warned(data, folder) == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((50, -15, 160), r"tip of applicator needle, at \(50.0, -15.0, 145.0\) mm, is 40 mm outside the image"),
        ((10, 10, 90), "whole conductor of applicator needle lies outside the liver"),
        # x and y with the signs of LPS.
        ((-50, 15, 63), r"It would be in the liver if its coordinates are taken as LPS"),
    ],
)
def test_needle_far_from_the_liver_is_an_error(data, folder, place, said):
    with pytest.raises(GeometryError, match=said):
        warned(at(data, *place), folder)


def test_needle_that_is_partly_outside_the_liver(data, folder):
    (said,) = warned(at(data, 50, -15, 80), folder)
    # The electrode goes from 65 to 95 mm, and the liver ends at 88.9 mm.
    share = re.match(r"(\d+) % of the conductor of applicator needle lie outside the liver", said)
    assert float(share[1]) == pytest.approx(100 * (95 - 88.9) / 30, abs=4)


def test_tumour_outside_the_block(data, folder):
    data["domain"] = {"radius": "15 mm", "frame": "applicator"}
    found = warned(at(data, 58, -15, 63), folder)
    assert len(found) == 1
    assert re.search("of structure 'tumour' lie outside the block of tissue, up to [23] mm", found[0])


def test_a_tumour_that_is_not_in_the_liver_is_refused(data, tmp_path):
    import nibabel

    SMALL_LIVER.write(tmp_path, table=True)
    image = nibabel.load(tmp_path / "labels.nii.gz")
    labels = np.asarray(image.dataobj).copy()
    tumour = labels == LABELS["tumour"]
    labels[tumour] = LABELS["liver"]
    labels[:3, :3, :3] = LABELS["tumour"]
    nibabel.save(nibabel.Nifti1Image(labels, image.affine), tmp_path / "labels.nii.gz")
    case = Case.from_dict(data, tmp_path)
    with pytest.raises(GeometryError, match=r"'tumour' of .* lies outside the liver, \d+ mm from it"):
        patient_warnings(case, Geometry.from_case(case))


def test_image_that_ends_in_the_liver(data, tmp_path):
    import nibabel

    SMALL_LIVER.write(tmp_path, table=True)
    image = nibabel.load(tmp_path / "labels.nii.gz")
    cut = image.slicer[:, :, : SMALL_LIVER.shape[2] // 2 + 5]
    nibabel.save(cut, tmp_path / "labels.nii.gz")
    found = warned(data, tmp_path)
    assert any(said.startswith("The liver goes on beyond the border of the image") for said in found)


def test_vessels_of_the_image_that_are_far_away_are_left_out(data, folder):
    data["domain"] = {"radius": "10 mm", "height": "60 mm", "frame": "applicator"}
    case = Case.from_dict(data, folder)
    geometry = Geometry.from_case(case)
    _, vessels = mesh_and_vessels(case, geometry, None, ALONE, resuming=False)
    assert vessels == ()
    assert all("essel" not in said for said in warned(data, folder))
    assert {vessel.name for vessel in vessels_of(case)} == {"hepatic_vein", "portal_vein"}
    # One that the case asks for is missed.
    asked = copy.deepcopy(data)
    del asked["patient"]
    asked["tumour"] = {"centre": ["50 mm", "-15 mm", "63 mm"], "radius": "5 mm", "set": "hcc"}
    asked["vessel"] = [{"name": "v", "kind": "portal_vein", "labels": "labels.nii.gz", "label": 3}]
    case = Case.from_dict(asked, folder)
    with pytest.raises(GeometryError, match="Vessel 'v' lies outside the modelled tissue"):
        warnings_of(case, Geometry.from_case(case), vessels_of(case), ALONE)


def test_perfusion_of_liver_tumour_and_what_is_around(data, folder):
    data["patient"]["around"] = {"perfusion": "0.001 1/s", "heat_capacity": "1.9 MJ/m3/K"}
    case = Case.from_dict(data, folder)
    geometry = Geometry.from_case(case)
    problem = assemble(case, geometry, mesh_of(case, geometry))
    bioheat, points = problem.bioheat, problem.bioheat.space.mesh.points
    taken = bioheat.operator(np.full(len(points), 310.15)).perfusion
    rate = taken / (bioheat.space.lumped_mass * bioheat.blood_capacity)
    depth = case.patient.anatomy().distance(whole_liver=True)(points)
    tumour = 1e-3 * SMALL_LIVER.radius - np.linalg.norm(points - 1e-3 * np.array(SMALL_LIVER.tumour), axis=1)
    # Nodes whose elements reach to a surface have a share of both sides.
    assert np.median(rate[depth > 12e-3]) == pytest.approx(0.001, rel=1e-3)
    assert np.median(rate[tumour > 3e-3]) == pytest.approx(0.0034, rel=1e-3)
    deep = (depth < -8e-3) & (tumour < -4e-3)
    assert np.median(rate[deep]) == pytest.approx(0.018, rel=1e-3)
    factor = bioheat.mass / bioheat.space.lumped_mass
    liver = case.tissue.value("density") * case.tissue.value("heat_capacity")
    assert np.median(factor[depth > 12e-3]) == pytest.approx(1.9e6 / liver, rel=1e-3)
    assert np.median(factor[deep]) == pytest.approx(1.0, rel=1e-3)
    volume = bioheat.space.lumped_mass @ ((factor - 1.9e6 / liver) / (1.0 - 1.9e6 / liver))
    ellipsoid = 4 / 3 * np.pi * np.prod(1e-3 * np.array(SMALL_LIVER.liver))
    # All of the liver is in the block, but for the needle's own room.
    assert volume == pytest.approx(ellipsoid, rel=0.05)


def marched(data, folder, steps):
    """A case after some steps in time, on a small block."""
    data["domain"] = {"radius": "30 mm", "height": "90 mm", "frame": "applicator"}
    case = Case.from_dict(data, folder)
    geometry = Geometry.from_case(case)
    march = March(assemble(case, geometry, mesh_of(case, geometry)), controllers(case), case.zone.cooling)
    seen = []
    while len(seen) < steps and not march.finished:
        march.advance()
        seen.append((march.state.time, [reading.power for reading in march.readings]))
    return march, seen


def test_heat_and_current_at_the_end_of_the_liver(data, folder):
    # The upper end of the electrode sticks out of the liver.
    at(data, 50, -15, 78)
    done, lost = {}, {}
    for outside in ("tissue", "air", "body_temperature"):
        data["patient"]["outside"] = outside
        done[outside], _ = marched(data, folder, 8)
        energy = done[outside].state.energy
        assert energy.generator - done[outside].stored - energy.lost == pytest.approx(0.0, abs=5e-4 * energy.generator)
        lost[outside] = energy.outside / energy.generator
    points = done["tissue"].problem.bioheat.space.mesh.points
    outside_liver = Case.from_dict(data, folder).patient.anatomy().distance(whole_liver=True)(points)
    warm = {name: march.problem.limited(march.state.damage.max_temperature - 310.65) for name, march in done.items()}
    # Other tissue is heated, and nothing else is.
    assert (warm["tissue"][outside_liver > 4e-3] > 0.0).any()
    for name in ("air", "body_temperature"):
        assert (warm[name][outside_liver < 0.0] > 0.0).any()
        assert not (warm[name][outside_liver > 4e-3] > 0.0).any()
        # The wall of the needle has nothing to cool there.
        wall = done[name].problem.bioheat.wall
        assert not wall[outside_liver > 8e-3].any()
        assert wall[outside_liver < -4e-3].any()
    held = done["body_temperature"].state.temperature
    assert held[outside_liver > 8e-3] == pytest.approx(310.15, abs=0.5)
    # What passes through tissue at body temperature heats nothing that is computed.
    assert lost["body_temperature"] > lost["tissue"] + 0.05


def test_air_on_all_sides_leaves_no_way_for_the_current(data, folder):
    data["patient"]["outside"] = "air"
    data["domain"] = {"radius": "60 mm", "height": "90 mm", "frame": "applicator"}
    case = Case.from_dict(data, folder)
    geometry = Geometry.from_case(case)
    with pytest.raises(GeometryError, match="leaves a monopolar electrode without a return for its current"):
        assemble(case, geometry, mesh_of(case, geometry))


def test_second_needle_begins_later(data, folder):
    first = data["applicator"][0]
    data["applicator"] = [
        {**first, "name": "left", "target": ["45 mm", "-15 mm", "63 mm"]},
        {**first, "name": "right", "target": ["57 mm", "-15 mm", "63 mm"], "direction": [0.1, 0, 1], "start": "1 s"},
    ]
    march, seen = marched(data, folder, 1000)
    assert march.finished
    assert march.state.time == pytest.approx(2.0)
    time, power = np.array([t for t, _ in seen]), np.array([both for _, both in seen])
    assert power[(time < 0.999)] == pytest.approx(np.array([[40.0, 0.0]] * np.sum(time < 0.999)), rel=1e-3)
    late = (time > 1.001) & (time < 1.999)
    assert power[late] == pytest.approx(np.array([[0.0, 40.0]] * late.sum()), rel=1e-3)
    assert march.state.energy.generator == pytest.approx(80.0, rel=1e-3)
    # Each heats its own side of the tumour.
    x = march.problem.bioheat.space.mesh.points[:, 0]
    hot = march.state.damage.max_temperature > 310.15 + 2.0
    assert hot[(x < 47e-3)].any()
    assert hot[(x > 55e-3)].any()
