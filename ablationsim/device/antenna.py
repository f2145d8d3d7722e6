"""The inside of a microwave antenna: parts of one material each, in the half plane (r, z) of the shaft.

Device frame: the tip is at z = 0 and the shaft runs along +z. Every number is a named dimension with its origin; parts
and port speak of dimensions by name, so that one number moves everything that hangs on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from ablationsim.device.protocol import NotNegative, Positive, Share
from ablationsim.device.spec import PositiveLength, Spec
from ablationsim.errors import best_match
from ablationsim.units import Attenuation, Conductivity, Fraction, Ratio, show

METAL = "metal"
"""Material that conducts perfectly; it fills the outline where no part says otherwise."""

TISSUE = "tissue"
"""What lies outside the antenna; no material of its own may have this name."""

RESERVED = ("axis", "surface", "tip", "end")
"""Names in expressions that are no dimensions: r = 0, radius of the shaft, z = 0, and end of the modelled shaft."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SUM = re.compile(r"\s*[a-z][a-z0-9_]*(\s*[+-]\s*[a-z][a-z0-9_]*)*\s*")
_TERM = re.compile(r"([+-]?)\s*([a-z][a-z0-9_]*)")
_TOUCH = 1e-9
"""Distance below which two edges are one [m]."""


class MaterialSpec(Spec):
    """A dielectric inside the antenna, at the operating frequency.

    Attributes
    ----------
    permittivity : float
        Relative permittivity.
    conductivity : float
        Effective conductivity, all losses included [S/m].
    """

    permittivity: Annotated[Ratio, Positive]
    conductivity: Annotated[Conductivity, NotNegative] = Field(default="0 S/m", validate_default=True)


class PartSpec(Spec):
    """A ring of one material.

    Attributes
    ----------
    name : str
    material : str
        "metal" or a key of the materials.
    r, z : tuple of str
        Inner and outer radius, lower and upper height: sums and differences of names such as "arm_length + gap".
    """

    name: str
    material: str
    r: tuple[str, str]
    z: tuple[str, str]


class PortSpec(Spec):
    """Where the coaxial line is fed: an annulus across the line; above it the line is not modelled.

    Attributes
    ----------
    r : tuple of str
        Inner and outer radius of the dielectric of the line.
    z : str
        Height.
    """

    r: tuple[str, str]
    z: str


class AntennaSpec(Spec):
    """The antenna of a microwave applicator.

    Attributes
    ----------
    dimensions : dict of str to float
        Lengths by name [m].
    materials : dict of str to MaterialSpec
    parts : tuple of PartSpec
        Laid down in order, later ones over earlier ones, within the outline of the applicator.
    port : PortSpec
    efficiency : float
        Share of the generator's setting that arrives at the needle (losses in cable and connectors, and whether the
        generator shows forward or net power).
    shaft_attenuation : float
        Of the line inside the needle, from the handle to the port [dB/m]; the loss heats the shaft.
    """

    dimensions: dict[str, PositiveLength] = Field(min_length=1)
    materials: dict[str, MaterialSpec] = Field(min_length=1)
    parts: tuple[PartSpec, ...] = Field(min_length=1)
    port: PortSpec
    efficiency: Annotated[Fraction, Share]
    shaft_attenuation: Annotated[Attenuation, NotNegative] = Field(default="0 dB/m", validate_default=True)

    def length(self, expression: str, *, surface: float, end: float) -> float:
        """Evaluate a sum of names.

        Parameters
        ----------
        expression : str
            Names of dimensions or of `RESERVED`, joined by + and -.
        surface, end : float
            Radius of the shaft and length of the modelled shaft [m].

        Returns
        -------
        float
            [m], rounded to a picometre, so that equal places are equal however they are written.

        Raises
        ------
        ValueError
            If the text is no such sum, or a name is unknown.
        """
        if not _SUM.fullmatch(expression):
            raise ValueError(
                f"expects names of dimensions joined by + and -, such as 'arm_length + gap', got {expression!r}; "
                "numbers belong into antenna.dimensions"
            )
        known = {"axis": 0.0, "surface": surface, "tip": 0.0, "end": end, **self.dimensions}
        total = 0.0
        for sign, name in _TERM.findall(expression):
            if name not in known:
                raise ValueError(f"there is no dimension '{name}'{best_match(name, known)}")
            total += -known[name] if sign == "-" else known[name]
        return round(total, 12)

    def extent(self, part: PartSpec, surface: float, end: float) -> tuple[float, float, float, float]:
        """Inner and outer radius, lower and upper height of a part [m]; see `length` for the parameters."""
        r0, r1, z0, z1 = (self.length(text, surface=surface, end=end) for text in (*part.r, *part.z))
        return r0, r1, z0, z1

    def port_extent(self, surface: float, end: float) -> tuple[float, float, float]:
        """Inner and outer radius, and height of the port [m]; see `length` for the parameters."""
        r0, r1, z = (self.length(text, surface=surface, end=end) for text in (*self.port.r, self.port.z))
        return r0, r1, z

    def material_at(self, r: float, z: float, surface: float, end: float) -> str:
        """Material at a point inside the outline [m], off the edges of parts; see `length` for the parameters."""
        for part in reversed(self.parts):
            r0, r1, z0, z1 = self.extent(part, surface, end)
            if r0 < r < r1 and z0 < z < z1:
                return part.material
        return METAL

    def problems(self, surface: float, end: float) -> list[str]:
        """Everything that is wrong with names, parts and port; see `length` for the parameters.

        Returns
        -------
        list of str
            One sentence a finding, with its place inside the antenna's table.
        """
        found = list(self._name_problems())
        for number, part in enumerate(self.parts, start=1):
            place = f"parts[{number}] '{part.name}'"
            if part.material != METAL and part.material not in self.materials:
                known = (METAL, *self.materials)
                found.append(f"{place}: there is no material '{part.material}'{best_match(part.material, known)}")
            found += [f"{place}: {text}" for text in self._interval_problems("r", part.r, surface, (surface, end))]
            found += [f"{place}: {text}" for text in self._interval_problems("z", part.z, end, (surface, end))]
        found += [f"port: {text}" for text in self._interval_problems("r", self.port.r, surface, (surface, end))]
        found += [f"port: {text}" for text in self._height_problems(self.port.z, surface, end)]
        if not found:  # a port can only be judged among parts that have a place
            found += [f"port: {text}" for text in self._line_problems(surface, end)]
        return found

    def _name_problems(self) -> Iterator[str]:
        for kind, names in (("dimensions", self.dimensions), ("materials", self.materials)):
            taken = RESERVED if kind == "dimensions" else (METAL, TISSUE)
            for name in names:
                if not _NAME.fullmatch(name):
                    yield f"{kind}: '{name}' is no name; use lower-case letters, digits and _, a letter first"
                if name in taken:
                    yield f"{kind}: the name '{name}' has a meaning of its own; choose another"
        names_of_parts = [part.name for part in self.parts]
        for name in sorted({name for name in names_of_parts if names_of_parts.count(name) > 1}):
            yield f"parts: {names_of_parts.count(name)} parts are named '{name}'"

    def _interval_problems(
        self, axis: str, texts: tuple[str, str], limit: float, shaft: tuple[float, float]
    ) -> Iterator[str]:
        values = []
        for text in texts:
            try:
                values.append(self.length(text, surface=shaft[0], end=shaft[1]))
            except ValueError as error:
                yield f"{axis}: {error}"
        if len(values) < 2:
            return
        low, high = values
        if high - low < _TOUCH:
            yield f"{axis}: '{texts[0]}' ({show(low, 'length')}) is not below '{texts[1]}' ({show(high, 'length')})"
        if low < -_TOUCH or high > limit + _TOUCH:
            bound = "radius" if axis == "r" else "length"
            yield (
                f"{axis}: {show(low, 'length')} to {show(high, 'length')} leaves the shaft, "
                f"which has a {bound} of {show(limit, 'length')}"
            )

    def _height_problems(self, text: str, surface: float, end: float) -> Iterator[str]:
        try:
            height = self.length(text, surface=surface, end=end)
        except ValueError as error:
            yield f"z: {error}"
            return
        if not _TOUCH < height <= end + _TOUCH:
            yield f"z: {show(height, 'length')} is not on the shaft, which is {show(end, 'length')} long"

    def _line_problems(self, surface: float, end: float) -> Iterator[str]:
        """Just below the port one dielectric has to lie between two conductors."""
        r0, r1, height = self.port_extent(surface, end)
        extents = [self.extent(part, surface, end) for part in self.parts]
        heights = sorted({0.0, *(z for part in extents for z in part[2:] if z < height - _TOUCH)})
        z = 0.5 * (heights[-1] + height)
        radii = sorted({0.0, surface, r0, r1, *(r for part in extents for r in part[:2])})
        rings = [(a, b, self.material_at(0.5 * (a + b), z, surface, end)) for a, b in pairwise(radii) if b - a > _TOUCH]
        within = {material for a, b, material in rings if r0 - _TOUCH < a and b < r1 + _TOUCH}
        if METAL in within or len(within) > 1:
            yield (
                f"below it, between r = {show(r0, 'length')} and {show(r1, 'length')}, "
                f"lies {' and '.join(sorted(within))}; a line has one dielectric there"
            )
        for name in sorted(within - {METAL}):
            if self.materials[name].conductivity > 0.0:
                yield f"the {name} below it conducts; state the losses of the line as shaft_attenuation"
        inner = next((m for a, b, m in rings if abs(b - r0) < _TOUCH), None)
        outer = next((m for a, b, m in rings if abs(a - r1) < _TOUCH), None)
        for side, material in (("inside", inner), ("outside", outer)):
            if material != METAL:
                yield (
                    f"the conductor {side} its annulus is missing: "
                    f"{'nothing' if material is None else material} lies there"
                )
