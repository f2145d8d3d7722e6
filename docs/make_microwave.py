"""Make the pictures and tables of the microwave part of docs/validation.md: ``python docs/make_microwave.py``.

Writes ``docs/assets/microwave_*``. The settings of the experiments come from ``validation/results/microwave.csv``
(``python validation/run.py``); what moves the prediction is run here, ``--jobs 2`` two cases at a time.
"""

from __future__ import annotations

import argparse
import csv
import io
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from make_figures import ASSETS, ROOT, Change, celsius, numbers, section, small, tissue
from matplotlib.figure import Figure

import ablationsim
from ablationsim.case import Case
from ablationsim.report.build import report_data
from ablationsim.report.html import pictures
from ablationsim.study.audit import audit

RESULTS = ROOT / "validation" / "results" / "microwave.csv"
CASE = ROOT / "validation" / "ji_2011" / "mwa_control.toml"
DRAWN = ROOT / "validation" / "hendriks_2021" / "emprint_60w_5min.toml"
AUDITED = {
    "He 2010, cooled, 50 W, 10 min": (ROOT / "validation" / "he_2010" / "cooled_50w_10min.toml", None),
    "He 2010, uncooled, 40 W, 10 min": (ROOT / "validation" / "he_2010" / "uncooled_40w_10min.toml", None),
    "Ji 2011, 80 W, 12 min": (CASE, None),
    "Hendriks 2021, Amica, 60 W, 5 min, mean volume": (ROOT / "validation/hendriks_2021/amica_60w_5min.toml", 21.1),
    "Hendriks 2021, Emprint, 60 W, 5 min, mean volume": (ROOT / "validation/hendriks_2021/emprint_60w_5min.toml", 11.1),
}
"""Case and measured volume [mL] of each audit; None is that of the case."""


def microwave(**values: object) -> Change:
    """Other settings of the coupling."""
    return lambda case: replace(case, microwave=case.microwave.model_copy(update=values))


def dielectric(name: str) -> Change:
    """Another law of the permittivity."""
    return lambda case: replace(case, tissue=case.tissue.with_overrides({}, dielectric=name))


def device(**values: float) -> Change:
    """Other numbers of the antenna (SI)."""

    def change(case: Case) -> Case:
        placed = case.applicators[0]
        other = placed.device.with_values({f"antenna.{name}": value for name, value in values.items()}, note="what if")
        return replace(case, applicators=(replace(placed, device=other),))

    return change


VARIATIONS: dict[str, Change] = {
    "as it is": lambda case: case,
    "start temperature 10 °C": tissue(initial_temperature=celsius(10.0)),
    "start temperature 30 °C": tissue(initial_temperature=celsius(30.0)),
    "start temperature 37 °C": tissue(initial_temperature=celsius(37.0)),
    "vapour carries heat: conductivity × 1.5 while water boils": tissue(vapour_transport=1.5),
    "the same, × 2": tissue(vapour_transport=2.0),
    "the same, × 3": tissue(vapour_transport=3.0),
    "no heat from the line in the shaft": microwave(shaft_heating=False),
    "loss of the line 6 instead of 2 dB/m": device(shaft_attenuation=6.0),
    "drying reversible": microwave(drying="reversible"),
    "no dry floors of the dielectric properties": microwave(floors=False),
    "dielectric law of Ji & Brace instead of Lopresto": dielectric("ji_brace"),
    "dielectric properties that do not change": dielectric("static_2450"),
    "one field solve, scaled with the conductivity (fast)": microwave(coupling="fast"),
    "field solved again at 0.5 instead of 2 % of change": microwave(resolve=0.005),
    "field solved again at 10 % of change": microwave(resolve=0.1),
    "shaft adiabatic instead of cooled": section("shaft", wall_coefficient=0.0),
    "radiating section cooled with 1000 W/m²/K": section("antenna", wall_coefficient=1000.0),
    "thermal conductivity constant, 0.52 W/m/K": tissue(thermal_conductivity_slope=0.0),
    "efficiency 75 %": device(efficiency=0.75),
}
"""What is changed, one at a time."""


def run_named(name: str) -> dict[str, float]:
    """The numbers of a row of the table."""
    result = ablationsim.simulate(VARIATIONS[name](Case.load(CASE)))
    antenna = result.document["microwave"]["antennas"][0]
    return {
        **numbers(result),
        "reflected": 100.0 * antenna["at_end"]["reflected_w"] / antenna["at_end"]["input_w"],
        "solves": result.document["microwave"]["solves"],
    }


def terms(found: dict[str, dict[str, float]]) -> str:
    """Table: what moves the prediction."""
    base = found["as it is"]
    lines = [
        "| what is changed | volume, mL | change | length, mm | diameter, mm | highest T at 10 mm, °C | at 20 mm, °C "
        "| reflected at the end | field solves |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        change = "–" if row is base else f"{100.0 * (row['volume'] / base['volume'] - 1.0):+.0f} %".replace("-", "−")
        lines.append(
            f"| {name} | {row['volume']:.1f} | {change} | {row['length']:.1f} | {row['diameter']:.1f} "
            f"| {row['T10']:.0f} | {row['T20']:.0f} | {row['reflected']:.0f} % | {row['solves']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def audits() -> str:
    """Table: the energy that was spent, and what of it the measured zones need."""
    lines = [
        "| experiment | spent per measured mL | all at the edge | all at 100 °C, wet | both if contracted by 12 % |",
        "|---|---|---|---|---|",
    ]
    for name, (path, volume) in AUDITED.items():
        found = audit(Case.load(path), volume_ml=volume)
        least, boiling, _ = found.needs
        lines.append(
            f"| {name} | {found.spent_per_ml:.0f} J | {100 * least.efficiency:.0f} % "
            f"| {100 * boiling.efficiency:.0f} % "
            f"| {100 * least.efficiency_contracted:.0f} % and {100 * boiling.efficiency_contracted:.0f} % |"
        )
    return "\n".join(lines) + "\n"


def rows() -> list[dict[str, str]]:
    """Every comparison with a measurement."""
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["measured"]]


def parity() -> bytes:
    """Picture: predicted against measured lengths and diameters."""
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    for axes, quantity in zip(figure.subplots(1, 2), ("length", "diameter"), strict=True):
        shown = [row for row in rows() if row["quantity"] == quantity]
        for (name, label), mark in zip(
            (
                ("mwa_he2010_cooled", "He 2010, cooled"),
                ("mwa_he2010_uncooled", "He 2010, uncooled"),
                ("mwa_ji2011_80w", "Ji 2011"),
            ),
            "os^",
            strict=True,
        ):
            for fitted, fill in (("no", "full"), ("yes", "none")):
                pairs = [
                    (float(row["measured"]), float(row["predicted"]))
                    for row in shown
                    if row["device"] == name and row["calibrated"] == fitted
                ]
                if pairs:
                    text = label if fitted == "no" else f"{label}, fitted"
                    axes.plot(*zip(*pairs, strict=True), mark, fillstyle=fill, color="#1f5fa8", label=text)
        low, high = (35, 70) if quantity == "length" else (15, 50)
        axes.fill_between([low, high], [low - 3.5, high - 3.5], [low + 3.5, high + 3.5], color="0.9", label="± 3.5 mm")
        axes.plot([low, high], [low, high], "k-", lw=0.8)
        axes.set(xlabel=f"measured {quantity} [mm]", ylabel=f"predicted {quantity}, undeformed [mm]", aspect="equal")
        axes.set(xlim=(low, high), ylim=(low, high))
        axes.legend(fontsize=7, loc="lower right")
    return _png(figure)


def courses() -> bytes:
    """Picture: length and diameter of the zones of He et al. 2010 against time."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    panels = (
        ("mwa_he2010_cooled", "30 W", "cooled, 30 W"),
        ("mwa_he2010_cooled", "50 W", "cooled, 50 W"),
        ("mwa_he2010_uncooled", "40 W", "uncooled, 40 W"),
    )
    for axes, (name, power, title) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
        for quantity, colour in (("length", "#1f5fa8"), ("diameter", "#c4402f")):
            shown = [
                row
                for row in rows()
                if row["device"] == name and row["quantity"] == quantity and row["setting"].startswith(power)
            ]
            minutes = [float(row["setting"].split(",")[1].removesuffix(" s")) / 60.0 for row in shown]
            axes.plot(
                minutes, [float(row["predicted"]) for row in shown], "-", color=colour, label=f"{quantity}, model"
            )
            axes.plot(
                minutes, [float(row["measured"]) for row in shown], "o", color=colour, label=f"{quantity}, measured"
            )
        axes.set(title=title, xlabel="time [min]")
        axes.grid(alpha=0.3)
    figure.axes[0].set(ylabel="size, undeformed [mm]", ylim=(0, None))
    figure.axes[2].legend(fontsize=7, loc="lower right")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return small(buffer.getvalue())


def main() -> None:
    """Write the pictures and tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    options = parser.parse_args()
    (ASSETS / "microwave_audit.md").write_text(audits(), encoding="utf-8")
    (ASSETS / "microwave_parity.png").write_bytes(parity())
    (ASSETS / "microwave_courses.png").write_bytes(courses())
    images = pictures(report_data(ablationsim.simulate(Case.load(DRAWN))))
    (ASSETS / "microwave_antenna.png").write_bytes(small(images["antenna.png"]))
    (ASSETS / "microwave_cross_section.png").write_bytes(small(images["cross_section.png"]))
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        found = dict(zip(VARIATIONS, pool.map(run_named, VARIATIONS), strict=True))
    (ASSETS / "microwave_terms.md").write_text(terms(found), encoding="utf-8")
    print(audits(), terms(found), sep="\n")


if __name__ == "__main__":
    main()
