"""Make every picture and number table of README.md and docs/validation.md: ``python docs/make_figures.py``.

Writes ``docs/assets/*.png``, ``docs/assets/*.md`` (tables that the pages include), and the numbers in README.md between
their two markers. It takes some twenty runs of the validation case; ``--jobs 2`` does two at a time. With ``--check``
only the case itself is run: its tables are printed and nothing is written.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import ablationsim
from ablationsim.case import Case
from ablationsim.fem.probing import probe_matrix
from ablationsim.report.build import measured_rows, report_data
from ablationsim.report.html import pictures
from ablationsim.units import ZERO_CELSIUS
from ablationsim.zone import measure

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "docs" / "assets"
CASE = ROOT / "validation" / "ji_2011" / "rfa_control.toml"
README = ROOT / "README.md"
MARKERS = ("<!-- numbers: written by docs/make_figures.py -->", "<!-- end of numbers -->")

#: Limits of a picture in the documentation [pixels, colours].
WIDTH, COLOURS = 1100, 256

Change = Callable[[Case], Case]


def tissue(**values: float) -> Change:
    """Other tissue properties (SI), within the range of the set."""
    return lambda case: replace(case, tissue=case.tissue.with_overrides(values))


def step(**values: float) -> Change:
    """Another protocol step (SI)."""

    def change(case: Case) -> Case:
        placed = case.applicators[0]
        steps = tuple(one.model_copy(update=values) for one in placed.protocol)
        return replace(case, applicators=(replace(placed, protocol=steps),))

    return change


def section(*names: str, **values: float) -> Change:
    """Other heat exchange (SI) on the named sections of the shaft."""

    def change(case: Case) -> Case:
        placed = case.applicators[0]
        spec = placed.device.applicator
        sections = tuple(s.model_copy(update=values) if s.name in names else s for s in spec.sections)
        device = placed.device.model_copy(update={"applicator": spec.model_copy(update={"sections": sections})})
        return replace(case, applicators=(replace(placed, device=device),))

    return change


def domain(**values: Any) -> Change:
    """Another block of tissue."""
    return lambda case: replace(case, domain=case.domain.model_copy(update=values))


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(case: Case) -> Case:
        for one in changes:
            case = one(case)
        return case

    return change


def celsius(value: float) -> float:
    """Kelvin of a temperature in degC."""
    return value + ZERO_CELSIUS


VARIATIONS: dict[str, Change] = {
    "as it is": lambda case: case,
    "start temperature 10 °C": tissue(initial_temperature=celsius(10.0)),
    "start temperature 30 °C": tissue(initial_temperature=celsius(30.0)),
    "start temperature 37 °C": tissue(initial_temperature=celsius(37.0)),
    "start temperature 30 °C, at most 60 W": both(tissue(initial_temperature=celsius(30.0)), step(power=60.0)),
    "insulated shaft adiabatic instead of cooled": section("shaft", wall_coefficient=0.0),
    "coolant 5 °C instead of 15 °C": section("tip", "shaft", coolant_temperature=celsius(5.0)),
    "coolant 25 °C": section("tip", "shaft", coolant_temperature=celsius(25.0)),
    "wall coefficient 1000 instead of 3366 W/m²/K": section("tip", "shaft", wall_coefficient=1000.0),
    "wall coefficient 10000 W/m²/K": section("tip", "shaft", wall_coefficient=10000.0),
    "thermal conductivity constant, 0.52 W/m/K": tissue(thermal_conductivity_slope=0.0),
    "water boils between 90 and 100 °C instead of 98 and 100 °C": tissue(vaporisation_lower=celsius(90.0)),
    "vapour condenses where it arose": tissue(vapour_carried=0.0),
    "half of it does": tissue(vapour_carried=0.5),
    "vapour enters cooler tissue by 1 instead of 2 mm": tissue(vapour_reach=1e-3),
    "vapour enters cooler tissue by 4 mm": tissue(vapour_reach=4e-3),
    "dried tissue stays dry for an hour": tissue(rewetting_time=3600.0),
    "electric conductivity 0.14 instead of 0.25 S/m": tissue(electric_conductivity=0.14),
    "electric conductivity 0.28 S/m": tissue(electric_conductivity=0.28),
    "dried tissue conducts 0.01 % instead of 1 %": tissue(electric_conductivity_dried=1e-4),
    "off at +30 ohm instead of +20 ohm": step(rise=30.0),
    "0 W instead of 10 W in the pauses": step(pause_power=0.0),
    "at most 60 W instead of 200 W": step(power=60.0),
    "outer boundary grounded instead of far field": domain(boundary="grounded"),
    "block of 90 mm radius and 190 mm height": domain(radius=0.090, height=0.190),
}
"""What is changed, one at a time, in the table of sensitivities."""


def run(change: Change) -> ablationsim.Result:
    """Run the validation case with a change."""
    return ablationsim.simulate(change(Case.load(CASE)))


def numbers(result: ablationsim.Result) -> dict[str, float]:
    """Sizes of the zone [mL, mm] and highest temperatures at the two probes [degC]."""
    return {
        "volume": result.zone.volume_ml,
        "length": result.zone.axial_length_mm or 0.0,
        "diameter": result.zone.transverse_diameter_mm or 0.0,
        "T10": float(result.history["probe_10mm_c"].max()),
        "T20": float(result.history["probe_20mm_c"].max()),
    }


def run_named(name: str) -> dict[str, float]:
    """The numbers of a row of the table of sensitivities."""
    result = run(VARIATIONS[name])
    return {**numbers(result), "energy": result.document["energy_balance"]["in_j"] / 1e3}


def comparison(result: ablationsim.Result) -> str:
    """Table: predicted beside measured, in both frames."""
    shrunk, zone, strain = result.document["contracted"], result.document, result.document["contracted"]["strain"]
    keys = {"Long axis": "long_axis_mm", "Short axis": "short_axis_mm", "Volume": "volume_ml"}
    lines = [
        f"| quantity | measured, mean ± SD | predicted, undeformed | predicted, contracted ({100 * strain:.1f} %) | "
        "difference from measured | in SD |",
        "|---|---|---|---|---|---|",
    ]
    for row in measured_rows(result):
        spread = f" ± {row.sd:g}" if row.sd else ""
        measured = f"{row.measured:g}{spread} {row.unit}"
        if row.quantity in keys:
            key = keys[row.quantity]
            predicted = f"{zone[key]:.1f} {row.unit} | {shrunk[key]:.1f} {row.unit}"
        else:
            predicted = ("not reached" if row.predicted is None else f"{row.predicted:.1f} {row.unit}") + " | –"
        difference, deviations = row.difference, row.deviations
        unit = "K" if row.unit == "°C" else row.unit
        share = f" ({row.percent:+.0f} %)" if row.percent is not None else ""
        apart = "–" if difference is None else f"{difference:+.1f} {unit}{share}"
        in_sd = "–" if deviations is None else f"{deviations:+.1f}"
        lines.append(f"| {row.quantity} | {measured} | {predicted} | {apart} | {in_sd} |".replace("-", "−"))
    ratio = zone["long_axis_mm"] / zone["short_axis_mm"]
    apart = ratio - 1.26
    lines.append(
        f"| Long axis / short axis | 1.26 ± 0.06 | {ratio:.2f} | {ratio:.2f} | {apart:+.2f} | {apart / 0.06:+.1f} |"
    )
    return "\n".join(lines).replace("| -", "| −") + "\n"


def facts(result: ablationsim.Result) -> str:
    """Table: what else the run says."""
    balance, record, history = result.document["energy_balance"], result.record, result.history
    rolloffs = sum("roll-off" in text for _, text in result.events)
    off = result.document["power_off_s"]
    on = history["time_s"] < off
    impedance = history["impedance_ohm"][on]
    rows = [
        ("pulses ended by the impedance", f"{rolloffs}"),
        ("impedance at the start, and the lowest later", f"{impedance[1]:.0f} and {np.nanmin(impedance):.0f} ohm"),
        ("energy of the generator", f"{balance['in_j'] / 1e3:.1f} kJ"),
        ("of it to the coolant", f"{balance['lost_coolant_j'] / 1e3:.1f} kJ"),
        ("of it outside the modelled block", f"{balance['lost_outside_j'] / 1e3:.1f} kJ"),
        ("of it stored in the tissue at the end", f"{balance['stored_j'] / 1e3:.1f} kJ"),
        ("energy that is missing in the balance", f"{100 * balance['relative_error']:.1g} %"),
        ("hottest spot at any time", f"{history['max_temperature_c'].max():.0f} °C"),
        (
            "mesh and steps",
            f"{record['nodes']} nodes, {record['elements']} triangles, {record['time_steps']} time steps",
        ),
    ]
    error = result.document["discretisation_error"]
    if error is not None:
        rows.append(
            (
                "discretisation error (`--refine`)",
                f"{100 * error['volume_relative']:.2f} % of the volume, {error['axial_length_mm']:.2f} mm in length, "
                f"{error['transverse_diameter_mm']:.2f} mm in diameter",
            )
        )
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]) + "\n"


def edges(result: ablationsim.Result) -> str:
    """Table: the same temperatures under other definitions of the edge."""
    fields, document = result.fields, result.document
    zones = {
        "50 °C isotherm": document["isotherms"]["50"],
        "CEM43 = 240 min": measure(result.mesh, np.log(np.maximum(fields["cem43"], 1e-300) / 240.0)).to_dict(),
        "whitening, Ω = 1 (the default)": document,
        "60 °C isotherm": document["isotherms"]["60"],
    }
    lines = ["| edge | volume, mL | length along the shaft, mm | diameter across, mm |", "|---|---|---|---|"]
    for name, zone in zones.items():
        sizes = f"{zone['volume_ml']:.1f} | {zone['axial_length_mm']:.1f} | {zone['transverse_diameter_mm']:.1f}"
        lines.append(f"| {name} | {sizes} |")
    return "\n".join(lines) + "\n"


def sensitivities(found: dict[str, dict[str, float]]) -> str:
    """Table: what moves the prediction."""
    base = found["as it is"]
    lines = [
        "| what is changed | volume, mL | change | length, mm | diameter, mm "
        "| highest T at 10 mm, °C | at 20 mm, °C | energy, kJ |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        change = 100.0 * (row["volume"] / base["volume"] - 1.0)
        text = (
            "–" if row is base else f"{change:+.0f} %".replace("-", "−").replace("+0 %", "0 %").replace("−0 %", "0 %")
        )
        lines.append(
            f"| {name} | {row['volume']:.1f} | {text} | {row['length']:.1f} | {row['diameter']:.1f} "
            f"| {row['T10']:.1f} | {row['T20']:.1f} | {row['energy']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def radial(result: ablationsim.Result) -> tuple[bytes, float]:
    """Picture of the highest temperature along a radius, and where it equals the reading at the outer probe [mm]."""
    from matplotlib.figure import Figure

    height = result.case.probes[0].position[2]
    r = np.linspace(0.8e-3, 32e-3, 400)
    at = probe_matrix(result.mesh, np.column_stack([r, np.full_like(r, height)]), reach=1e-3)
    highest = at @ result.fields["max_temperature"] - ZERO_CELSIUS
    measured = result.case.measured
    assert measured is not None
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    ax = figure.add_subplot()
    ax.plot(1e3 * r, highest, color="#1f5c8b", label="predicted, highest of the run")
    beyond = r > 5e-3
    places, readings = [], []
    for probe in measured.probe:
        assert probe.max_temperature is not None
        places.append(1e3 * next(p.position[0] for p in result.case.probes if p.name == probe.name))
        readings.append(probe.max_temperature - ZERO_CELSIUS)
    spread = [probe.sd for probe in measured.probe]
    ax.errorbar(places, readings, spread, fmt="o", color="#c4521c", capsize=4, label="measured, mean ± SD (n = 6)")
    where = float(np.interp(-readings[-1], -highest[beyond], 1e3 * r[beyond]))
    assert measured.short_axis is not None
    edge = 0.5e3 * measured.short_axis.value
    ax.axvline(edge, color="#7b8894", linestyle=":", label="half of the measured short axis")
    ax.axvline(
        edge / (1 - result.document["contracted"]["strain"]),
        color="#7b8894",
        linestyle="--",
        label="the same before contraction",
    )
    ax.set(
        xlabel="distance from the axis, 15 mm above the tip / mm",
        ylabel="temperature / °C",
        xlim=(0, 32),
        ylim=(20, 130),
    )
    ax.legend(fontsize=8, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130)
    return buffer.getvalue(), where


def small(png: bytes) -> bytes:
    """The picture at most WIDTH pixels wide with at most COLOURS colours."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def readme_numbers(result: ablationsim.Result) -> str:
    """The short table of README.md."""
    rows = [row for row in measured_rows(result) if row.frame or row.unit == "°C"]
    lines = ["| | predicted | measured (mean ± SD, n = 6) |", "|---|---|---|"]
    for row in rows:
        frame = f", {row.frame}" if row.frame else ""
        spread = f" ± {row.sd:g}" if row.sd else ""
        lines.append(
            f"| {row.quantity}{frame} | {row.predicted:.1f} {row.unit} | {row.measured:g}{spread} {row.unit} |"
        )
    return "\n".join(lines)


def write_readme(numbers: str) -> None:
    """Replace what stands between the markers of README.md."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKERS[0])
    _, _, after = rest.partition(MARKERS[1])
    README.write_text(f"{before}{MARKERS[0]}\n{numbers}\n{MARKERS[1]}{after}", encoding="utf-8")


def main() -> None:
    """Run everything and write the pictures and tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--check", action="store_true", help="only run the case, print its table, write nothing")
    options = parser.parse_args()
    result = ablationsim.simulate(Case.load(CASE), refine=not options.check)
    print(comparison(result), facts(result), edges(result), sep="\n")
    if options.check:
        return
    ASSETS.mkdir(exist_ok=True)
    images = pictures(report_data(result))
    radial_png, where = radial(result)
    (ASSETS / "demo_cross_section.png").write_bytes(small(images["cross_section.png"]))
    (ASSETS / "ji_2011_histories.png").write_bytes(small(images["histories.png"]))
    (ASSETS / "ji_2011_radial.png").write_bytes(small(radial_png))
    (ASSETS / "ji_2011_table.md").write_text(comparison(result), encoding="utf-8")
    (ASSETS / "ji_2011_facts.md").write_text(facts(result), encoding="utf-8")
    (ASSETS / "ji_2011_edges.md").write_text(edges(result), encoding="utf-8")
    print(f"The reading of the outer probe is predicted {where:.1f} mm from the axis.")
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        found = dict(zip(VARIATIONS, pool.map(run_named, VARIATIONS), strict=True))
    (ASSETS / "ji_2011_sensitivities.md").write_text(sensitivities(found), encoding="utf-8")
    print(sensitivities(found))
    write_readme(readme_numbers(result))


if __name__ == "__main__":
    main()
