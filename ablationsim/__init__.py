"""ablationsim: finite-element prediction of thermal ablation zones in the liver.

Research software, not a medical device.

>>> import ablationsim
>>> case = ablationsim.Case.load("case.toml")
>>> result = ablationsim.simulate(case)
>>> result.zone.volume_ml
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablationsim.anatomy import Anatomy
    from ablationsim.case import Case
    from ablationsim.device import Device
    from ablationsim.errors import AblationSimError
    from ablationsim.results import Result
    from ablationsim.simulate import simulate
    from ablationsim.tissue import Tissue

__version__ = "0.1.0"
__all__ = ["AblationSimError", "Anatomy", "Case", "Device", "Result", "Tissue", "__version__", "simulate"]

_HOMES = {
    "AblationSimError": "ablationsim.errors",
    "Anatomy": "ablationsim.anatomy",
    "Case": "ablationsim.case",
    "Device": "ablationsim.device",
    "Result": "ablationsim.results",
    "Tissue": "ablationsim.tissue",
    "simulate": "ablationsim.simulate",
}


def __getattr__(name: str) -> Any:
    # Numerics are imported when first used: the command line answers at once and a cluster's login node stays light.
    if name not in _HOMES:
        raise AttributeError(f"module 'ablationsim' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
