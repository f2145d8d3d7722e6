"""The pages of a validation, in Markdown: an index and a page a publication, with their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ablationsim.report.figures import png
from ablationsim.report.validation_figures import bland_altman, courses, parity
from ablationsim.report.validation_text import index, paper_page
from ablationsim.results.files import make_folder, write_whole
from ablationsim.study.validation.comparison import Row
from ablationsim.study.validation.run import Validation

INDEX = "index.md"
PICTURES = "pictures"


def write_pages(found: Validation, folder: Path, pictures: Path | None = None, link: str = PICTURES) -> Path:
    """Write pages and pictures.

    Parameters
    ----------
    found : Validation
    folder : Path
        Of the pages.
    pictures : Path, optional
        Folder of the pictures; ``pictures`` in the other one by default.
    link : str
        How the pages get to it.

    Returns
    -------
    Path
        The index.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    place = pictures or folder / PICTURES
    for each in (folder, place):
        make_folder(each)
    drawn = _draw("all", found.rows, place, link, courses_too=False)
    for paper in found.papers:
        own = found.of(paper.name)
        shown = _draw(paper.name, own, place, link, courses_too=True)
        write_whole(folder / f"{paper.name}.md", paper_page(paper, own, shown, found))
    write_whole(folder / INDEX, index(found, drawn))
    return folder / INDEX


def _draw(name: str, rows: Sequence[Row], folder: Path, link: str, *, courses_too: bool) -> dict[str, str]:
    """Write the pictures that there is something to draw in; where each is, by what it shows."""
    figures: dict[str, Figure | None] = {"parity": parity(rows)}
    if courses_too:
        figures["courses"] = courses(rows)
    else:
        figures["differences"] = bland_altman(rows)
    found = {}
    for what, figure in figures.items():
        if figure is not None:
            write_whole(folder / f"{name}_{what}.png", png(figure, dpi=130))
            found[what] = f"{link}/{name}_{what}.png"
    return found
