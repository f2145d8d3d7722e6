"""Tissue: property sets with their sources, and the laws by which properties change with temperature."""

from ablationsim.tissue.dielectric import Dielectric
from ablationsim.tissue.tissue import Tissue, TissueTables

__all__ = ["Dielectric", "Tissue", "TissueTables"]
