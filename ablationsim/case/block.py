"""Reading ``[domain]``: the block of tissue is completed, and what has to lie in it is checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.case import extent
from ablationsim.case.parts import Parts
from ablationsim.case.sections import ApplicatorSection, DomainSection
from ablationsim.device import Step
from ablationsim.device.profile import ApplicatorSpec
from ablationsim.device.protocol import PullbackStep


def read_domain(data: Mapping[str, Any], parts: Parts, directory: Path) -> None:
    """Complete the domain and check that conductors and probes are inside."""
    domain = parts.tables["domain"]
    known = [(placed.section, placed.device) for placed in parts.placed if placed.section and placed.device]
    if not isinstance(domain, DomainSection) or not known:
        return
    if len(known) < len(parts.placed) and not (domain.centre and (domain.size or (domain.radius and domain.height))):
        # The domain follows from all applicators, and not all could be read.
        return
    if domain.mesh is not None:
        mesh = os.path.abspath(directory / domain.mesh)
        if not os.path.exists(mesh):
            parts.problems.append(f"domain.mesh: there is no file, or folder of a mesh in parts, {mesh}")
        domain = domain.model_copy(update={"mesh": mesh})
    domain = _with_frame(domain, any(data.get(key) for key in ("patient", "vessel", "tumour")))
    places = [
        (name, withdrawn, device.applicator, section)
        for placed in parts.placed
        if (section := placed.section) and (device := placed.device)
        for name, withdrawn in _withdrawals(section, [*placed.steps] or device.default_protocol)
    ]
    seen: list[tuple[ApplicatorSpec, Sequence[float] | extent.Array, Sequence[float] | extent.Array]]
    if domain.frame == "applicator":
        frame = extent.Frame.of([(section.tip, section.direction) for section, _ in known])
        seen = [
            (applicator, *frame.seen(_tip(section, by), section.direction)) for _, by, applicator, section in places
        ]
    else:
        frame = extent.Frame.world()
        seen = [(applicator, _tip(section, by), section.direction) for _, by, applicator, section in places]
    parts.domain = extent.complete(domain, frame, *extent.bounding_box(seen))
    for section, device in known:
        monopolar = device.modality == "rfa" and "return" not in device.applicator.terminals
        if domain.boundary == "insulated" and monopolar:
            parts.problems.append(
                f"domain.boundary: 'insulated' leaves the monopolar {device.name} of applicator '{section.name}' "
                "without a return for its current; use 'far_field' or 'grounded', or a bipolar device"
            )
    if domain.mesh is not None:
        # The mesh file, not the extents, says where the tissue is.
        return
    for name, withdrawn, applicator, section in places:
        problem = extent.outside(applicator, _tip(section, withdrawn), section.direction, parts.domain, frame)
        if problem is not None:
            parts.problems.append(f"{name}: {problem}")
    for probe in parts.tables["probe"] or ():
        inside = float(extent.depth(parts.domain, frame, np.array([probe.position]))[0])
        if inside < 0.0:
            parts.problems.append(
                f"probe '{probe.name}' is {-1e3 * inside:.3g} mm outside {extent.describe(parts.domain)}"
            )


def _with_frame(domain: DomainSection, follows: bool) -> DomainSection:
    """Say which frame the domain is upright in, where the file does not; `follows` if it may be the applicator's."""
    if domain.frame is not None:
        return domain
    own = domain.shape == "box" or domain.centre is not None or domain.mesh is not None
    return domain.model_copy(update={"frame": "applicator" if follows and not own else "world"})


def _withdrawals(section: ApplicatorSection, steps: Sequence[Step | None]) -> list[tuple[str, float]]:
    """How far an applicator is withdrawn along its shaft, at the start and in the end [m], with a name for each."""
    distance = section.repeat * sum(step.distance for step in steps if isinstance(step, PullbackStep))
    name = f"applicator '{section.name}'"
    return [(name, 0.0)] if distance == 0.0 else [(name, 0.0), (f"{name}, withdrawn", distance)]


def _tip(section: ApplicatorSection, withdrawn: float) -> tuple[float, float, float]:
    """World position of the tip after a withdrawal [m]."""
    along = np.array(section.direction)
    x, y, z = np.array(section.tip) + withdrawn * along / np.linalg.norm(along)
    return float(x), float(y), float(z)
