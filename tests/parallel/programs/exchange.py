"""Divides a mesh among ranks, in memory and by files in parts, and holds what each rank has against the whole.

python exchange.py MESH FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from ablationsim.errors import MeshError
from ablationsim.mesh.io import read_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.partition import distribute, partition, split
from ablationsim.mesh.parts import read_parts, write_parts
from ablationsim.parallel import Ranks

PARTS = 4


def check(mesh: Mesh, whole: Mesh, ranks: Ranks) -> None:
    """Every node and element is counted once, ghosts learn from their owners, and elements are those of the whole."""
    share = mesh.distribution
    assert share.parted
    n, m = len(mesh.points), len(mesh.cells)
    nodes, cells = share.node_numbers(n), share.cell_numbers(m)
    assert share.totals(n, m) == (len(whole.points), len(whole.cells))
    assert np.array_equal(np.sort(np.concatenate(ranks.gather(share.own(nodes)))), np.arange(len(whole.points)))
    assert np.array_equal(np.sort(np.concatenate(ranks.gather(share.own_cells(cells)))), np.arange(len(whole.cells)))
    assert np.array_equal(mesh.points, whole.points[nodes])
    assert np.array_equal(nodes[mesh.cells], whole.cells[cells])
    assert list(mesh.facets) == list(whole.facets)
    ghost = share.without_ghosts(np.ones(n)) == 0
    for values in (
        np.random.default_rng(0).random(len(whole.points)),
        np.arange(3.0 * len(whole.points)).reshape(-1, 3),
    ):
        local = values[nodes]
        local[ghost] = np.nan
        assert np.array_equal(share.update(local), values[nodes])
    volume = ranks.sum(float(share.own_cells(mesh.cell_volumes()).sum()))
    assert abs(volume / whole.cell_volumes().sum() - 1.0) < 1e-12
    # Loads on a facet count with the node they are on: the ghosts of one rank are nodes of another's own.
    for name, facets in whole.facets.items():
        for side, corners in ((whole, facets), (mesh, mesh.facets[name])):
            load = np.zeros(len(side.points))
            np.add.at(load, corners, side.facet_areas(name)[:, None])
            if side is whole:
                expected = load
        np.testing.assert_allclose(share.own(load), expected[share.own(nodes)], rtol=1e-12)


def main(path: str, folder: Path) -> None:
    """Run all checks; whatever fails ends the program."""
    ranks = Ranks(MPI.COMM_WORLD)
    whole = read_mesh(path)
    check(distribute(whole if ranks.rank == 0 else None, ranks), whole, ranks)

    owner = partition(whole, PARTS)
    assert np.array_equal(owner, partition(whole, PARTS))
    sizes = np.bincount(owner)
    assert len(sizes) == PARTS
    assert sizes.max() < 1.1 * sizes.mean()
    # Parts are compact: few elements are on two of them.
    shared = sum(len(split(whole, owner, number).cells) for number in range(PARTS)) / len(whole.cells)
    assert shared < 1.8, shared

    if ranks.rank == 0:
        write_parts(whole, folder, PARTS)
    ranks.barrier()
    check(read_parts(folder, ranks), whole, ranks)

    if ranks.rank == 0:
        (folder / "part_0003.npz").write_bytes(b"PK")
    ranks.barrier()
    try:
        read_parts(folder, ranks)
    except MeshError as error:
        said = ranks.gather(str(error))
        assert len(set(said)) == 1
        assert "part_0003.npz is damaged" in said[0]
    else:
        raise AssertionError("the damaged part was read")
    print(f"rank {ranks.rank} is content")


main(sys.argv[1], Path(sys.argv[2]))
