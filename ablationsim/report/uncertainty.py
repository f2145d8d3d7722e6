"""One self-contained HTML page about what is uncertain of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ablationsim.report.page import render_page
from ablationsim.results.files import write_whole
from ablationsim.study.uncertainty.assessment import Assessment
from ablationsim.study.uncertainty.inputs import Input
from ablationsim.study.uncertainty.spread import PERCENTILES, RESAMPLES

TEMPLATE = "uncertainty.html.j2"

METHODS: Mapping[str, str] = {
    "propagate": "Spread of the predictions",
    "screen": "Morris screening",
    "sobol": "Sobol indices",
}


def write_report(folder: Path, found: Assessment) -> Path:
    """Write report.html and its pictures into the folder of a study and return the path of the page.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    images = pictures(found)
    for name, content in images.items():
        write_whole(folder / name, content)
    page = folder / "report.html"
    write_whole(page, render(found, images))
    return page


def pictures(found: Assessment) -> dict[str, bytes]:
    """Return the PNG files of a report by file name."""
    from ablationsim.report.figures import png
    from ablationsim.report.uncertainty_figures import chances, effects, indices, ratios, spreads

    about = found.study.about
    if about.method != "propagate":
        draw = effects if about.method == "screen" else indices
        return {
            f"{about.method}{f'_{k}' if len(found.arms) > 1 else ''}.png": png(draw(one, about.frame))
            for k, one in enumerate(found.arms, start=1)
        }
    images = {"spread.png": png(spreads(found))}
    for name, figure in (("chance.png", chances(found)), ("ratio.png", ratios(found))):
        if figure is not None:
            images[name] = png(figure)
    return images


def render(found: Assessment, images: Mapping[str, bytes]) -> str:
    """Return the page as text; everything that comes from the study is escaped."""
    from ablationsim.study.uncertainty.tables import remarks

    return render_page(
        TEMPLATE,
        images,
        found=found,
        study=found.study,
        about=found.study.about,
        method=METHODS[found.study.about.method],
        remarks=list(remarks(found)),
        inputs=_inputs(found),
        comparisons=found.comparisons.get(found.study.about.frame, ()),
        percentiles=PERCENTILES,
        resamples=RESAMPLES,
        names=list(images),
        percent=f"{100 * found.study.about.confidence:g}",
        resolutions=sorted({one.arm.case.mesh.resolution for one in found.arms}),
    )


def _inputs(found: Assessment) -> list[Input]:
    """Every input of any arm; once where it is the same in several."""
    rows = {(one.name, one.text): one for arm in found.study.arms for one in arm.inputs}
    return list(rows.values())
