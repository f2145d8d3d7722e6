"""The energy audit: what the generator spent on a measured zone, beside what its tissue needs to become one.

Heat that stays in the zone is the least that must have arrived there. The audit asks, before any model of the field,
which share of the generator's energy that is: a share above one cannot be, and a share near the efficiency of cable
and antenna leaves nothing for the warm tissue around the zone. Energies per volume follow from the enthalpy of the
tissue set alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ablationsim.case import Case, MeasuredSection
from ablationsim.case.sections import ZoneSection
from ablationsim.device import Step
from ablationsim.device.protocol import OffStep, PowerStep, PullbackStep, PulsedStep
from ablationsim.errors import CaseError
from ablationsim.physics.damage import Damage, DamageModel
from ablationsim.results import Result
from ablationsim.study.energy import ModelEnergy, model_energy
from ablationsim.tissue import Tissue, laws
from ablationsim.units import ZERO_CELSIUS
from ablationsim.zone.contraction import UNIFORM


@dataclass(frozen=True)
class Need:
    """Energy that brings all tissue of a zone into one state.

    Attributes
    ----------
    state : str
        The state, in words.
    joules_per_ml : float
        Enthalpy per volume of tissue as it was before heating [J/mL].
    efficiency : float
        Share of the generator's energy that this is, if the measured volume had not contracted.
    efficiency_contracted : float
        The same, if the tissue filled ``1 / (1 - strain)**3`` times the measured volume before heating.
    """

    state: str
    joules_per_ml: float
    efficiency: float
    efficiency_contracted: float


@dataclass(frozen=True)
class Audit:
    """An energy audit.

    Attributes
    ----------
    spent_j : float
        Energy at the generator [J]: its setting times the time.
    volume_ml : float
        Measured volume [mL].
    volume_origin : str
        Where the volume comes from, in words.
    strain : float
        Contraction between the tissue before heating and the measured zone, if it was measured contracted: whether it
        was is one of the questions, so that the frame that a case compares in does not matter here.
    start_c, edge_c : float
        Start temperature, and the temperature that the criterion asks for when it is held for the heating time [degC].
    needs : tuple of Need
        From the least to the most.
    model : ModelEnergy or None
        Where the energy went in a run.
    """

    spent_j: float
    volume_ml: float
    volume_origin: str
    strain: float
    start_c: float
    edge_c: float
    needs: tuple[Need, ...]
    model: ModelEnergy | None

    @property
    def tissue_ml(self) -> float:
        """Volume of the measured zone before it contracted [mL]."""
        return self.volume_ml / (1.0 - self.strain) ** 3

    @property
    def spent_per_ml(self) -> float:
        """Energy at the generator per measured volume [J/mL]."""
        return self.spent_j / self.volume_ml

    @property
    def spent_per_tissue_ml(self) -> float:
        """Energy at the generator per volume of tissue before contraction [J/mL]."""
        return self.spent_j / self.tissue_ml

    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        least, boiling, dried = self.needs
        if least.efficiency_contracted > 1.0:
            return (
                f"The measured zone cannot be: even tissue that is everywhere just at {self.edge_c:.0f} °C holds "
                f"{100 * least.efficiency_contracted:.0f} % of the energy that the generator spent; look for a warmer "
                "start, another edge, less contraction, or a power that is not the generator's."
            )
        beside = ""
        if self.model is not None and self.model.inside_share > 0.0:
            asked = least.efficiency_contracted / self.model.inside_share
            beside = (
                f"; in the run {100 * self.model.inside_share:.0f} % of what the tissue takes up is in the zone at the "
                f"end, and if that holds, {100 * asked:.0f} % at least must have arrived"
            )
        return (
            f"Of the generator's energy at least {100 * least.efficiency_contracted:.0f} % must have stayed in the "
            f"zone, {100 * boiling.efficiency_contracted:.0f} % if all of it had come to 100 °C and "
            f"{100 * dried.efficiency_contracted:.0f} % if all of it had boiled dry{beside}."
        )


def audit(case: Case, *, volume_ml: float | None = None, result: Result | None = None) -> Audit:
    """Audit the energy of a measured zone.

    Parameters
    ----------
    case : Case
        Its protocol says what was spent, its tissue what is needed, its ``[measured]`` how large the zone was.
    volume_ml : float, optional
        Measured volume [mL], in place of that of the case.
    result : Result, optional
        A finished run of the case, to say where the energy went in the model. Needed where the protocol alone does
        not fix the energy.

    Raises
    ------
    CaseError
        If no measured volume is known, or the energy follows neither from the protocol nor from a run.
    """
    volume, origin = (volume_ml, "given") if volume_ml is not None else measured_volume(case.measured)
    if not volume > 0.0:
        raise CaseError([f"the measured volume must be above 0 mL, got {volume:g} mL"])
    spent = energy_set(case)
    if spent is None and result is not None:
        spent = float(result.document["energy_balance"]["in_j"])
    if spent is None:
        raise CaseError(
            ["the protocol does not fix the energy, which then depends on the tissue; give a finished run with --run"]
        )
    if not spent > 0.0:
        raise CaseError(["the protocol spends no energy, so that there is nothing to audit"])
    strain = _strain(case, result)
    edge = edge_temperature(case.zone, max(a.end for a in case.applicators) - min(a.start for a in case.applicators))
    tissue = volume / (1.0 - strain) ** 3
    needs = tuple(
        Need(state, joules, joules * volume / spent, joules * tissue / spent)
        for state, joules in _enthalpies(case.tissue, edge)
    )
    return Audit(
        spent_j=spent,
        volume_ml=volume,
        volume_origin=origin,
        strain=strain,
        start_c=case.tissue.initial_temperature - ZERO_CELSIUS,
        edge_c=edge - ZERO_CELSIUS,
        needs=needs,
        model=None if result is None else model_energy(result, spent),
    )


def _strain(case: Case, result: Result | None) -> float:
    """Uniform contraction: that of the case, else what a run came to, else what is assumed."""
    if case.zone.contraction != "history":
        return case.zone.contraction
    return UNIFORM if result is None else float(result.document["contracted"]["strain"])


def measured_volume(measured: MeasuredSection | None) -> tuple[float, str]:
    """The measured volume [mL] and where it comes from: printed, or that of the ellipsoid of the measured axes.

    Raises
    ------
    CaseError
        If neither a volume nor two axes were measured.
    """
    if measured is not None and measured.volume is not None:
        return 1e6 * measured.volume.value, "measured"
    if measured is not None:
        for along, across in (
            (measured.axial_length, measured.transverse_diameter),
            (measured.long_axis, measured.short_axis),
        ):
            if along is not None and across is not None:
                volume = math.pi / 6.0 * along.value * across.value**2
                a, b = 1e3 * along.value, 1e3 * across.value
                return 1e6 * volume, f"ellipsoid of the measured axes, {a:g} × {b:g} × {b:g} mm"
    raise CaseError(["no measured volume is known: give --volume, or a volume or two axes in [measured]"])


def energy_set(case: Case) -> float | None:
    """Energy that the protocols ask of the generators [J]; None where it depends on what the tissue does."""
    energies = [_energy_of(step) for a in case.applicators for step in a.protocol for _ in range(a.repeat)]
    return None if None in energies else math.fsum(energy for energy in energies if energy is not None)


def _energy_of(step: Step) -> float | None:
    match step:
        case OffStep():
            return 0.0
        case PowerStep() if step.threshold == (None, None):
            return step.power * step.duration
        case PullbackStep():
            return step.power * step.duration
        case PulsedStep():
            pulses, rest = divmod(step.duration, step.on + step.off)
            return step.power * (pulses * step.on + min(rest, step.on))
        case _:
            return None


def edge_temperature(zone: ZoneSection, heating: float) -> float:
    """Temperature [K] that just meets the criterion of the zone when held for the heating time [s].

    At most 100 °C: a criterion that needs more in so short a time is met where tissue boils, if anywhere.
    """
    from scipy.optimize import brentq

    model = DamageModel(zone.criterion, zone.arrhenius_set, zone.isotherm_temperature)

    def level(temperature: float) -> float:
        held = np.array([temperature])
        damage = Damage.none(held)
        model.advance(damage, held, held, heating)
        return float(model.level(damage)[0])

    if level(laws.BOILING) <= 0.0:
        return laws.BOILING
    return float(brentq(level, ZERO_CELSIUS, laws.BOILING, xtol=1e-6))


def _enthalpies(tissue: Tissue, edge: float) -> list[tuple[str, float]]:
    """States of a zone and the energy from the start temperature to them [J/mL]."""
    dried = tissue.vaporisation_band[1] + tissue.value("vaporisation_rounding")
    found = []
    for state, capacity, end in (
        (f"all just at the edge, {edge - ZERO_CELSIUS:.1f} °C", tissue.capacity, edge),
        ("all at 100 °C, wet", _wet_capacity(tissue), laws.BOILING),
        (f"all dried, {dried - ZERO_CELSIUS:.1f} °C", tissue.capacity, dried),
    ):
        joules = capacity.integral(np.array([end]), tissue.initial_temperature)
        found.append((state, 1e-6 * float(joules[0])))
    return found


def _wet_capacity(tissue: Tissue) -> laws.PiecewiseLinear:
    """Volumetric heat capacity of tissue that keeps its water [J/m3/K]."""
    wet, rise = tissue.value("density") * tissue.value("heat_capacity"), tissue.value("heat_capacity_rise")
    return laws.sensible_capacity(
        wet=wet,
        rise_factor=rise,
        rise_start=tissue.value("heat_capacity_rise_start"),
        rise_end=tissue.value("heat_capacity_rise_end"),
        band=tissue.vaporisation_band,
        dried=rise * wet,
    )
