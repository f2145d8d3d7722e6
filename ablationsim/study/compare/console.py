"""What is printed of a comparison."""

from __future__ import annotations

from rich.table import Table

from ablationsim.study.compare.comparison import Comparison, Entry


def tables(comparison: Comparison) -> list[tuple[str, Table]]:
    """Tables with a heading each, in the frame of the comparison."""
    found = [
        (
            "Size, shape (along/across above 1: prolate; sphericity by axes, isoperimetric) and volume over energy "
            "(at the generator, absorbed)",
            _sizes(comparison),
        )
    ]
    if comparison.study.about.short_axis:
        found.append(("Time under power until the short axis is", _times(comparison)))
    if comparison.study.heat_sink is not None:
        found.append(("Taken away by the standard vessel", _sinks(comparison)))
    return found


def _start(comparison: Comparison, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    several = len({entry.setting.tissue_name for entry in comparison.entries}) > 1
    for name in ["Device", "Setting", *(["Tissue"] if several else [])]:
        table.add_column(name)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _heading(comparison: Comparison, entry: Entry, label: str) -> list[str]:
    several = len({other.setting.tissue_name for other in comparison.entries}) > 1
    return [entry.setting.device, label, *([entry.setting.tissue_name] if several else [])]


def _sizes(comparison: Comparison) -> Table:
    table = _start(
        comparison,
        "Volume\nmL",
        "Along\nmm",
        "Across\nmm",
        "Along/\nacross",
        "Sph.\naxes",
        "\nisop.",
        "mL/kJ\ngen.",
        "\nabs.",
    )
    for entry in comparison.entries:
        head = _heading(comparison, entry, entry.setting.label)
        if entry.figures is None:
            table.add_row(*head, entry.trouble)
            continue
        size = entry.figures.sizes[comparison.study.about.frame]
        table.add_row(
            *head,
            f"{size.volume_ml:.1f}",
            *(number(value, 1) for value in (size.length_mm, size.diameter_mm)),
            *(number(value, 2) for value in (size.ratio, size.sphericity_axes, size.sphericity_isoperimetric)),
            *(number(value, 2) for value in (size.ml_per_kj, size.ml_per_absorbed_kj)),
        )
    return table


def _times(comparison: Comparison) -> Table:
    about = comparison.study.about
    table = _start(comparison, *(f"{1e3 * target:g} mm" for target in about.short_axis))
    for entry in comparison.longest:
        cells = ["not reached" if t is None else f"{t:.0f} s" for t in comparison.times_to(entry, about.frame)]
        table.add_row(*_heading(comparison, entry, entry.setting.label), *cells)
    return table


def _sinks(comparison: Comparison) -> Table:
    table = _start(comparison, "Volume\nwithout", "mL\nwith", "\nlost", "Radius\nwithout", "mm\nwith")
    frame = comparison.study.about.frame
    for entry in comparison.entries:
        head, sink = _heading(comparison, entry, entry.setting.label), entry.sink
        if sink is None:
            table.add_row(*head, entry.trouble)
            continue
        lost = sink.lost_percent(frame)
        table.add_row(
            *head,
            f"{sink.volume_without_ml[frame]:.1f}",
            f"{sink.volume_ml[frame]:.1f}",
            "-" if lost is None else f"{lost:.0f} %",
            number(sink.radius_without_mm, 1),
            number(sink.radius_mm, 1),
        )
    return table


def number(value: float | None, decimals: int) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{decimals}f}"
