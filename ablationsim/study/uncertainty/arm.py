"""`Arm`: a case, what is uncertain of it, and the case that each draw of that makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ablationsim.case import Case
from ablationsim.case.sections import ZoneSection
from ablationsim.errors import AblationSimError, CaseError, best_match, problems_of
from ablationsim.provenance import Sourced
from ablationsim.study.sweep.sampling import Limits
from ablationsim.study.uncertainty.file import InputTable
from ablationsim.study.uncertainty.inputs import SPECIMEN, Input, inputs_of
from ablationsim.study.uncertainty.placing import KEYS, Plan
from ablationsim.units import SI, parse


@dataclass(frozen=True, eq=False)
class Arm:
    """A case and what is uncertain of it.

    Attributes
    ----------
    name, group : str
        The arms of a group are one device at several settings; "" without groups.
    data : dict
        Content of the case file.
    directory : Path
        Where relative paths in it start.
    case : Case
        With the nominal values.
    plan : Plan
    inputs : tuple of Input
    """

    name: str
    group: str
    data: Mapping[str, Any]
    directory: Path
    case: Case
    plan: Plan
    inputs: tuple[Input, ...]

    @classmethod
    def of(
        cls,
        name: str,
        group: str,
        data: Mapping[str, Any],
        directory: Path,
        *,
        vary: Sequence[str],
        tables: Sequence[InputTable],
        target: bool,
    ) -> Arm:
        """Find what is uncertain of a case.

        Parameters
        ----------
        name, group, data, directory
        vary : sequence of str
            Kinds of inputs.
        tables : sequence of InputTable
            What the study file says of inputs; one that it names is varied whatever its kind.
        target : bool
            Whether there is a target, so that the place of the applicator matters in any case.

        Raises
        ------
        CaseError
            With every problem found.
        """
        case = Case.from_dict(data, directory)
        plan = Plan.of(case)
        known = {one.name: one for one in inputs_of(case, target or plan.fixed)}
        named = {table.name: table for table in tables}
        problems: list[str] = []
        found = []
        for key in dict.fromkeys([*known, *(key for key in named if key in _numbers(case))]):
            table = named.get(key)
            if table is None:
                if known[key].kind in vary:
                    found.append(known[key])
            elif not table.fixed:
                found += _chosen(known.get(key), table, case, problems)
        if problems:
            raise CaseError(problems, name)
        return cls(name, group, data, directory, case, plan, tuple(found))

    def draw(self, values: Mapping[str, float]) -> Case:
        """The case with other values (SI) of its inputs; what is not named stays nominal.

        Raises
        ------
        AblationSimError
            If the values make no sense together.
        """
        parts = {
            one: {key.partition(".")[2]: x for key, x in values.items() if key.startswith(f"{one}.")} for one in _PARTS
        }
        errors = {key: parts["placement"].get(key, 0.0) for key in KEYS}
        data = self.plan.applied(self.data, errors)
        case = self.case if data == self.data else Case.from_dict(data, self.directory)
        tissue, zone = parts["tissue"], case.zone
        experiment = parts["experiment"]
        if "start" in experiment:
            tissue = {**tissue, "initial_temperature": experiment["start"]}
        if "edge" in experiment:
            zone = _with_edge(zone, experiment["edge"])
        several = len(case.applicators) > 1
        placed = []
        for applicator in case.applicators:
            before = f"{applicator.name}." if several else ""
            changes = {key.removeprefix(before): x for key, x in parts["device"].items() if key.startswith(before)}
            placed.append(replace(applicator, device=applicator.device.with_values(changes)) if changes else applicator)
        return replace(
            case,
            tissue=case.tissue.with_overrides(tissue) if tissue else case.tissue,
            zone=zone,
            applicators=tuple(placed),
        )

    def problems(self) -> list[str]:
        """What is wrong with the ends of the distributions, each by itself."""
        found = []
        for one in self.inputs:
            for value in (one.limits.low, one.limits.high):
                try:
                    self.draw({one.name: value})
                except AblationSimError as error:
                    told = error.problems if isinstance(error, CaseError) else [str(error)]
                    found += [f"{one.name}: {text}" for text in told]
        return list(dict.fromkeys(found))


_PARTS = ("tissue", "device", "placement", "experiment")


def _with_edge(zone: ZoneSection, temperature: float) -> ZoneSection:
    update = {"criterion": "isotherm", "isotherm_temperature": temperature}
    try:
        return ZoneSection.model_validate({**zone.model_dump(), **update}, context=SI)
    except ValidationError as error:
        raise CaseError(problems_of(error, ZoneSection, "zone")) from None


def _numbers(case: Case) -> dict[str, Sourced]:
    """Every number of a case with an origin, also without a range, by the name of its input."""
    found = {f"tissue.{key}": sourced for key, sourced in case.tissue.sources.items()}
    several = len(case.applicators) > 1
    for placed in case.applicators:
        before = f"device.{placed.name}." if several else "device."
        found |= {f"{before}{place}": sourced for place, sourced in placed.device.parameters.items()}
    return found


def unknown(names: Sequence[str], arms: Sequence[Arm], target: bool) -> list[str]:
    """A sentence for each name that is no input of any arm."""
    known: set[str] = set()
    for arm in arms:
        known |= {*_numbers(arm.case), *(one.name for one in inputs_of(arm.case, target or arm.plan.fixed))}
    found = []
    for name in names:
        if name in known:
            continue
        if name.startswith("placement.") and name.partition(".")[2] in KEYS:
            found.append(
                f"'{name}' cannot be varied: that needs one applicator, no mesh of one's own, and a target, vessel or "
                "tumour beside it"
            )
        else:
            near = best_match(name, known)
            found.append(f"no input '{name}'{near if near.startswith('; did') else _KNOWN}")
    return found


_KNOWN = (
    "; inputs are tissue.<property>, device.<place in the profile>, placement.depth, placement.offset, "
    "placement.angle, experiment.start and experiment.edge"
)


def _chosen(one: Input | None, table: InputTable, case: Case, problems: list[str]) -> list[Input]:
    """An input with the distribution of the study file."""
    sourced = _numbers(case).get(table.name)
    if one is not None:
        dimension, kind, nominal = one.dimension, one.kind, one.nominal
    else:
        assert sourced is not None
        place = table.name.partition(".")[2]
        kind = "device" if table.name.startswith("device.") else "tissue" if place in SPECIMEN else "model"
        dimension, nominal = sourced.dimension, sourced.value
    numbers, before = {}, len(problems)
    for key in ("low", "high", "mean", "sd"):
        spread = key == "sd" and dimension == "temperature"
        if getattr(table, key) is not None:
            try:
                numbers[key] = parse(getattr(table, key), "temperature_difference" if spread else dimension)
            except ValueError as error:
                problems.append(f"input '{table.name}': {key} {error}")
    if len(problems) > before:
        return []
    limits = Limits(dimension, table.distribution, **numbers)
    problems += [f"input '{table.name}': {text}" for text in limits.problems(table.model_dump())]
    return [Input(table.name, kind, limits, nominal, table.source or "assumed: chosen in the study file")]
