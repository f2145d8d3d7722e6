"""Closed inflow of the liver (``tissue.inflow``): what it does to perfusion, to vessels and to a tumour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ablationsim.case.vessels import TumourSection, VesselSection
from ablationsim.tissue import Tissue
from ablationsim.tissue.perfusion import inflow_factor
from ablationsim.units import exact

Inflow = Literal["open", "portal_occluded", "arterial_occluded", "pringle"]

CLOSED: Mapping[Inflow, tuple[str, ...]] = {
    "open": (),
    "portal_occluded": ("portal_vein",),
    "arterial_occluded": ("hepatic_artery",),
    "pringle": ("portal_vein", "hepatic_artery"),
}
"""Kinds of vessels in which no blood flows."""


def tissue_with(tissue: Tissue, inflow: Inflow) -> Tissue:
    """Return the tissue with the perfusion that a closed inflow leaves; its range shrinks with it."""
    if inflow == "open":
        return tissue
    old, left = tissue.sources["perfusion"], inflow_factor(inflow)
    value = float(f"{old.value * left.value:.10g}")
    low, high = left.range or (left.value, left.value)
    perfusion = replace(
        old,
        value=value,
        text=exact(value, old.dimension),
        status="assumed" if "assumed" in (old.status, left.status) else "calculated",
        verified=False,
        source=f"{old.text} of the tissue with open inflow, times {left.text}: {left.source}",
        range=None if old.range is None else (low * old.range[0], high * old.range[1]),
        range_source="range of the tissue with open inflow, times that of the share",
        note=left.note,
    )
    return replace(tissue, sources={**tissue.sources, "perfusion": perfusion})


def vessels_with(vessels: Sequence[VesselSection], inflow: Inflow, problems: list[str]) -> tuple[VesselSection, ...]:
    """Return the vessels with those occluded that a closed inflow closes.

    Parameters
    ----------
    vessels : sequence of VesselSection
    inflow : str
    problems : list of str
        A flow that is given to a closed vessel is added to it.
    """
    for vessel in vessels:
        given = [key for key in ("flow", "speed") if getattr(vessel, key)]
        if vessel.kind in CLOSED[inflow] and given:
            problems.append(
                f"vessel '{vessel.name}': {given[0]} is given, but tissue.inflow = '{inflow}' lets no blood flow in a "
                f"{vessel.kind}; leave one of both out"
            )
    return tuple(
        vessel.model_copy(update={"occluded": True}) if vessel.kind in CLOSED[inflow] else vessel for vessel in vessels
    )


def tumour_with(tumour: TumourSection | None, inflow: Inflow) -> TumourSection | None:
    """Return the tumour as a closed inflow leaves it: without blood when all inflow is closed, else as it was.

    Which share of a tumour's blood comes by which of both ways is not known, so that closing one of them is left to
    `perfusion_factor`.
    """
    if tumour is None or inflow != "pringle":
        return tumour
    return tumour.model_copy(update={"perfusion_factor": tumour.perfusion_factor * inflow_factor(inflow).value})
