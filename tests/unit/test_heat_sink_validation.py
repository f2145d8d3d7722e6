"""The cases of the heat-sink validation, and what is measured on their zones."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ablationsim.mesh.mesh import Mesh
from ablationsim.units import ZERO_CELSIUS
from ablationsim.vasculature.build import vessels_of

VALIDATION = Path(__file__).resolve().parents[2] / "validation"


@pytest.fixture
def scripts(monkeypatch):
    """The modules of the validation, which are scripts beside their cases."""
    monkeypatch.syspath_prepend(str(VALIDATION))
    import heat_sink_experiments
    import heat_sink_runs

    return SimpleNamespace(experiments=heat_sink_experiments, runs=heat_sink_runs)


def test_every_run_is_a_case_with_one_vessel_along_the_shaft(scripts):
    cases = scripts.experiments.cases()
    assert cases
    for name, case in cases.items():
        assert len(case.vessels) == 1, name
        start, end = np.array(case.vessels[0].points)
        assert (end - start)[:2] == pytest.approx(0.0), name
        assert start[1] == 0.0, name


def test_every_case_file_is_of_a_series(scripts):
    used = {scripts.experiments.file_of(series) for series in scripts.experiments.FILES}
    assert all(path.is_file() for path in used)
    for folder in {path.parent for path in used}:
        assert {path for path in used if path.parent == folder} == set(folder.glob("*.toml"))
        assert (folder / "README.md").is_file()


def test_changes_reach_the_case(scripts):
    path = scripts.experiments.file_of("neizert_2022")
    case = scripts.runs.case_with(
        path, {"wall": 2.5, "diameter": 3, "glass": 0.5, "flow": 2, "temperature": 37, "power": 40, "isotherm": 50}
    )
    (section,) = case.vessels
    # Wall of the glass, half the lumen, the glass itself.
    assert section.points[0][0] == pytest.approx(2.5e-3 + 1.5e-3 + 0.5e-3)
    assert section.flow == pytest.approx(2e-6 / 60)
    assert case.tissue.initial_temperature == pytest.approx(37.0 + ZERO_CELSIUS)
    assert case.applicators[0].protocol[0].power == pytest.approx(40.0)
    assert case.zone.isotherm_temperature == pytest.approx(50.0 + ZERO_CELSIUS)
    (branch,) = vessels_of(case)[0].branches
    assert branch.diameter == pytest.approx(4e-3, rel=0.01)


def test_a_vessel_without_flow_stands_still(scripts):
    for series, flow in (("lu_2002", 0), ("plosone_2015", 0)):
        case = scripts.runs.case_with(scripts.experiments.file_of(series), {"flow": flow})
        assert vessels_of(case)[0].branches[0].model == "still"


def test_a_vein_without_a_given_flow_has_the_usual_one(scripts):
    case = scripts.runs.case_with(scripts.experiments.file_of("lu_2002"), {"flow": None, "diameter": 5})
    assert case.vessels[0].flow is None
    assert vessels_of(case)[0].branches[0].flow > 0.0


def block() -> Mesh:
    """A block of tetrahedra about the axis of the shaft, 40 x 40 x 8 mm."""
    from skfem import MeshTet

    across, along = np.linspace(-0.02, 0.02, 41), np.linspace(0.0, 0.008, 9)
    grid = MeshTet.init_tensor(across, across, along).oriented()
    return Mesh(grid.p.T, grid.t.T, {}, {}, False)


def test_a_section_of_a_round_zone_that_a_vessel_cuts_into(scripts):
    """A cylinder of 12 mm with a tube of 3 mm whose axis is 10 mm from that of the shaft."""
    mesh = block()
    x, y = 1e3 * mesh.points[:, 0], 1e3 * mesh.points[:, 1]
    level, tube = 12.0 - np.hypot(x, y), np.hypot(x - 10.0, y) - 3.0
    found = scripts.runs._section(
        SimpleNamespace(mesh=mesh), np.zeros(3), 4.0, np.minimum(level, tube), np.minimum(level, tube), 7.0
    )
    # Circles of 12 and 3 mm whose centres are 10 mm apart.
    first, second = (100 + 144 - 9) / (2 * 10 * 12), (100 + 9 - 144) / (2 * 10 * 3)
    kite = 0.5 * np.sqrt((22 + 3) * (22 - 3) * (3 - 2) * (3 + 2))
    lens = 144 * np.arccos(first) + 9 * np.arccos(second) - kite
    assert found.area == pytest.approx(np.pi * 144 - lens, rel=0.01)
    assert found.toward == pytest.approx(7.0, abs=0.05)
    assert found.reach == pytest.approx(7.0, abs=0.05)
    assert found.away == pytest.approx(12.0, abs=0.05)


def test_crossings_leave_the_zone(scripts):
    # A square from -1 to 3, turning to the left, with a square hole from 1 to 2, turning to the right.
    outer = [(-1, -1), (3, -1), (3, 1), (-1, 1)]
    inner = [(1, -0.5), (1, 0.5), (2, 0.5), (2, -0.5)]
    ends = np.array([[loop[i], loop[(i + 1) % 4]] for loop in (outer, inner) for i in range(4)], dtype=float)
    assert sorted(scripts.runs._crossings(ends)) == pytest.approx([1.0, 3.0])
    assert scripts.runs._crossings(-ends) == pytest.approx([1.0])
