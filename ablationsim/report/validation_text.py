"""The text of the pages of a validation."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence

from ablationsim.study.validation.comparison import SHAPES, UNITS, Row
from ablationsim.study.validation.paper import Paper
from ablationsim.study.validation.run import Validation
from ablationsim.study.validation.statistics import KIND_UNITS, KINDS, of_kind, statistics
from ablationsim.study.validation.table import (
    DIGITS,
    FRAMES,
    STATISTIC_HEADS,
    by_device,
    explained,
    frame_cell,
    groups,
    number,
    outcome_cells,
    statistic_cells,
)
from ablationsim.study.validation.targets import outcomes
from ablationsim.units import show

NOTICE = "**Research use only; not a medical device.** No number on this page is meant for the treatment of a patient."
NAMES = {"aspect": "diameter / length", "sphericity": "short / long axis", "isoperimetric": "isoperimetric sphericity"}
READ = {
    "table": "read in the publication's table (some in a repository copy)",
    "abstract": "read in its abstract",
    "recalled": "recalled, not read again",
}
_SIZES = ("length", "diameter", "volume", "aspect", "sphericity", "isoperimetric", "beyond tip")


def index(found: Validation, pictures: Mapping[str, str]) -> str:
    """The page about all publications."""
    rows = found.rows
    parts = [
        "# Validation",
        f"{NOTICE}",
        _how(found),
        "## Targets",
        "Stated before the runs. The median absolute error counts, over settings in excised tissue that nothing was "
        "fitted to, in the frame that is stated of each experiment.",
        markdown(
            ["target: median absolute error", "at most", "is", "of", ""],
            [[outcome.target.name, *outcome_cells(outcome)] for outcome in outcomes(rows)],
        ),
        "## Publications",
        _publications(found),
        *_picture(
            pictures,
            "parity",
            "Predicted against measured; bars: standard deviation of the measurement, and the edge at the isotherms of "
            "60 and 50 °C instead; hollow: fitted",
        ),
        *_picture(
            pictures,
            "differences",
            "Bland-Altman: difference against size; lines: bias and limits of agreement in excised tissue, of what "
            "nothing was fitted to",
        ),
        "## Statistics",
        "Predicted minus measured, volume and energy in percent of the measured value, in the frame that is stated of "
        "each experiment. Limits of agreement are bias ± 1.96 standard deviations of the differences. *Nothing fitted* "
        "leaves out every measurement that a number of a device or a tissue set was fitted to. Settings with blood "
        "flow stand apart.",
        _statistics(rows),
        "## What contraction explains",
        "The same runs, compared in other tissue: with the contraction that the program predicts, without any, and "
        "with 12 % in all directions. Median absolute error and, in brackets, bias. *Explained* is the share of the "
        "mean absolute error without contraction that goes away with it; negative where the error grows. Numbers of "
        "devices were fitted in the frame that is stated, which makes the others look worse.",
        _frames(rows),
        _failures(found),
    ]
    return _joined(parts)


def paper_page(paper: Paper, rows: Sequence[Row], pictures: Mapping[str, str], found: Validation) -> str:
    """The page about a publication."""
    about = paper.about
    address = f", [doi:{about.doi}](https://doi.org/{about.doi})" if about.doi else ""
    parts = [
        f"# {about.title}",
        NOTICE,
        f"{about.citation}{address}. Numbers {READ[about.read]}, unless a row says otherwise.",
        about.summary.strip().replace("\n", " "),
        "## Assumed of the experiment",
        _conditions(paper),
    ]
    if rows:
        parts += ["## Predicted beside measured", _explained(rows)]
        for (_, device), own in by_device(rows).items():
            measured = any(row.calibrated for row in own)
            fitted = "Numbers of the profile or the tissue set are fitted to what is marked so." if measured else ""
            parts += [f"### {own[0].subject.title} (`{device}`)", fitted, _settings(own), _others(own), _overlaps(own)]
        parts += _picture(pictures, "parity", "Predicted against measured; hollow: fitted")
        parts += _picture(
            pictures, "courses", "Sizes against time; bands: the edge between the isotherms of 60 and 50 °C"
        )
        parts += [
            "## Statistics",
            _statistics(rows),
            "In other tissue: median absolute error and, in brackets, bias; and what contraction takes from the mean "
            "absolute error:",
            _frames(rows),
        ]
    if paper.not_run:
        parts += ["## Not run", _not_run(paper.not_run)]
    parts.append(_failures(found, paper.name))
    return _joined(parts)


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *cells))


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _picture(pictures: Mapping[str, str], what: str, text: str) -> list[str]:
    return [f"![{text}]({pictures[what]})", f"*{text}.*"] if what in pictures else []


def _how(found: Validation) -> str:
    count = len({(row.subject.paper, row.subject.device, row.setting) for row in found.rows})
    devices = len({row.subject.device for row in found.rows})
    return (
        f"Made by `ablationsim validate`, version {importlib.metadata.version('ablationsim')}, elements "
        f"{found.resolution:g} times the default size: {count} settings or means of {len(found.papers)} publications "
        f"with {devices} device profiles, as they are. Every number, in every frame, is in `zones.csv`."
    )


def _publications(found: Validation) -> str:
    lines = []
    for paper in found.papers:
        own = found.of(paper.name)
        scores = [statistics(of_kind(own, kind)) for kind in ("axes", "volume", "aspect")]
        settings = len({(row.subject.device, row.setting) for row in own if row.measured is not None})
        lines.append(
            [
                f"[{paper.about.title}]({paper.name}.md)",
                ", ".join(f"`{device}`" for _, device in by_device(own)) or "–",
                str(settings),
                *(
                    "–" if score is None else number(score.median_absolute, KIND_UNITS[kind])
                    for kind, score in zip(("axes", "volume", "aspect"), scores, strict=True)
                ),
                paper.about.read,
            ]
        )
    head = ["publication", "profiles", "settings measured", "axes", "volume", "diameter / length", "read in"]
    return (
        markdown(head, lines)
        + "\n\nMedian absolute errors of all settings, fitted ones and those with blood flow included."
    )


def _statistics(rows: Sequence[Row]) -> str:
    lines = [
        [NAMES.get(kind, kind), name, *statistic_cells(score, kind)]
        for kind in KINDS
        for name, own in groups(rows, kind)
        if (score := statistics(own)) is not None
    ]
    return markdown(["quantity", "settings", *STATISTIC_HEADS], lines)


def _frames(rows: Sequence[Row]) -> str:
    """Median absolute error and bias in every frame, and what contraction takes from the misfit."""
    lines = []
    for kind in ("axes", "volume"):
        for name, own in groups(rows, kind):
            cells = [frame_cell(own, kind, frame) for frame in FRAMES]
            if any(cells):
                lines.append([kind, name, *cells, explained(own, "contracted"), explained(own, "uniform")])
    head = ["quantity", "settings", *FRAMES.values(), "explained by contraction", "by uniform 12 %"]
    return markdown(head, lines) if lines else ""


def _conditions(paper: Paper) -> str:
    assumed = paper.about.conditions

    def bounds(limits: tuple[float, float] | None) -> str:
        return "" if limits is None else " to ".join(show(limit, "temperature") for limit in limits)

    start = "that of the tissue set" if assumed.start is None else show(assumed.start, "temperature")
    edge_bounds = " and ".join(assumed.edge_bounds) + " isotherms" if assumed.edge_bounds else ""
    return markdown(
        ["what", "taken", "thought to be between", "why"],
        [
            ["tissue", f"`{assumed.tissue}`", "", ""],
            ["start temperature", start, bounds(assumed.start_bounds), assumed.start_source],
            ["edge of the zone", assumed.edge, edge_bounds, assumed.edge_source],
            ["sizes are those of", f"{assumed.frame} tissue", "", assumed.frame_source],
        ],
    )


def _explained(rows: Sequence[Row]) -> str:
    return (
        "Length is along the shaft, diameter across it; short / long axis is the smaller over the larger of the two; "
        "isoperimetric sphericity is that of the surface, 1 for a sphere. *Predicted (measured, difference)*; "
        "**fitted** marks measurements that a number of the profile or of the tissue set was fitted to."
    )


def _settings(rows: Sequence[Row]) -> str:
    """A line a setting: what is predicted, and what was measured where it was."""
    shown = [row for row in rows if row.quantity in _SIZES]
    names = [name for name in _SIZES if any(row.quantity == name for row in shown)]
    settings = list(dict.fromkeys(row.setting for row in shown))
    lines = []
    for setting in settings:
        cells = {row.quantity: row for row in shown if row.setting == setting}
        frame = next(iter(cells.values())).frame
        lines.append([setting, *(_cell(cells.get(name)) for name in names), frame])
    heads = [f"{NAMES.get(name, name)}{f', {UNITS[name]}' if UNITS[name] else ''}" for name in names]
    return markdown(["setting", *heads, "frame"], lines)


def _cell(row: Row | None) -> str:
    if row is None or row.predicted is None:
        return "–"
    digits = DIGITS[row.unit]
    text = f"{row.predicted:.{digits}f}"
    if row.measured is None:
        return text
    spread = "" if row.sd is None else f" ± {row.sd:.{digits}f}"
    difference = f"{row.predicted - row.measured:+.{digits}f}".replace("-", "−")
    return f"{text} ({row.measured:.{digits}f}{spread}, {difference}){' **fitted**' if row.calibrated else ''}"


def _others(rows: Sequence[Row]) -> str:
    """Temperatures, times and energies, a line each."""
    lines = []
    for row in rows:
        if row.quantity in _SIZES or row.measured is None:
            continue
        difference = row.difference()
        unit = "K" if row.unit == "°C" else row.unit
        deviations = f"{difference / row.sd:+.1f}".replace("-", "−") if row.sd and difference is not None else "–"
        what = {"stop": "generator stops", "temperature": "highest temperature", "time": "time to"}
        spread = "" if row.sd is None else f" ± {row.sd:.{DIGITS[row.unit]}f}"
        predicted = "not reached" if row.predicted is None else number(row.predicted, row.unit)
        measured = f"{row.measured:.{DIGITS[row.unit]}f}{spread} {row.unit}"
        name = f"{what.get(row.quantity, row.quantity)}{', ' if row.quantity == 'temperature' else ' '}{row.place}"
        lines.append([row.setting, name.strip(), predicted, measured, number(difference, unit, sign=True), deviations])
    return markdown(["setting", "quantity", "predicted", "measured", "difference", "in SD"], lines) if lines else ""


def _overlaps(rows: Sequence[Row]) -> str:
    """How far predicted and measured surfaces agree where the measured ones are there."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row.quantity in SHAPES:
            found.setdefault(row.setting, {})[row.quantity] = row
    lines = [
        [setting, *(number(cells[name].predicted, UNITS[name]) for name in SHAPES), cells[next(iter(SHAPES))].place]
        for setting, cells in found.items()
    ]
    return markdown(["setting", *SHAPES, "how the surfaces were laid over each other"], lines) if lines else ""


def _not_run(rows: Sequence[Mapping[str, str]]) -> str:
    """Settings that too little is known of, with what was measured and why they are not run."""
    measured = {
        "long_mm": "length {} mm", "short_mm": "diameter {} mm", "volume_ml": "volume {} mL",
        "sphericity": "sphericity {}", "aspect": "diameter / length {}",
    }  # fmt: skip
    lines = []
    for row in rows:
        known = [text.format(row[key]) for key, text in measured.items() if row.get(key)]
        texts = [row.get("device", ""), row.get("setting", ""), ", ".join(known), row.get("source", "")]
        lines.append([*texts, row.get("reason", "")])
    return (
        "Too little is known of these to run them; they are kept so that nobody takes their absence for a choice.\n\n"
        + (markdown(["device", "setting", "measured", "source", "why it is not run"], lines))
    )


def _failures(found: Validation, paper: str = "") -> str:
    mine = f"{paper}, " if paper else ""
    texts = [f"* {name}: {' '.join(text.split())}" for name, text in found.failures.items() if name.startswith(mine)]
    return "\n".join(["## Failed", "", *texts]) if texts else ""
