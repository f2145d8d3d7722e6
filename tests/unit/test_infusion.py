"""Water that an applicator infuses into tissue that dries."""

from __future__ import annotations

import numpy as np
import pytest
from verification.cases_march import BODY
from verification.cases_meshes import cylinder

from ablationsim.device import Device
from ablationsim.fem.kernels import Array
from ablationsim.fem.space import P1Space
from ablationsim.physics.bioheat import Bioheat
from ablationsim.physics.vapour import Supply, Vapour
from ablationsim.tissue import Tissue
from ablationsim.units import ZERO_CELSIUS

SPACE = P1Space(cylinder(8, 0.01, 0.02))
LIVER = Tissue.load("liver_porcine_ex_vivo")
BIOHEAT = Bioheat(SPACE, LIVER, (), reference=BODY)
MASS = np.asarray(SPACE.lumped_mass)
NEAR = (SPACE.mesh.points[:, 0] < 0.005).astype(float)  # within 5 mm of the axis
WATER = LIVER.vaporisation_energy / LIVER.value("latent_heat")  # kg/m3: of moist tissue
HOT, WARM = ZERO_CELSIUS + 110.0, ZERO_CELSIUS + 50.0


def after(temperature: float | Array, lost: float, flow: float, dt: float) -> tuple[Array, Array, Array, float]:
    """Temperature, lost water, heat on its way and what the heat changed by, of tissue that is infused."""
    before, dry = np.broadcast_to(temperature, SPACE.n_nodes).copy(), np.full(SPACE.n_nodes, lost)
    vapour = Vapour(BIOHEAT, LIVER, [Supply(flow, NEAR)])
    found, now, leaving = vapour.leave(before, dry, dt)
    heat = [float((MASS * BIOHEAT.enthalpy(t, w)[0]).sum()) for t, w in ((before, dry), (found, now))]
    return found, now, np.broadcast_to(leaving, MASS.shape), heat[1] - heat[0] + float(np.sum(leaving))


def test_gives_what_flows_to_what_it_reaches() -> None:
    # At 50 degC nothing boils: what comes back beside the infusion is that of the tissue itself.
    flow, dt = 1e-9, 2.0
    _, alone, _, _ = after(WARM, 1.0, 0.0, dt)
    _, now, leaving, _ = after(WARM, 1.0, flow, dt)
    assert float((MASS * WATER * (alone - now)).sum()) == pytest.approx(1000.0 * flow * dt, rel=1e-9)
    assert (now[NEAR == 0.0] == alone[NEAR == 0.0]).all()
    assert (now[NEAR == 1.0] < alone[NEAR == 1.0]).all()
    assert not leaving.any()


def test_gives_no_more_than_is_missing() -> None:
    _, now, _, _ = after(WARM, 0.5, 1.0, 1.0)
    assert now[NEAR == 1.0] == pytest.approx(0.0, abs=1e-12)
    assert (now[NEAR == 0.0] > 0.4).all()


def test_nothing_happens_to_moist_tissue() -> None:
    found, now, leaving, _ = after(WARM, 0.0, 1.0, 1.0)
    assert (found == WARM).all()
    assert not now.any()
    assert not leaving.any()


def test_water_on_hot_dried_tissue_boils_and_carries_its_heat_away() -> None:
    radius = SPACE.mesh.points[:, 0]
    hot = radius < 0.0075
    found, now, leaving, change = after(np.where(hot, HOT, WARM), 1.0, 2e-9, 1.0)
    assert (found[NEAR == 1.0] < HOT - 0.1).all()
    assert found[NEAR == 0.0] == pytest.approx(np.where(hot, HOT, WARM)[NEAR == 0.0])
    assert now[hot] == pytest.approx(1.0, abs=1e-6)
    assert leaving[hot] == pytest.approx(0.0, abs=1e-3 * leaving.max())
    assert float(leaving.sum()) == pytest.approx(1000.0 * 2e-9 * LIVER.value("latent_heat"), rel=0.05)
    # Neither made nor lost, up to the tables of the inverse.
    assert change == pytest.approx(0.0, abs=0.02 * float(leaving.sum()))


def test_of_the_perfused_needle_only() -> None:
    flows = {name: device.infusion.flow for name in Device.names() if (device := Device.load(name)).infusion}
    assert list(flows) == ["rfa_uniblate_like"]
    assert 0.0 < flows["rfa_uniblate_like"] <= 0.2e-6 / 60.0
