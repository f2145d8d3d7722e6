"""How long a step would take on a cluster, from what was measured here and a few numbers assumed about the cluster.

What a step has to move and how often ranks talk to each other is measured; how fast a cluster moves and talks is
assumed. The sum is optimistic: nothing overlaps, but nothing is out of balance either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tables import memory, part_seconds, runs

Results = Mapping[str, Any]
GROUPS = ("memory", "halo", "reductions")


@dataclass(frozen=True)
class Cluster:
    """What is assumed.

    Attributes
    ----------
    ranks_per_node : int
        Ranks, one a core.
    bandwidth : float
        Of the memory of a node [byte/s].
    latency : float
        Of a message between nodes, with what the MPI library adds [s].
    network : float
        Bandwidth of a node's network [byte/s].
    reduction : float
        Of a sum over all ranks, for each doubling of their number [s].
    neighbours, coarse_neighbours : int
        Ranks that a rank exchanges halos with, on the finest level and on coarser ones.
    files : float
        Bandwidth of the file system [byte/s].
    """

    ranks_per_node: int = 128
    bandwidth: float = 400e9
    latency: float = 2e-6
    network: float = 25e9
    reduction: float = 3e-6
    neighbours: int = 14
    coarse_neighbours: int = 30
    files: float = 5e9


@dataclass(frozen=True)
class Model:
    """What was measured, as functions of the number of unknowns.

    Attributes
    ----------
    electric_bytes, heat_bytes, other_bytes : float
        What an unknown moves in an iteration for the potential, in one for the temperature, and besides in a step.
    electric_iterations, heat_iterations : tuple of two floats
        Of a step: ``a + b log10(n)``, and ``sqrt(a + b n^(2/3))``.
    scatters : float
        Halo updates a level and iteration in PETSc.
    coarsening : float
        Unknowns of a level over those of the next.
    updates, reductions : float
        Of a step, outside PETSc, for each iteration for the temperature.
    petsc_reductions : float
        For each iteration for the potential.
    memory : float
        Of all ranks, per unknown [byte].
    checkpoint, fields : float
        Size of those files per unknown [byte].
    """

    electric_bytes: float
    heat_bytes: float
    other_bytes: float
    electric_iterations: tuple[float, float]
    heat_iterations: tuple[float, float]
    scatters: float
    coarsening: float
    updates: float
    reductions: float
    petsc_reductions: float
    memory: float
    checkpoint: float
    fields: float

    @classmethod
    def of(cls, parts: Results) -> Model:
        """From the runs in which size alone grows; the largest one counts most."""
        found = [result for _, result in runs(parts, "growth")]
        if len(found) < 2:
            raise ValueError("the prediction needs two sizes at least")
        last = found[-1]
        n, work, petsc = last["unknowns"], last["work"], last["petsc"]
        moved = 1e9 * last["machine"]["triad_gb_s"] / n
        electric = part_seconds(last, "electric") - petsc["VecScatterEnd"]["time"]
        others = part_seconds(last, "assembly") + part_seconds(last, "rest")
        sizes = np.array([result["unknowns"] for result in found], dtype=float)
        iterations = np.array([result["work"]["electric_iterations"] for result in found])
        heat = np.array([result["work"]["heat_iterations"] for result in found])
        slope, start = np.polyfit(np.log10(sizes), iterations, 1)
        steep, flat = np.polyfit(sizes ** (2 / 3), heat**2, 1)
        depth = len(last["levels"]) - 1
        return cls(
            electric_bytes=moved * electric / work["electric_iterations"],
            heat_bytes=moved * part_seconds(last, "heat") / work["heat_iterations"],
            other_bytes=moved * others,
            electric_iterations=(float(start), float(slope)),
            heat_iterations=(float(flat), float(steep)),
            scatters=petsc["VecScatterBegin"]["calls"] / work["electric_iterations"] / depth,
            coarsening=(n / last["levels"][-1]["unknowns"]) ** (1 / depth),
            updates=work["halo_updates"] / work["heat_iterations"],
            reductions=work["reductions"] / work["heat_iterations"],
            petsc_reductions=petsc["KSPSolve"]["reductions"] / work["electric_iterations"],
            memory=1e3 * memory(last),
            checkpoint=last["output"]["checkpoint_bytes"] / n,
            fields=last["output"]["fields_bytes"] / n,
        )

    def iterations(self, n: float) -> tuple[float, float]:
        """Iterations of a step for the potential, and for the temperature."""
        (a, b), (c, d) = self.electric_iterations, self.heat_iterations
        return a + b * math.log10(n), math.sqrt(max(c, 0.0) + d * n ** (2 / 3))

    def step(self, n: float, ranks: int, cluster: Cluster) -> dict[str, float]:
        """Time of a step [s], by `GROUPS`."""
        electric, heat = self.iterations(n)
        own = n / ranks
        share = min(ranks, cluster.ranks_per_node)
        moved = self.electric_bytes * electric + self.heat_bytes * heat + self.other_bytes
        depth = max(1.0, math.log(n / 20.0) / math.log(self.coarsening))
        fine = self.scatters * electric + self.updates * heat
        coarse = self.scatters * electric * (depth - 1.0)
        # A cube of `own` nodes has so many neighbours in other ranks; coarse levels add little to the volume.
        surface = 6.0 * own ** (2 / 3) * 8.0
        halo = cluster.latency * (cluster.neighbours * fine + cluster.coarse_neighbours * coarse)
        halo += fine * surface * share / cluster.network
        # Down to the coarsest level, which one rank solves, and back, is as long a way as that of a sum.
        sums = (self.petsc_reductions + 1.0) * electric + self.reductions * heat
        return {
            "memory": own * moved * share / cluster.bandwidth,
            "halo": halo if ranks > 1 else 0.0,
            "reductions": sums * cluster.reduction * math.log2(ranks) if ranks > 1 else 0.0,
        }

    def efficiency(self, n: float, ranks: int, cluster: Cluster) -> float:
        """Share of a step that is not spent on messages."""
        parts = self.step(n, ranks, cluster)
        return parts["memory"] / sum(parts.values())

    def half(self, n: float, cluster: Cluster) -> int:
        """Most nodes at which messages take no more than half of a step."""
        nodes = 1
        while self.efficiency(n, 2 * nodes * cluster.ranks_per_node, cluster) >= 0.5:
            nodes *= 2
        low, high = nodes, 2 * nodes
        while high - low > 1:
            middle = (low + high) // 2
            if self.efficiency(n, middle * cluster.ranks_per_node, cluster) >= 0.5:
                low = middle
            else:
                high = middle
        return low

    def fewest_nodes(self, n: float, node_memory: float = 256e9) -> int:
        """Nodes whose memory holds a run."""
        return math.ceil(n * self.memory / node_memory)

    def table(self, cluster: Cluster, sizes: Sequence[float]) -> list[dict[str, float]]:
        """Where each size stops to scale: rows with what matters there."""
        rows = []
        for n in sizes:
            nodes = self.half(n, cluster)
            ranks = nodes * cluster.ranks_per_node
            electric, heat = self.iterations(n)
            rows.append(
                {
                    "unknowns": n,
                    "electric": electric,
                    "heat": heat,
                    "fewest_nodes": self.fewest_nodes(n),
                    "one_node_s": sum(self.step(n, cluster.ranks_per_node, cluster).values()),
                    "nodes": nodes,
                    "own": n / ranks,
                    **self.step(n, ranks, cluster),
                    "step_s": sum(self.step(n, ranks, cluster).values()),
                    "checkpoint_s": n * self.checkpoint / cluster.files,
                    "checkpoint_gb": n * self.checkpoint / 1e9,
                }
            )
        return rows
