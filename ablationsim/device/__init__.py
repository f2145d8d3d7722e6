"""Devices: profiles, protocols and the controllers of their generators."""

from ablationsim.device.profile import Device
from ablationsim.device.protocol import Step

__all__ = ["Device", "Step"]
