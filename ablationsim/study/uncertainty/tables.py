"""What is printed of a study: the quantities, what moves them most, and which device is the more repeatable."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from ablationsim.study.uncertainty.assessment import Assessment
from ablationsim.study.uncertainty.findings import ArmFindings, Said
from ablationsim.study.uncertainty.quantities import Quantity
from ablationsim.study.uncertainty.study import UncertaintyStudy

MOST = 5
"""Inputs that a line names."""


def input_table(study: UncertaintyStudy) -> Table:
    """What is uncertain: every input of any arm once, with its distribution and where that comes from."""
    table = Table("Input", "Kind", "Distribution", "Origin", box=None)
    rows: dict[tuple[str, str], tuple[str, ...]] = {}
    for arm in study.arms:
        for one in arm.inputs:
            rows.setdefault((one.name, one.text), (one.name, one.kind, one.text, one.origin))
    for row in rows.values():
        table.add_row(*row)
    return table


def tables(found: Assessment) -> Iterator[Table]:
    """A table for each arm, in the frame of the study."""
    method, frame = found.study.about.method, found.study.about.frame
    for one in found.arms:
        title = f"{one.arm.name or one.arm.case.title}, {frame}, from {found.source}"
        table = Table(title=title, box=None, title_justify="left")
        table.add_column("Quantity")
        for text in _HEADS[method]:
            table.add_column(text, justify="right" if method == "propagate" else "left", overflow="fold")
        for quantity in one.quantities:
            said = one.said[frame][quantity.key]
            table.add_row(_name(quantity), *_cells(method, quantity, said, one))
        yield table


_HEADS = {
    "propagate": ("nominal", "mean", "standard deviation", "5 % to 95 %", "relative"),
    "screen": ("strongest effects for the whole width of each distribution",),
    "sobol": ("largest total shares of the variance",),
}


def _name(quantity: Quantity) -> str:
    return f"{quantity.name} [{quantity.unit}]" if quantity.unit else quantity.name


def _cells(method: str, quantity: Quantity, said: Said, one: ArmFindings) -> list[str]:
    digits = quantity.decimals
    refused = said.surrogate is not None and not said.surrogate.good
    if refused and said.surrogate is not None:
        return [f"refused: Q2 = {said.surrogate.q2:.2f}", *[""] * (len(_HEADS[method]) - 1)]
    if method == "propagate":
        spread = said.spread
        if spread is None:
            return [f"{said.nominal:.{digits}f}", *[""] * 4]
        part = f"{100 * spread.variation.value:.1f} %" if quantity.relative else ""
        return [
            f"{said.nominal:.{digits}f}",
            f"{spread.mean.value:.{digits}f}",
            f"{spread.sd.value:.{digits}f} ({spread.sd.low:.{digits}f} to {spread.sd.high:.{digits}f})",
            f"{spread.percentiles[0]:.{digits}f} to {spread.percentiles[-1]:.{digits}f}",
            part,
        ]
    if method == "screen" and said.effects is not None:
        return [", ".join(f"{e.name} {e.strength:.{digits}f}" for e in said.effects[:MOST])]
    if said.indices is not None:
        return [", ".join(f"{i.name} {100 * i.total:.0f} %" for i in said.indices[:MOST])]
    return [said.note]


def remarks(found: Assessment) -> Iterator[str]:
    """What a reader of the tables has to know, a sentence each."""
    for one in found.arms:
        where = f"{one.arm.name}: " if one.arm.name else ""
        for key, said in one.said[found.study.about.frame].items():
            quality = said.surrogate
            if quality is not None and quality.good:
                name = next(_name(q) for q in one.quantities if q.key == key)
                yield (
                    f"{where}{name} is from a surrogate that learnt from {quality.runs} runs: cross-validated "
                    f"Q2 = {quality.q2:.3f}, root mean square error {quality.rmse:.3g}."
                )
            elif quality is not None:
                yield f"{where}{key}: the surrogate is refused, Q2 = {quality.q2:.2f} is below {quality.least:g}."
            elif said.note and said.spread is None:
                yield f"{where}{key}: {said.note}."
        if one.failed:
            yield f"{where}{len(one.failed)} of {len(one.values)} runs failed, the first with: {one.failed[0]}"
        covered, wide = one.covering(0.0), one.covering(5.0)
        if covered is not None and wide is not None and one.aim is not None:
            yield (
                f"{where}the target of {2e3 * one.aim.radius:g} mm is ablated in {100 * covered:.0f} % of the samples, "
                f"with a margin of 5 mm at least in {100 * wide:.0f} %."
            )
    for comparison in found.comparisons.get(found.study.about.frame, ()):
        yield comparison.statement(found.study.about.confidence)
