"""The margins of a case: its tumour in its zone, before and after contraction, and what zone.json says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.case import Case
from ablationsim.fem.location import Locator
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.mesh import Mesh
from ablationsim.parallel import on_first
from ablationsim.vessels.image import LabelImage, surface_of_label
from ablationsim.vessels.vessel import Vessel
from ablationsim.zone.contraction import moved
from ablationsim.zone.extract import Floats, Surface, zone_surface
from ablationsim.zone.margin import Distance, Margins, margins
from ablationsim.zone.margin_ends import NearVessels, at_needles
from ablationsim.zone.margin_shift import best_shift
from ablationsim.zone.margin_sides import in_words, sides
from ablationsim.zone.margin_volumes import spent
from ablationsim.zone.margin_wanted import wanted
from ablationsim.zone.organs import Neighbours
from ablationsim.zone.target import Target

DECIDES = (
    "undeformed: places of the tissue itself, so that these alone tell what of the tumour is ablated; the contracted "
    "zone over the tumour where it was is what an overlay of the scans before and after shows"
)


@dataclass(frozen=True, eq=False)
class CaseMargins:
    """Margins of the tumour of a case.

    Attributes
    ----------
    undeformed : Margins
        In tissue as it was before heating: the one that decides.
    contracted : Margins
        Of the zone in contracted tissue, against the tumour where it was: what an overlay of scans shows.
    zone, contracted_zone : Surface
        Closed surfaces of both zones, world coordinates [m].
    patient : bool
        Whether the axes of the world are those of a patient, RAS: those of images are.
    document : dict
        What zone.json holds under "margins".
    """

    undeformed: Margins
    contracted: Margins
    zone: Surface
    contracted_zone: Surface
    patient: bool
    document: dict[str, Any]


def target_of(case: Case) -> Target | None:
    """Return the tumour of a case as its images or its sphere describe it, world coordinates; None without one.

    Raises
    ------
    GeometryError
        When its image cannot be read, or holds nothing of it.
    """
    tumour = case.tumour
    if tumour is None:
        return None
    if tumour.centre is not None and tumour.radius is not None:
        return Target.sphere(tumour.centre, tumour.radius)
    patient = case.patient
    if patient is not None and patient.tumour is not None and patient.labels == tumour.labels:
        anatomy = patient.anatomy()
        if anatomy.named(patient.tumour).label == tumour.label:
            return Target.of(anatomy.distance(patient.tumour).surface())
    assert tumour.labels is not None
    assert tumour.label is not None
    return Target.of(surface_of_label(LabelImage.read(tumour.labels), tumour.label)[0])


def liver_of(case: Case) -> Distance | None:
    """Return the signed distance to the surface of the whole liver of a case, negative inside; None if not known."""
    return None if case.patient is None else case.patient.anatomy().distance(whole_liver=True)


def case_margins(
    case: Case,
    mesh: Mesh,
    fields: Mapping[str, Floats],
    *,
    vessels: Sequence[Vessel] = (),
    strain: float | None = None,
    required: float | None = None,
) -> CaseMargins | None:
    """Measure the margins of the tumour of a case in its zone; None without a tumour. All ranks call this.

    Parameters
    ----------
    case : Case
    mesh : Mesh
        Tetrahedra in world coordinates, the part of this rank or the whole.
    fields : mapping of str to (n,) float64
        Nodal ``level``, ``max_temperature`` [K] and ``cem43`` [min]; and ``displacement`` ``(n, 3)`` [m] of tissue that
        contracted by its history.
    vessels : sequence of Vessel
        Those of the case.
    strain : float, optional
        Of a contraction that is uniform, about the tip of the first applicator; without a displacement.
    required : float, optional
        Margin that is asked for [m]; that of the case when not given.

    Raises
    ------
    GeometryError
        On all ranks, when the images of the patient cannot be read.
    """
    if case.tumour is None:
        return None
    comm, first = mesh.distribution.comm, case.applicators[0]
    target = on_first(comm, lambda: target_of(case))
    assert target is not None
    zone = zone_surface(mesh, fields["level"]).enclosing()
    if "displacement" in fields:
        after = zone_surface(moved(mesh, fields["displacement"]), fields["level"]).enclosing()
    else:
        tip = np.asarray(first.tip)
        after = Surface(tip + (1.0 - (strain or 0.0)) * (zone.points - tip), zone.facets, axisymmetric=False)
    viable = _viable(mesh, fields["level"], target.filling)
    organs: dict[str, Any] = {}
    neighbours = None
    # Only where the tissue round the liver is modelled has an organ a temperature.
    if case.patient is not None:
        neighbours = Neighbours(case.patient.anatomy(), mesh)
        if case.patient.outside == "tissue":
            organs = neighbours.heated(fields)

    def measured() -> CaseMargins:
        liver = liver_of(case)
        wanted = case.plan.margin if required is None else required
        before = margins(zone, target, required=wanted, liver=liver, viable=viable)
        contracted = margins(after, target, required=wanted, liver=liver)
        patient = case.patient is not None or (case.tumour is not None and case.tumour.labels is not None)
        document = _document(case, before, zone, vessels, liver, patient)
        if neighbours is not None:
            far = neighbours.distances(zone) if len(zone.facets) else {}
            document["organs"] = {
                name: {"distance_mm": 1e3 * far[name] if name in far else None, **organs.get(name, {})}
                for name in sorted({*far, *organs})
            }
        document["contracted"] = {**contracted.to_dict(), **spent(after, target, liver).to_dict()}
        document["decides"] = DECIDES
        return CaseMargins(before, contracted, zone, after, patient, document)

    return on_first(comm, measured)


def _viable(mesh: Mesh, level: Floats, points: Floats) -> NDArray[np.bool_]:
    """Whether points lie in tissue of the mesh that is not ablated; in what is cut out of it there is none."""
    comm = mesh.distribution.comm
    places = Locator(mesh).find(points, reach=0.0)
    known = comm.largest((places.cells >= 0).astype(np.float64)) > 0.0
    at = comm.sum(np.einsum("pi,pi->p", places.weights, level[mesh.cells[np.maximum(places.cells, 0)]]))
    found: NDArray[np.bool_] = known & (at <= 0.0)
    return found


def _document(
    case: Case, found: Margins, zone: Surface, vessels: Sequence[Vessel], liver: Distance | None, patient: bool
) -> dict[str, Any]:
    """What zone.json says of the undeformed zone."""
    axis = case.applicators[0].direction
    near = NearVessels(vessels, found)
    document = {
        "frame": "undeformed",
        "tumour": (case.patient.tumour if case.patient else None) or "tumour",
        **found.to_dict(),
        **spent(zone, found.target, liver).to_dict(),
        "directions": [side.to_dict() for side in sides(found, axis, patient)],
        "wanted": wanted(zone, found.target, found.required, liver).to_dict() if found.found else None,
        "weakest": None,
        "shift": None,
        "at_vessels": near.at_walls(zone),
        "at_needles": at_needles(zone, found, Geometry.from_case(case).applicators),
    }

    def told(place: Floats) -> dict[str, Any]:
        """A place of the tumour in words."""
        return {
            "place_mm": (1e3 * place).tolist(),
            "side": in_words(place - found.target.centre, patient),
            "nearest_vessel": near.nearest(place),
        }

    if found.found:
        document["weakest"] = told(found.weakest)
        for key in ("at_vessels", "at_needles"):
            part = document[key]
            if part is not None:
                place = part.pop("place_mm")
                part["weakest"] = None if place is None else told(1e-3 * np.asarray(place))
        shift = best_shift(zone, found)
        document["shift"] = None if shift is None else shift.to_dict(axis, patient)
    return document
