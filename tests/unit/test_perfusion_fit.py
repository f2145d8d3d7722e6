"""Perfusion from a measured zone: it finds what made the zone, and says when the zone does not tell."""

import json
import math

import pytest

from ablationsim.case import Case
from ablationsim.case.inflow import tissue_with, tumour_with, vessels_with
from ablationsim.case.vessels import TumourSection, VesselSection
from ablationsim.errors import CaseError, SolverError
from ablationsim.report.perfusion_fit import picture
from ablationsim.simulate import simulate
from ablationsim.study import perfusion_fit
from ablationsim.study.overlap import predicted_zone
from ablationsim.study.perfusion_fit import fit_perfusion, with_perfusion
from ablationsim.study.perfusion_trial import EDGE_SD, NOTHING, Measured, Task, Trial, compared, run_trial
from ablationsim.tissue import Tissue
from ablationsim.tissue.perfusion import inflow_factor
from ablationsim.zone.measured import MeasuredZone

CASE = {
    "title": "Baseline",
    "device": {"profile": "rfa_cooltip_17g_2cm_like"},
    "protocol": [{"mode": "power", "power": "40 W", "duration": "90 s"}],
    "tissue": {"set": "liver_human"},
    "mesh": {"resolution": 4.0},
    "time": {"tolerance": 10.0},
    "zone": {"cooling": "5 s"},
}
TRUE = 0.0137


@pytest.fixture(scope="module")
def case():
    return Case.from_dict(CASE)


@pytest.fixture(scope="module")
def baseline(case):
    """An ablation of a liver whose perfusion is known."""
    return simulate(with_perfusion(case, TRUE))


@pytest.fixture
def made_up(monkeypatch):
    """Replaces the model by a law of the misfit; gives the perfusions that were tried."""
    tried = []

    def use(misfit):
        def run(task):
            tried.append(task.perfusion)
            return Trial(task.perfusion, 10.0, misfit(task.perfusion))

        monkeypatch.setattr(perfusion_fit, "run_trial", run)
        return tried

    return use


def test_known_perfusion_is_found(case, baseline, tmp_path):
    volume = baseline.document["contracted"]["enclosed_volume_ml"]
    lines = []
    found = fit_perfusion(case, Measured(volume_ml=volume), folder=tmp_path, told=lines.append)
    assert found.perfusion == pytest.approx(TRUE, rel=0.02)
    assert found.verdict == "fitted"
    assert found.best.volume_ml == pytest.approx(volume, rel=5e-3)
    for end in (found.low, found.high):
        assert end is None or not math.isclose(end, TRUE, rel_tol=0.1)
    volumes = [trial.volume_ml for trial in found.trials]
    assert volumes == sorted(volumes, reverse=True)
    # The same fit takes its trials from the folder.
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = fit_perfusion(case, Measured(volume_ml=volume), folder=tmp_path)
    assert again == found
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    assert len(kept) == len(lines) == len(found.trials)
    # A damaged one is made again.
    first = min(tmp_path.iterdir())
    first.write_text("{")
    assert fit_perfusion(case, Measured(volume_ml=volume), folder=tmp_path) == found
    assert first.stat().st_size > 50


def test_surface_of_the_zone_itself(baseline, monkeypatch):
    monkeypatch.setattr("ablationsim.zone.overlap.ACROSS", 80)
    monkeypatch.setattr("ablationsim.study.overlap._SECTORS", 48)
    zone = MeasuredZone(predicted_zone(baseline, "contracted").surface, "baseline.nii.gz")
    trial = compared(baseline, TRUE, Measured(zone=zone))
    assert trial.misfit < 1e-3
    assert trial.dice == pytest.approx(1.0, abs=1e-6)
    # In the other frame the zone is too large, by what contraction takes.
    other = compared(baseline, TRUE, Measured("undeformed", zone=zone))
    assert other.mean_signed_distance_mm > 0.3
    assert other.misfit == pytest.approx((other.mean_surface_distance_mm / EDGE_SD) ** 2)


def test_interval_of_a_parabola(case, made_up):
    """Of a misfit that is a parabola over the logarithm, ends and best are known."""
    tried = made_up(lambda p: (math.log(p / 0.015) / 0.2) ** 2)
    found = fit_perfusion(case, Measured(volume_ml=10.0))
    assert found.perfusion == pytest.approx(0.015, rel=0.01)
    assert found.low == pytest.approx(0.015 * math.exp(-0.2), rel=0.01)
    assert found.high == pytest.approx(0.015 * math.exp(0.2), rel=0.01)
    assert found.range == (0.0089, 0.0245)
    assert len(tried) == len(set(tried)) <= 14
    document = found.to_dict()
    assert (document["status"], document["interval_68"]) == ("calibrated", [found.low, found.high])
    assert any("blamed on perfusion" in text for text in document["statements"])
    assert len(picture(found).axes) == 2


@pytest.mark.parametrize(
    ("misfit", "verdict", "low", "high"),
    [
        (lambda p: 0.1 + 0.02 * math.log(p / 0.01) ** 2, "insensitive", None, None),
        (lambda p: (math.log(p / 0.05) / 0.4) ** 2, "at the limit", 0.0221, None),
        (lambda p: 25 + (math.log(p / 0.015) / 0.1) ** 2, "unexplained", 0.0136, 0.0166),
    ],
)
def test_what_a_zone_does_not_tell_is_said(case, made_up, misfit, verdict, low, high):
    tried = made_up(misfit)
    found = fit_perfusion(case, Measured(volume_ml=10.0))
    assert found.verdict == verdict
    for end, expected in ((found.low, low), (found.high, high)):
        assert end is None if expected is None else end == pytest.approx(expected, rel=0.06)
    if verdict == "at the limit":
        # Beyond the best end nothing is looked for.
        assert len(tried) <= 7
        assert "true one may lie beyond" in found.statements[0]
    if verdict == "unexplained":
        assert "5.0 standard deviations off" in found.statements[0]


def test_tissue_without_perfusion():
    dead = Case.from_dict({**CASE, "tissue": {"set": "liver_porcine_ex_vivo"}})
    with pytest.raises(CaseError, match="no perfusion that could be fitted"):
        fit_perfusion(dead, Measured(volume_ml=10.0))


def test_no_zone_is_far_off(baseline):
    nothing = {**baseline.document["contracted"], "enclosed_volume_ml": 0.0}
    baseline_without = type(baseline)(
        baseline.case, baseline.mesh, baseline.history, baseline.frames, baseline.fields,
        {**baseline.document, "contracted": nothing}, baseline.record,
    )  # fmt: skip
    assert compared(baseline_without, TRUE, Measured(volume_ml=5.0)).misfit == NOTHING**2


def test_failed_trial_names_its_perfusion(case, monkeypatch):
    def fails(case):
        raise SolverError("It broke down.")

    monkeypatch.setattr("ablationsim.study.perfusion_trial.simulate", fails)
    with pytest.raises(SolverError, match=r"With a perfusion of 0.02 1/s: It broke down\."):
        run_trial(Task(case, 0.02, Measured(volume_ml=5.0), None))


def test_command(quick_cli, made_up, tmp_path):
    made_up(lambda p: (math.log(p / 0.015) / 0.2) ** 2)
    path = tmp_path / "baseline.toml"
    path.write_text(
        'title = "B"\n[device]\nprofile = "rfa_cooltip_17g_2cm_like"\n[tissue]\nset = "liver_human"\n[[protocol]]\n'
        'mode = "power"\npower = "40 W"\nduration = "2 min"\n'
    )
    done = quick_cli("fit-perfusion", path, "--volume", "10 mL", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert 'perfusion = "0.015 1/s"' in done.stdout
    assert "not a medical device" in done.stdout
    document = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert (document["schema"], document["verdict"]) == ("ablationsim/perfusion-fit", "fitted")
    assert (tmp_path / "out" / "fit.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "either --volume, such as"),
        (("--volume", "10 mL", "--zone", "x.nii"), "either --volume, such as"),
        (("--volume", "10"), "without a unit"),
        (("--volume", "10 L"), "a zone has 0.1 mL to 500 mL"),
        (("--volume", "10 mL", "--label", "1"), "belong to --zone"),
        (("--zone", "x.nii"), "say how the measured zone lies to the needle"),
    ],
)
def test_command_refuses(quick_cli, small_run, words, message):
    done = quick_cli("fit-perfusion", small_run.folder / "case.toml", *words)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())


# --- closed inflow -----------------------------------------------------------------------------------------------


def test_shares_of_the_inflow():
    """What artery and portal vein bring is all that flows in."""
    portal, arterial = inflow_factor("arterial_occluded"), inflow_factor("portal_occluded")
    assert portal.value + arterial.value == pytest.approx(1.0)
    assert portal.range == pytest.approx((1 - arterial.range[1], 1 - arterial.range[0]))
    # 0.20 of 1.22, 0.22 of 1.47 and 3.5 of 17.0.
    assert arterial.range == pytest.approx((0.22 / 1.47, 3.5 / 17.0), abs=0.005)
    assert arterial.range[0] <= 0.20 / 1.22 <= arterial.range[1]
    assert inflow_factor("pringle").status == "assumed"


@pytest.mark.parametrize(("state", "share"), [("portal_occluded", 0.18), ("arterial_occluded", 0.82), ("pringle", 0)])
def test_tissue_with_closed_inflow(state, share):
    before = Tissue.load("liver_human")
    after = tissue_with(before, state)
    assert after.perfusion == pytest.approx(share * before.perfusion)
    assert tissue_with(before, "open") is before
    sourced = after.sources["perfusion"]
    assert sourced.range[0] <= sourced.value <= sourced.range[1]
    assert sourced.status == "assumed"
    assert "times" in sourced.source
    assert Tissue.from_dict("again", after.to_dict()) == Tissue.from_dict("again", after.to_dict())
    assert Tissue.from_dict("again", after.to_dict()).perfusion == after.perfusion


def test_case_with_closed_inflow():
    """All of it comes out of a case file, and back out of a resolved case."""
    data = {
        **CASE,
        "tissue": {"set": "liver_human", "perfusion": "0.02 1/s", "inflow": "portal_occluded"},
        "tumour": {"centre": ["0 mm", "0 mm", "9 mm"], "radius": "8 mm", "set": "hcc"},
        "vessel": [
            {"name": "p", "kind": "portal_vein", "points": [["20 mm", "0 mm", "-20 mm"], ["20 mm", "0 mm", "30 mm"]],
             "diameter": "5 mm"},
        ],
    }  # fmt: skip
    closed = Case.from_dict(data)
    assert closed.tissue.perfusion == pytest.approx(0.18 * 0.02)
    assert [vessel.occluded for vessel in closed.vessels] == [True]
    assert closed.tumour.perfusion_factor == 1.0
    assert Case.from_resolved(json.loads(json.dumps(closed.resolved()))) == closed
    data["tissue"]["inflow"] = "pringle"
    assert Case.from_dict(data).tissue.perfusion == 0.0
    assert Case.from_dict(data).tumour.perfusion_factor == 0.0
    data["vessel"][0]["speed"] = "10 cm/s"
    with pytest.raises(CaseError, match=r"vessel 'p': speed is given, but tissue.inflow = 'pringle'"):
        Case.from_dict(data)
    data["tissue"]["inflow"] = "pringel"
    assert any("did you mean 'pringle'" in problem for problem in Case.problems(data))


def test_closed_vessels_and_tumour():
    vessels = tuple(
        VesselSection(name=kind, kind=kind, labels="x.nii", label=number)
        for number, kind in enumerate(("portal_vein", "hepatic_vein", "hepatic_artery"), start=1)
    )
    problems = []
    closed = {
        state: [vessel.occluded for vessel in vessels_with(vessels, state, problems)]
        for state in ("open", "portal_occluded", "arterial_occluded", "pringle")
    }
    assert closed == {
        "open": [False, False, False],
        "portal_occluded": [True, False, False],
        "arterial_occluded": [False, False, True],
        "pringle": [True, False, True],
    }
    assert problems == []
    flowing = vessels[0].model_copy(update={"speed": 0.1})
    vessels_with((flowing,), "pringle", problems)
    assert problems == [
        "vessel 'portal_vein': speed is given, but tissue.inflow = 'pringle' lets no blood flow in a portal_vein; "
        "leave one of both out"
    ]
    tumour = TumourSection(labels="x.nii", label=4, set="hcc", perfusion_factor=0.5)
    assert tumour_with(tumour, "pringle").perfusion_factor == 0.0
    assert tumour_with(tumour, "portal_occluded") is tumour
    assert tumour_with(None, "pringle") is None
