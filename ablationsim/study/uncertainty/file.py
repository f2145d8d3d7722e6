"""The tables of a study file of what is uncertain, one model each."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from ablationsim.case.sections import Name, Section
from ablationsim.device.protocol import Positive
from ablationsim.units import Length

KINDS = ("tissue", "model", "device", "placement", "experiment")
"""Kinds of inputs: what differs from one specimen to another; what is the same in all but not known of the laws of
tissue; numbers of the device profile; where the applicator came to lie; what is not known of the experiment."""

Kind = Literal["tissue", "model", "device", "placement", "experiment"]
Method = Literal["screen", "sobol", "propagate"]


class AboutSection(Section):
    """``[study]``: what is asked, of which case.

    Attributes
    ----------
    method : {"screen", "sobol", "propagate"}
        Morris screening, Sobol indices, or the spread of the predictions.
    case : str or None
        Case file, relative to the study file; with ``[[arm]]`` that of the arms without one of their own.
    name : str or None
        Of the study; the name of the file when not given.
    vary : list of str
        Kinds of inputs, as in `KINDS`.
    n : int
        Trajectories of a screening, base points of Sobol indices, or samples of a propagation.
    sampling : {"sobol", "latin_hypercube"}
        Of a propagation.
    seed : int
        The same seed draws the same values.
    resolution : float or None
        Size of the elements of all runs relative to the default; that of each case when not given.
    frame : {"undeformed", "contracted"}
        Coordinates that tables and pictures are in; files have both.
    confidence : float
        Of all intervals.
    """

    method: Method
    case: str | None = None
    name: Name | None = None
    vary: list[Kind] = Field(default=["tissue", "model", "device", "placement", "experiment"], min_length=1)
    n: StrictInt = Field(ge=2, le=100_000)
    sampling: Literal["sobol", "latin_hypercube"] = "sobol"
    seed: StrictInt = Field(default=1, ge=0)
    resolution: float | None = Field(default=None, ge=0.25, le=4.0)
    frame: Literal["undeformed", "contracted"] = "undeformed"
    confidence: float = Field(default=0.95, ge=0.5, le=0.999)

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        evenly = self.method == "sobol" or (self.method == "propagate" and self.sampling == "sobol")
        if evenly and self.n & (self.n - 1):
            below = 1 << (self.n.bit_length() - 1)
            other = ", or sampling = 'latin_hypercube'" if self.method == "propagate" else ""
            raise ValueError(
                f"Sobol points fill the space evenly in powers of two, and n = {self.n} is none; use {below} or "
                f"{2 * below}{other}"
            )
        return self


class TargetSection(Section):
    """``[target]``: a sphere that is to be ablated, which gives a margin.

    Attributes
    ----------
    radius : float
        [m]
    depth : float or None
        Of its centre, from the planned place of the tip along the shaft [m]; the middle of the zone with the nominal
        values when not given, as if it had been planned so.
    """

    radius: Annotated[Length, Positive]
    depth: Length | None = None


class InputTable(Section):
    """``[[input]]``: what is to be said of one input instead of what follows from its range.

    Attributes
    ----------
    name : str
        Such as ``tissue.thermal_conductivity``, ``device.antenna.efficiency``, ``placement.depth`` or
        ``experiment.start``.
    low, high : str or number or None
        Limits, with units.
    distribution : {"uniform", "loguniform", "normal"}
        A normal distribution is cut off at the limits.
    mean, sd : str or number or None
        Of a normal distribution before it is cut off.
    fixed : bool
        Keeps it at its nominal value.
    source : str
        Where the distribution comes from, or why it is assumed.
    """

    name: str
    low: str | float | None = None
    high: str | float | None = None
    distribution: Literal["uniform", "loguniform", "normal"] = "uniform"
    mean: str | float | None = None
    sd: str | float | None = None
    fixed: StrictBool = False
    source: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        limits, shape = [self.low, self.high], [self.mean, self.sd]
        given = [value for value in (*limits, *shape) if value is not None]
        if self.fixed and given:
            raise ValueError("an input that is fixed has no low, high, mean or sd")
        if not self.fixed and None in limits:
            raise ValueError("give low and high, or fixed = true")
        if self.distribution == "normal" and None in shape:
            raise ValueError("a normal distribution needs mean and sd")
        if self.distribution != "normal" and shape != [None, None]:
            raise ValueError(f"mean and sd belong to distribution = 'normal', not to '{self.distribution}'")
        return self


class ArmTable(Section):
    """``[[arm]]``: one of several cases that are compared.

    Attributes
    ----------
    name : str
    group : str
        Arms of one device, at different settings, have the same group.
    case : str or None
        Case file; that of ``[study]`` when not given.
    set : dict
        Keys of the case that are different, as ``{ "protocol[1].power" = "80 W" }``.
    """

    name: str
    group: str = ""
    case: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)


class SurrogateSection(Section):
    """``[surrogate]``: Sobol indices or the spread from a Gaussian process in place of the simulation.

    Attributes
    ----------
    runs : int
        Runs that it learns from.
    least_q2 : float
        Share of the variance that it has to predict of runs that it has not seen; it is refused below.
    """

    runs: StrictInt = Field(ge=10, le=2000)
    least_q2: float = Field(default=0.9, ge=0.5, lt=1.0)


class UncertaintyFile(Section):
    """A whole study file."""

    study: AboutSection
    target: TargetSection | None = None
    input: list[InputTable] = Field(default_factory=list)
    arm: list[ArmTable] = Field(default_factory=list)
    surrogate: SurrogateSection | None = None
