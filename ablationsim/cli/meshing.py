"""The command that makes the mesh of a case and says how good it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import CaseFile, checked_case

if TYPE_CHECKING:
    from ablationsim.mesh.quality import MeshQuality, Spread


@app.command()
def mesh(
    case: CaseFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File (.msh, .vtu), or folder of parts. Default: mesh.msh or mesh_parts."),
    ] = None,
    parts: Annotated[
        int | None, typer.Option(min=1, help="Write the mesh in so many parts, for as many MPI ranks or fewer.")
    ] = None,
    quality: Annotated[
        bool, typer.Option(help="Measure the mesh: a table, and .json and .png with the name of the mesh beside it.")
    ] = True,
) -> None:
    """Mesh the geometry of a case, write the mesh and say how good it is."""
    loaded = checked_case(case)
    from rich.console import Console

    from ablationsim.geometry.geometry import Geometry
    from ablationsim.mesh.generate import mesh_of
    from ablationsim.mesh.io import write_mesh
    from ablationsim.mesh.parts import write_parts
    from ablationsim.results.run_folder import case_hash

    geometry = Geometry.from_case(loaded)
    with Console(stderr=True).status("meshing"):
        made = mesh_of(loaded, geometry)
    if parts is None:
        output = output or Path("mesh.msh")
        write_mesh(made, output)
    else:
        output = output or Path("mesh_parts")
        write_parts(made, output, parts, case_hash(loaded))
    divided = "" if parts is None else f" in {parts} part{'s' if parts > 1 else ''}"
    typer.echo(f"{output}: {len(made.points)} nodes, {len(made.cells)} elements{divided}")
    if not quality:
        return
    from ablationsim.mesh.quality import MeshQuality
    from ablationsim.report.figures import png
    from ablationsim.report.mesh_quality import quality_figure, volumes_of
    from ablationsim.results.files import write_whole

    with Console(stderr=True).status("measuring the mesh"):
        found = MeshQuality.of(made, volumes_of(loaded, geometry, made))
        picture = png(quality_figure(loaded, geometry, made, found))
    _show(found)
    for ending, content in ((".json", json.dumps(found.document(), indent=2) + "\n"), (".png", picture)):
        write_whole(output.with_suffix(ending), content)
    typer.echo(f"Quality: {output.with_suffix('.json')}, {output.with_suffix('.png')}")


def _show(quality: MeshQuality) -> None:
    from rich.console import Console
    from rich.table import Table

    from ablationsim.mesh.quality import Spread

    console = Console(highlight=False, soft_wrap=True)
    table = Table("Elements", "least", "5 % below", "median", "largest", box=None)
    table.add_row("radius ratio (1 is regular)", *_cells(quality.radius_ratio, 1.0, ""))
    table.add_row("scaled Jacobian (1 is regular)", *_cells(quality.scaled_jacobian, 1.0, ""))
    table.add_row("length of edges", *_cells(Spread.of(quality.edges), 1e3, " mm"))
    console.print(table)
    for name, volume in quality.regions.items():
        console.print(f"Region {name}: {1e6 * volume:.2f} mL")
    for name, part in quality.parts.items():
        if part.voxels:
            console.print(
                f"Part {name}: {1e6 * part.mesh:.2f} mL in the mesh, "
                f"{1e6 * part.voxels:.2f} mL in the image of the block ({100 * part.difference:+.1f} %)"
            )


def _cells(spread: Spread, factor: float, unit: str) -> list[str]:
    return [f"{factor * x:.2f}{unit}" for x in (spread.least, spread.low, spread.median, spread.most)]
