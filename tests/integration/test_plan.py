"""Plans from the stock to the folder; runs are short, and where a search needs many they are made up."""

import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from anatomies import Small

import ablationsim
from ablationsim.case import Case
from ablationsim.errors import CaseError, OutputError
from ablationsim.fem.probing import Probes
from ablationsim.study.planning import library as stock
from ablationsim.study.planning import rounds
from ablationsim.study.planning.confirm import Answer
from ablationsim.study.planning.drive import drive_of
from ablationsim.study.planning.make import make_plan
from ablationsim.study.planning.protocol import with_setting
from ablationsim.study.workers import workers

PATIENT = Small(liver=(60.0, 50.0, 45.0), radius=4.0, gap=8.0)
TIP = ("50 mm", "-15 mm", "53 mm")


class Quiet:
    """Shows nothing, and remembers the stages."""

    def __init__(self) -> None:
        self.stages = []

    def stage(self, text, done=0, total=0) -> None:
        self.stages.append(text)

    def run(self, name, now, end) -> None:
        pass


def content(labels, **plan):
    """A case that runs in seconds: a short burst, and an edge of the zone at 45 degC."""
    return {
        "title": "Short plan",
        "patient": {"labels": str(labels), "structures": PATIENT.structures},
        "tumour": {"set": "hcc"},
        "tissue": {"set": "liver_human"},
        "applicator": [
            {
                "name": "needle",
                "profile": "rfa_cooltip_17g_2cm_like",
                "tip": TIP,
                "protocol": [{"mode": "power", "power": "50 W", "duration": "4 s"}],
            }
        ],
        "zone": {
            "criterion": "isotherm",
            "isotherm_temperature": "45 degC",
            "cooling": "2 s",
            "contraction": "10 %",
        },
        "mesh": {"resolution": 4.0},
        "time": {"tolerance": 5.0},
        "plan": {
            "margin": "1 mm",
            "power": ["30 W", "60 W"],
            "duration": ["8 s", "8 s"],
            "rounds": 3,
            "resolution": 4,
            "tolerance": 5,
            **plan,
        },
    }


@pytest.fixture
def labels(tmp_path):
    return PATIENT.write(tmp_path)


@pytest.fixture
def coarse(monkeypatch):
    monkeypatch.setattr(stock, "RESOLUTION", 4.0)


def test_zone_of_the_stock_is_that_of_a_run_that_stops_then(labels, coarse) -> None:
    case = Case.from_dict(content(labels))
    with workers(1) as apply:
        made = stock.library(case, [50.0], [5.0, 10.0], apply)
        again = stock.library(case, [50.0], [5.0, 10.0], apply)
    np.testing.assert_array_equal(made.drive, again.drive)
    single = stock.alone(case)
    first = single.applicators[0]
    result = ablationsim.simulate(
        replace(single, applicators=(replace(first, protocol=with_setting(first.protocol, 50.0, 5.0)),))
    )
    points = np.array([[4e-3, 5e-3], [4e-3, 10e-3], [6e-3, 15e-3], [8e-3, 20e-3], [3e-3, -2e-3]])
    direct = Probes.at(result.mesh, points, reach=1e-3)(drive_of(result.fields["level"], result.mesh))
    at = [made.drive[0, 0, round(r / 1e-3), int(np.argmin(np.abs(made.z - z)))] for r, z in points]
    np.testing.assert_allclose(at, direct, rtol=0.02, atol=0.01)
    assert (made.drive[0, 1] >= 1.0).sum() > (made.drive[0, 0] >= 1.0).sum()


def test_plan_of_a_case_as_it_stands(tmp_path, quick_cli) -> None:
    labels = replace(PATIENT, liver=Small().liver).write(tmp_path)
    case = tmp_path / "case.json"
    data = {**content(labels), "domain": {"radius": "35 mm", "height": "75 mm"}}
    data["applicator"][0]["protocol"][0]["duration"] = "2 s"
    case.write_text(json.dumps(Case.from_dict(data).resolved()))
    done = quick_cli("plan", case, "--output", tmp_path / "plan", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "not a medical device" in done.stdout
    document = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert (document["schema"], document["version"], document["mode"]) == ("ablationsim plan", 1, "evaluate")
    (plan,) = document["plans"]
    zone = json.loads((tmp_path / "plan" / "plans" / "plan_1" / "zone.json").read_text())
    assert plan["confirmed"]["mam_mm"] == zone["margins"]["mam_mm"]
    assert plan["confirmed"]["zone_ml"] == zone["volume_ml"]
    assert plan["needles"][0]["tip_mm"] == pytest.approx([50.0, -15.0, 53.0])
    assert plan["needles"][0]["power_w"] == 50.0
    assert plan["needles"][0]["depth_mm"] > 0.0
    (row,) = csv.DictReader((tmp_path / "plan" / "plans.csv").open())
    assert float(row["tip_superior_mm"]) == pytest.approx(53.0)
    again = quick_cli("plan", case, "--output", tmp_path / "plan", "--no-report")
    assert again.returncode == OutputError.exit_code
    assert "--overwrite" in again.stderr
    resumed = quick_cli("plan", case, "--output", tmp_path / "plan", "--no-report", "--resume")
    assert resumed.returncode == 0, resumed.stderr


@pytest.mark.usefixtures("coarse")
def test_search_learns_from_runs_and_recommends_the_best_of_those_confirmed(labels, tmp_path, monkeypatch) -> None:
    share = 0.85  # of the heating that the full model has, everywhere

    def made_up(self, plans, apply, told, ended, **how):
        for plan in plans:
            name = f"plan_{len(self.plans) + 1}"
            case = rounds.planned(self.case, plan, name)
            pose = rounds.Pose(plan.tips, plan.axes)
            drive = share * self.reduced.drive(pose, plan.setting).astype(float)
            said = self.reduced.judged(drive, plan, self.goal)
            document = {
                "volume_ml": said.zone_ml,
                "power_off_s": plan.time,
                "energy_balance": {"in_j": plan.power * plan.time},
                "margins": {
                    "mam_mm": said.mam_mm,
                    "at_needles": {"mam_mm": said.mam_without_needles_mm},
                    "coverage": said.coverage,
                    "under_0": 0.0,
                    "under_required": said.under_required,
                    "healthy_ml": said.healthy_ml,
                },
            }
            shaft = np.where(self.reduced.tables.heights < 0.05, 2.0, 0.0)
            probed = np.concatenate([drive, shaft])
            task = rounds.Task(name, case, tmp_path, drive, told=told, **how)
            self._take(plan, task, self.reduced.expected(plan, self.goal), Answer(document, probed, 1.0))
            ended()

    monkeypatch.setattr(rounds.Rounds, "confirm", made_up)
    monkeypatch.setattr(rounds, "starts", partial(rounds.starts, frequency=3))
    show = Quiet()
    document = make_plan(Case.from_dict(content(labels)), tmp_path / "plan", "optimize", show, jobs=1)
    assert document == json.loads((tmp_path / "plan" / "plan.json").read_text())
    plans = {plan["name"]: plan for plan in document["plans"]}
    first, last = plans["plan_1"], plans[f"plan_{2 * document['search']['rounds'] - 1}"]
    key = "mam_without_needles_mm"
    # What was expected without having learnt is too much; then it is what the runs say.
    assert first["reduced"][key] > first["confirmed"][key] + 0.2
    assert last["reduced"][key] == pytest.approx(last["confirmed"][key], abs=0.15)
    assert document["recommended"] == document["plans"][0]["name"]
    best = plans[document["recommended"]]
    assert best["feasible"]
    assert best["reached"]
    assert best["confirmed"]["mam_mm"] >= 0.0
    assert best["confirmed"][key] >= 1.0
    rivals = [plan for plan in plans.values() if plan["reached"] and plan["feasible"]]
    assert best["rank_cost_ml"] == min(plan["rank_cost_ml"] for plan in rivals)
    assert best["name"] in document["why"]
    assert any(plan["pareto"] for plan in plans.values())
    assert any("searching" in stage for stage in show.stages)
    assert str(tmp_path) not in json.dumps(document)


def test_what_cannot_be_planned_is_said_before_anything_runs(labels, tmp_path) -> None:
    data = content(labels)
    bare = {key: value for key, value in data.items() if key not in ("patient", "tumour")}
    with pytest.raises(CaseError, match="no tumour to plan for") as caught:
        make_plan(Case.from_dict(bare), tmp_path / "plan", "optimize", Quiet(), jobs=1)
    assert "only where the liver is known" in str(caught.value)
    other = {
        **data["applicator"][0],
        "name": "other",
        "profile": "rfa_cooltip_17g_3cm_like",
        "tip": ["50 mm", "0 mm", "53 mm"],
    }
    with pytest.raises(CaseError, match="needles of one plan are alike"):
        make_plan(
            Case.from_dict({**data, "applicator": [*data["applicator"], other]}), tmp_path / "plan", "replan", Quiet()
        )
    assert not (tmp_path / "plan").exists()
