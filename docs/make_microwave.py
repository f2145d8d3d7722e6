"""Make the pictures and tables of the microwave part of docs/validation.md: ``python docs/make_microwave.py``.

Writes ``docs/assets/microwave_*``: energy audits, an antenna and its zone, and what moves a prediction; ``--jobs 2``
runs two cases at a time. The settings of the experiments are those of ``docs/make_validation.py``.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from make_figures import ASSETS, ROOT, Change, celsius, numbers, section, small, tissue

import ablationsim
from ablationsim.case import Case
from ablationsim.report.build import report_data
from ablationsim.report.html import pictures
from ablationsim.study.audit import audit

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
    "vapour condenses where it arose": tissue(vapour_carried=0.0),
    "half of it does": tissue(vapour_carried=0.5),
    "vapour enters cooler tissue by 1 instead of 2 mm": tissue(vapour_reach=1e-3),
    "vapour enters cooler tissue by 4 mm": tissue(vapour_reach=4e-3),
    "dried tissue stays dry for an hour": tissue(rewetting_time=3600.0),
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


def main() -> None:
    """Write the pictures and tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    options = parser.parse_args()
    (ASSETS / "microwave_audit.md").write_text(audits(), encoding="utf-8")
    images = pictures(report_data(ablationsim.simulate(Case.load(DRAWN))))
    (ASSETS / "microwave_antenna.png").write_bytes(small(images["antenna.png"]))
    (ASSETS / "microwave_cross_section.png").write_bytes(small(images["cross_section.png"]))
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        found = dict(zip(VARIATIONS, pool.map(run_named, VARIATIONS), strict=True))
    (ASSETS / "microwave_terms.md").write_text(terms(found), encoding="utf-8")
    print(audits(), terms(found), sep="\n")


if __name__ == "__main__":
    main()
