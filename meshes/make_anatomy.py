"""Make the sample anatomy in this folder: ``python meshes/make_anatomy.py``.

A liver of about 1.4 L that belongs to nobody: a smooth body made of ellipsoids, a portal tree and a hepatic-vein tree
that were grown in it, and a tumour beside a vein. All comes from this file and a fixed seed; no image was used.

The trees grow by constrained constructive optimisation (Schreiner and Buxbaum 1993, in short): starting from trunk and
main branches drawn by hand, one terminal after the other is joined to the tree where that adds the least volume of
blood, and not where vessels would touch. Radii follow Murray's law: the cube of the radius is proportional to the
number of terminals supplied. World coordinates are RAS; inside this script lengths are millimetres.
"""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

FOLDER = Path(__file__).parent
SEED = 20240
VOXEL = 1.5
LIVER, HEPATIC_VEINS, PORTAL_VEIN, TUMOUR = 1, 2, 3, 4

#: Corners of the grid.
LOW, HIGH = np.array([-100.0, -90.0, -95.0]), np.array([130.0, 80.0, 105.0])
LIVER_VOLUME_ML = 1400.0

#: Radius at the root of each tree, and how many terminals it supplies: r (1 / n)^(1/3) is the radius of a terminal,
#: which tapers to its tip.
PORTAL_RADIUS, PORTAL_TERMINALS = 6.3, 90
VEIN_RADIUS, VEIN_TERMINALS = 5.0, 45
TIP_RADIUS = 1.15
CAVA_RADIUS = 10.5

#: Main branches drawn by hand: where each begins (a point of one before, or a root), and the points it goes through.
PORTAL_MAIN = [
    [(-2, -38, -62), (0, -22, -38), (6, -14, -20)],
    [(6, -14, -20), (36, -8, -14), (58, 8, -24)],
    [(36, -8, -14), (62, -26, 2), (72, -34, 22)],
    [(6, -14, -20), (-18, 4, 2), (-34, 26, 6)],
    [(-18, 4, 2), (-44, 14, 20)],
]
CONFLUENCE = (10, -52, 50)
CAVA = [(10, -56, 12), CONFLUENCE, (10, -50, 82)]
VEINS_MAIN = [
    [CONFLUENCE, (44, -42, 42), (76, -16, 20), (84, -4, -6)],
    [CONFLUENCE, (20, -24, 38), (28, 8, 22), (30, 24, 0)],
    [CONFLUENCE, (-12, -22, 44), (-34, 4, 40), (-52, 22, 36)],
]

#: Free tissue between vessels of two trees, and of the same tree, beside the sum of their radii; and what is left of
#: the first at least where the branches are bent in the end.
CLEARANCE, OWN_CLEARANCE = 4.5, 2.0
LEAST_CLEARANCE = 2.5
#: Terminals keep this far from the surface of the liver.
DEPTH = 7.0

TUMOUR_RADIUS, TUMOUR_GAP = 12.0, 4.0
#: Diameters of the vessels that the tumour may lie beside, and of those that may give way to it.
BESIDE, GIVING_WAY = (6.0, 8.0), 5.5


def main() -> None:
    """Write the label image and the centrelines, and print what the README says about them."""
    random = np.random.default_rng(SEED)
    liver = _liver()
    depth = ndimage.distance_transform_edt(liver, sampling=VOXEL)
    portal = Tree.drawn(PORTAL_MAIN, PORTAL_RADIUS, PORTAL_TERMINALS)
    veins = [Tree.drawn([main], VEIN_RADIUS, VEIN_TERMINALS) for main in VEINS_MAIN]
    _grow(portal, veins, depth, random)
    _separate(portal, veins)
    centre = _place_tumour([portal, *veins], depth)
    trees = {"portal": portal.branches(), "hepatic": _with_cava([vein.branches() for vein in veins])}
    labels = _draw(liver, trees, centre)
    affine = np.diag([VOXEL, VOXEL, VOXEL, 1.0])
    affine[:3, 3] = LOW
    image = nibabel.Nifti1Image(labels, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nibabel.save(image, FOLDER / "anatomy_labels.nii.gz")
    _write_trees(trees, FOLDER / "anatomy_trees.csv")
    _describe(labels, trees, centre, depth)


def _grid() -> Floats:
    """Centres of all voxels, shape (i, j, k, 3)."""
    axes = [low + VOXEL * np.arange(round((high - low) / VOXEL)) for low, high in zip(LOW, HIGH, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _liver() -> NDArray[np.bool_]:
    """Voxels of a right lobe, a left lobe and the hollow below them, scaled to the volume wanted."""
    places = _grid()
    right = _ellipsoid(places, (48.0, -4.0, 2.0), (66.0, 70.0, 80.0))
    left = _ellipsoid(places, (-34.0, 14.0, 26.0), (66.0, 46.0, 36.0))
    body = _smooth_least(right, left, 14.0)
    # The hollow of the organs below the left lobe and the groove of the vena cava.
    below = _ellipsoid(places, (-44.0, -22.0, -58.0), (78.0, 62.0, 66.0))
    groove = np.hypot(places[..., 0] - 10.0, places[..., 1] + 60.0) - CAVA_RADIUS - 4.0
    body = -_smooth_least(_smooth_least(-body, below, 10.0), groove, 8.0)
    level = np.sort(body.ravel())[round(LIVER_VOLUME_ML * 1e3 / VOXEL**3)]
    return body < level


def _ellipsoid(places: Floats, centre: tuple[float, ...], axes: tuple[float, ...]) -> Floats:
    """Distance from an ellipsoid, about; negative inside."""
    away = (places - np.array(centre)) / np.array(axes)
    return (np.linalg.norm(away, axis=-1) - 1.0) * min(axes)


def _smooth_least(first: Floats, second: Floats, width: float) -> Floats:
    part = np.clip(0.5 + 0.5 * (second - first) / width, 0.0, 1.0)
    return second + part * (first - second) - width * part * (1.0 - part)


@dataclass
class Tree:
    """A growing tree; each node but the first has a segment to its parent.

    Attributes
    ----------
    radius : float
        At the root.
    terminals : int
        How many there are to be.
    places : list of (3,) arrays
        Where the nodes are.
    parents : list of int
        -1 for the root.
    """

    radius: float
    terminals: int
    places: list[Floats] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)

    @classmethod
    def drawn(cls, branches: list, radius: float, terminals: int) -> Tree:
        """Begin a tree with polylines; each but the first begins at a point of one before."""
        tree = cls(radius, terminals, [np.array(branches[0][0], dtype=float)], [-1])
        for branch in branches:
            parent = next(i for i, place in enumerate(tree.places) if np.allclose(place, branch[0]))
            for point in branch[1:]:
                tree.places.append(np.array(point, dtype=float))
                tree.parents.append(parent)
                parent = len(tree.places) - 1
        return tree

    def supplied(self) -> NDArray[np.int64]:
        """Terminals behind each node."""
        count = np.zeros(len(self.places), dtype=np.int64)
        has_child = set(self.parents)
        for node in range(len(self.places)):
            if node not in has_child:
                while node >= 0:
                    count[node] += 1
                    node = self.parents[node]
        return count

    def radii(self, complete: bool = True) -> Floats:
        """Radius of the segment that ends in each node; of a tree that still grows, as if the rest grew evenly."""
        count = self.supplied()
        return self.radius * (count / (count[0] if complete else max(self.terminals, count[0]))) ** (1.0 / 3.0)

    def segments(self) -> tuple[Floats, Floats, Floats]:
        """Starts and ends (s, 3) and radii (s,) of all segments; segment i ends in node i + 1."""
        places = np.array(self.places)
        return places[self.parents[1:]], places[1:], self.radii()[1:]

    def branches(self) -> list[Branch]:
        """Curved branches between divisions."""
        children: dict[int, list[int]] = {}
        for node, parent in enumerate(self.parents):
            children.setdefault(parent, []).append(node)
        radii, found = self.radii(), []
        waiting = [(child, -1) for child in children[0]]
        while waiting:
            node, before = waiting.pop(0)
            chain = [self.parents[node], node]
            while len(children.get(chain[-1], [])) == 1:
                chain.append(children[chain[-1]][0])
            incoming = None
            if before >= 0 and node == max(children[chain[0]], key=lambda child: radii[child]):
                incoming = found[before].points[-1] - found[before].points[-2]
            points = _curved(np.array([self.places[i] for i in chain]), incoming)
            end = radii[node] if chain[-1] in children else TIP_RADIUS
            found.append(Branch(points, np.linspace(radii[node], end, len(points)), before, node))
            waiting += [(child, len(found) - 1) for child in children.get(chain[-1], [])]
        return found

    def without(self, removed: set[int]) -> None:
        """Take out nodes and all behind them."""
        gone = set(removed)
        kept = []
        for node in range(len(self.places)):  # Not all parents come before their children.
            above = node
            while above >= 0 and above not in gone:
                above = self.parents[above]
            if above < 0:
                kept.append(node)
        number = {node: position for position, node in enumerate(kept)} | {-1: -1}
        self.places = [self.places[node] for node in kept]
        self.parents = [number[self.parents[node]] for node in kept]


@dataclass
class Branch:
    """A branch from a division to the next.

    Attributes
    ----------
    points : (k, 3) float64
    radii : (k,) float64
    parent : int
        Number of the branch before, or -1.
    node : int
        First node of the tree that belongs to it, or -1.
    """

    points: Floats
    radii: Floats
    parent: int
    node: int = -1


def _curved(points: Floats, incoming: Floats | None) -> Floats:
    """Smooth curve through points, that goes on in the direction of the branch before; a point every 2 mm or so."""
    tangents = np.gradient(points, axis=0)
    tangents[1:-1] = 0.5 * (points[2:] - points[:-2])
    if incoming is not None:
        tangents[0] = incoming / np.linalg.norm(incoming) * np.linalg.norm(points[1] - points[0])
    curve = [points[:1]]
    for (start, end), (out, into) in zip(itertools.pairwise(points), itertools.pairwise(tangents), strict=True):
        length = np.linalg.norm(end - start)
        # Gentle: half the tangents that a cubic would have.
        out, into = (0.7 * length * t / np.linalg.norm(t) for t in (out, into))
        s = np.linspace(0.0, 1.0, max(2, round(length / 2.0)) + 1)[1:, None]
        curve.append(
            (2 * s**3 - 3 * s**2 + 1) * start
            + (s**3 - 2 * s**2 + s) * out
            + (3 * s**2 - 2 * s**3) * end
            + (s**3 - s**2) * into
        )
    return np.vstack(curve)


def _grow(portal: Tree, veins: list[Tree], depth: Floats, random: np.random.Generator) -> None:
    """Add terminals to all trees in turns, each where it is farthest from those that the tree has."""
    inside = np.argwhere(depth > DEPTH)
    candidates = LOW + VOXEL * random.permutation(inside)[:6000] + random.uniform(-0.5, 0.5, (6000, 3)) * VOXEL
    waiting = {"portal": candidates[:3000], "veins": candidates[3000:]}
    cava = Tree.drawn([CAVA], CAVA_RADIUS, 1)
    groups = {"portal": [portal], "veins": veins}
    limits = {"portal": PORTAL_TERMINALS, "veins": VEIN_TERMINALS * len(veins)}
    failures = 0
    while failures < 400:
        grown = False
        for name, trees in groups.items():
            total = sum(int(tree.supplied()[0]) for tree in trees)
            if total >= limits[name] or len(waiting[name]) == 0:
                continue
            tips = np.vstack([np.array(tree.places) for tree in trees])
            distance = np.linalg.norm(waiting[name][:, None] - tips, axis=-1).min(axis=1)
            chosen = int(np.argmax(distance))
            target = waiting[name][chosen]
            waiting[name] = np.delete(waiting[name], chosen, axis=0)
            grown = True
            others = [tree for other, group in groups.items() if other != name for tree in group]
            failures += not _join(trees, [*others, cava], target, depth)
        if not grown:
            return


def _join(trees: list[Tree], others: list[Tree], target: Floats, depth: Floats) -> bool:
    """Join a terminal to one of the trees where that adds the least volume; false when it cannot be done."""
    options = []
    vessels = {id(tree): (*tree.segments()[:2], tree.radii(complete=False)) for tree in [*trees, *others]}
    for tree in trees:
        starts, ends, radii = vessels[id(tree)]
        thin = tree.radius * tree.terminals ** (-1.0 / 3.0)
        for segment in np.argsort(_distance_to(target, starts, ends))[:12]:
            node = int(segment) + 1
            start, end, radius = starts[segment], ends[segment], radii[node]
            for toward_end, toward_target in itertools.product((0.15, 0.3, 0.5, 0.7, 0.85), (0.0, 0.1, 0.2, 0.3)):
                fork = start + toward_end * (end - start)
                fork = fork + toward_target * (target - fork)
                lengths = [float(np.linalg.norm(fork - place)) for place in (start, end, target)]
                if min(lengths) < 2.5 * radius:
                    continue
                wider = (radius**3 + thin**3) ** (1.0 / 3.0)
                before = radius**2 * float(np.linalg.norm(end - start))
                volume = wider**2 * lengths[0] + radius**2 * lengths[1] + thin**2 * lengths[2] - before
                options.append((volume, id(tree), node, tuple(fork), thin, tree, radius))
    for _, _, node, fork, thin, tree, radius in sorted(options, key=lambda option: option[0])[:60]:
        place = np.array(fork)
        start, end = tree.places[tree.parents[node]], tree.places[node]
        pieces = [(start, place, radius), (place, end, radius), (place, target, thin)]
        if _is_free(pieces, tree, node, trees, others, vessels, depth):
            tree.places += [place, target]
            tree.parents += [tree.parents[node], len(tree.places) - 2]
            tree.parents[node] = len(tree.places) - 2
            return True
    return False


def _is_free(
    pieces: list[tuple[Floats, Floats, float]],
    tree: Tree,
    node: int,
    same: list[Tree],
    others: list[Tree],
    vessels: dict[int, tuple[Floats, Floats, Floats]],
    depth: Floats,
) -> bool:
    """Whether new pieces stay in the liver and clear of all vessels but those they are joined to."""
    _, end, radius = pieces[2]
    fork = pieces[2][0]
    along = fork + np.linspace(0.2, 1.0, 8)[:, None] * (end - fork)
    indices = np.rint((along - LOW) / VOXEL).astype(int)
    if (depth[tuple(indices.T)] < DEPTH - 2.0).any():
        return False
    for start, stop, radius in pieces:
        for other, clearance in [(o, CLEARANCE) for o in others] + [(o, OWN_CLEARANCE) for o in same]:
            starts, ends, radii = vessels[id(other)]
            room = _between(start, stop, starts, ends) - radius - radii[1:] - clearance
            if other is tree:
                joined = {node, tree.parents[node]} | {n for n, parent in enumerate(tree.parents) if parent == node}
                joined |= {n for n, parent in enumerate(tree.parents) if parent == tree.parents[node]}
                room[[n - 1 for n in joined if n > 0]] = np.inf
            elif clearance == OWN_CLEARANCE and np.allclose(start, other.places[0]):
                continue  # Veins meet at their roots.
            if (room < 0.0).any():
                return False
    return True


def _distance_to(place: Floats, starts: Floats, ends: Floats) -> Floats:
    along = ends - starts
    part = np.clip(((place - starts) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0.0, 1.0)
    return np.linalg.norm(place - starts - part[..., None] * along, axis=-1)


def _between(start: Floats, stop: Floats, starts: Floats, ends: Floats) -> Floats:
    """Distance of a segment from others, from points spread along it."""
    places = start + np.linspace(0.0, 1.0, 12)[:, None, None] * (stop - start)
    return _distance_to(places, starts, ends).min(axis=0)


def _separate(portal: Tree, veins: list[Tree]) -> None:
    """Take out the thinner of two branches wherever the trees come too near each other."""
    while True:
        near = []
        for vein in veins:
            for first, second in itertools.product(portal.branches(), vein.branches()):
                far = np.linalg.norm(first.points[:, None] - second.points, axis=-1)
                if (far - first.radii[:, None] - second.radii < LEAST_CLEARANCE).any():
                    thin = (portal, first) if first.radii[0] < second.radii[0] else (vein, second)
                    near.append((thin[1].radii[0], id(thin[0]), thin[1].node, thin[0]))
        if not near:
            return
        _, _, node, tree = min(near)
        tree.without({node})


def _place_tumour(trees: list[Tree], depth: Floats) -> Floats:
    """Find a place beside a branch of the right size that disturbs few vessels; those in the way are taken out."""
    reach, options = TUMOUR_RADIUS + TUMOUR_GAP + 1.0, []
    for tree in trees:
        for start, end, radius in zip(*tree.segments(), strict=True):
            if not BESIDE[0] + 0.3 <= 2.0 * radius <= BESIDE[1] or np.linalg.norm(end - start) < 12.0:
                continue
            along = (end - start) / np.linalg.norm(end - start)
            first = np.cross(along, (0.31, 0.5, 0.81))
            first /= np.linalg.norm(first)
            for angle in np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False):
                side = np.cos(angle) * first + np.sin(angle) * np.cross(along, first)
                centre = 0.5 * (start + end) + (radius + TUMOUR_GAP + TUMOUR_RADIUS) * side
                index = np.rint((centre - LOW) / VOXEL).astype(int)
                if (index < 0).any() or (index >= depth.shape).any() or not 24.0 <= depth[tuple(index)] <= 40.0:
                    continue
                every = [(_distance_to(centre, s, e) - r, r) for s, e, r in (tree.segments() for tree in trees)]
                hit = np.concatenate([r[gap < reach] for gap, r in every])
                kept = 2.0 * hit > GIVING_WAY
                if kept.sum() <= 3:
                    options.append((float((hit[~kept] ** 3).sum()), tuple(centre)))
    centre = np.array(min(options)[1])
    while True:
        # Fewer terminals change the radii a little: keep to the wanted distance.
        branches = [(tree, branch) for tree in trees for branch in tree.branches()]
        gaps = [float((np.linalg.norm(b.points - centre, axis=1) - b.radii).min()) for _, b in branches]
        thin = [2.0 * branch.radii[0] < GIVING_WAY for _, branch in branches]
        blocking = [n for n, gap in enumerate(gaps) if thin[n] and gap < reach]
        if blocking:
            tree, branch = branches[min(blocking, key=lambda n: gaps[n])]
            tree.without({branch.node})
            continue
        number = int(np.argmin(np.where(thin, np.inf, gaps)))
        off = TUMOUR_RADIUS + TUMOUR_GAP - gaps[number]
        if abs(off) < 0.05:
            return centre
        points = branches[number][1].points
        away = centre - points[int(np.argmin(np.linalg.norm(points - centre, axis=1)))]
        centre = centre + off * away / np.linalg.norm(away)


def _with_cava(veins: list[list[Branch]]) -> list[Branch]:
    """One tree: the vena cava above where the veins enter as the trunk, its lower part and the veins behind it."""
    found = []
    lower, middle, upper = (np.array(place, dtype=float) for place in CAVA)
    for first, last, parent in ((upper, middle, -1), (middle, lower, 0)):
        points = np.linspace(first, last, 16)
        found.append(Branch(points, np.full(len(points), CAVA_RADIUS), parent))
    for vein in veins:
        shift = len(found)
        found += [replace(b, parent=0 if b.parent < 0 else b.parent + shift) for b in vein]
    return found


def _draw(liver: NDArray[np.bool_], trees: dict[str, list[Branch]], centre: Floats) -> NDArray[np.uint8]:
    """Label image: a voxel belongs to a vessel when its centre does, or a thin vessel's axis passes through it."""
    labels = np.where(liver, LIVER, 0).astype(np.uint8)
    places = _grid()
    away = places - centre
    # A little uneven, as tumours are.
    direction = away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9)
    uneven = (
        0.5 * np.sin(3.0 * direction[..., 0] + 1.0) * np.cos(4.0 * direction[..., 1]) + 0.4 * direction[..., 2] ** 3
    )
    labels[np.linalg.norm(away, axis=-1) < TUMOUR_RADIUS + uneven] = TUMOUR
    for name, label in (("hepatic", HEPATIC_VEINS), ("portal", PORTAL_VEIN)):
        for branch in trees[name]:
            for (start, end), radius in zip(itertools.pairwise(branch.points), branch.radii, strict=False):
                radius = max(radius, 0.8 * VOXEL)
                begin = np.maximum(np.floor((np.minimum(start, end) - radius - LOW) / VOXEL).astype(int), 0)
                stop = np.ceil((np.maximum(start, end) + radius - LOW) / VOXEL).astype(int) + 1
                block = tuple(slice(b, s) for b, s in zip(begin, stop, strict=True))
                near = _distance_to(places[block], start, end) < radius
                labels[block][near] = label
    return labels


def _write_trees(trees: dict[str, list[Branch]], path: Path) -> None:
    """Write centrelines in millimetres, one row a point; no two branches have the same number."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["tree", "branch", "parent", "x_mm", "y_mm", "z_mm", "radius_mm"])
        first = 0
        for name, branches in trees.items():
            for number, branch in enumerate(branches, start=first):
                parent = "" if branch.parent < 0 else branch.parent + first
                for place, radius in zip(branch.points, branch.radii, strict=True):
                    writer.writerow([name, number, parent, *(f"{x:.2f}" for x in place), f"{radius:.2f}"])
            first += len(branches)


def _describe(labels: NDArray[np.uint8], trees: dict[str, list[Branch]], centre: Floats, depth: Floats) -> None:
    for label, name in ((1, "liver"), (2, "hepatic veins"), (3, "portal vein"), (4, "tumour")):
        print(f"{name}: {np.count_nonzero(labels == label) * VOXEL**3 / 1e3:.1f} mL")
    for name, branches in trees.items():
        thickest, thinnest = (2.0 * f(b.radii[0] for b in branches) for f in (max, min))
        print(f"{name}: {len(branches)} branches, diameters {thinnest:.1f} to {thickest:.1f} mm")
        gap, diameter, number = min(
            (float((np.linalg.norm(b.points - centre, axis=1) - b.radii).min()) - TUMOUR_RADIUS, 2.0 * b.radii[0], n)
            for n, b in enumerate(branches)
        )
        print(f"  nearest to the tumour: branch {number}, {diameter:.1f} mm, {gap:.1f} mm from its surface")
    portal, veins = (ndimage.distance_transform_edt(labels != label, sampling=VOXEL) for label in (3, 2))
    print(f"trees are at least {portal[labels == 2].min():.1f} mm apart, centre to centre of voxels")
    print(
        f"tumour: centre {np.round(centre, 1)} mm RAS, {depth[tuple(np.rint((centre - LOW) / VOXEL).astype(int))]:.0f}"
        " mm below the surface"
    )
    direction, clearance, length = _way_in(np.minimum(portal, veins), depth, centre)
    print(f"way in: direction {np.round(direction, 2)}, {length:.0f} mm of liver, {clearance:.1f} mm from any vessel")


def _way_in(vessels: Floats, depth: Floats, centre: Floats) -> tuple[Floats, float, float]:
    """Direction of a straight shaft from the front or the right side with the most room beside it."""
    best = (np.zeros(3), -1.0, 0.0)
    for azimuth, elevation in itertools.product(np.radians(range(-30, 121, 5)), np.radians(range(-40, 31, 5))):
        flat = np.cos(elevation)
        direction = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
        travel = np.arange(-20.0, 200.0, 1.0)
        indices = np.rint((centre + travel[:, None] * direction - LOW) / VOXEL).astype(int)
        valid = ((indices >= 0) & (indices < depth.shape)).all(axis=1)
        indices, travel = indices[valid], travel[valid]
        inside = depth[tuple(indices.T)] > 0.0
        outside = np.flatnonzero(~inside & (travel > 0.0))
        last = outside[0] if len(outside) else len(travel)
        clearance = float(vessels[tuple(indices[:last].T)].min())
        if clearance > best[1]:
            best = (direction, clearance, float(travel[last - 1]))
    return best


if __name__ == "__main__":
    main()
