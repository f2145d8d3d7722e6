"""`Figures`: what is told of a setting, in both frames; and what the standard vessel takes away from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ablationsim.results import Result
from ablationsim.study.energy import model_energy
from ablationsim.study.heat_sink import compare
from ablationsim.vasculature.build import vessels_of

Frame = Literal["contracted", "undeformed"]
FRAMES: tuple[Frame, ...] = ("contracted", "undeformed")


@dataclass(frozen=True)
class Size:
    """Size and shape of a zone in one frame; 0 or None without a zone.

    Attributes
    ----------
    volume_ml : float
    length_mm, diameter_mm : float or None
        Along the shaft and across it.
    short_axis_mm, long_axis_mm : float or None
    ratio : float or None
        Length over diameter: above 1 prolate, below 1 oblate.
    sphericity_axes, sphericity_isoperimetric : float or None
        Short over long axis; pi^(1/3) (6 V)^(2/3) / S.
    ml_per_kj, ml_per_absorbed_kj : float or None
        Volume over the energy at the generator, and over what the tissue absorbed of it.
    """

    volume_ml: float
    length_mm: float | None
    diameter_mm: float | None
    short_axis_mm: float | None
    long_axis_mm: float | None
    ratio: float | None
    sphericity_axes: float | None
    sphericity_isoperimetric: float | None
    ml_per_kj: float | None
    ml_per_absorbed_kj: float | None

    @property
    def shape(self) -> str:
        """In a word."""
        if self.ratio is None:
            return "no zone"
        return "prolate" if self.ratio > 1.0 else "oblate" if self.ratio < 1.0 else "as long as wide"


@dataclass(frozen=True)
class Figures:
    """What is told of a setting.

    Attributes
    ----------
    sizes : dict of str to Size
        By frame.
    energy_j, absorbed_j : float
        At the generator (what that of an antenna is set to, what that of an electrode delivers), and what the tissue
        took up of it, some of which coolant and blood carried off later.
    power_off_s : float
        When the generator stopped.
    contraction : str
        Law by which the zone contracted, in words.
    warnings : tuple of str
        Of the run.
    version : str
        Of the program that made the run.
    """

    sizes: Mapping[str, Size]
    energy_j: float
    absorbed_j: float
    power_off_s: float
    contraction: str
    warnings: tuple[str, ...]
    version: str


@dataclass(frozen=True)
class Sink:
    """What the standard vessel takes away from a setting's zone, both runs on one mesh in three dimensions.

    Attributes
    ----------
    volume_ml, volume_without_ml : dict of str to float
        With the vessel and without, by frame.
    radius_mm, radius_without_mm : float or None
        From the axis to the edge of the undeformed zone on the side of the vessel: with it at most to its wall, without
        it beyond its place if the zone goes on.
    heat_percent : float
        Share of the generator's energy that the vessel carried off.
    """

    volume_ml: Mapping[str, float]
    volume_without_ml: Mapping[str, float]
    radius_mm: float | None
    radius_without_mm: float | None
    heat_percent: float

    def lost_percent(self, frame: str) -> float | None:
        """Volume that the vessel takes away, in percent of that without it; None where there is no zone."""
        without = self.volume_without_ml[frame]
        return 100.0 * (1.0 - self.volume_ml[frame] / without) if without > 0.0 else None

    @property
    def radius_percent(self) -> float | None:
        """Radius toward the vessel in percent of that without it."""
        if self.radius_mm is None or not self.radius_without_mm:
            return None
        return 100.0 * self.radius_mm / self.radius_without_mm


def figures(result: Result) -> Figures:
    """The figures of a finished run."""
    document = result.document
    energy = float(document["energy_balance"]["in_j"])
    absorbed = model_energy(result, energy).absorbed_j
    return Figures(
        sizes={frame: _size(in_frame(document, frame), energy, absorbed) for frame in FRAMES},
        energy_j=energy,
        absorbed_j=absorbed,
        power_off_s=float(document["power_off_s"]),
        contraction=_contraction(document["contracted"]),
        warnings=tuple(result.warnings),
        version=str(result.record["versions"]["ablationsim"]),
    )


def in_frame(document: Mapping[str, Any], frame: str) -> Mapping[str, Any]:
    """The part of zone.json that holds the metrics of a frame."""
    part: Mapping[str, Any] = document["contracted"] if frame == "contracted" else document
    return part


def sink_of(result: Result, without: Result) -> Sink:
    """Compare a run with the standard vessel and the same without it."""
    found = compare("", result, without, vessels_of(result.case))
    toward = found.branches[0] if found.branches else None
    return Sink(
        volume_ml={frame: float(in_frame(result.document, frame)["volume_ml"]) for frame in FRAMES},
        volume_without_ml={frame: float(in_frame(without.document, frame)["volume_ml"]) for frame in FRAMES},
        radius_mm=None if toward is None else toward.radius_mm,
        radius_without_mm=None if toward is None else toward.radius_without_mm,
        heat_percent=100.0 * found.share,
    )


def _contraction(zone: Mapping[str, Any]) -> str:
    if zone.get("law") == "history":
        return "each place by its own temperature history, in linear elasticity"
    return f"uniform, by {100 * zone['strain']:g} %"


def _size(zone: Mapping[str, Any], energy: float, absorbed: float) -> Size:
    aspect = zone["aspect_ratio"]
    volume = float(zone["volume_ml"])
    return Size(
        volume_ml=volume,
        length_mm=zone["axial_length_mm"],
        diameter_mm=zone["transverse_diameter_mm"],
        short_axis_mm=zone["short_axis_mm"],
        long_axis_mm=zone["long_axis_mm"],
        ratio=1.0 / aspect if aspect else None,
        sphericity_axes=zone["sphericity_axes"],
        sphericity_isoperimetric=zone["sphericity_isoperimetric"],
        ml_per_kj=1e3 * volume / energy if energy > 0.0 else None,
        ml_per_absorbed_kj=1e3 * volume / absorbed if absorbed > 0.0 else None,
    )
