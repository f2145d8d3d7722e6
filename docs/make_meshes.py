"""Pictures of the page on meshes: the sample anatomy, embedded and fitted. Run: python docs/make_meshes.py."""

from pathlib import Path

from make_figures import small

from ablationsim import Case
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.generate import mesh_of
from ablationsim.mesh.quality import MeshQuality
from ablationsim.report.figures import png
from ablationsim.report.mesh_quality import quality_figure, volumes_of

HERE = Path(__file__).parent
TARGET = HERE / "assets" / "meshes"
CASE = {
    "patient": {
        "labels": str(HERE.parent / "meshes" / "anatomy_labels.nii.gz"),
        "structures": {"liver": 1, "hepatic_vein": 2, "portal_vein": 3, "tumour": 4},
    },
    "tumour": {"set": "hcc"},
    "applicator": [
        {
            "name": "needle",
            "profile": "mwa_emprint_13g_like",
            "tip": ["53.1 mm", "26.1 mm", "-6.6 mm"],
            "direction": [0.25, 0.95, 0.17],
        }
    ],
    "tissue": {"set": "liver_cirrhotic"},
}


def main() -> None:
    """Write the pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, parts in (("embedded", {}), ("fitted", {"liver": "fitted", "tumour": "fitted"})):
        case = Case.from_dict({**CASE, "mesh": {"resolution": 3.0, **parts}})
        geometry = Geometry.from_case(case)
        mesh = mesh_of(case, geometry)
        quality = MeshQuality.of(mesh, volumes_of(case, geometry, mesh))
        (TARGET / f"{name}.png").write_bytes(small(png(quality_figure(case, geometry, mesh, quality))))
        print(name, quality.document())


if __name__ == "__main__":
    main()
