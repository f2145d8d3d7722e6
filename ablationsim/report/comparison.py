"""The page of a comparison of devices: self-contained, with pictures inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablationsim.device import Device
from ablationsim.results.files import write_whole
from ablationsim.study.compare.comparison import Comparison, Entry
from ablationsim.study.compare.figures import FRAMES
from ablationsim.study.compare.spread import Spread
from ablationsim.units import show

PAGE = "report.html"


@dataclass(frozen=True)
class ComparedProfile:
    """What the page says of a device: name in the comparison, profile, and how many numbers are of which origin."""

    name: str
    profile: str
    title: str
    like: str
    origins: str


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write report.html and its pictures into a folder and return the path of the page.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    images = pictures(comparison)
    for name, content in images.items():
        write_whole(folder / name, content)
    write_whole(folder / PAGE, render(comparison, images))
    return folder / PAGE


def pictures(comparison: Comparison) -> dict[str, bytes]:
    """Return the PNG files of the page by name: those for which some run has finished."""
    from ablationsim.report.comparison_figures import growth, overview, shapes
    from ablationsim.report.figures import png

    if not any(entry.figures for entry in comparison.entries):
        return {}
    found = {"comparison.png": png(overview(comparison)), "growth.png": png(growth(comparison))}
    outlines = shapes(comparison)
    return found if outlines is None else found | {"outlines.png": png(outlines)}


def render(comparison: Comparison, images: dict[str, bytes]) -> str:
    """Return the page as text."""
    from ablationsim.report.page import render_page

    about = comparison.study.about
    frames = [about.frame, *(frame for frame in FRAMES if frame != about.frame)]
    return render_page(
        "comparison.html.j2",
        images,
        title=comparison.study.title,
        entries=comparison.entries,
        frames=frames,
        several=len({entry.setting.tissue_name for entry in comparison.entries}) > 1,
        profiles=_profiles(comparison),
        targets=[1e3 * target for target in about.short_axis],
        longest=[
            (entry, {frame: comparison.times_to(entry, frame) for frame in frames}) for entry in comparison.longest
        ],
        sink=_vessel(comparison),
        law=_laws(comparison),
        warnings=_warnings(comparison.entries),
        spreads=_spreads(comparison),
        uncertainty=about.uncertainty,
    )


def _profiles(comparison: Comparison) -> list[ComparedProfile]:
    directory = comparison.study.file.parent
    found: dict[str, ComparedProfile] = {}
    for entry in comparison.entries:
        setting = entry.setting
        place: Any = directory / setting.profile if setting.profile.endswith(".toml") else setting.profile
        if setting.device not in found:
            device = Device.load(place)
            origins = [parameter.status for parameter in device.parameters.values()]
            counted = [f"{origins.count(status)} {status}" for status in dict.fromkeys(origins)]
            found[setting.device] = ComparedProfile(
                setting.device, device.name, device.title, device.like, ", ".join(counted)
            )
    return list(found.values())


def _vessel(comparison: Comparison) -> str:
    """The standard vessel in words; "" without one."""
    sink = comparison.study.heat_sink
    if sink is None:
        return ""
    flow = "its usual flow" if sink.flow is None else show(sink.flow, "flow_rate")
    return (
        f"a straight {sink.kind.replace('_', ' ')} of {show(sink.diameter, 'length')} parallel to the shaft, its wall "
        f"{show(sink.distance, 'length')} from the axis of the shaft, with {flow}; what enters has the temperature of "
        "the tissue before heating"
    )


def _spreads(comparison: Comparison) -> list[Spread]:
    """Spreads in the frame of the comparison before those in the other one."""
    first = comparison.study.about.frame
    return sorted(comparison.study.spreads, key=lambda spread: spread.frame != first)


def _laws(comparison: Comparison) -> str:
    """How the zones contracted, in words."""
    return ", ".join(sorted({entry.figures.contraction for entry in comparison.entries if entry.figures is not None}))


def _warnings(entries: tuple[Entry, ...]) -> list[tuple[str, list[str]]]:
    """Each warning with the settings that have it."""
    found: dict[str, list[str]] = {}
    versions = sorted({entry.figures.version for entry in entries if entry.figures is not None})
    if len(versions) > 1:
        found[f"Versions {', '.join(versions)} of ablationsim made these runs: differences may be between them."] = []
    for entry in entries:
        for warning in entry.figures.warnings if entry.figures is not None else ():
            found.setdefault(warning, []).append(entry.setting.title)
    return list(found.items())
