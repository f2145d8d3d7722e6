"""Dielectric properties of tissue at the frequency of a microwave antenna.

Hot tissue loses its water, and with it relative permittivity and effective conductivity. A law is a falling sigmoid of
the temperature for each of the two, or a constant. The laws and the origin of their numbers are in
``dielectrics.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import TissueError, best_match
from ablationsim.provenance import Sourced
from ablationsim.tissue.laws import BODY
from ablationsim.units import ZERO_CELSIUS, exact, show

Array = NDArray[np.float64]

DEFAULT = "default"
"""Stands for the first of `DEFAULT_LAWS` that covers the frequency."""

DEFAULT_LAWS = ("lopresto", "liver_915")

QUANTITIES: Mapping[str, str] = {"permittivity": "ratio", "microwave_conductivity": "electric_conductivity"}
"""What a law describes, with its dimension; by these names a case or a tissue set gives the values at 37 °C."""

BANDWIDTH = 0.05
"""Relative distance from its own frequency up to which a law holds; the industrial bands are narrower."""

SPREAD = 0.2
"""Relative distance from a law's value at 37 °C within which another value may be chosen (assumed)."""

_SPREAD_SOURCE = (
    "assumed: within 20 % of the dielectric law '{law}' at 37 °C; "
    "published laws for liver differ by 11 % in permittivity and by 24 % in conductivity"
)


@dataclass(frozen=True)
class Sigmoid:
    """A property that falls with the temperature: ``dried + drop / (1 + exp(slope T - exponent))``, T in °C.

    Attributes
    ----------
    drop : float
        Height of the fall.
    exponent : float
        ``exponent / slope`` is the temperature at which half of the fall is over.
    slope : float
        [1/K]
    dried : float
        Value that very hot tissue tends to.
    floor : float
        Least value.
    """

    drop: float = 0.0
    exponent: float = 0.0
    slope: float = 0.0
    dried: float = 0.0
    floor: float = 0.0

    def __call__(self, temperature: Array) -> Array:
        """Value at each temperature [K]."""
        celsius = np.asarray(temperature, dtype=np.float64) - ZERO_CELSIUS
        value: Array = self.dried + self.drop / (1.0 + np.exp(self.slope * celsius - self.exponent))
        return np.maximum(value, self.floor)

    @property
    def at_body(self) -> float:
        """Value at 37 °C."""
        return float(self(np.array(BODY)))

    def through(self, at_body: float) -> Sigmoid:
        """The same curve, scaled to have a value at 37 °C."""
        factor = at_body / self.at_body
        return replace(self, drop=factor * self.drop, dried=factor * self.dried)


@dataclass(frozen=True)
class Dielectric:
    """Relative permittivity and effective conductivity of a tissue against its temperature, at one frequency.

    Where drying is irreversible, the temperature to take is the highest that the tissue has had.

    Attributes
    ----------
    name, title, notes : str
        Name of the law, what it describes, and what to know about it.
    frequency : float
        Frequency of the law [Hz].
    sources : dict of str to Sourced
        The values at 37 °C by the keys of `QUANTITIES`, with the range in which others may be chosen, and every
        coefficient.
    curves : dict of str to Sigmoid
        The laws, by the keys of `QUANTITIES`.
    """

    name: str
    title: str
    notes: str
    frequency: float
    sources: Mapping[str, Sourced]
    curves: Mapping[str, Sigmoid]

    @classmethod
    def names(cls) -> list[str]:
        """Names of the shipped laws."""
        return sorted(_file()["laws"])

    @classmethod
    def load(cls, name: str, frequency: float, floors: bool = True) -> Dielectric:
        """Take a law.

        Parameters
        ----------
        name : str
            One of `names`, or "default" for the recommended law at the frequency.
        frequency : float
            Operating frequency [Hz].
        floors : bool
            Whether permittivity and conductivity stay above a least value. Without, the sigmoids tend to zero, and
            the heating of dried tissue at an antenna to infinity.

        Raises
        ------
        TissueError
            If there is no such law, or it does not hold at the frequency.
        """
        check_name(name)
        fitting = [law for law in cls.names() if _holds(law, frequency)]
        if name == DEFAULT:
            name = next((law for law in DEFAULT_LAWS if law in fitting), "")
        if name not in fitting:
            subject = "no dielectric law holds"
            if name:
                subject = f"the dielectric law '{name}' is for {show(_frequency(name), 'frequency')} and does not hold"
            known = fitting or [f"{law} ({show(_frequency(law), 'frequency')})" for law in cls.names()]
            raise TissueError(
                f"{subject} at {show(frequency, 'frequency')}; laws {'that do' if fitting else 'there are'}: "
                + ", ".join(known)
            )
        return _build(name, floors)

    def problems(self, at_body: Mapping[str, float]) -> list[str]:
        """What speaks against values at 37 °C, by the keys of `QUANTITIES` (SI): one sentence each."""
        found = ((key, self.sources[key].outside(value)) for key, value in at_body.items())
        return [f"{key}: {outside}" for key, outside in found if outside is not None]

    def through(self, at_body: Mapping[str, float]) -> Dielectric:
        """Scale the curves to values at 37 °C, given by the keys of `QUANTITIES` (SI); floors stay as they are.

        Raises
        ------
        TissueError
            If a value lies outside the range of the law.
        """
        problems = self.problems(at_body)
        if problems:
            raise TissueError("\n".join(problems))
        chosen = {
            key: replace(
                self.sources[key],
                value=value,
                text=exact(value, QUANTITIES[key]),
                status="assumed",
                verified=False,
                source="chosen for this case",
                note=f"law: {self.sources[key].text}",
            )
            for key, value in at_body.items()
        }
        curves = {key: self.curves[key].through(value) for key, value in at_body.items()}
        return replace(self, sources={**self.sources, **chosen}, curves={**self.curves, **curves})

    def permittivity(self, temperature: Array) -> Array:
        """Relative permittivity at each temperature [K]; same shape."""
        return self.curves["permittivity"](temperature)

    def conductivity(self, temperature: Array) -> Array:
        """Effective conductivity [S/m] at each temperature [K], all losses included; same shape."""
        return self.curves["microwave_conductivity"](temperature)


def check_name(name: str) -> None:
    """Refuse a name that is neither a law nor "default".

    Raises
    ------
    TissueError
    """
    known = [DEFAULT, *Dielectric.names()]
    if name not in known:
        raise TissueError(f"no dielectric law '{name}'{best_match(name, known)}")


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(resources.files("ablationsim.tissue").joinpath("dielectrics.toml").read_text(encoding="utf-8"))


def _frequency(name: str) -> float:
    return Sourced.read(_file()["laws"][name]["frequency"], "frequency").value


def _holds(name: str, frequency: float) -> bool:
    return abs(frequency / _frequency(name) - 1.0) <= BANDWIDTH


def _build(name: str, floors: bool) -> Dielectric:
    law = _file()["laws"][name]
    sources: dict[str, Sourced] = {}
    curves: dict[str, Sigmoid] = {}
    for key, dimension in QUANTITIES.items():
        shape = _file()["laws"][law["shape"]][key] if "shape" in law else law[key]
        coefficients = _coefficients(shape, dimension) if "drop" in shape else {}
        curve = Sigmoid(**{part: number.value for part, number in coefficients.items()})
        if "at_body" in law[key]:
            at_body = Sourced.read(law[key]["at_body"], dimension)
            curve = curve.through(at_body.value) if coefficients else Sigmoid(dried=at_body.value)
        else:
            text = show(curve.at_body, dimension, digits=4)
            at_body = Sourced(
                curve.at_body, dimension, text, "calculated", True, f"the dielectric law '{name}' at 37 °C"
            )
        if floors:
            coefficients["floor"] = Sourced.read(_file()["floors"][key], dimension)
        curves[key] = replace(curve, floor=coefficients["floor"].value) if floors else curve
        sources[key] = replace(
            at_body,
            range=((1.0 - SPREAD) * at_body.value, (1.0 + SPREAD) * at_body.value),
            range_source=_SPREAD_SOURCE.format(law=name),
        )
        sources |= {f"{key}_{part}": number for part, number in coefficients.items()}
    return Dielectric(name, law["title"], law["notes"], _frequency(name), sources, curves)


def _coefficients(table: Mapping[str, Any], dimension: str) -> dict[str, Sourced]:
    dimensions = {"drop": dimension, "exponent": "ratio", "slope": "relative_slope", "dried": dimension}
    return {part: Sourced.read(table[part], unit) for part, unit in dimensions.items()}
