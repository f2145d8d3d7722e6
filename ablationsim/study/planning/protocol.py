"""Power and time of a protocol, as far as a plan may change them."""

from __future__ import annotations

from collections.abc import Sequence

from ablationsim.case import Case
from ablationsim.device.protocol import ImpedanceStep, PowerStep, PulsedStep, Step
from ablationsim.errors import CaseError

MICROWAVE_TIMES, RADIOFREQUENCY_TIMES = (120.0, 600.0), (240.0, 720.0)
"""Times between which one is looked for where the case says nothing [s]; usual in practice, assumed."""


def with_setting(protocol: Sequence[Step], power: float, time: float) -> tuple[Step, ...]:
    """Return a protocol of one step with another power [W] and duration [s]; a step without power keeps its own."""
    (step,) = protocol
    changed: dict[str, float] = {"duration": time}
    if isinstance(step, (PowerStep, ImpedanceStep, PulsedStep)):
        changed["power"] = power
    return (step.model_copy(update=changed),)


def power_of(protocol: Sequence[Step]) -> float:
    """Return the power of the first step that has one [W]; 0 if none has."""
    return next((step.power for step in protocol if isinstance(step, (PowerStep, ImpedanceStep, PulsedStep))), 0.0)


def ranges(case: Case) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the powers [W] and durations [s] between which a plan may choose.

    Raises
    ------
    CaseError
        If the protocol has several steps, or the ranges do not fit the generator.
    """
    first, wanted = case.applicators[0], case.plan
    problems = [
        f"the protocol of applicator '{placed.name}' has {len(placed.protocol)} steps; a plan changes power and "
        "duration of protocols with one step"
        for placed in case.applicators
        if len(placed.protocol) != 1
    ]
    if problems:
        raise CaseError(problems)
    (step,) = first.protocol
    own, most = power_of(first.protocol), first.device.generator.max_power
    if wanted.power is not None and not own:
        problems.append(f"plan.power: a protocol in mode '{step.mode}' has no power that a plan could change")
    if wanted.power is not None and wanted.power[1] > most:
        problems.append(
            f"plan.power: {wanted.power[1]:g} W is more than the {most:g} W that the generator of "
            f"'{first.device.name}' delivers"
        )
    if problems:
        raise CaseError(problems)
    if wanted.power is not None:
        power = wanted.power
    elif isinstance(step, PowerStep):
        power = (0.5 * own, min(1.5 * own, most))
    else:
        power = (own, own)
    times = MICROWAVE_TIMES if first.device.modality == "mwa" else RADIOFREQUENCY_TIMES
    return power, wanted.duration or times
