"""`Tissue`: one property set, its overrides and the lookup tables that the engine computes with."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import TissueError, best_match
from ablationsim.provenance import Sourced
from ablationsim.tissue import laws
from ablationsim.tissue.dielectric import DEFAULT, QUANTITIES, Dielectric, check_name
from ablationsim.units import ZERO_CELSIUS, exact, show

PROPERTIES: Mapping[str, str] = {
    "initial_temperature": "temperature",
    "density": "density",
    "heat_capacity": "heat_capacity",
    "heat_capacity_rise": "ratio",
    "heat_capacity_rise_start": "temperature",
    "heat_capacity_rise_end": "temperature",
    "thermal_conductivity": "thermal_conductivity",
    "thermal_conductivity_slope": "thermal_conductivity_slope",
    "vapour_carried": "fraction",
    "vapour_reach": "length",
    "vapour_time": "duration",
    "rewetting_time": "duration",
    "electric_conductivity": "electric_conductivity",
    "electric_conductivity_slope": "relative_slope",
    "electric_conductivity_dried": "fraction",
    "drying_width": "temperature_difference",
    "water_fraction": "fraction",
    "wet_density": "density",
    "latent_heat": "specific_energy",
    "vaporisation_lower": "temperature",
    "vaporisation_upper": "temperature",
    "vaporisation_rounding": "temperature_difference",
    "dried_heat_capacity": "volumetric_heat_capacity",
    "perfusion": "perfusion_rate",
    "perfusion_remaining": "fraction",
    "blood_density": "density",
    "blood_heat_capacity": "heat_capacity",
    "blood_temperature": "temperature",
}
"""Every property of a set, with its dimension; conductivities are those at 37 °C."""

OPTIONAL: Mapping[str, str] = QUANTITIES
"""Properties that a set need not have; without them the dielectric law says what they are."""

_DIMENSIONS: Mapping[str, str] = {**PROPERTIES, **OPTIONAL}

TABLE_START = 233.15
"""First temperature of the tables [K]."""
TABLE_STEP = 0.05
"""Spacing of the tables [K]."""
TABLE_LENGTH = 30801
"""Number of entries: the tables end at 1773.15 K."""


@dataclass(frozen=True, eq=False)
class TissueTables:
    """Properties on the uniform grid ``temperature0 + i * step``.

    Attributes
    ----------
    temperature0, step : float
        First temperature and spacing [K].
    enthalpy : (n,) float64
        Volumetric enthalpy, zero at 37 °C [J/m3]; the exact integral of the heat capacity, strictly increasing.
    thermal_conductivity : (n,) float64
        [W/m/K]
    electric_conductivity : (n,) float64
        [S/m]
    latent : (n,) float64
        The part of the enthalpy that is latent heat of the tissue's water [J/m3].
    """

    temperature0: float
    step: float
    enthalpy: NDArray[np.float64]
    thermal_conductivity: NDArray[np.float64]
    electric_conductivity: NDArray[np.float64]
    latent: NDArray[np.float64]

    @property
    def temperature(self) -> NDArray[np.float64]:
        """Temperatures of the grid, shape (n,) [K]."""
        return self.temperature0 + self.step * np.arange(self.enthalpy.size, dtype=np.float64)


@dataclass(frozen=True)
class Tissue:
    """A tissue with the provenance of every number.

    Attributes
    ----------
    name, title, notes : str
        Name of the set, what it describes, and what to know about it.
    sources : dict of str to Sourced
        Every property in `PROPERTIES`, and those in `OPTIONAL` that are given.
    dielectric : str
        Name of a dielectric law, or "default" for the recommended law at the frequency of the antenna.
    """

    name: str
    title: str
    notes: str
    sources: Mapping[str, Sourced]
    dielectric: str = DEFAULT

    @classmethod
    def names(cls) -> list[str]:
        """Names of the shipped sets."""
        return sorted(item.name.removesuffix(".toml") for item in _directory().iterdir() if item.name.endswith(".toml"))

    @classmethod
    def load(cls, name: str) -> Tissue:
        """Read a shipped set.

        Raises
        ------
        TissueError
            If there is no such set, or it is malformed; the message holds every problem found.
        """
        if name not in cls.names():
            raise TissueError(f"no tissue set '{name}'{best_match(name, cls.names())}")
        return cls.from_dict(name, _read_set(name))

    @classmethod
    def from_dict(cls, name: str, data: Mapping[str, Any]) -> Tissue:
        """Build from the content of a set file: ``title``, ``notes``, ``dielectric`` and one table a property.

        Raises
        ------
        TissueError
            With every problem found.
        """
        texts = {"title": name, "notes": "", "dielectric": DEFAULT}
        texts |= {key: str(data[key]) for key in texts if key in data}
        entries = {key: value for key, value in data.items() if key not in texts}
        problems = [
            f"unknown property '{key}'{best_match(key, [*_DIMENSIONS, *texts])}"
            for key in entries
            if key not in _DIMENSIONS
        ]
        problems += _unknown_law(texts["dielectric"])
        sources: dict[str, Sourced] = {}
        for key, dimension in _DIMENSIONS.items():
            if key not in entries:
                if key not in OPTIONAL:
                    problems.append(f"{key} is missing")
                continue
            try:
                sources[key] = Sourced.read(entries[key], dimension)
            except ValueError as error:
                problems.append(f"{key}: {error}")
        if not problems:
            problems = _inconsistencies({key: sourced.value for key, sourced in sources.items()})
        if problems:
            raise TissueError(
                f"the tissue set '{name}' is malformed:\n" + "\n".join(f"  - {problem}" for problem in problems)
            )
        return cls(name, sources=sources, **texts)

    def to_dict(self) -> dict[str, Any]:
        """The content of a set file; `from_dict` gives back an equal tissue."""
        return {
            "title": self.title,
            "notes": self.notes,
            "dielectric": self.dielectric,
            **{key: sourced.to_dict() for key, sourced in self.sources.items()},
        }

    def override_problems(self, overrides: Mapping[str, float], dielectric: str | None = None) -> list[str]:
        """What speaks against replacing properties (SI) or the dielectric law.

        Each sentence has value, limit and source of the limit. Whether the law, and the values at 37 °C of what it
        describes, hold at the frequency of an antenna is for `dielectric_problems` to say.
        """
        problems = [] if dielectric is None else _unknown_law(dielectric)
        for key, value in overrides.items():
            if key not in _DIMENSIONS:
                problems.append(f"unknown property '{key}'{best_match(key, _DIMENSIONS)}")
                continue
            outside = self.sources[key].outside(value) if key in self.sources else None
            if outside is not None:
                problems.append(f"{key}: {outside}; the tissue set is '{self.name}'")
        if not problems:
            problems = _inconsistencies({**{key: sourced.value for key, sourced in self.sources.items()}, **overrides})
        return problems

    def with_overrides(self, overrides: Mapping[str, float], dielectric: str | None = None) -> Tissue:
        """Replace properties, and the dielectric law where one is named.

        Parameters
        ----------
        overrides : dict of str to float
            SI values by the keys of `PROPERTIES` and `OPTIONAL`; each is marked as assumed and keeps the range of the
            set.
        dielectric : str, optional
            Name of a dielectric law.

        Raises
        ------
        TissueError
            If a property or the law is unknown or a value lies outside the range of the set.
        """
        problems = self.override_problems(overrides, dielectric)
        if problems:
            raise TissueError("\n".join(problems))
        changed = {}
        for key, value in overrides.items():
            text, source = exact(value, _DIMENSIONS[key]), "chosen for this case"
            if key in self.sources:
                old = self.sources[key]
                changed[key] = replace(
                    old,
                    value=value,
                    text=text,
                    status="assumed",
                    verified=False,
                    source=source,
                    note=f"set: {old.text}",
                )
            else:
                changed[key] = Sourced(value, _DIMENSIONS[key], text, "assumed", False, source)
        law = self.dielectric if dielectric is None else dielectric
        return replace(self, sources={**self.sources, **changed}, dielectric=law)

    def dielectric_problems(self, frequency: float) -> list[str]:
        """What speaks against this tissue round an antenna that works at a frequency [Hz]; one sentence each."""
        try:
            law = Dielectric.load(self.dielectric, frequency)
        except TissueError as error:
            return [f"dielectric: {error}"]
        return law.problems(self._at_body)

    def dielectric_at(self, frequency: float, floors: bool = True) -> Dielectric:
        """Dielectric law at a frequency [Hz], scaled to the values at 37 °C where they are given.

        Parameters
        ----------
        frequency : float
            Operating frequency of the antenna [Hz].
        floors : bool
            Whether permittivity and conductivity of dried tissue stay above a least value.

        Raises
        ------
        TissueError
            If the law does not hold at the frequency, or a value lies outside its range.
        """
        return Dielectric.load(self.dielectric, frequency, floors).through(self._at_body)

    @property
    def _at_body(self) -> dict[str, float]:
        """What is given of the dielectric properties at 37 °C."""
        return {key: self.value(key) for key in OPTIONAL if key in self.sources}

    def value(self, name: str) -> float:
        """One property in SI units; `name` is a key of `PROPERTIES`, or of `OPTIONAL` where it is given."""
        return self.sources[name].value

    @property
    def initial_temperature(self) -> float:
        """Temperature before heating [K]."""
        return self.value("initial_temperature")

    @property
    def perfusion(self) -> float:
        """Perfusion rate of intact tissue, volume of blood per volume of tissue and time [1/s]."""
        return self.value("perfusion")

    @property
    def perfusion_remaining(self) -> float:
        """Share of the perfusion that is left in coagulated tissue."""
        return self.value("perfusion_remaining")

    @property
    def blood_density(self) -> float:
        """Density of blood [kg/m3]."""
        return self.value("blood_density")

    @property
    def blood_heat_capacity(self) -> float:
        """Specific heat capacity of blood [J/kg/K]."""
        return self.value("blood_heat_capacity")

    @property
    def blood_temperature(self) -> float:
        """Temperature of the arriving blood [K]."""
        return self.value("blood_temperature")

    @property
    def vaporisation_band(self) -> tuple[float, float]:
        """Temperatures [K] between which the tissue's water vaporises."""
        return self.value("vaporisation_lower"), self.value("vaporisation_upper")

    @property
    def vaporisation_energy(self) -> float:
        """Latent heat of the water in a volume of tissue [J/m3]."""
        return self.value("wet_density") * self.value("water_fraction") * self.value("latent_heat")

    @property
    def capacity(self) -> laws.PiecewiseLinear:
        """Volumetric heat capacity [J/m3/K] against temperature, latent heat included."""
        sensible = laws.sensible_capacity(
            wet=self.value("density") * self.value("heat_capacity"),
            rise_factor=self.value("heat_capacity_rise"),
            rise_start=self.value("heat_capacity_rise_start"),
            rise_end=self.value("heat_capacity_rise_end"),
            band=self.vaporisation_band,
            dried=self.value("dried_heat_capacity"),
        )
        return sensible + self.latent_capacity

    @property
    def latent_capacity(self) -> laws.PiecewiseLinear:
        """The part of `capacity` that is latent heat of the tissue's water [J/m3/K]."""
        return laws.latent_capacity(
            self.vaporisation_energy, self.vaporisation_band, self.value("vaporisation_rounding")
        )

    def tables(self) -> TissueTables:
        """Tabulate enthalpy and conductivities from 233.15 K to 1773.15 K."""
        temperature = TABLE_START + TABLE_STEP * np.arange(TABLE_LENGTH, dtype=np.float64)
        thermal = laws.thermal_conductivity(
            self.value("thermal_conductivity"), self.value("thermal_conductivity_slope")
        )
        electric = laws.electric_conductivity(
            self.value("electric_conductivity"),
            self.value("electric_conductivity_slope"),
            self.value("electric_conductivity_dried"),
            self.value("drying_width"),
        )
        return TissueTables(
            temperature0=TABLE_START,
            step=TABLE_STEP,
            enthalpy=self.capacity.integral(temperature, start=laws.BODY),
            thermal_conductivity=thermal(temperature),
            electric_conductivity=electric(temperature),
            latent=self.latent_capacity.integral(temperature, start=laws.BODY),
        )


def _directory() -> Traversable:
    return resources.files("ablationsim.tissue").joinpath("sets")


def _read_set(name: str) -> dict[str, Any]:
    """Content of a set file; a set with a ``base`` states only what sets it apart from another set."""
    data = tomllib.loads(_directory().joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    base = data.pop("base", None)
    return data if base is None else {**_read_set(base), **data}


def _unknown_law(name: str) -> list[str]:
    try:
        check_name(name)
    except TissueError as error:
        return [f"dielectric: {error}"]
    return []


def _inconsistencies(values: Mapping[str, float]) -> list[str]:
    """What makes the laws meaningless, one sentence each."""
    may_vanish = (
        "perfusion",
        "perfusion_remaining",
        "water_fraction",
        "vapour_carried",
        "thermal_conductivity_slope",
        "electric_conductivity_slope",
    )
    problems = []
    for key, value in values.items():
        if value < 0.0 or (value == 0.0 and key not in may_vanish):
            limit = "at least 0" if key in may_vanish else "above 0"
            problems.append(f"{key} is {show(value, _DIMENSIONS[key])}; it must be {limit}")
    for key in ("perfusion_remaining", "water_fraction", "electric_conductivity_dried", "vapour_carried"):
        if values[key] > 1.0:
            problems.append(f"{key} is {show(values[key], 'fraction')}; it must be at most 100 %")
    if values["heat_capacity_rise_start"] >= values["heat_capacity_rise_end"]:
        problems.append("heat_capacity_rise_start must be below heat_capacity_rise_end")
    if values["heat_capacity_rise_end"] >= values["vaporisation_lower"]:
        problems.append("heat_capacity_rise_end must be below vaporisation_lower")
    width = values["vaporisation_upper"] - values["vaporisation_lower"]
    if width < 2.0 * values["vaporisation_rounding"] * (1.0 - 1e-9):
        problems.append("vaporisation_upper must be above vaporisation_lower by at least twice vaporisation_rounding")
    if values["electric_conductivity_slope"] * (laws.BODY - ZERO_CELSIUS) >= 1.0:
        problems.append("electric_conductivity_slope is so steep that the conductivity vanishes above 0 °C")
    return problems
