"""What is uncertain of a case: its inputs, each with a distribution and where that comes from.

A number of a tissue set or a device profile has the range that it says of itself. Where the number and the range were
published, the distribution is normal about the number, with a quarter of the width of the range for standard deviation,
and cut off at the ends; any other is uniform over the range. What a study file says of an input goes before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ablationsim.case import Case
from ablationsim.provenance import Sourced
from ablationsim.study.sweep.sampling import Limits
from ablationsim.study.uncertainty.file import Kind
from ablationsim.tissue import Tissue
from ablationsim.tissue.dielectric import QUANTITIES
from ablationsim.units import DIMENSIONS, ZERO_CELSIUS, parse, show

SPECIMEN = frozenset(
    {
        "density",
        "heat_capacity",
        "thermal_conductivity",
        "electric_conductivity",
        "permittivity",
        "microwave_conductivity",
        "water_fraction",
        "perfusion",
        "blood_temperature",
        "blood_density",
        "blood_heat_capacity",
    }
)
"""Properties that differ from one liver to another. The others with a range are the same for all, but not known."""

_RADIOFREQUENCY = (
    "electric_conductivity",
    "electric_conductivity_slope",
    "electric_conductivity_dried",
    "drying_width",
)
_BLOOD = ("perfusion_remaining", "blood_temperature", "blood_density", "blood_heat_capacity")

MARGIN_OF_RANGE = 4.0
"""Width of a published range in standard deviations: 95 % of a normal distribution lie in so much."""


@dataclass(frozen=True)
class Input:
    """An uncertain number.

    Attributes
    ----------
    name : str
        Kind, and place in the tissue set or the profile.
    kind : {"tissue", "model", "device", "placement", "experiment"}
    limits : Limits
        Its distribution (SI).
    nominal : float
        Value without any uncertainty (SI).
    origin : str
        Where the distribution comes from.
    """

    name: str
    kind: Kind
    limits: Limits
    nominal: float
    origin: str

    @property
    def place(self) -> str:
        """The name without the first part."""
        return self.name.partition(".")[2]

    @property
    def dimension(self) -> str:
        """A key of `ablationsim.units.DIMENSIONS`."""
        return self.limits.dimension

    def at(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (SI) below which these shares of the distribution lie."""
        return np.clip(self.limits.at(shares), self.limits.low, self.limits.high)

    @cached_property
    def text(self) -> str:
        """The distribution in words, such as ``normal, 0.52 ± 0.03 W/m/K, in 0.46 to 0.57 W/m/K``."""
        limits, dimension = self.limits, self.dimension
        between = f"{show(limits.low, dimension, 4)} to {show(limits.high, dimension, 4)}"
        if limits.distribution != "normal":
            return f"{limits.distribution}, {between}"
        spread = "temperature_difference" if dimension == "temperature" else dimension
        return f"normal, {show(limits.mean, dimension, 4)} ± {show(limits.sd, spread, 3)}, in {between}"

    @property
    def unit(self) -> str:
        """Unit in which `shown` gives values."""
        return DIMENSIONS[self.dimension].shown

    def shown(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """SI values in the unit that people read."""
        return values - ZERO_CELSIUS if self.unit == "degC" else values / self.scale

    @property
    def scale(self) -> float:
        """SI value of a difference of one unit that people read."""
        return parse(f"1 {self.unit}", self.dimension) if self.unit and self.unit != "degC" else 1.0


def default_limits(sourced: Sourced) -> Limits | None:
    """The distribution that a number says of itself; None where it has no range."""
    if sourced.range is None or not sourced.range[0] < sourced.range[1]:
        return None
    low, high = sourced.range
    if sourced.status != "published" or sourced.range_source.startswith("assumed"):
        return Limits(sourced.dimension, "uniform", low, high)
    return Limits(sourced.dimension, "normal", low, high, sourced.value, (high - low) / MARGIN_OF_RANGE)


def inputs_of(case: Case, placed: bool) -> list[Input]:
    """Everything about a case that has a distribution, in a fixed order.

    Parameters
    ----------
    case : Case
    placed : bool
        Whether it matters where the applicator came to lie: there is a vessel, a tumour, or a target.
    """
    found = [*_of_tissue(case), *_of_devices(case)]
    if placed and len(case.applicators) == 1 and case.domain.mesh is None:
        found += _PLACEMENT
    return [*found, *_of_experiment(case)]


def _of_tissue(case: Case) -> Iterator[Input]:
    idle = _idle(case)
    for key, sourced in _properties(case).items():
        limits = default_limits(sourced)
        if limits is None or key in idle or key in ("initial_temperature", "vaporisation_rounding"):
            continue
        kind: Kind = "tissue" if key in SPECIMEN else "model"
        yield Input(f"tissue.{key}", kind, limits, sourced.value, _origin(sourced))


def _properties(case: Case) -> Mapping[str, Sourced]:
    """Numbers of the tissue, with those at 37 °C of the dielectric law round an antenna."""
    found = dict(case.tissue.sources)
    for device in (placed.device for placed in case.applicators):
        if device.modality == "mwa":
            law = case.tissue.dielectric_at(device.generator.frequency)
            found |= {key: law.sources[key] for key in QUANTITIES}
    return found


def _idle(case: Case) -> set[str]:
    """Properties that a run of this case does not look at."""
    microwave = any(placed.device.modality == "mwa" for placed in case.applicators)
    idle = set(_RADIOFREQUENCY if microwave else QUANTITIES)
    if not _bled(case.tissue) and not case.vessels and case.tumour is None:
        idle |= {*_BLOOD}
    return idle


def _bled(tissue: Tissue) -> bool:
    perfusion = tissue.sources["perfusion"]
    return max(perfusion.value, *(perfusion.range or (0.0,))) > 0.0


def _of_devices(case: Case) -> Iterator[Input]:
    several = len(case.applicators) > 1
    for placed in case.applicators:
        for place, sourced in placed.device.parameters.items():
            limits = default_limits(sourced)
            if limits is not None:
                name = f"device.{placed.name}.{place}" if several else f"device.{place}"
                yield Input(name, "device", limits, sourced.value, _origin(sourced))


def _of_experiment(case: Case) -> Iterator[Input]:
    start = case.tissue.sources["initial_temperature"]
    limits = default_limits(start)
    if limits is not None:
        yield Input("experiment.start", "experiment", limits, start.value, _origin(start))
    edge = case.zone.isotherm_temperature
    yield replace(_EDGE, nominal=edge)


def _origin(sourced: Sourced) -> str:
    text = f"range: {sourced.range_source or sourced.source}"
    return f"{text} (value {sourced.status})"


def _assumed(name: str, kind: Kind, dimension: str, mean: float, sd: float, reach: float, why: str) -> Input:
    limits = Limits(dimension, "normal", mean - reach, mean + reach, mean, sd)
    return Input(name, kind, limits, mean, f"assumed: {why}")


_WHY = "order of the errors of needle placement under image guidance"
_PLACEMENT = (
    _assumed("placement.depth", "placement", "length", 0.0, 2e-3, 5e-3, _WHY),
    _assumed("placement.offset", "placement", "length", 0.0, 2e-3, 5e-3, _WHY),
    _assumed("placement.angle", "placement", "angle", 0.0, np.deg2rad(3.0), np.deg2rad(8.0), _WHY),
)
_EDGE = Input(
    "experiment.edge",
    "experiment",
    Limits("temperature", "uniform", 50.0 + ZERO_CELSIUS, 60.0 + ZERO_CELSIUS),
    60.0 + ZERO_CELSIUS,
    "assumed: isotherms between which the edges of published zones are drawn; takes the place of the criterion",
)
