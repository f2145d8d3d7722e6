"""`Comparison`: what came of the runs, read from their folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ablationsim.errors import AblationSimError, OutputError
from ablationsim.results import Result
from ablationsim.study.compare.figures import Figures, Sink, figures, sink_of
from ablationsim.study.compare.growth import Growth, growth
from ablationsim.study.compare.outline import Outlines, outlines
from ablationsim.study.compare.runs import Role
from ablationsim.study.compare.settings import Setting
from ablationsim.study.compare.study import ComparisonStudy
from ablationsim.study.sweep.manifest import RUNS, Manifest
from ablationsim.study.sweep.standing import Standing, State, standing
from ablationsim.study.workers import Apply


@dataclass(frozen=True)
class Entry:
    """A setting and what came of its runs.

    Attributes
    ----------
    setting : Setting
    folder : Path
        Of the run.
    figures : Figures or None
        None where the run has not finished.
    growth : Growth or None
    outlines : Outlines or None
        None in three dimensions as well.
    sink : Sink or None
        None as well where no standard vessel was asked for.
    trouble : str
        What is wrong with the runs, or "".
    """

    setting: Setting
    folder: Path
    figures: Figures | None
    growth: Growth | None
    outlines: Outlines | None
    sink: Sink | None
    trouble: str


@dataclass(frozen=True)
class Comparison:
    """All settings of a comparison with what came of them.

    Attributes
    ----------
    study : ComparisonStudy
    entries : tuple of Entry
        In the order of the settings.
    """

    study: ComparisonStudy
    entries: tuple[Entry, ...]

    @property
    def longest(self) -> tuple[Entry, ...]:
        """Of settings that differ in their time alone the one with the longest, if it grew."""
        best: dict[tuple[str, str, str], Entry] = {}
        for entry in self.entries:
            setting = entry.setting
            key = (setting.device, setting.series, setting.tissue_name)
            if entry.growth is not None and (key not in best or _time(entry) > _time(best[key])):
                best[key] = entry
        return tuple(best.values())

    def times_to(self, entry: Entry, frame: str) -> list[float | None]:
        """Times [s] to the short axes that the comparison asks for, in their order.

        They are read from the run of the same device, power and tissue that lasts longest.
        """
        setting = entry.setting
        same = (other for other in self.longest if _alike(other.setting, setting))
        grown = next((other.growth for other in same), None)
        targets = self.study.about.short_axis
        return [None if grown is None else grown.time_to(1e3 * target, frame) for target in targets]


def _alike(one: Setting, other: Setting) -> bool:
    return (one.device, one.series, one.tissue_name) == (other.device, other.series, other.tissue_name)


def _time(entry: Entry) -> float:
    return entry.setting.time or 0.0


def read(study: ComparisonStudy, manifest: Manifest, folder: Path, apply: Apply) -> Comparison:
    """Read what came of the runs of a comparison, as far as they have finished.

    Parameters
    ----------
    study : ComparisonStudy
    manifest : Manifest
        Of its runs, in the same order.
    folder : Path
    apply : Apply
        Reads the runs of a setting, several settings at a time where it has the processes.

    Raises
    ------
    OutputError
        If a finished run cannot be read.
    """
    places: list[dict[Role, Path]] = [{} for _ in study.settings]
    for planned, run in zip(study.planned, manifest.runs, strict=True):
        places[planned.setting][planned.role] = folder / RUNS / run.name
    entries = apply(_entry, list(zip(study.settings, places, strict=True)))
    return Comparison(study, tuple(entries))


def _entry(task: tuple[Setting, Mapping[Role, Path]]) -> Entry:
    setting, places = task
    found = {role: standing(place) for role, place in places.items()}
    done = {role for role, one in found.items() if one.state is State.FINISHED}
    try:
        result = Result.load(places[Role.ZONE]) if Role.ZONE in done else None
        pair = [Result.load(places[role]) for role in (Role.WITH_VESSEL, Role.WITHOUT_VESSEL) if role in done]
        return Entry(
            setting=setting,
            folder=places[Role.ZONE],
            figures=None if result is None else figures(result),
            growth=None if result is None else growth(result),
            outlines=None if result is None else outlines(result),
            sink=sink_of(*pair) if len(pair) == 2 else None,
            trouble=_trouble(found),
        )
    except AblationSimError as error:
        # An error crosses to another process by its message alone.
        raise OutputError(
            f"{setting.title}: {error} In a comparison: delete the folder of the run, and the same command makes it "
            "again."
        ) from None


def _trouble(found: Mapping[Role, Standing]) -> str:
    """What is wrong with the runs of a setting."""
    parts = []
    for role, one in found.items():
        if one.state is not State.FINISHED:
            text = f"{one.state}: {one.message}" if one.message else str(one.state)
            parts.append(f"run {role}: {text}" if role.vessel else text)
    return "; ".join(parts)
