"""The whole geometry of a case: applicators in a block of tissue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ablationsim.case import Case
from ablationsim.case.extent import Frame
from ablationsim.errors import GeometryError
from ablationsim.geometry.applicator import Applicator, Surface
from ablationsim.geometry.distance import polyline_distance
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.placement import Placement

Floats = NDArray[np.float64]

#: Bare conductors and radiating sections stay at least this far inside the tissue [m], so that elements fit between
#: them and the outside.
CLEARANCE = 2e-3
#: Surfaces of two applicators stay at least this far apart [m].
GAP = 0.2e-3


@dataclass(frozen=True, eq=False)
class Geometry:
    """Applicators in a domain, checked to be meshable.

    Attributes
    ----------
    applicators : tuple of Applicator
        In the order of the case.
    domain : Domain
        The tissue block.
    axisymmetric : bool
        Whether it is modelled in the (r, z) half-plane about the world's z axis.

    Raises
    ------
    GeometryError
        When a conductor or antenna is outside the tissue, applicators touch, or axial symmetry is asked for but absent.
    """

    applicators: tuple[Applicator, ...]
    domain: Domain
    axisymmetric: bool

    def __post_init__(self) -> None:
        if not self.applicators:
            raise GeometryError("There is no applicator in the geometry.")
        problems = _outside(self.applicators, self.domain) + _touching(self.applicators)
        if self.axisymmetric:
            problems += broken_symmetry(self.applicators, self.domain)
        if problems:
            raise GeometryError("\n".join(problems))

    @classmethod
    def build(cls, applicators: Sequence[Applicator], domain: Domain, dimension: str = "auto") -> Geometry:
        """Combine applicators and domain; `dimension` is "axisymmetric", "3d", or "auto": axisymmetric if possible.

        Raises
        ------
        GeometryError
            As for the class, or for another dimension.
        """
        if dimension not in ("auto", "axisymmetric", "3d"):
            raise GeometryError(f"The dimension must be auto, axisymmetric or 3d, got '{dimension}'.")
        placed = tuple(applicators)
        flat = dimension == "axisymmetric" or (dimension == "auto" and not broken_symmetry(placed, domain))
        return cls(placed, domain, flat)

    @classmethod
    def from_case(cls, case: Case) -> Geometry:
        """Build the geometry of a case.

        Raises
        ------
        GeometryError
            As for the class.
        """
        applicators = [
            Applicator.build(
                i,
                part.device.applicator,
                Placement.along(part.tip, part.direction, part.roll),
                part.name,
                part.device.antenna,
            )
            for i, part in enumerate(case.applicators)
        ]
        block = case.domain
        centre = conductor_centre(applicators) if block.centre is None else block.centre
        frame = _common_frame(applicators) if block.frame == "applicator" else None
        if block.size is not None:
            domain = Domain.box(centre, block.size)
        elif block.radius is not None and block.height is not None:
            domain = Domain.cylinder(centre, block.radius, block.height, frame)
        else:
            raise GeometryError(f"The {block.shape} domain has no extents: give radius and height, or size.")
        if case.vessels or case.tumour is not None or case.patient is not None:
            if block.dimension == "axisymmetric":
                raise GeometryError(
                    "domain.dimension is 'axisymmetric', but vessels, tumours and patients are not symmetric about "
                    "the z axis: use '3d' or 'auto'."
                )
            return cls.build(applicators, domain, "3d")
        return cls.build(applicators, domain, block.dimension)

    def upright(self) -> Geometry:
        """Return the same geometry in the frame of its domain.

        An applicator whose frame that is stands in it with its tip at the origin and its shaft along +z, to the last
        digit: where it lies in the world makes no difference. Neither does it with several applicators that keep their
        places relative to each other. Those that are round stand there without roll, which they do not have.
        """
        frame = self.domain.frame
        if frame is None:
            return self
        applicators = (replace(a, placement=_seen_from(frame, a)) for a in self.applicators)
        return Geometry(tuple(applicators), self.domain.upright(), self.axisymmetric)

    @property
    def surfaces(self) -> dict[str, Surface]:
        """Every named applicator surface of the geometry."""
        return {surface.name: surface for applicator in self.applicators for surface in applicator.surfaces}

    @property
    def terminals(self) -> tuple[str, ...]:
        """Terminal names in the order of the applicators, each once."""
        return tuple(dict.fromkeys(surface.terminal for surface in self.surfaces.values() if surface.terminal))


def _common_frame(applicators: Sequence[Applicator]) -> Placement:
    """The frame that moves with applicators: that of the only one, or one along the first of several."""
    first = applicators[0].placement
    if len(applicators) == 1:
        return first
    frame = Frame.of([(a.tip.tolist(), a.axis.tolist()) for a in applicators])
    return Placement(frame.origin, frame.axes.T)


def _seen_from(frame: Placement, applicator: Applicator) -> Placement:
    """A placement in another frame. Rounding takes away what turning there and back adds to a zero or a one."""
    tip = np.round(frame.to_device(applicator.tip), 9) + 0.0
    rotation = np.round(frame.rotation.T @ applicator.placement.rotation, 9) + 0.0
    if applicator.tines or applicator.shafts.any():
        return Placement(tip, rotation)
    return Placement.along(tip.tolist(), rotation[:, 2].tolist())


def conductor_centre(applicators: Sequence[Applicator]) -> Floats:
    """Return where a domain belongs, world metres, shape (3,): the centre of the box round all that heats.

    That is round all bare conductors or, of microwave applicators, all radiating sections.
    """
    points = np.vstack([line for applicator in applicators for line, _ in applicator.heated_lines()])
    return (points.min(axis=0) + points.max(axis=0)) / 2


def broken_symmetry(applicators: Sequence[Applicator], domain: Domain) -> list[str]:
    """Return what keeps the geometry from being symmetric about the world's z axis, one sentence each."""
    found = []
    if len(applicators) != 1:
        found.append(f"There are {len(applicators)} applicators; axial symmetry allows one.")
    if domain.shape != "cylinder" or np.hypot(*domain.centre[:2]) > 1e-9 or abs(abs(domain.axis[2]) - 1) > 1e-9:
        found.append("Axial symmetry needs a cylindrical domain about the z axis.")
    for applicator in applicators:
        if abs(abs(applicator.axis[2]) - 1) > 1e-9 or np.hypot(*applicator.tip[:2]) > 1e-9:
            found.append(f"Applicator {applicator.name} does not lie on the z axis.")
        if applicator.tines:
            found.append(f"Applicator {applicator.name} has tines, which are not symmetric about its axis.")
        if len(applicator.shafts) > 1:
            found.append(f"Applicator {applicator.name} is a cluster of {len(applicator.shafts)} needles.")
    return found


def _outside(applicators: tuple[Applicator, ...], domain: Domain) -> list[str]:
    problems = []
    for applicator in applicators:
        lines = applicator.heated_lines()
        if not lines:
            problems.append(f"Applicator {applicator.name} has neither a bare conductor nor a radiating section.")
            continue
        what = "conductor" if applicator.antenna is None else "antenna"
        depth = min(float(domain.depth(_rims(line, radius)).min()) for line, radius in lines)
        if depth < CLEARANCE:
            problems.append(
                f"Applicator {applicator.name}: its {what} reaches to {1e3 * depth:.2f} mm inside the "
                f"{domain.shape} domain's surface (negative is outside), but must stay at least "
                f"{1e3 * CLEARANCE:.0f} mm inside: move the applicator or enlarge the domain."
            )
    return problems


def _rims(line: Floats, radius: float) -> Floats:
    """Points (k, 8, 3) round each point of a centreline, on the surface of the wire."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1)[:, None]
    helper = np.eye(3)[np.abs(along).argmin(axis=1)]
    across = np.cross(along, helper)
    across /= np.linalg.norm(across, axis=1)[:, None]
    angle = np.arange(8)[:, None] * np.pi / 4
    around = np.cos(angle) * across[:, None] + np.sin(angle) * np.cross(along, across)[:, None]
    return line[:, None] + radius * around


def _touching(applicators: tuple[Applicator, ...]) -> list[str]:
    problems = []
    for i, first in enumerate(applicators):
        for second in applicators[i + 1 :]:
            gap = min(
                polyline_distance(a, b) - ra - rb for a, ra in centrelines(first) for b, rb in centrelines(second)
            )
            if gap < GAP:
                problems.append(
                    f"Applicators {first.name} and {second.name} come within {1e3 * gap:.2f} mm of each other "
                    f"(negative is overlap); they need {1e3 * GAP:.1f} mm of tissue between them."
                )
    return problems


def centrelines(applicator: Applicator, reach: float = 0.0) -> list[tuple[Floats, float]]:
    """Return the centrelines of all shafts and tines: (world points (k, 3), radius), in metres.

    Shafts are as long as they are described, or as `reach` if that is longer.
    """
    top = max(applicator.length, reach)
    shafts = [(applicator.to_world([(x, y, 0.0), (x, y, top)]), applicator.radius) for x, y in applicator.shafts]
    return shafts + [(applicator.to_world(tine.path), tine.radius) for tine in applicator.tines]
