"""The runs of a plan folder."""

from __future__ import annotations

import json
from pathlib import Path

from ablationsim.errors import OutputError


def folders_of(folder: Path) -> list[Path]:
    """Return the run folders to export: those of all plans that were run with the full model, or the folder itself.

    Raises
    ------
    OutputError
        When the list of plans is damaged or no plan has a run.
    """
    listed = folder / "plan.json"
    if not listed.is_file():
        return [folder]
    try:
        plans = json.loads(listed.read_text(encoding="utf-8"))["plans"]
        found = [folder / str(plan["folder"]) for plan in plans if plan.get("folder")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(f"{listed} is damaged ({error}). Make the plan again.") from error
    found = [each for each in found if (each / "zone.json").exists()]
    if not found:
        raise OutputError(f"{listed} lists no plan that was run with the full model: there is nothing to write.")
    return found
