"""What this installation can do: libraries, system libraries, and small runs that prove it."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ablationsim.errors import AblationSimError

_PACKAGES = (
    "numpy", "scipy", "scikit-fem", "numba", "pyamg", "gmsh", "meshio", "matplotlib", "pydantic", "pint", "jinja2",
    "pyvista", "nibabel", "SimpleITK",
)  # fmt: skip
_SYSTEM = (
    (
        "system libraries of gmsh",
        ("libGL.so.1", "libGLU.so.1", "libXcursor.so.1", "libXft.so.2", "libXinerama.so.1"),
        "libgl1 libglu1-mesa libxcursor1 libxft2 libxinerama1",
    ),
    ("system libraries of pictures in space", ("libEGL.so.1",), "libegl1 libgl1-mesa-dri"),
)
"""What needs them, the libraries, and the packages of Debian and Ubuntu that bring them."""


@dataclass(frozen=True)
class Finding:
    """One line of the examination: what was looked for, what was found, and how to mend it."""

    name: str
    ok: bool
    found: str
    cure: str = ""


def examine() -> list[Finding]:
    """Look at the installation; the last findings come from runs, which also compile the kernels for later ones."""
    return [
        *_libraries(),
        *_system(),
        _tried("device profiles", _profiles),
        _tried("trial run", lambda: _trial_run("rfa_cooltip_17g_3cm_like", "RFA")),
        _tried("trial run", lambda: _trial_run("mwa_slot_reference", "MWA")),
    ]


def _libraries() -> Iterator[Finding]:
    good = sys.version_info >= (3, 11)
    yield Finding("Python", good, platform.python_version(), "" if good else "install Python 3.11 or newer")
    for name in _PACKAGES:
        found = _version(name)
        yield Finding(name, found is not None, found or "not installed", "" if found else f"pip install {name}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _system() -> Iterator[Finding]:
    for title, libraries, packages in _SYSTEM:
        missing = [name for name in libraries if not _loads(name)]
        text = "not found: " + ", ".join(missing) if missing else "all found"
        yield Finding(title, not missing, text, f"Debian and Ubuntu: apt-get install {packages}" if missing else "")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _tried(name: str, trial: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, trial())
    except (AblationSimError, ImportError, OSError) as error:
        return Finding(name, False, str(error), "install ablationsim again; if that does not help, report this line")


def _profiles() -> str:
    from ablationsim.device import Device
    from ablationsim.tissue import Tissue

    names = Device.names()
    for name in names:
        Device.load(name)
    return f"{len(names)} devices, {len(Tissue.names())} tissue sets"


def _trial_run(profile: str, kind: str) -> str:
    import ablationsim

    case = ablationsim.Case.from_dict(
        {
            "device": {"profile": profile},
            "protocol": [{"mode": "power", "power": "50 W", "duration": "2 s"}],
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "zone": {"cooling": "0 s"},
            "mesh": {"resolution": 3.0},
        }
    )
    result = ablationsim.simulate(case)
    closes = result.document["energy_balance"]["relative_error"]
    return f"2 s of {kind} on {len(result.mesh.points)} nodes, energy balance closes to {100 * closes:.1g} %"
