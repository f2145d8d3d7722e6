"""From sources of all kinds to one anatomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.anatomy.anatomy import Anatomy
from ablationsim.anatomy.assembly import assembled, common_grid
from ablationsim.anatomy.naming import named_parts
from ablationsim.anatomy.sources import Options, laid_on, read_ct, read_source


@dataclass(frozen=True, eq=False)
class Imported:
    """An anatomy, and what a person should know of how it was made.

    Attributes
    ----------
    anatomy : Anatomy
    ct : (i, j, k) int16 or None
        Grey values on its grid, of CT in Hounsfield units.
    notes : tuple of str
        Without anything that tells who the patient is.
    left_out : tuple of str
        What the sources call the parts that were not used: free text, to be shown and not to be kept.
    """

    anatomy: Anatomy
    ct: NDArray[np.int16] | None
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


def import_anatomy(
    sources: Sequence[tuple[str | None, Path]],
    *,
    options: Options | None = None,
    resample: bool = False,
    target: str = "the anatomy",
    say: Callable[[str], None] = lambda text: None,
) -> Imported:
    """Read sources and lay all that is known in them on one grid.

    Parameters
    ----------
    sources : sequence of (name or None, Path)
        Files and folders, with the name of what they show where that is one thing; the first one gives the grid.
    options : Options, optional
    resample : bool
        Whether sources whose voxels do not coincide with those of the first are resampled.
    target : str
        What to call the result in messages.
    say : callable, optional
        Takes what is being done.

    Raises
    ------
    GeometryError
        When a source cannot be read, names or grids do not fit, or what is shown cannot be.
    """
    options = options or Options()
    contents = [read_source(path, name, options, say) for name, path in sources]
    parts = [part for content in contents for part in content.parts]
    named, notes, left = named_parts(parts, options.renames)
    used = [part for each in named for part in each.parts]
    # The first source gives the grid, whatever the order of structures.
    used.sort(key=lambda part: next(index for index, other in enumerate(parts) if other is part))
    ct = None if options.ct is None else read_ct(options, contents, say)
    grid, more = common_grid(used, [] if ct is None else [ct[0]], resample)
    notes += [note for content in contents for note in content.notes] + more
    anatomy, more = assembled(named, grid, target, say)
    notes += more
    if ct is None:
        return Imported(anatomy, None, tuple(notes), tuple(left))
    grey, note = laid_on(grid, *ct)
    return Imported(anatomy, grey, (*notes, *([note] if note else [])), tuple(left))
