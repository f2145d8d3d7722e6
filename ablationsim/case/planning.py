"""The table of a case file about the plan that is looked for."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ablationsim.case.sections import Section
from ablationsim.device.protocol import NotNegative, Positive
from ablationsim.units import Duration, Length, Power, Ratio


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the lower limit comes first, got {pair[0]:g} and {pair[1]:g}")
    return pair


Powers = Annotated[tuple[Annotated[Power, Positive], Annotated[Power, Positive]], AfterValidator(_rising)]
Durations = Annotated[tuple[Annotated[Duration, Positive], Annotated[Duration, Positive]], AfterValidator(_rising)]


class PlanSection(Section):
    """``[plan]``: what a plan has to reach, and what may be changed for it.

    Attributes
    ----------
    margin : float
        Minimal ablative margin that is wanted [m].
    objective : {"healthy", "margin", "time"}
        What is sought among plans that have the margin, and traded against it where none has: least healthy liver,
        most margin, or least time.
    power : pair of float or None
        Lowest and highest setting of the generator [W]. When not given, half of the protocol's power to what the
        generator can deliver, but at most 1.5 times the protocol's; a power that an impedance limits is kept.
    duration : pair of float or None
        Shortest and longest time [s]; 2 to 10 min for microwaves and 4 to 12 min for radiofrequency when not given.
    needles : int
        Most needles at a time.
    shift : float
        How far a needle that is in place may be moved along its shaft, either way [m].
    rounds : int
        Most rounds of runs of the full model, of as many plans each as there are jobs (two at least).
    resolution, tolerance : float
        Mesh and time steps of those runs: factors as in ``[mesh]`` and ``[time]``.
    """

    margin: Annotated[Length, NotNegative] = 5e-3
    objective: Literal["healthy", "margin", "time"] = "healthy"
    power: Powers | None = None
    duration: Durations | None = None
    needles: int = Field(default=1, ge=1, le=4)
    shift: Annotated[Length, Positive] = 20e-3
    rounds: int = Field(default=4, ge=1, le=20)
    resolution: Annotated[Ratio, Field(ge=0.25, le=4.0)] = 3.0
    tolerance: Annotated[Ratio, Field(ge=0.05, le=10.0)] = 3.0

    @model_validator(mode="after")
    def _margin_in_reach(self) -> Self:
        if self.margin > 20e-3:
            raise ValueError(
                f"margin is {1e3 * self.margin:g} mm, more than the 20 mm up to which margins are looked at; margins "
                "of 5 to 10 mm are usual"
            )
        return self
