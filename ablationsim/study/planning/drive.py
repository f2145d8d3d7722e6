"""Drive: how far tissue has come toward ablation, 0 where nothing was heated and 1 at the edge of the zone.

Every criterion has a level, whose zero is the edge of the zone and which is about linear in temperature there (for
doses and damage integrals it is a logarithm). Counted from the level of unheated tissue, and divided by that of the
edge, it becomes a relative heating that is about proportional to the temperature rise: heat of several needles adds up
in it, and what takes a share of the rise away takes about that share of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.mesh import Mesh

Floats = NDArray[np.float64]


def drive_of(level: Floats, mesh: Mesh) -> Floats:
    """Return the drive of the levels at the nodes of a run.

    Unheated is the outside of its block. Beside a cooled shaft tissue is colder than that, and the drive negative.

    Parameters
    ----------
    level : (n,) float64
        Positive in the zone; see `ablationsim.physics.damage.DamageModel.level`.
    mesh : Mesh
        Of the run.
    """
    unheated = min(float(np.median(level[np.unique(mesh.facets["outer"])])), -1e-9)
    drive: Floats = (level - unheated) / -unheated
    return drive
