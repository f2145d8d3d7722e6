"""The commands end to end: what they print, and the files of a run folder as other programs read them."""

import csv
import json
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import jsonschema
import meshio
import numpy as np
import pytest
import pyvista

import ablationsim
from ablationsim.results import Result

ROOT = Path(__file__).parents[2]
SIZES = {
    "volume_ml", "axial_length_mm", "transverse_diameter_mm", "aspect_ratio", "long_axis_mm", "short_axis_mm",
    "sphericity_axes", "sphericity_isoperimetric", "beyond_tip_mm",
}  # fmt: skip
FILES = {
    "case.toml", "resolved.json", "log.txt", "history.csv", "mesh.vtu", "checkpoint", "fields", "fields.npz",
    "fields.pvd", "zone.json", "zone.stl", "report.html", "cross_section.png", "histories.png",
}  # fmt: skip
HEAVY = ("gmsh", "vtk", "vtkmodules", "pyvista", "matplotlib", "petsc4py", "mpi4py", "numba", "skfem", "meshio")


@pytest.fixture(scope="module")
def case(small, tmp_path_factory):
    """The small case with what belongs to a measurement."""
    path = tmp_path_factory.mktemp("case") / "case.toml"
    measured = (
        '[measured]\nsource = "nobody"\nlong_axis = { value = "39 mm", sd = "2 mm" }\nvolume = { value = "20 mL" }\n'
    )
    path.write_text(small + measured + '[[measured.probe]]\nname = "p5"\nmax_temperature = "40 degC"\n')
    return path


@pytest.fixture(scope="module")
def finished(case, tmp_path_factory, cli):
    """The folder of a run by the command line, and what it printed."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    done = cli("run", case, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, done.stdout


def test_the_run_prints_the_zone(finished):
    folder, printed = finished
    zone = json.loads((folder / "zone.json").read_text())
    assert re.search(rf"volume +{zone['volume_ml']:.1f} mL", printed)
    assert "research use only" in printed
    assert str(folder / "report.html") in printed.replace("\n", "")


def test_the_folder_is_complete(finished, case):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / "case.toml").read_bytes() == case.read_bytes()
    log = (folder / "log.txt").read_text()
    assert "constant power 60 W" in log
    assert log.splitlines()[-1].endswith("steps")


def test_zone_json(finished):
    zone = json.loads((finished[0] / "zone.json").read_text())
    assert (zone["schema"], zone["version"]) == ("ablationsim/zone", 1)
    for part in (zone, zone["contracted"], *zone["isotherms"].values(), *zone["contracted"]["isotherms"].values()):
        assert set(part) >= SIZES
    assert set(zone["isotherms"]) == {"50", "60"}
    assert zone["contracted"]["law"] == "history"
    left = 1.0 - zone["contracted"]["strain"]
    assert zone["contracted"]["volume_ml"] == pytest.approx(zone["volume_ml"] * left**3)
    assert zone["aspect_ratio"] == pytest.approx(zone["transverse_diameter_mm"] / zone["axial_length_mm"])
    assert set(zone["energy_balance"]) >= {"in_j", "stored_j", "lost_j", "relative_error"}
    assert zone["energy_balance"]["in_j"] == pytest.approx(300.0, rel=1e-6)
    assert zone["energy_balance"]["relative_error"] <= 0.005
    assert zone["discretisation_error"] is None


def test_history_csv(finished):
    with (finished[0] / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:8] == [
        "time_s", "power_w", "voltage_v", "current_a", "impedance_ohm", "tip_temperature_c", "max_temperature_c",
        "zone_volume_ml",
    ]  # fmt: skip
    assert "probe_p5_c" in rows[0]
    times = [float(row["time_s"]) for row in rows]
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(7.0)
    assert all(a < b for a, b in pairwise(times))
    assert any(abs(time - 5.0) < 1e-9 for time in times), "the end of the protocol is hit exactly"
    heating = [row for row in rows if 0 < float(row["time_s"]) <= 5]
    for row in heating:
        power, voltage, current = (float(row[key]) for key in ("power_w", "voltage_v", "current_a"))
        assert power == pytest.approx(60.0)
        assert voltage * current == pytest.approx(power)
        assert float(row["impedance_ohm"]) == pytest.approx(voltage / current)
    assert rows[-1]["impedance_ohm"] == ""
    assert float(rows[-1]["power_w"]) == 0.0


def test_fields_for_paraview(finished):
    folder, _ = finished
    reader = pyvista.get_reader(folder / "fields.pvd")
    result = Result.load(folder)
    assert reader.time_values == pytest.approx(result.frames.times.tolist())
    reader.set_active_time_value(reader.time_values[-1])
    grid = reader.read()[0]
    assert {"temperature_c", "max_temperature_c", "damage_level", "arrhenius_integral", "cem43_min"} <= {
        *grid.point_data
    }
    other = meshio.read(sorted((folder / "fields").glob("*.vtu"))[-1])
    np.testing.assert_array_equal(other.point_data["temperature_c"], grid.point_data["temperature_c"])
    inside = grid.point_data["damage_level"] > 0
    assert (inside == (grid.point_data["max_temperature_c"] > 45.0)).all()


def test_the_surface_is_watertight_and_of_the_right_size(finished):
    surface = pyvista.read(finished[0] / "zone.stl").clean()
    zone = json.loads((finished[0] / "zone.json").read_text())
    assert surface.is_manifold
    assert surface.n_open_edges == 0
    assert surface.volume / 1e3 == pytest.approx(zone["enclosed_volume_ml"], rel=0.01)
    low, high = np.array(surface.bounds).reshape(3, 2).T
    assert high[2] - low[2] == pytest.approx(zone["axial_length_mm"], rel=1e-3)


def test_the_report_is_self_contained_and_says_what_matters(finished):
    page = (finished[0] / "report.html").read_text()
    assert not re.search(r"<script|<link|<iframe|@import|url\(", page)
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', page))
    assert "Research use only" in page
    for words in ("Measured and predicted", "Long axis", "Highest temperature, probe p5", "Energy balance", "Sources"):
        assert words in page


def test_the_resolved_case_gives_the_same_numbers(finished, tmp_path, assert_same_run):
    folder, _ = finished
    again = ablationsim.Case.load(folder / "resolved.json")
    assert again == ablationsim.Case.load(folder / "case.toml")
    ablationsim.simulate(again, tmp_path / "run")
    assert_same_run(folder, tmp_path / "run")


def test_the_report_is_written_again(finished, quick_cli):
    folder, _ = finished
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    done = quick_cli("report", folder)
    assert done.returncode == 0
    assert (folder / "report.html").read_bytes() == before


def test_refinement_states_the_discretisation_error(small, tmp_path, quick_cli):
    (tmp_path / "case.toml").write_text(small)
    done = quick_cli("run", tmp_path / "case.toml", "-o", tmp_path / "run", "--refine", "--no-report")
    assert done.returncode == 0
    assert re.search(r"Discretisation error of the volume: \d+\.\d\d %", done.stdout)
    errors = [json.loads((tmp_path / "run" / part / "zone.json").read_text()) for part in (".", "refined")]
    stated = errors[0]["discretisation_error"]
    assert stated["volume_ml"] == pytest.approx(abs(errors[0]["volume_ml"] - errors[1]["volume_ml"]))
    assert stated["volume_relative"] == pytest.approx(stated["volume_ml"] / errors[1]["volume_ml"])
    again = Result.load(tmp_path / "run")
    assert again.document["discretisation_error"] == stated


def test_check(case, quick_cli):
    done = quick_cli("check", case)
    assert done.returncode == 0
    assert "no problems" in done.stdout


def test_the_shipped_cases_meet_the_schema(quick_cli):
    done = quick_cli("check", "--schema")
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    files = {path: tomllib.loads(path.read_text()) for path in sorted((ROOT / "validation").rglob("*.toml"))}
    # Beside the cases lie the conditions of papers and the files of studies, each with a table of its own.
    shipped = {path: data for path, data in files.items() if not {"conditions", "study", "comparison"} & data.keys()}
    assert len(shipped) > 10
    for path, data in shipped.items():
        jsonschema.validate(data, schema, cls=jsonschema.Draft202012Validator)
        assert ablationsim.Case.problems(path) == []


@pytest.mark.parametrize(
    "change",
    [
        {"protocl": []},
        {"protocol": [{"mode": "power", "power": 60, "duration": "1 s"}]},
        {"tissue": {}},
        {"zone": {"criterion": "colour"}},
    ],
)
def test_the_schema_refuses_what_the_program_refuses(change, small):
    data = {**tomllib.loads(small), **change}
    assert ablationsim.Case.problems(data)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, ablationsim.Case.schema(), cls=jsonschema.Draft202012Validator)


def test_devices(quick_cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    listed = quick_cli("devices", "list").stdout
    for name in ablationsim.Device.names():
        assert name in listed
        shown = quick_cli("devices", "show", name)
        assert shown.returncode == 0
        assert ablationsim.Device.load(name).title in shown.stdout
        assert "Default protocol" in shown.stdout
    done = quick_cli("devices", "show", "rfa_cooltip_17g_3m_like")
    assert done.returncode == 2
    assert "did you mean 'rfa_cooltip_17g_3cm_like'" in done.stderr


@pytest.mark.parametrize("ending", ["msh", "vtu"])
def test_a_written_mesh_can_be_run(ending, small, small_run, tmp_path, quick_cli):
    case, mesh = tmp_path / "case.toml", tmp_path / f"block.{ending}"
    case.write_text(small)
    done = quick_cli("mesh", case, "-o", mesh)
    assert done.returncode == 0
    assert f"{len(small_run.mesh.points)} nodes" in done.stdout
    case.write_text(small + f'[domain]\nmesh = "{mesh.name}"\n')
    result = ablationsim.simulate(ablationsim.Case.load(case))
    assert result.zone.volume_ml == pytest.approx(small_run.zone.volume_ml, rel=1e-6)
    assert list(result.record["inputs_sha256"]) == [str(mesh)]


def test_doctor(cli):
    done = cli("doctor")
    assert done.returncode == 0, done.stdout
    assert "energy balance closes" in done.stdout
    assert "missing" not in done.stdout


def loaded_by(code):
    """Modules in memory after some code has run in a process of its own."""
    report = "import sys; print(' '.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_is_light():
    assert not loaded_by("import ablationsim") & {*HEAVY, "numpy", "scipy", "pint", "pydantic"}


def command(*words):
    start = f"import sys; sys.argv = {['ablationsim', *words]}\nfrom ablationsim.cli import main"
    return f"{start}\ntry: main()\nexcept SystemExit: pass"


def test_the_command_line_answers_without_numerics():
    assert not loaded_by(command("--help")) & {*HEAVY, "numpy", "scipy", "pint", "pydantic"}


def test_checking_a_case_needs_no_numerics(case):
    # Pint itself loads a little of scipy.
    assert not loaded_by(command("check", str(case))) & {*HEAVY, "scipy.linalg", "scipy.sparse", "scipy.spatial"}
