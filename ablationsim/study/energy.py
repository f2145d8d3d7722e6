"""Where the energy of a run went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablationsim.fem.space import P1Space
from ablationsim.results import Result
from ablationsim.zone import zone_volume

_SHOWN = 1e-3  # least share of the energy spent that is worth a line


@dataclass(frozen=True)
class ModelEnergy:
    """Where the energy of a run went, from the generator's setting to the zone.

    Attributes
    ----------
    zone_ml : float
        Predicted zone in undeformed tissue [mL].
    absorbed_j : float
        Heat that the tissue took up [J]: stored in it, or lost from it later.
    inside_j : float
        Heat that is inside the zone at the end [J].
    parts : tuple of (str, float)
        Where the generator's energy is at the end, in words, and how much [J].
    """

    zone_ml: float
    absorbed_j: float
    inside_j: float
    parts: tuple[tuple[str, float], ...]

    @property
    def absorbed_per_ml(self) -> float:
        """Heat taken up by all tissue per volume of undeformed zone [J/mL]; infinite without a zone."""
        return self.absorbed_j / self.zone_ml if self.zone_ml > 0.0 else np.inf

    @property
    def inside_share(self) -> float:
        """Share of the heat taken up that is inside the zone at the end."""
        return self.inside_j / self.absorbed_j


def model_energy(result: Result, spent: float) -> ModelEnergy:
    """Account for the energy of a finished run.

    Parameters
    ----------
    result : Result
    spent : float
        Energy at the generator [J].
    """
    balance, inside = result.document["energy_balance"], stored_inside(result)
    absorbed, outside = balance["in_j"], balance["lost_outside_j"]
    parts = [
        ("in the zone at the end", inside),
        ("in the tissue around it", balance["stored_j"] - inside),
        ("to the coolant", balance["lost_coolant_j"]),
        ("to the blood", balance["lost_perfusion_j"]),
    ]
    if "microwave" in result.document:
        # Of a generator of microwaves, part never comes to the tissue; losses in cable and needle count as outside.
        absorbed, reflected, radiated = (_total(result, f"{name}_w") for name in ("absorbed", "reflected", "radiated"))
        parts += [
            ("reflected at the antenna", reflected),
            ("radiated beyond the modelled field", radiated),
            ("lost in cable and needle, and out of the modelled block", outside - reflected - radiated),
        ]
    else:
        parts.append(("out of the modelled block", outside))
    named = [(name, joules) for name, joules in parts if abs(joules) > _SHOWN * spent]
    return ModelEnergy(result.zone.volume_ml, absorbed, inside, tuple(named))


def stored_inside(result: Result) -> float:
    """Heat above that of unheated tissue inside the zone at the end [J]; at the edge elements count in part.

    Vapour that is still on its way does not count.
    """
    space, tissue = P1Space(result.mesh), result.case.tissue
    temperature = result.frames.temperature(len(result.frames) - 1)
    enthalpy = tissue.capacity.integral(temperature, start=tissue.initial_temperature)
    lost = result.fields.get("lost_water", 0.0)  # runs of earlier versions kept all water
    enthalpy -= lost * tissue.latent_capacity.integral(temperature, start=tissue.initial_temperature)
    # The measure of each element is its heat instead of its volume.
    heat = space.volume * space.element_mean(enthalpy)
    return zone_volume(result.mesh, result.fields["level"], heat)


def _total(result: Result, column: str) -> float:
    """Integral of a power in the history [J]: every step has the power at its end."""
    time = result.history["time_s"]
    return float(np.diff(time, prepend=time[0]) @ result.history[column])
