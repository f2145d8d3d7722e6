"""The report is complete, self-contained and harmless; files for other programs can be read by them."""

import dataclasses
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import pyvista
from scipy.spatial import Delaunay

import ablationsim
from ablationsim.errors import OutputError
from ablationsim.geometry.antenna import DrawnPart
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.mesh import Mesh
from ablationsim.report import (
    AntennaDrawing,
    ApplicatorDrawing,
    Citation,
    MeasuredRow,
    Parameter,
    ReportData,
    write_report,
)
from ablationsim.report.antenna import drawing
from ablationsim.report.build import report_data
from ablationsim.report.data import Surroundings, ZoneWithout
from ablationsim.report.figures import antennas, cross_section, heat_sink, histories
from ablationsim.report.html import fixed, render, signed, significant
from ablationsim.report.scene import render as render_scene
from ablationsim.report.scene import scene_of
from ablationsim.report.section import Plane, plane_through, section
from ablationsim.report.vessels import BRANCHES, branch_table, outlines
from ablationsim.results.export import write_fields, write_series, write_surface
from ablationsim.vessels.tube import tube
from ablationsim.vessels.vessel import Branch, Fluid, Vessel, Wall
from ablationsim.zone import isotherm_metrics, measure, uniform_contraction, zone_document, zone_surface

RADIUS = 0.000735
NOTICE = "Research use only. Not a medical device."


def tissue(axisymmetric: bool, spacing: float) -> Mesh:
    """A cylinder (half-plane) or a cube of tissue without the needle r < RADIUS, z > 0, by Delaunay."""
    rng = np.random.default_rng(7)
    size = 0.045
    if axisymmetric:
        r, z = np.meshgrid(np.arange(0, size, spacing) + 1e-12, np.arange(-size, size, spacing))
        cloud = np.column_stack([r.ravel(), z.ravel()]) + rng.uniform(-0.2, 0.2, (r.size, 2)) * spacing
        cloud[:, 0] = np.where(r.ravel() < spacing / 2, 0, cloud[:, 0])
        heights = np.arange(0, size, 0.4 * spacing)
        needle = np.vstack([np.column_stack([np.full(len(heights), RADIUS), heights]), [[0, 0]]])
        cloud = cloud[~((cloud[:, 0] < 1.5 * RADIUS) & (cloud[:, 1] > -0.3 * spacing))]
        points = np.vstack([cloud, needle])
    else:
        x = np.arange(-size, size + spacing / 2, spacing)
        points = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)
        points = points + rng.uniform(-0.1, 0.1, points.shape) * spacing
    cells = Delaunay(points).simplices
    corners = points[cells]
    sizes = np.linalg.det(corners[:, 1:] - corners[:, :1])
    cells[sizes < 0] = cells[sizes < 0][:, [1, 0, *range(2, cells.shape[1])]]
    keep = np.abs(sizes) > 1e-4 * np.median(np.abs(sizes))
    if axisymmetric:
        middle = corners.mean(axis=1)
        keep &= ~((middle[:, 0] < RADIUS) & (middle[:, 1] > 0))
    return Mesh(points, cells[keep], {}, {}, axisymmetric)


def history() -> dict[str, np.ndarray]:
    """Twelve minutes of pulsed power and one minute without."""
    time = np.arange(0, 780.5, 0.5)
    pulse = np.where(time < 60, True, (time - 60) % 30 > 15) & (time < 720)
    power = np.where(time >= 720, 0.0, np.where(pulse, 120.0, 10.0))
    impedance = np.where(power > 0, 75 + 20 * np.exp(-time / 40) + 12 * pulse * ((time % 15) / 15) ** 3, np.nan)
    voltage = np.sqrt(power * np.nan_to_num(impedance, nan=80.0))
    warm = 1 - np.exp(-time / 150)
    fade = np.where(time > 720, np.exp(-(time - 720) / 80), 1.0)
    return {
        "time_s": time,
        "power_w": power,
        "voltage_v": voltage,
        "current_a": np.where(power > 0, power / np.maximum(voltage, 1e-9), 0.0),
        "impedance_ohm": impedance,
        "tip_temperature_c": 20 + 12 * warm * fade + pulse,
        "max_temperature_c": 21 + 81 * (1 - np.exp(-time / 20)) * fade,
        "zone_volume_ml": 27.7 * warm**2,
        "probe_10 mm_c": 21 + 58 * warm * fade**0.5,
        "probe_20 mm_c": 21 + 26 * warm**2,
    }


def make_data(axisymmetric: bool = True, spacing: float = 0.0025, **changes) -> ReportData:
    mesh = tissue(axisymmetric, spacing)
    centre = np.array([0, 0.014] if axisymmetric else [0.0, 0.0, 0.014])
    scale = np.array([1, 1.3] if axisymmetric else [1, 0.8, 1.3])
    far = np.linalg.norm((mesh.points - centre) / scale, axis=1)
    warm = 294.15 + 82 / (1 + (far / 0.0155) ** 3.2)
    hottest = warm + 3 * np.exp(-((far / 0.012) ** 2))
    level = (hottest - 329.15) * 0.35
    tip, axis = np.zeros(3), np.array([0.0, 0.0, 1.0])
    metrics, isotherms = measure(mesh, level, tip, axis), isotherm_metrics(mesh, hottest, tip, axis)
    zone = zone_document(
        metrics,
        criterion={"name": "arrhenius", "set": "whitening", "threshold": "Ω = 1"},
        time_s=780.0,
        power_off_s=720.0,
        isotherms=isotherms,
        contracted=uniform_contraction(metrics, isotherms, 0.12),
        energy_balance={
            "in_j": 33210.0,
            "stored_j": 22695.0,
            "lost_j": 10520.0,
            "relative_error": -1.5e-4,
            "lost_coolant_j": 10460.0,
            "lost_boundary_j": 60.0,
        },
        discretisation_error={"volume_ml": 0.31, "volume_relative": 0.011, "axial_length_mm": 0.2},
    )
    tines = () if axisymmetric else (np.array([[0, 0, 0.01], [0.008, 0, 0.006], [0.014, 0, 0.0]]),)
    needle = ApplicatorDrawing(
        name="A0",
        tip=tip,
        axis=axis,
        outline=np.array([[0, 0], [RADIUS, 0.002], [RADIUS, 0.03], [RADIUS, 0.15]]),
        heated=((0.0, 0.03),),
        tines=tines,
    )
    contracted = zone["contracted"]
    parts = {
        "title": "Cooled-tip RFA, ex vivo porcine liver",
        "summary": [
            ("Case", "rfa_cooltip_ji2011.toml"),
            ("Protocol", "impedance control: 200 W until +20 Ω, then 10 W for 15 s; 12 min"),
            ("Tissue", "liver_porcine_ex_vivo, 21 °C, no perfusion"),
            ("Domain", "cylinder, radius 45 mm, height 90 mm; axisymmetric"),
            ("Mesh", f"{len(mesh.points)} nodes, {len(mesh.cells)} cells"),
        ],
        "device": [
            ("Profile", "rfa_cooltip_17g_3cm_like"),
            ("Needle", "17 G (1.47 mm), bare tip 30 mm, internally cooled"),
            ("Generator", "200 W, 2 A, 480 kHz"),
        ],
        "zone": zone,
        "history": history(),
        "mesh": mesh,
        "temperature_power_off": warm,
        "temperature_end": warm - 5,
        "temperature_max": hottest,
        "level": level,
        "applicators": [needle],
        "measured": [
            MeasuredRow("Long axis", "mm", contracted["long_axis_mm"], 39.0, 2.0, "contracted"),
            MeasuredRow("Short axis", "mm", contracted["short_axis_mm"], 31.0, 1.0, "contracted"),
            MeasuredRow("Volume", "mL", contracted["volume_ml"], 20.0, 2.5, "contracted"),
            MeasuredRow("Highest temperature, probe 10 mm", "°C", 78.9, 76.8, 8.2, "undeformed"),
            MeasuredRow("Time to 54 °C, probe 10 mm", "s", 142.0, 135.0, 34.0, "undeformed"),
        ],
        "measured_source": "Ji et al. 2011, n = 6",
        "probes": {"10 mm": np.array([0.010, 0, 0.015]), "20 mm": np.array([0.020, 0, 0.015])},
        "warnings": ["The start temperature is assumed: the source does not print it."],
        "events": [(61.5, "impedance +20.0 Ω above its minimum: 10 W for 15 s"), (76.5, "200 W again")],
        "parameters": [
            Parameter("density", "1079", "kg/m³", "published", "comsol", True, "1050 to 1090"),
            Parameter("electric conductivity at 37 °C", "0.20", "S/m", "published", "hall2015", True, "0.14 to 0.28"),
            Parameter("frequency factor", "5.51e41", "1/s", "published", "jacques1991", False),
            Parameter("start temperature", "21", "°C", "assumed", "room temperature", False, "20 to 22"),
        ],
        "citations": [
            Citation("comsol", "COMSOL: Microwave cancer therapy.", True, "https://doc.comsol.com/"),
            Citation("hall2015", "Hall, Ooi, Payne: Int J Hyperthermia 2015.", True, "https://doi.org/10.3109/1"),
            Citation("jacques1991", "Jacques et al. 1996: whitening of liver.", False),
        ],
        "provenance": [("ablationsim", "0.1.0"), ("numpy", np.__version__), ("Case hash", "sha256 3f2a…91")],
    }
    return ReportData(**(parts | changes))


def antenna_drawing() -> AntennaDrawing:
    """A metal shaft with a ring of plastic, in tissue that absorbs as much everywhere as 0.1 W/cm³."""
    r, z = np.meshgrid(np.linspace(RADIUS, 0.04, 30), np.linspace(-0.03, 0.08, 60))
    points = np.column_stack([r.ravel(), z.ravel()])
    shaft = DrawnPart("shaft", "metal", np.array([(0, 0), (RADIUS, 0.002), (RADIUS, 0.1), (0, 0.1)]))
    ring = DrawnPart("ring", "foam", RADIUS * np.array([(0.5, 14), (1, 14), (1, 16), (0.5, 16)]))
    return AntennaDrawing(
        title="Antenna of a test",
        parts=[shaft, ring],
        materials={"metal": "metal", "foam": "foam (permittivity 1.5)"},
        radius=RADIUS,
        radiating=(0.0, 0.015),
        inside=(0.0, 0.02),
        points=points,
        cells=Delaunay(points).simplices,
        density=np.full(len(points), 1e5),
    )


def budget(setting: float, reflected: float) -> dict[str, float]:
    """Where the power goes at 80 % efficiency, with a share of the port's power reflected."""
    port = 0.75 * setting
    return {
        "setting_w": setting,
        "cable_loss_w": 0.20 * setting,
        "shaft_loss_w": 0.05 * setting,
        "input_w": port,
        "absorbed_w": (0.95 - reflected) * port,
        "absorbed_antenna_w": 0.02 * port,
        "radiated_w": 0.03 * port,
        "reflected_w": reflected * port,
        "s11_db": 10 * math.log10(reflected),
    }


def microwave_data(names: tuple[str, ...] = ("A0",), coupling: str = "full", setting: float = 60.0) -> ReportData:
    base = make_data()
    each = [
        {"name": name, "efficiency": 0.8, **budget(setting, 0.01), "at_end": budget(setting, 0.1)} for name in names
    ]
    account = {"coupling": coupling, "frequency_hz": 2.45e9, "closure": 3e-4, "solves": 7, "antennas": each}
    flows = {"absorbed_w": 45.0, "reflected_w": 3.0, "radiated_w": 1.0}
    columns = {key: values * (math.nan if key in ELECTRIC else 1) for key, values in history().items()}
    columns |= {key: np.where(columns["power_w"] > 0, value, 0.0) for key, value in flows.items()}
    return make_data(
        zone=base.zone | {"microwave": account},
        history=columns,
        antennas=[antenna_drawing()],
        title="An antenna",
        summary=[],
        device=[],
        events=[],
        citations=[],
        parameters=[],
    )


ELECTRIC = ("voltage_v", "current_a", "impedance_ohm")


@pytest.fixture(scope="module")
def data() -> ReportData:
    return make_data()


@pytest.fixture(scope="module")
def page(data) -> str:
    return render(data, {"cross_section.png": b"one", "histories.png": b"two"})


class Words(HTMLParser):
    """The text of a page, its tags, and every address it refers to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.addresses: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.text += " " if tag in ("td", "th", "p", "div", "br") else ""
        self.addresses += [(tag, value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] != "style":
            self.text += text


def words(page: str) -> str:
    return re.sub(r"\s+", " ", Words(page).text)


def test_the_page_says_research_use_only_first_and_last(page):
    body = words(page)
    body = body[body.index("ablationsim report") + len("ablationsim report") :].strip()
    assert body.startswith(NOTICE)
    assert body.endswith(NOTICE)


def test_the_page_needs_no_network_and_no_script(page):
    found = Words(page)
    assert found.open == []
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert all(value.startswith("data:image/png;base64,") for tag, value in found.addresses if tag == "img")
    assert {tag for tag, _ in found.addresses} == {"img", "a"}
    assert "@import" not in page
    assert "url(" not in page


def test_zone_numbers_stand_with_their_units(data, page):
    text = words(page)
    for part in (data.zone, data.zone["contracted"], data.zone["isotherms"]["50"]):
        assert f"{part['axial_length_mm']:.1f} mm" in text
        assert f"{part['volume_ml']:.1f} mL" in text
    assert "± 0.31 mL" in text
    assert "discretisation error 1.1 %" in text
    assert "undeformed" in text
    assert "contracted by 12 %" in text


def test_measured_rows_give_differences_in_percent_and_deviations(page):
    text = words(page)
    assert "78.9 °C 76.8 ± 8.2 °C +2.1 K – +0.3 SD undeformed" in text
    assert "142 s 135 ± 34 s +7 s +5.2 % +0.2 SD" in text


def test_a_measurement_without_prediction_or_deviation_shows_dashes():
    row = MeasuredRow("Volume", "mL", None, 20.0)
    assert (row.difference, row.percent, row.deviations) == (None, None, None)
    text = words(render(make_data(measured=[row]), {"cross_section.png": b"", "histories.png": b""}))
    assert "Volume – 20.0 mL – – –" in text


def test_energy_events_warnings_parameters_and_sources_are_there(page):
    text = words(page)
    for part in (
        "Delivered to the tissue 33.21 kJ",
        "of which to the coolant 10.46 kJ",
        "2 generator events",
        "61.5 s impedance +20.0 Ω",
        "The start temperature is assumed",
        "0.20 S/m 0.14 to 0.28 published hall2015 ✓ verified",
        "2 of 4 numbers are marked not verified",
        "Jacques et al. 1996: whitening of liver. not verified",
        "60 s after the end of the protocol",
    ):
        assert part in text, part


def test_text_of_a_case_cannot_become_markup():
    evil = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> & $\\frac{"
    page = render(
        make_data(
            title=evil,
            summary=[(evil, evil)],
            warnings=[evil],
            events=[(1.0, evil)],
            measured_source=evil,
            parameters=[Parameter(evil, evil, evil, evil, evil, None, evil)],
            citations=[Citation(evil, evil, False, "javascript:alert(1)")],
            provenance=[(evil, evil)],
        ),
        {"cross_section.png": b"", "histories.png": b""},
    )
    found = Words(page)
    assert "script" not in found.tags
    assert found.tags.count("img") == 2
    assert "onerror=alert(1)>" not in page
    assert not any(value.startswith("javascript:") for _, value in found.addresses)
    assert "<script>alert('x')" in found.text


def test_a_run_without_zone_has_a_report(tmp_path):
    base = make_data()
    nothing = np.full(len(base.mesh.points), -9.0)
    cold = np.full(len(base.mesh.points), 294.15)
    metrics, isotherms = measure(base.mesh, nothing), isotherm_metrics(base.mesh, cold)
    zone = zone_document(
        metrics,
        criterion={"name": "arrhenius"},
        time_s=60.0,
        power_off_s=0.0,
        isotherms=isotherms,
        contracted=uniform_contraction(metrics, isotherms, 0.0),
        energy_balance={"in_j": 0.0, "stored_j": 0.0, "lost_j": 0.0, "relative_error": 0.0},
    )
    changes = {
        "zone": zone,
        "level": nothing,
        "temperature_power_off": cold,
        "temperature_max": cold,
        "history": {key: values[:3] * 0 for key, values in base.history.items()},
    }
    text = words(write_report(tmp_path, dataclasses.replace(base, **changes)).read_text(encoding="utf-8"))
    assert "no tissue meets the criterion" in text
    assert not re.search(r"\b(nan|inf|None)\b", text)


def test_files_of_the_report(tmp_path, data):
    page = write_report(tmp_path, data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cross_section.png", "histories.png", "report.html"]
    assert (tmp_path / "cross_section.png").read_bytes().startswith(b"\x89PNG")
    assert page.stat().st_size > 50_000
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "missing", data)


def test_odd_names_do_not_break_the_pictures():
    columns = history()
    columns["probe_$x_{_c"] = columns["time_s"] * 0 + 30
    base = make_data(probes={"$x_{": np.array([0.01, 0, 0.01])}, history=columns, level_label="$\\frac")
    assert len(cross_section(base).axes) >= 2
    figure = histories(base)
    figure.canvas.draw()


def test_the_history_picture_shares_its_time_axis_and_marks_pauses(data):
    figure = histories(data)
    assert len(figure.axes) == 6
    assert {ax.get_xlim() for ax in figure.axes} == {figure.axes[0].get_xlim()}
    assert figure.axes[0].get_xlim() == pytest.approx((0, 13))
    assert figure.axes[0].patches  # a minute without power at the end


def test_the_cross_section_has_equal_axes_in_millimetres(data):
    panels = [ax for ax in cross_section(data).axes if ax.get_xlabel().startswith("across")]
    assert len(panels) == 2
    for ax in panels:
        assert ax.get_aspect() == 1
        low, high = ax.get_xlim()
        assert low == -high
        assert data.zone["transverse_diameter_mm"] < high - low <= 90


def test_a_section_in_space_holds_the_fields_exactly():
    mesh = tissue(False, 0.015)
    needle = ApplicatorDrawing(
        "A0", np.array([0.001, 0.002, 0.003]), np.array([0.0, 0.6, 0.8]), np.array([[0, 0], [1e-3, 0.1]])
    )
    plane = plane_through([needle])
    cut = section(mesh, plane)
    field = 300 + mesh.points @ np.array([100.0, -50.0, 20.0])
    in_space = plane.origin + 1e-3 * cut.points @ np.array([plane.right, plane.up])
    assert cut.sample(field) == pytest.approx(300 + in_space @ np.array([100.0, -50.0, 20.0]), rel=1e-12)
    assert plane.right @ plane.up == pytest.approx(0, abs=1e-12)
    assert len(cross_section(make_data(False, 0.009)).axes) == 6  # three panels, each with its bar


def test_the_plane_goes_through_the_second_applicator():
    outline = np.array([[0, 0], [1e-3, 0.1]])
    up = np.array([0.0, 0.0, 1.0])
    pair = [
        ApplicatorDrawing(n, np.array(tip), up, outline) for n, tip in (("A0", [0.0, 0, 0]), ("A1", [0.0, 0.02, 0.01]))
    ]
    plane = plane_through(pair)
    assert plane.project(np.array([[0, 0.02, 0.01]])) == pytest.approx(np.array([[20.0, 10.0]]))


def test_the_plane_goes_through_a_needle_of_a_cluster_and_draws_the_others_faint():
    angle = 2 * np.pi * np.arange(3) / 3 + 0.4
    shafts = 0.003 * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    cluster = ApplicatorDrawing(
        "A0", np.zeros(3), np.array([0.0, 0, 1]), np.array([[0, 0], [1e-3, 0.1]]), shafts=shafts
    )
    plane = plane_through([cluster])
    assert plane.project(shafts[:1]) == pytest.approx(np.array([[3.0, 0.0]]))
    panel = cross_section(make_data(False, 0.015, applicators=[cluster])).axes[0]
    assert [patch.get_alpha() for patch in panel.patches] == [1.0, 0.35, 0.35]


@pytest.mark.parametrize("axisymmetric", [True, False])
def test_the_surface_file_is_watertight_and_has_the_volume(tmp_path, axisymmetric):
    base = make_data(axisymmetric, 0.002 if axisymmetric else 0.006)
    path = tmp_path / "zone.stl"
    write_surface(path, zone_surface(base.mesh, base.level))
    solid = pyvista.read(path)
    assert solid.n_open_edges == 0
    assert solid.is_manifold
    assert solid.volume == pytest.approx(1e3 * base.zone["enclosed_volume_ml"], rel=2e-3)
    assert math.isclose(np.ptp(solid.points[:, 2]), base.zone["axial_length_mm"], rel_tol=1e-4)


def test_no_zone_makes_an_empty_surface_file(tmp_path):
    mesh = tissue(True, 0.005)
    path = tmp_path / "zone.stl"
    write_surface(path, zone_surface(mesh, np.full(len(mesh.points), -1.0)))
    assert path.stat().st_size == 84


@pytest.mark.parametrize("axisymmetric", [True, False])
def test_field_files_can_be_read_back_by_time(tmp_path, axisymmetric):
    base = make_data(axisymmetric, 0.009)
    for k in range(2):
        write_fields(tmp_path / f"fields_{k}.vtu", base.mesh, {"temperature_c": base.temperature_max - 273.15 + k})
    write_series(tmp_path / "fields.pvd", [(0.0, "fields_0.vtu"), (30.0, "fields_1.vtu")])
    reader = pyvista.get_reader(tmp_path / "fields.pvd")
    assert reader.time_values == [0.0, 30.0]
    reader.set_active_time_value(30.0)
    grid = reader.read()[0]
    assert grid["temperature_c"] == pytest.approx(base.temperature_max - 272.15)
    assert grid.n_cells == len(base.mesh.cells)
    assert np.ptp(grid.points[:, 2]) == pytest.approx(1e3 * np.ptp(base.mesh.points[:, -1]))


def test_files_that_cannot_be_written_say_so(tmp_path):
    mesh = tissue(True, 0.01)
    missing = tmp_path / "missing"
    with pytest.raises(OutputError, match="cannot be written"):
        write_fields(missing / "fields.vtu", mesh, {})
    with pytest.raises(OutputError, match="cannot be written"):
        write_series(missing / "fields.pvd", [])
    with pytest.raises(OutputError, match="cannot be written"):
        write_surface(missing / "zone.stl", zone_surface(mesh, mesh.points[:, 0] - 0.01))


def test_numbers_for_people():
    assert fixed(None, 1) == fixed(math.nan, 1) == "–"
    assert fixed(-0.04, 1) == "0.0"
    assert fixed(-12.34, 1) == "\N{MINUS SIGN}12.3"
    assert fixed(33210, 0) == "33\N{NARROW NO-BREAK SPACE}210"
    assert signed(0.04, 1) == "0.0"
    assert signed(2.1, 1) == "+2.1"
    assert significant(0.0123) == "0.0123"
    assert significant(27.71) == "27.7"
    assert significant(0.0) == "0"


def test_the_data_of_the_zone_survives_json(data):
    assert json.loads(json.dumps(data.zone, allow_nan=False)) == data.zone


# -- microwaves --------------------------------------------------------------------------------------------------------


NO_PICTURES = {"cross_section.png": b"", "histories.png": b"", "antenna.png": b""}


def test_a_microwave_report_says_where_the_power_goes_and_nothing_of_electrodes():
    text = words(render(microwave_data(), NO_PICTURES))
    for row in (
        "Setting of the generator 60.00 W 100.0 % 60.00 W 100.0 %",
        "lost before the needle (cable, connectors) 12.00 W 20.0 % 12.00 W 20.0 %",
        "lost in the line inside the needle 3.00 W 5.0 % 3.00 W 5.0 %",
        "Arriving at the port 45.00 W 75.0 % 45.00 W 75.0 %",
        "absorbed in tissue 42.30 W 70.5 % 38.25 W 63.8 %",
        "absorbed in the antenna itself 0.90 W 1.5 % 0.90 W 1.5 %",
        "radiated beyond the modelled tissue 1.35 W 2.2 % 1.35 W 2.2 %",
        "reflected 0.45 W 0.8 % 4.50 W 7.5 %",
        "Reflection, S11 −20.0 dB −10.0 dB",
        "7 field solves",
        "but for 0.030 %",
        "Set at the generator 33.21 kJ",
    ):
        assert row in text, row
    assert "incoherent" not in text
    assert not re.search(r"[Vv]oltage|[Cc]urrent|[Ii]mpedance|electric field|electrode|Delivered", text)
    assert words(render(microwave_data(coupling="fast"), NO_PICTURES)).count("coupling fast: one field solve") == 1


def test_several_antennas_each_have_their_power_balance():
    page = render(microwave_data(names=("left", "right")), NO_PICTURES)
    text = words(page)
    assert text.count("Arriving at the port 45.00 W") == 2
    assert text.index("left Setting of the generator") < text.index("right Setting of the generator")
    assert "incoherent: each has the field that it would have alone, and the powers add" in text


def test_an_antenna_that_was_never_on_has_no_shares():
    idle = microwave_data(setting=0.0)
    text = words(render(idle, NO_PICTURES))
    assert "Arriving at the port 0.00 W – 0.00 W –" in text


def test_a_report_of_electrodes_has_no_word_of_antennas(page):
    text = words(page)
    assert "Voltage and current are effective (rms) values" in text
    assert not re.search(r"[Mm]icrowave power|Antenna|S11|field solve", text)


def test_the_histories_of_antennas_show_reflected_and_radiated_power():
    axes = histories(microwave_data()).axes
    labels = [ax.get_ylabel() for ax in axes]
    assert labels == ["setting / W", "in tissue / W", "not absorbed / W", "temperature / °C", "zone / mL"]
    curves = {line.get_label(): line.get_ydata().max() for line in axes[2].lines}
    assert curves == {"reflected": 3.0, "radiated": 1.0}


def test_temperatures_that_leave_the_picture_say_how_far_they_go():
    columns = history()
    columns["tip_temperature_c"] = columns["tip_temperature_c"] * 0 + 161.4
    temperatures = histories(make_data(history=columns)).axes[4]
    labels = [line.get_label() for line in temperatures.lines]
    assert "tip (up to 161 °C)" in labels
    assert "hottest tissue" in labels
    assert temperatures.get_ylim()[1] <= 130


def test_the_picture_of_an_antenna_has_both_halves_in_millimetres():
    inside, outside, _ = antennas(microwave_data()).axes
    for patch in ("metal", "foam"):
        assert any(patch in text.get_text() for text in inside.get_legend().get_texts())
    corners = np.vstack([patch.get_xy() for patch in inside.patches])
    assert corners[:, 1].min() == pytest.approx(-1e3 * RADIUS)
    assert corners[:, 1].max() == pytest.approx(1e3 * RADIUS)
    ring = inside.patches[2].get_xy()
    assert ring[:, 0].min() == pytest.approx(14e3 * RADIUS)
    assert ring[:, 1].min() == pytest.approx(0.5e3 * RADIUS)
    assert inside.get_xlim() == pytest.approx((-2.4, 24.8))  # 20 mm with margins
    assert inside.get_aspect() == round(0.17 * 27.2 / (3e3 * RADIUS))
    assert outside.get_aspect() == 1
    low, high = outside.get_ylim()
    assert low == -high


def test_the_picture_holds_a_slot_that_lies_above_the_radiating_section():
    device = ablationsim.Device.load("mwa_he2010_cooled")
    raised = device.with_values({"antenna.dimensions.radiating_length": 0.0235}, status="assumed", note="a test")
    case = ablationsim.Case.from_dict(
        {"device": {"profile": "mwa_he2010_cooled"}, "tissue": {"set": "liver_porcine_ex_vivo"}}
    )
    spec = raised.applicator
    drawn = drawing(case, raised, Applicator.build(0, spec, Placement.along(), antenna=raised.antenna))
    assert drawn.radiating == pytest.approx((0.0, spec.sections[0].length))
    assert drawn.inside == pytest.approx((0.0, 0.0235 + raised.antenna.dimensions["slot"]))
    assert drawn.materials == {"metal": "metal", "ptfe": "ptfe (permittivity 2.1)"}


def test_a_microwave_run_is_reported(tmp_path):
    """The whole way from a case: power balance, law of the dielectric, the antenna and its field."""
    case = ablationsim.Case.from_dict(
        {
            "device": {"profile": "mwa_slot_reference"},
            "protocol": [{"mode": "power", "power": "10 W", "duration": "2 s"}],
            "tissue": {"set": "liver_porcine_ex_vivo", "microwave_conductivity": "1.9 S/m"},
            "zone": {"cooling": "0 s"},
            "mesh": {"resolution": 3.0},
            "microwave": {"coupling": "fast", "drying": "reversible", "floors": False},
        }
    )
    report = report_data(ablationsim.simulate(case))
    assert dict(report.summary)["Field coupling"] == "fast: one field solve, scaled"
    assert dict(report.summary)["Dielectric law"].endswith("(lopresto); reversible drying, without floors")
    assert "electric boundary" not in dict(report.summary)["Domain"]
    assert dict(report.device)["Frequency"] == "2450 MHz"
    numbers = {parameter.name: parameter for parameter in report.parameters}
    assert numbers["dielectric law lopresto: microwave conductivity at 37 °C"].value == "1.9"
    assert numbers["dielectric law lopresto: microwave conductivity at 37 °C"].source == "chosen for this case"
    assert numbers["dielectric law lopresto: permittivity drop"].value == "45.57"
    assert "device: antenna, air, permittivity" in numbers
    assert not [name for name in numbers if "electric conductivity" in name or "floor" in name]
    assert len([name for name in numbers if "microwave conductivity at 37" in name]) == 1

    (antenna,) = report.antennas
    corners = antenna.points[antenna.cells]
    area = 0.5 * np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
    absorbed = (antenna.density[antenna.cells].mean(axis=1) * 2 * np.pi * corners[:, :, 0].mean(axis=1) * area).sum()
    account = report.zone["microwave"]
    # Spread over nodes and over tissue of another extent: nearly all of what a watt at the port gives to the tissue.
    assert absorbed == pytest.approx(account["absorbed_w"] / account["input_w"], rel=0.03)
    assert report.applicators[0].heated == (antenna.radiating,)

    page = write_report(tmp_path, report)
    assert {path.name for path in tmp_path.iterdir()} == {
        "antenna.png",
        "cross_section.png",
        "histories.png",
        "report.html",
    }
    text = words(page.read_text(encoding="utf-8"))
    assert "Setting of the generator 10.00 W 100.0 %" in text
    assert not re.search(r"\b(nan|inf|None)\b|[Vv]oltage|[Ii]mpedance|electrode", text)


# -- vessels -----------------------------------------------------------------------------------------------------------


def vessel(name: str, kind: str, start, end, diameter: float) -> Vessel:
    shape = tube(np.array([start, end]), diameter)
    flow = Branch("1", shape.centreline.points[0], shape.centreline.radii[0], {}, 1e-6, "fixed", 800.0)
    return Vessel(name, kind, shape.wall, (flow,), Fluid("blood", 1060.0, 3617.0, 0.52, 3.5e-3, 0.7), 310.15)


PORTAL = vessel("portal", "portal_vein", (0.008, 0.011, -0.04), (0.008, 0.011, 0.04), 0.005)
HEPATIC = vessel("hepatic", "hepatic_vein", (-0.04, 0.0, -0.01), (0.04, 0.0, -0.01), 0.004)


def carried(branches: int = 13) -> dict:
    """What zone.json says of two trees; the branches of the first carry off 1, 2, 3, ... J."""

    def branch(k: int, energy: float) -> dict:
        return {
            "name": f"b{k}",
            "diameter_mm": 5.04,
            "length_mm": 80.0,
            "flow_ml_min": 250.0,
            "wall_coefficient_w_m2_k": 812.4,
            "equilibration_length_mm": 1234.0,
            "model": "transport" if k == 2 else "fixed",
            "energy_j": energy,
            "share": energy / 1000.0,
            "distance_mm": None if k == 1 else 8.46,
            "outlet_temperature_c": 41.27 if k == 2 else None,
        }

    portal = {"name": "portal", "kind": "portal_vein", "fluid": "blood", "inlet_temperature_c": 37.0}
    portal |= {"branches": [branch(k, float(k)) for k in range(1, branches + 1)]}
    hepatic = portal | {"name": "hepatic", "kind": "hepatic_vein", "branches": [branch(1, 50.0)]}
    trees = []
    for tree in (portal, hepatic):
        energy = sum(part["energy_j"] for part in tree["branches"])
        trees.append(tree | {"energy_j": energy, "share": energy / 1000.0})
    total = sum(tree["energy_j"] for tree in trees)
    return {"energy_j": total, "share": total / 1000.0, "trees": trees}


def sink_data() -> ReportData:
    base = make_data(False, 0.009)
    compared = {
        "without_vessels": {"volume_ml": 31.24, "axial_length_mm": 40.0, "sphericity_axes": None},
        "lost_ml": 3.5,
        "lost_percent": 11.2,
        "branches": [
            {
                "tree": "portal",
                "name": "b13",
                "diameter_mm": 5.0,
                "distance_mm": 8.46,
                "radius_mm": 7.25,
                "radius_without_mm": 14.5,
                "remaining_percent": 50.0,
            }
        ],
    }
    surroundings = Surroundings(
        (PORTAL, HEPATIC),
        np.array([0.0065, 0.009, 0.015]),
        ZoneWithout(base.mesh, base.level + 1.0),
        tube(np.array([[0, 0, 0.01], [0, 0, 0.02]]), 0.01).wall,
        ["portal: no flow given"],
    )
    needle = dataclasses.replace(base.applicators[0], tines=())
    zone = base.zone | {"vessels": carried(), "heat_sink": compared}
    return dataclasses.replace(base, zone=zone, surroundings=surroundings, applicators=[needle])


@pytest.fixture(scope="module")
def sink() -> ReportData:
    return sink_data()


PICTURES = {"cross_section.png": b"", "histories.png": b"", "heat_sink.png": b""}


def area(loop: np.ndarray) -> float:
    """Positive when the loop runs with its inside on the left."""
    x, y = loop.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def test_a_tube_is_cut_in_a_circle_or_in_a_strip():
    across = Plane(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    (circle,) = outlines(PORTAL.wall, across)
    # The polygon has the circumference or the area of the circle: less than 1 % between the two.
    assert area(circle) == pytest.approx(math.pi * 2.5**2, rel=0.01)
    assert circle.mean(axis=0) == pytest.approx([8.0, 11.0], abs=1e-6)
    along = Plane(np.array([0.008, 0.011, 0.0]), np.array([1.0, 0, 0]), np.array([0, 0, 1.0]))
    (strip,) = outlines(PORTAL.wall, along)
    assert area(strip) == pytest.approx(5.0 * 80.0, rel=0.01)
    assert outlines(PORTAL.wall, Plane(np.array([0, 0, 0.05]), across.right, across.up)) == []


def test_a_hole_in_a_section_runs_the_other_way_round():
    inner = tube(np.array([[0.008, 0.011, -0.03], [0.008, 0.011, 0.03]]), 0.002).wall
    points = np.vstack([PORTAL.wall.points, inner.points])
    triangles = np.vstack([PORTAL.wall.triangles, inner.triangles[:, ::-1] + len(PORTAL.wall.points)])
    pipe = Wall(points, triangles, np.zeros(len(triangles), dtype=bool))
    areas = sorted(area(loop) for loop in outlines(pipe, Plane(np.zeros(3), *np.eye(3)[:2])))
    assert areas == pytest.approx([-math.pi, math.pi * 2.5**2], rel=0.01)


def test_a_line_that_does_not_close_is_drawn_whole():
    open_wall = Wall(PORTAL.wall.points, PORTAL.wall.triangles[5:], PORTAL.wall.capped[5:])
    whole = sum(len(loop) for loop in outlines(PORTAL.wall, Plane(np.array([0.008, 0.011, 0]), *np.eye(3)[[0, 2]])))
    cut = outlines(open_wall, Plane(np.array([0.008, 0.011, 0]), *np.eye(3)[[0, 2]]))
    assert len(cut) >= 1
    assert sum(len(loop) for loop in cut) >= whole - 6


def test_the_table_of_branches_shows_the_ten_that_carry_off_most():
    table = branch_table(carried())
    assert [row.branch["energy_j"] for row in table.rows] == [50.0, *range(13, 4, -1)]
    assert (table.rows[0].tree, table.rows[0].bar, table.rows[1].bar) == ("hepatic", 100.0, 26.0)
    assert table.others == 4
    assert table.others_energy_j == 1 + 2 + 3 + 4
    assert table.others_share == pytest.approx(0.010)
    few = branch_table(carried(3))
    assert (len(few.rows), few.others, few.others_energy_j) == (4, 0, 0)
    assert BRANCHES == 10


def test_the_page_says_what_vessels_carry_off(sink):
    text = words(render(sink, PICTURES))
    for part in (
        "Vessels carried off 0.14 kJ, 14 % of the energy put in.",
        f"The zone has {sink.zone['volume_ml']:.1f} mL with them and 31.2 mL without: 11.2 % are lost.",
        "portal portal vein blood 37.0 °C 13 0.09 kJ 9.1 %",
        "hepatic b1 5.0 mm 80 mm 250 mL/min – 812 W/m²/K 1 234 mm – 50 J 5.0 %",
        "portal b13 5.0 mm 80 mm 250 mL/min 8.5 mm 812 W/m²/K",
        "4 others 10 J 1.0 %",
        "Sphericity, axes (short axis / long axis) –",
        "portal b13 5.0 mm 8.5 mm 14.5 mm 7.2 mm 50 %",
        "1 note on the vessels portal: no flow given",
        "could not render without a display",
    ):
        assert part in text, part
    assert "adds the zone without vessels" not in text


def test_a_warmed_branch_says_how_warm_it_leaves(sink):
    data = dataclasses.replace(sink, zone=sink.zone | {"vessels": carried(3)})
    assert re.search(r"portal b2 .* 41\.3 °C 2 J 0\.2 %", words(render(data, PICTURES)))


def test_a_run_without_its_comparison_says_how_to_get_it(sink):
    zone = {key: value for key, value in sink.zone.items() if key != "heat_sink"}
    alone = dataclasses.replace(sink.surroundings, without=None, nearest=None)
    data = dataclasses.replace(sink, zone=zone, surroundings=alone)
    text = words(render(data, PICTURES))
    assert "ablationsim heat-sink adds the zone without vessels" in text
    assert "are lost" not in text
    figure = heat_sink(data)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["Through the shaft", "At right angles to it"]
    assert "zone edge without vessels" not in [entry.get_text() for entry in figure.legends[0].get_texts()]


def test_vessels_that_cannot_be_drawn_are_still_in_the_table(sink):
    text = words(render(dataclasses.replace(sink, surroundings=None), NO_PICTURES))
    assert "portal portal vein blood 37.0 °C" in text
    assert "without a display" not in text


def test_a_run_without_vessels_has_no_word_of_them(page):
    assert not re.search(r"[Vv]essel|[Hh]eat sink", words(page))


def test_names_of_vessels_cannot_become_markup(sink):
    evil = "<script>alert(1)</script>"
    vessels = carried(2)
    vessels["trees"][0]["name"] = vessels["trees"][1]["branches"][0]["name"] = evil
    page = render(dataclasses.replace(sink, zone=sink.zone | {"vessels": vessels}), PICTURES)
    assert "script" not in Words(page).tags
    assert evil in Words(page).text


def test_the_planes_of_the_heat_sink_hold_the_nearest_vessel(sink):
    figure = heat_sink(sink)
    first, second = figure.axes[:2]
    assert [ax.get_title() for ax in (first, second)] == ["Through the nearest vessel", "At right angles to it"]
    assert first.get_ylim() == second.get_ylim()
    assert first.get_aspect() == second.get_aspect() == 1
    labels = [entry.get_text() for entry in figure.legends[0].get_texts()]
    assert labels[:2] == ["zone edge with vessels", "zone edge without vessels"]
    assert labels[-3:] == ["portal vein", "hepatic vein", "tumour"]
    plane = plane_through(sink.applicators, sink.surroundings.nearest)
    assert plane.normal @ (sink.surroundings.nearest - plane.origin) == pytest.approx(0.0, abs=1e-15)
    filled = [patch.get_path() for patch in first.patches if type(patch).__name__ == "PathPatch"]
    # The plane through (6.5, 9) mm cuts the portal vein, which runs along it, and the hepatic vein below the tip.
    assert len(filled) == 2


def test_the_cross_section_shows_vessels(sink):
    drawn = [type(patch).__name__ for patch in cross_section(sink).axes[0].patches]
    assert drawn.count("PathPatch") == 2


def test_the_histories_show_what_vessels_carry_off(sink):
    columns = history() | {"vessel_portal_w": np.full(1561, 4.0), "vessel_left hepatic_w": np.full(1561, 2.0)}
    row = histories(dataclasses.replace(sink, history=columns)).axes[-1]
    assert row.get_ylabel() == "to vessels / W"
    assert [line.get_label() for line in row.lines] == ["portal", "left hepatic"]


def test_the_scene_holds_everything_and_looks_at_the_zone(sink):
    scene = scene_of(sink)
    colours = [part.colour for part in scene.parts]
    assert len(colours) == len(set(colours)) == 6  # zone, two vessels, tumour, shaft, electrode
    zone = scene.parts[0].points
    assert scene.centre == pytest.approx((zone.min(axis=0) + zone.max(axis=0)) / 2, abs=2.0)
    assert scene.height == pytest.approx(max(60.0, 1.25 * np.ptp(zone, axis=0).max()), rel=0.05)
    assert all(eye @ scene.up > 0 for eye in scene.eyes)


def test_where_nothing_can_be_rendered_there_is_no_picture(sink, tmp_path, monkeypatch):
    """A computer whose graphics library aborts the process."""
    (tmp_path / "pyvista.py").write_text("import os\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert render_scene(scene_of(sink)) is None
