"""Make the picture of docs/patient-state.md: ``python docs/make_patient_state.py``.

Fits the perfusion of a small radiofrequency ablation, on a coarse mesh, to a volume that was made up. Writes
``docs/assets/patient-state``.
"""

from __future__ import annotations

from make_figures import ASSETS, small

from ablationsim import Case
from ablationsim.report.figures import png
from ablationsim.report.perfusion_fit import picture
from ablationsim.study.perfusion_fit import fit_perfusion
from ablationsim.study.perfusion_trial import Measured

FOLDER = ASSETS / "patient-state"
CASE = {
    "title": "Baseline",
    "device": {"profile": "rfa_cooltip_17g_2cm_like"},
    "protocol": [{"mode": "power", "power": "40 W", "duration": "3 min"}],
    "tissue": {"set": "liver_human"},
    "mesh": {"resolution": 4.0},
    "time": {"tolerance": 4.0},
}


def main() -> None:
    """Run the trials and draw them."""
    found = fit_perfusion(Case.from_dict(CASE), Measured(volume_ml=5.5), told=print)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "fit.png").write_bytes(small(png(picture(found))))


if __name__ == "__main__":
    main()
