"""What passes between a generator and its load: readings one way, demands the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ablationsim.errors import SolverError

Kind = Literal["power", "voltage", "current", "off"]


@dataclass(frozen=True)
class Reading:
    """What the generator measures at its terminals.

    Attributes
    ----------
    time_s : float
        Absolute time [s].
    voltage, current, power : float
        Effective (rms) values and mean power [V, A, W].
    impedance : float
        Resistance of the load [ohm]; not finite while it is unknown.
    tip_temperature : float
        Mean of the thermocouples [K].
    """

    time_s: float
    voltage: float
    current: float
    power: float
    impedance: float
    tip_temperature: float


@dataclass(frozen=True)
class Demand:
    """What the controller asks for at one moment, with the generator's ceilings.

    Attributes
    ----------
    kind : {"power", "voltage", "current", "off"}
        The quantity held; with "off" the electrode floats.
    value : float
        Its value [W, V or A].
    max_power, max_voltage, max_current : float
        Ceilings [W, V, A]; infinite where there is none.
    internal_impedance : float or None
        Internal impedance R_i of the generator [ohm]. A set power P then delivers ``4 P R R_i / (R + R_i)**2`` into the
        load R (Altrogge et al. 2007); voltage and current are held at the terminals and not affected.
    """

    kind: Kind
    value: float
    max_power: float = math.inf
    max_voltage: float = math.inf
    max_current: float = math.inf
    internal_impedance: float | None = None

    def voltage_for(self, conductance: float) -> float:
        """Voltage (rms) [V] that meets the demand on a load of the given conductance [S], within every ceiling.

        Raises
        ------
        SolverError
            If the conductance is not positive and finite.
        """
        if self.kind == "off":
            return 0.0
        if not (math.isfinite(conductance) and conductance > 0.0):
            raise SolverError(
                f"the load of the generator has a conductance of {conductance:g} S; it must be positive and finite"
            )
        resistance = 1.0 / conductance
        if self.kind == "power":
            power = min(self.value, self.max_power)
            if self.internal_impedance is not None:
                inner = self.internal_impedance
                power *= 4.0 * resistance * inner / (resistance + inner) ** 2
            wanted = math.sqrt(power * resistance)
        elif self.kind == "current":
            wanted = self.value * resistance
        else:
            wanted = self.value
        return min(wanted, self.max_voltage, self.max_current * resistance, math.sqrt(self.max_power * resistance))
