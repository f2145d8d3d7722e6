"""One label a voxel, out of parts that overlap and come from several sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ablationsim.anatomy.anatomy import Anatomy
from ablationsim.anatomy.checks import SLIGHT, Piece, against_liver, implausible
from ablationsim.anatomy.grid import Grid, Part
from ablationsim.anatomy.naming import Named
from ablationsim.anatomy.structure import ROLES, Role, Structure
from ablationsim.errors import GeometryError
from ablationsim.vessels.image import LabelImage
from ablationsim.vessels.image_files import MOST_VOXELS
from ablationsim.vessels.smoothing import SPECK

# Who keeps a voxel that several claim: the last of these.
_PRECEDENCE: tuple[Role, ...] = (
    "body",
    "organ",
    "bone",
    "liver",
    "tumour",
    "bile_duct",
    "vena_cava",
    "portal_vein",
    "hepatic_vein",
    "hepatic_artery",
)


def common_grid(parts: Sequence[Part], others: Sequence[Grid], resample: bool) -> tuple[Grid, list[str]]:
    """Return the grid of the first part, wide enough for all others on the same voxels, and notes.

    Parameters
    ----------
    parts : sequence of Part
    others : sequence of Grid
        That are to fit in as well, where their voxels coincide.
    resample : bool
        Whether parts whose voxels do not coincide with those of the first are allowed.

    Raises
    ------
    GeometryError
        When voxels do not coincide and are not to be resampled, or the grid is too large.
    """
    first = parts[0]
    apart = {part.source: part.grid for part in parts if part.grid.into(first.grid) is None}
    if apart and not resample:
        listed = "".join(f"\n  - {source}: {grid.text}" for source, grid in apart.items())
        raise GeometryError(
            f"The voxels of these do not coincide with those of {first.source} ({first.grid.text}):{listed}\n"
            "Export them on one grid, or resample them onto that of the first with --resample."
        )
    grid = first.grid.joined([part.grid for part in parts] + list(others))
    if np.prod(grid.shape) > MOST_VOXELS:
        raise GeometryError(
            f"All sources together take {grid.text}, more than the {MOST_VOXELS:,} that can be used. They lie far "
            "apart: are they of one patient? Crop them to the liver."
        )
    notes = [f"Resampled onto the grid of the first source, from {other.text}." for other in _different(apart)]
    return grid, notes


def assembled(named: Sequence[Named], grid: Grid, source: str, say: Callable[[str], None]) -> tuple[Anatomy, list[str]]:
    """Return the anatomy of structures on a grid, and notes.

    Where structures overlap vessels come before tumours, those before the liver, and this before other organs. A tumour
    in several pieces becomes several tumours.

    Parameters
    ----------
    named : sequence of Named
    grid : Grid
    source : str
        What to call the image in messages.
    say : callable
        Takes what is being done.

    Raises
    ------
    GeometryError
        When a tumour has nothing to do with the liver, a structure lies beyond the grid, or a volume cannot be.
    """
    notes: list[str] = []
    pieces: list[Piece] = []
    taken = {each.name for each in named}
    for each in named:
        say(f"laying {each.name} on the grid")
        part = _laid(each, grid, notes)
        pieces += _split(each.name, part, taken, notes) if each.role == "tumour" else [(each.name, each.role, part)]
    say("looking for overlaps")
    notes += against_liver(pieces, grid)
    # Labels follow the order of roles, the same for all patients: the liver is 1.
    pieces.sort(key=lambda piece: (ROLES.index(piece[1]), piece[0] != piece[1]))
    structures = tuple(Structure(name, role, label) for label, (name, role, _) in enumerate(pieces, start=1))
    values = np.zeros(grid.shape, dtype=np.uint16)
    for role in _PRECEDENCE:
        for structure, (_, _, part) in zip(structures, pieces, strict=True):
            if structure.role == role:
                values[part.box][part.voxels] = structure.label
    counts = np.bincount(values.ravel(order="K"), minlength=len(structures) + 1)
    for structure, (_, _, part) in zip(structures, pieces, strict=True):
        share = 1.0 - counts[structure.label] / part.voxels.sum()
        if structure.role == "tumour" and share > SLIGHT:
            notes.append(f"{100 * share:.2g} % of '{structure.name}' are also vessels, and count as vessels.")
    gone = [structure.name for structure in structures if counts[structure.label] == 0]
    if gone:
        notes.append(f"Nothing is left of {' and '.join(gone)}, which other structures cover.")
        structures = tuple(structure for structure in structures if structure.name not in gone)
    image = LabelImage(values, grid.affine, source)
    problems = implausible(image, structures)
    if problems:
        raise GeometryError("\n  - ".join(["The structures cannot be what they are called:", *problems]))
    return Anatomy(image, structures, tuple(notes)), notes


def _different(grids: dict[str, Grid]) -> list[Grid]:
    """One grid of each kind."""
    return list({grid.text: grid for grid in grids.values()}.values())


def _laid(named: Named, grid: Grid, notes: list[str]) -> Part:
    """A structure as one part on the grid."""
    found: Part | None = None
    lost, whole = 0.0, 0.0
    for part in named.parts:
        laid = part.on(grid)
        whole += part.volume
        lost += max(part.volume - (0.0 if laid is None else laid.volume), 0.0)
        if laid is not None:
            found = laid if found is None else found.joined(laid)
    if found is None:
        raise GeometryError(
            f"'{named.name}' of {named.parts[0].source} lies beyond the grid of the first source ({grid.text}), or "
            "between its voxels. Give the source that reaches farthest first; are both of one patient?"
        )
    if lost > SLIGHT * whole:
        notes.append(f"{100 * lost / whole:.2g} % of '{named.name}' were lost on the grid of the first source.")
    return found


def _split(name: str, part: Part, taken: set[str], notes: list[str]) -> list[Piece]:
    """Each connected piece of a tumour as one of its own, the largest first; specks are left out."""
    numbers, count = ndimage.label(part.voxels, np.ones((3, 3, 3)))
    if count == 1:
        return [(name, "tumour", part)]
    cell = part.grid.cell
    sizes = np.bincount(numbers.ravel())[1:]
    order = np.argsort(-sizes, kind="stable")
    kept = [piece for piece in order if sizes[piece] * cell >= SPECK] or [order[0]]
    if len(kept) < count:
        lost = (sizes.sum() - sizes[kept].sum()) * cell
        notes.append(f"{count - len(kept)} specks of together {lost * 1e9:.2g} mm3 beside '{name}' are left out.")
    found: list[Piece] = []
    number = 2
    for piece in kept:
        called = name
        if found:
            while f"tumour_{number}" in taken:
                number += 1
            called = f"tumour_{number}"
            taken.add(called)
        found.append((called, "tumour", replace(part, voxels=numbers == piece + 1)))
    if len(found) > 1:
        listed = ", ".join(f"{called} {piece.volume * 1e6:.2g} mL" for called, _, piece in found)
        notes.append(f"'{name}' is in {len(found)} pieces: each is a tumour of its own, the largest first ({listed}).")
    return found
