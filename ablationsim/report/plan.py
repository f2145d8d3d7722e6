"""The page of a plan: what is recommended and why, what else there is, and the plan in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ablationsim.report.data import ReportData
from ablationsim.report.html import fixed, significant
from ablationsim.report.plan_file import MODES, PlanFile, Planned, read_plan
from ablationsim.results.files import write_whole

PAGE = "report.html"
SEARCH = {
    "evaluations": "places and settings looked at by the reduced model",
    "library_runs": "runs of the device in a uniform liver",
    "full_runs": "runs of the full model",
    "wall_s": "all together",
    "full_run_s": "a run of the full model",
    "preparing_s": "preparation",
    "searching_s": "search by the reduced model",
}
"""Numbers of a search in words; others have the name that the search gives them."""
VERDICTS = {
    "enough": "as much as wanted, or more",
    "dents": "enough but for the dents beside cooled shafts",
    "covered": "covered, with less than wanted",
    "short": "tumour is left over by the model",
    "unconfirmed": "not confirmed by the full model",
}


@dataclass(frozen=True)
class Shown:
    """The plan that is shown at length: its run, its section on margins, and what can be turned."""

    plan: Planned
    margins: Markup | None
    in_space: str | None
    planes: bool


def write_plan_report(folder: Path) -> Path:
    """Write report.html and its pictures into the folder of a plan and return the path of the page.

    Parameters
    ----------
    folder : Path
        With plan.json, and the run folders that it names.

    Raises
    ------
    OutputError
        When the folder holds no plan, a run of it is damaged, or a file cannot be written.
    """
    plan = read_plan(folder)
    images = _comparison(plan)
    shown = None
    for each in plan.plans:
        if each.folder is None:
            continue
        data = _run_data(each.folder)
        if data.patient is not None:
            images[f"planes_{each.name}.png"] = _planes(data)
        if each is plan.shown:
            shown, own = _shown(each, data)
            images |= own
    for name, content in images.items():
        write_whole(folder / name, content)
    write_whole(folder / PAGE, render(plan, images, shown))
    return folder / PAGE


def render(plan: PlanFile, images: Mapping[str, bytes], shown: Shown | None = None) -> str:
    """Return the page as text; everything that comes from the plan is escaped."""
    from ablationsim.report.margins import millimetres, percent
    from ablationsim.report.page import render_page

    return render_page(
        "plan.html.j2",
        images,
        plan=plan,
        shown=shown,
        mode=MODES.get(plan.mode, plan.mode),
        several=len(plan.plans) > 1,
        dented=any(each.confirmed.dented for each in plan.plans),
        verdict=verdict(plan),
        verdict_text=VERDICTS[verdict(plan)],
        search=[_search(name, value) for name, value in plan.search.items()],
        millimetres=millimetres,
        percent=percent,
    )


def verdict(plan: PlanFile) -> str:
    """Return in one word how the plan that is shown stands to what is wanted, by the full model.

    "enough": at least the margin wanted all round; "dents": that, but for the dents that cooled shafts leave;
    "covered": less than that, nothing left over; "short": tumour is left over; "unconfirmed": there is nothing by the
    full model.
    """
    found = plan.shown
    margin = None if found is None else found.confirmed.mam_mm
    if found is None or margin is None:
        return "unconfirmed"
    if margin < 0.0:
        return "short"
    if margin >= plan.required_mm:
        return "enough"
    rest = found.confirmed.mam_without_needles_mm
    return "dents" if rest is not None and rest >= plan.required_mm else "covered"


def _search(name: str, value: Any) -> tuple[str, str]:
    """A number of a search for people: what it is, and how much."""
    label = SEARCH.get(name, name.removesuffix("_s").replace("_", " "))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return label, str(value)
    text = fixed(value, 0) if isinstance(value, int) else significant(value)
    return label, f"{text} s" if name.endswith("_s") else text


def _comparison(plan: PlanFile) -> dict[str, bytes]:
    from ablationsim.report.figures import png
    from ablationsim.report.plan_figures import pareto

    figure = pareto(plan)
    return {} if figure is None else {"pareto.png": png(figure)}


def _run_data(folder: Path) -> ReportData:
    from ablationsim.report.build import report_data
    from ablationsim.results import Result

    return report_data(Result.load(folder), inside=False)


def _planes(data: ReportData) -> bytes:
    from ablationsim.report.figures import png
    from ablationsim.report.planes import three_planes

    return png(three_planes(data))


def _shown(plan: Planned, data: ReportData) -> tuple[Shown, dict[str, bytes]]:
    from ablationsim.report.figures import png
    from ablationsim.report.html import turnable
    from ablationsim.report.margin_figures import margin_figure
    from ablationsim.report.margins import section

    images = {}
    if data.margins is not None:
        axes = [applicator.axis for applicator in data.applicators]
        images["margins.png"] = png(margin_figure(data.margins, axes))
    known = data.zone.get("margins")
    margins = section(known, images.get("margins.png")) if known else None
    return Shown(plan, margins, turnable(data), data.patient is not None), images
