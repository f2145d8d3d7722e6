"""What the studies print."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from ablationsim.study.audit import Audit
from ablationsim.study.calibrate import Row
from ablationsim.study.heat_sink import Comparison
from ablationsim.study.parameters import Change

_UNITS = {"length": "mm", "diameter": "mm", "volume": "mL"}


def audit_text(audit: Audit) -> str:
    """What was spent, in one line or two."""
    text = (
        f"{audit.spent_j / 1e3:.2f} kJ spent at the generator, {audit.volume_ml:.4g} mL measured "
        f"({audit.volume_origin}): {audit.spent_per_ml:.0f} J/mL"
    )
    if audit.strain > 0.0:
        text += (
            f"; {audit.spent_per_tissue_ml:.0f} J/mL of tissue if it filled {audit.tissue_ml:.4g} mL before it "
            f"contracted by {100 * audit.strain:g} %"
        )
    return text + "."


def audit_table(audit: Audit) -> Table:
    """What is needed per volume of tissue, and as a share of what was spent."""
    contracts = audit.strain > 0.0
    table = Table(f"Needed from {audit.start_c:g} °C", "J/mL of tissue", "share of spent", box=None)
    if contracts:
        table.add_column("if contracted")
    for need in audit.needs:
        shares = [need.efficiency, need.efficiency_contracted] if contracts else [need.efficiency]
        table.add_row(need.state, f"{need.joules_per_ml:.0f}", *(f"{100 * share:.0f} %" for share in shares))
    return table


def model_table(audit: Audit) -> Table:
    """Where the energy went in a run."""
    model = audit.model
    assert model is not None
    table = Table("Energy of the run", "J/mL of its undeformed zone", "share of spent", box=None)
    for name, joules in (("taken up by the tissue", model.absorbed_j), *((f"- {n}", j) for n, j in model.parts)):
        per_ml = f"{joules / model.zone_ml:.0f}" if model.zone_ml > 0.0 else "-"
        table.add_row(name, per_ml, f"{100 * joules / audit.spent_j:.1f} %")
    return table


def comparison_table(rows: Sequence[Row]) -> Table:
    """Predicted beside measured; a ratio below 1 is an oblate zone."""
    table = Table("Setting", "Quantity", "Predicted", "Measured", "Difference", "", box=None)
    last = ""
    for row in rows:
        digits, unit = (1, _UNITS[row.quantity]) if row.quantity in _UNITS else (2, "")
        spread = "" if row.sd is None else f" ± {row.sd:g}"
        table.add_row(
            row.setting if row.setting != last else "",
            row.quantity,
            f"{row.predicted:.{digits}f} {unit}".rstrip(),
            "-" if row.measured is None else f"{row.measured:.{digits}f}{spread} {unit}".rstrip(),
            "-" if row.difference is None else f"{row.difference:+.{digits}f} {unit}".rstrip(),
            "calibrated" if row.calibrated else _shape(row),
        )
        last = row.setting
    return table


def _shape(row: Row) -> str:
    if row.quantity != "length / diameter" or row.predicted == 0.0:
        return ""
    return "oblate" if row.predicted < 1.0 else "prolate"


def change_table(changes: Sequence[Change]) -> Table:
    """Values before and after, with their range."""
    table = Table("Number", "Profile", "Found", "Range", "", box=None)
    for change in changes:
        parameter = change.parameter
        low, high = (parameter.text(limit) for limit in parameter.range)
        limit = "at the limit of its range" if parameter.at_limit(change.value) else ""
        before, found = parameter.text(parameter.sourced.value), parameter.text(change.value)
        table.add_row(parameter.place, before, found, f"{low} to {high}", limit)
    return table


def heat_sink_table(comparisons: Sequence[Comparison]) -> Table:
    """Zones with vessels beside those without, and how much heat the vessels carried off."""
    table = Table("Case", "", box=None)
    for name in ("Volume", "Along", "Across", "Sphericity", "Lost", "Heat to vessels"):
        table.add_column(name, justify="right")
    for found in comparisons:
        lost = "-" if found.lost_percent is None else f"{found.lost_ml:.1f} mL = {found.lost_percent:.1f} %"
        for state, zone, rest in (
            ("without vessels", found.without, ("", "")),
            ("with vessels", found.zone, (lost, f"{100 * found.share:.1f} %")),
        ):
            table.add_row(
                found.name if state == "without vessels" else "",
                state,
                f"{zone.volume_ml:.1f} mL",
                _or_dash(zone.axial_length_mm, 1, "mm"),
                _or_dash(zone.transverse_diameter_mm, 1, "mm"),
                _or_dash(zone.sphericity_axes, 2),
                *rest,
            )
    return table


def toward_table(comparisons: Sequence[Comparison]) -> Table:
    """How far each zone reaches toward the vessels near it."""
    table = Table("Case", "Branch", box=None)
    for name in ("Diameter", "Distance", "Radius without", "with vessels", "Remaining"):
        table.add_column(name, justify="right")
    for found in comparisons:
        for k, toward in enumerate(found.branches):
            table.add_row(
                found.name if k == 0 else "",
                f"{toward.tree} {toward.branch}",
                f"{toward.diameter_mm:.1f} mm",
                f"{toward.distance_mm:.1f} mm",
                # Where no zone lies in the direction of a branch there is nothing to compare.
                _or_dash(toward.radius_without_mm or None, 1, "mm"),
                _or_dash(toward.radius_mm if toward.radius_without_mm else None, 1, "mm"),
                _or_dash(toward.remaining_percent, 0, "%"),
            )
    return table


def _or_dash(value: float | None, digits: int, unit: str = "") -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}".rstrip()
