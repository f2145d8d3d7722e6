"""Meshes of tetrahedra that were made before, found again by what they were made from: shapes, sizes and programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim import cache
from ablationsim.errors import MeshError
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.tube import Tube
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.ordering import renumbered
from ablationsim.mesh.sizing import Sizing
from ablationsim.mesh.solid import solid_mesh


def cached(geometry: Geometry, sizing: Sizing, tubes: Sequence[Tube] = ()) -> Mesh:
    """Return what `solid_mesh` makes, numbered for locality, from the disk if that was made before.

    Raises
    ------
    GeometryError, MeshError
        As `solid_mesh` does.
    """
    return kept(fingerprint(geometry, sizing, tubes), lambda: renumbered(solid_mesh(geometry, sizing, tubes)))


def kept(key: str, make: Callable[[], Mesh]) -> Mesh:
    """Return the mesh that was made before under a key, or make it."""
    folder = cache.folder_of("meshes")
    if folder is None:
        return make()
    path = folder / f"{key}.npz"
    mesh = _from_arrays(cache.load(path))
    if mesh is None:
        mesh = make()
        cache.store(path, _to_arrays(mesh))
    return mesh


def fingerprint(geometry: Geometry, sizing: Sizing, tubes: Sequence[Tube] = (), libraries: Sequence[str] = ()) -> str:
    """Return a hash of all that a mesh depends on, with the libraries that have a part in it besides gmsh."""
    domain = geometry.domain
    shapes = {
        "domain": [domain.shape, domain.centre, domain.half],
        "applicators": [
            [
                applicator.index,
                applicator.placement.tip,
                applicator.placement.rotation,
                applicator.outline,
                applicator.shafts,
                [[part.z0, part.z1, part.surface.name, part.heated] for part in applicator.sections],
                [[tine.path, tine.radius, tine.terminal, tine.insulated_length] for tine in applicator.tines],
            ]
            for applicator in geometry.applicators
        ],
        "tubes": [[tube.name, tube.start, tube.end, tube.radius] for tube in tubes],
        "sizing": asdict(sizing),
        "programs": cache.programs(["gmsh", *libraries], Path(__file__).parent),
    }
    text = json.dumps(shapes, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(array: Any) -> list[Any]:
    """An array as lists; adding zero makes one number of 0.0 and -0.0."""
    return list((np.asarray(array) + 0.0).tolist())


def _to_arrays(mesh: Mesh) -> dict[str, Any]:
    return {
        "points": mesh.points,
        "cells": mesh.cells,
        "regions": np.array(list(mesh.regions)),
        "facets": np.array(list(mesh.facets)),
        **{f"region_{i}": cells for i, cells in enumerate(mesh.regions.values())},
        **{f"facets_{i}": nodes for i, nodes in enumerate(mesh.facets.values())},
    }


def _from_arrays(content: dict[str, np.ndarray] | None) -> Mesh | None:
    """The mesh of arrays; None if they are none of a mesh."""
    if content is None:
        return None
    try:
        regions = {str(name): content[f"region_{i}"] for i, name in enumerate(content["regions"])}
        facets = {str(name): content[f"facets_{i}"] for i, name in enumerate(content["facets"])}
        mesh = Mesh(content["points"], content["cells"], regions, facets, axisymmetric=False)
    except (ValueError, KeyError, IndexError, TypeError, MeshError):
        return None
    return mesh if "tissue" in regions and "outer" in facets else None
