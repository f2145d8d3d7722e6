"""``[tissue]``: the table of a case file about the tissue."""

from __future__ import annotations

from typing import Literal

from ablationsim.case.sections import Section
from ablationsim.units import (
    Conductivity,
    Density,
    Duration,
    Fraction,
    HeatCapacity,
    Length,
    PerfusionRate,
    Ratio,
    RelativeSlope,
    Temperature,
    ThermalConductivity,
    ThermalConductivitySlope,
    VolumetricHeatCapacity,
)


class TissueSection(Section):
    """``[tissue]``: a property set and what differs from it; a value given here must lie in the range of the set.

    Attributes
    ----------
    set : str
        Name of a tissue set.
    temperature : float or None
        Temperature before heating [K].
    perfusion : float or None
        Perfusion rate of intact tissue [1/s].
    electric_conductivity, thermal_conductivity : float or None
        Conductivities at 37 °C [S/m, W/m/K].
    dielectric : str or None
        Name of a dielectric law for microwaves, or "default".
    permittivity, microwave_conductivity : float or None
        Relative permittivity and effective conductivity at 37 °C and the frequency of the antenna [1, S/m]; the law is
        scaled to them.
    vapour_carried : float or None
        Share of the water that boils off whose vapour condenses elsewhere.
    vapour_reach : float or None
        Depth to which vapour enters tissue that does not boil [m].
    vapour_time : float or None
        Time in which vapour that has left condenses [s].
    rewetting_time : float or None
        Time in which water returns to tissue that no longer boils [s].
    perfusion_remaining : float or None
        Share of the perfusion that is left in coagulated tissue.
    inflow : {"open", "portal_occluded", "arterial_occluded", "pringle"}
        Whether portal vein, hepatic artery or both are closed: the perfusion is multiplied by what is left, and vessels
        of these kinds are occluded.
    """

    set: str
    inflow: Literal["open", "portal_occluded", "arterial_occluded", "pringle"] = "open"
    temperature: Temperature | None = None
    perfusion: PerfusionRate | None = None
    perfusion_remaining: Fraction | None = None
    electric_conductivity: Conductivity | None = None
    electric_conductivity_slope: RelativeSlope | None = None
    electric_conductivity_dried: Fraction | None = None
    dielectric: str | None = None
    permittivity: Ratio | None = None
    microwave_conductivity: Conductivity | None = None
    thermal_conductivity: ThermalConductivity | None = None
    thermal_conductivity_slope: ThermalConductivitySlope | None = None
    vapour_carried: Fraction | None = None
    vapour_reach: Length | None = None
    vapour_time: Duration | None = None
    rewetting_time: Duration | None = None
    density: Density | None = None
    heat_capacity: HeatCapacity | None = None
    heat_capacity_rise: Ratio | None = None
    dried_heat_capacity: VolumetricHeatCapacity | None = None
    water_fraction: Fraction | None = None
    vaporisation_lower: Temperature | None = None
    blood_temperature: Temperature | None = None
    blood_density: Density | None = None
    blood_heat_capacity: HeatCapacity | None = None

    @property
    def overrides(self) -> dict[str, float]:
        """The numbers given beside the set, by the names of the set (SI)."""
        content = self.model_dump(exclude={"set", "inflow", "dielectric"})
        given = {key: value for key, value in content.items() if value is not None}
        return {"initial_temperature" if key == "temperature" else key: value for key, value in given.items()}
