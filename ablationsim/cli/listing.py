"""Commands that list what there is: devices, vessels, the installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablationsim.cli.application import app, devices
from ablationsim.cli.console import built_vessels


@devices.command("list")
def list_devices() -> None:
    """List the device profiles."""
    from rich.console import Console
    from rich.table import Table

    from ablationsim.device import Device

    table = Table("Profile", "Device", "Modelled like", box=None)
    for name in Device.names():
        device = Device.load(name)
        table.add_row(name, device.title, device.like)
    Console().print(table)


@devices.command("show")
def show_device(name: Annotated[str, typer.Argument(help="Profile name, or path of a .toml file.")]) -> None:
    """Show a profile: every number with its unit, its source and how sure it is."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ablationsim.device import Device
    from ablationsim.device.protocol import describe
    from ablationsim.units import show

    device = Device.load(name)
    console = Console()
    console.print(
        f"[bold]{escape(device.title)}[/bold]\nmodelled like {escape(device.like)}\n\n{escape(device.notes.strip())}\n",
        highlight=False,
    )
    table = Table("Parameter", "Value", "Status", "Read in source", "Source", box=None)
    for place, sourced in device.parameters.items():
        read = ("yes" if sourced.verified else "no") if sourced.citation is not None else "-"
        value = show(sourced.value, sourced.dimension)
        table.add_row(place, value, sourced.status, read, escape(sourced.source))
    console.print(table)
    for step in device.default_protocol:
        console.print(f"Default protocol: {describe(step)}", highlight=False)


@app.command()
def vessels(
    file: Annotated[
        Path,
        typer.Argument(help="Case file, label image, surface, volume mesh or centrelines.", show_default=False),
    ],
    label: Annotated[int | None, typer.Option(help="Label of the vessel in an image; all are listed without.")] = None,
    kind: Annotated[
        str, typer.Option(help="portal_vein, hepatic_vein, hepatic_artery or tube; of no effect on a case.")
    ] = "portal_vein",
    unit: Annotated[str | None, typer.Option(help="Unit of a surface or centrelines: m, cm, mm or um.")] = None,
    orientation: Annotated[str | None, typer.Option(help="Axes of a surface or centrelines: RAS or LPS.")] = None,
    part: Annotated[str | None, typer.Option(help="Region or facets of a volume mesh, by name or number.")] = None,
    flow: Annotated[str | None, typer.Option(help='Flow through the trunk, such as "900 mL/min".')] = None,
    complete: Annotated[bool, typer.Option("--all", help="Show every branch, not only the thickest.")] = False,
) -> None:
    """Say what flows in vessels, branch by branch, and how each exchanges heat with the tissue."""
    from rich.console import Console

    from ablationsim.case import Case
    from ablationsim.tissue import Tissue
    from ablationsim.vasculature.build import build_vessel
    from ablationsim.vasculature.opening import is_case, is_image, section_of
    from ablationsim.vasculature.table import MOST, branch_table, heading, label_table, left_out
    from ablationsim.vessels.image import LabelImage

    console = Console()
    if is_image(file) and label is None:
        console.print(label_table(LabelImage.read(file).contents()))
        return
    if is_case(file):
        found = built_vessels(Case.load(file))
        if not found:
            typer.echo(f"{file}: no [[vessel]] in it.")
    else:
        section = section_of(file, kind=kind, label=label, unit=unit, orientation=orientation, part=part, flow=flow)
        found = (build_vessel(section, Tissue.load("liver_human")),)
    most = None if complete else MOST
    for built in found:
        console.print(f"{heading(built)}\n", highlight=False, markup=False)
        console.print(branch_table(built, most))
        for text in (left_out(built, most), *built.notes):
            if text:
                console.print(text, highlight=False, markup=False)
        console.print()


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing and how to get it; solve a small problem to prove that it works."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ablationsim.doctor import examine

    table = Table("", "What", "Found", "Cure", box=None)
    findings = examine()
    for finding in findings:
        mark = "[green]ok[/green]" if finding.ok else "[red]missing[/red]"
        table.add_row(mark, *(escape(text) for text in (finding.name, finding.found, finding.cure)))
    Console().print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
