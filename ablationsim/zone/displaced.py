"""Where the tissue of a run went: the displacement by the contraction of all that was heated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import SolverError
from ablationsim.geometry.applicator import Applicator
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.damage import Damage
from ablationsim.physics.elasticity import displacement
from ablationsim.physics.lumens import Lumens
from ablationsim.physics.shaft import along_shaft
from ablationsim.zone.contraction import moved

_TURNED = 1e-3  # share of the volume of contracting tissue


def displaced_tissue(
    mesh: Mesh, applicators: Sequence[Applicator], damage: Damage, lumens: Lumens | None
) -> NDArray[np.float64]:
    """Return the displacement of the tissue at each node; applicators and tissue far away stay where they are.

    Parameters
    ----------
    mesh : Mesh
        The part of this rank, or the whole; all ranks call this.
    applicators : sequence of Applicator
        Those of the case.
    damage : Damage
        With the strain that free tissue would have.
    lumens : Lumens or None
        Insides of vessels, and what lies beyond the liver: they move with the tissue, and do not contract.

    Returns
    -------
    (n, d) float64
        In metres.

    Raises
    ------
    SolverError
        On all ranks, if it cannot be found, or is too much for the mesh.
    """
    strain = damage.contraction
    if lumens is not None:
        strain = np.where(lumens.empty, 0.0, strain)
    found = displacement(mesh, strain, along_shaft(mesh, applicators))
    comm, own = mesh.distribution.comm, mesh.distribution.own_cells
    volumes, after = own(mesh.cell_volumes()), own(moved(mesh, found).cell_volumes())
    strained = comm.sum(float(volumes[own(strain[mesh.cells].max(axis=1)) > 0.0].sum()))
    turned = comm.sum(float(volumes[after <= 0.0].sum()))
    # Flat elements at the edges of an applicator do not survive, and nobody misses them.
    if turned > _TURNED * strained:
        raise SolverError(
            f"The displacement of contracting tissue would turn {100.0 * turned / strained:.2g} % of it inside out; a "
            "finer mesh resolution may help."
        )
    return found
