"""The point of a device that is put on what it is aimed at."""

from __future__ import annotations

from itertools import pairwise

from ablationsim.device import Device
from ablationsim.device.antenna import METAL, AntennaSpec
from ablationsim.device.profile import ApplicatorSpec

_OFF = 1e-6
"""How far from an edge of parts a material is looked up [m]."""


def aim(device: Device) -> float:
    """Return the height above the tip of the point that is put on a target [m].

    Of an electrode that is the middle of all that is bare, tines included. Of an antenna it is its feed: the slot or
    gap by which the wave leaves the line, or the middle between the outer edges of several. The section that radiates
    is no measure of it, since it may hold a choke.
    """
    if device.antenna is not None:
        return _feed(device.antenna, device.applicator)
    heights = []
    z = 0.0
    for part in device.applicator.sections:
        if part.terminal is not None:
            heights += [z, z + part.length]
        z += part.length
    heights += [height for tine in device.applicator.tines if tine.terminal is not None for _, height in tine.path]
    return 0.5 * (min(heights) + max(heights))


def _feed(antenna: AntennaSpec, applicator: ApplicatorSpec) -> float:
    """Middle of where, below the port, the inner conductor is there and nothing of metal is round it [m]."""
    surface, end = 0.5 * applicator.diameter, applicator.length
    inner, outer, port = antenna.port_extent(surface, end)
    edges = sorted(
        {z for part in antenna.parts for z in antenna.extent(part, surface, end)[2:] if z < port} | {0.0, port}
    )
    open_at = []
    for low, high in pairwise(edges):
        middle = 0.5 * (low + high)
        along, line, wall = (
            antenna.material_at(r, middle, surface, end) for r in (0.5 * inner, inner + _OFF, outer + _OFF)
        )
        if along == METAL and line != METAL and wall != METAL:
            open_at += [low, high]
    if not open_at:
        # An antenna that is open in a way that is not known here: the middle of what radiates.
        z = 0.0
        for part in applicator.sections:
            open_at += [z, z + part.length] if part.radiating else []
            z += part.length
    return 0.5 * (min(open_at) + max(open_at))
