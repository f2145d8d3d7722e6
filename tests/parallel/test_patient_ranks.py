"""A case of a patient gives the same on one rank and on two: liver that ends in the block, vessels, tumour, margins."""

import json
from pathlib import Path

import pytest
from anatomies import Small

from ablationsim.results import Result

PROGRAM = Path(__file__).parent / "programs" / "several_cases.py"

CASE = """
[patient]
labels = "labels.nii.gz"
outside = "body_temperature"
[tumour]
set = "metastasis"
[[applicator]]
name = "needle"
profile = "rfa_cooltip_17g_3cm_like"
target = ["50 mm", "-15 mm", "74 mm"]        # the electrode sticks out of the liver
direction = [0, 0, 1]
[[applicator.protocol]]
mode = "power"
power = "40 W"
duration = "3 s"
[tissue]
set = "liver_human"
[domain]
radius = "30 mm"
height = "90 mm"
frame = "applicator"
[zone]
criterion = "isotherm"
isotherm_temperature = "42 degC"
cooling = "0 s"
[mesh]
resolution = 4.0
[time]
tolerance = 10.0
"""


def test_ranks_agree_on_a_patient(mpirun, tmp_path):
    Small().write(tmp_path, table=True)
    (tmp_path / "patient.toml").write_text(CASE)
    runs = []
    for ranks in (1, 2):
        folder = tmp_path / f"ranks{ranks}"
        folder.mkdir()
        mpirun(ranks, PROGRAM, folder, tmp_path / "patient.toml")
        runs.append(Result.load(folder / "patient"))
    one, two = runs
    assert (one.record["ranks"], two.record["ranks"]) == (1, 2)
    assert one.zone.volume_ml > 0.1
    for field in ("max_temperature", "omega", "cem43", "level"):
        assert two.fields[field] == pytest.approx(one.fields[field], rel=1e-8, abs=1e-8), field
    first, second = (json.loads((tmp_path / f"ranks{n}" / "patient" / "zone.json").read_text()) for n in (1, 2))
    assert first["margins"]["mam_mm"] == pytest.approx(second["margins"]["mam_mm"], rel=1e-6)
    for key in ("in_j", "stored_j", "lost_outside_j", "lost_vessels_j", "lost_perfusion_j"):
        assert second["energy_balance"][key] == pytest.approx(first["energy_balance"][key], rel=1e-8), key
    assert first["energy_balance"]["relative_error"] < 5e-4
