"""Patients: what their label images show, read from the formats of hospitals and of segmentation programs."""

from ablationsim.anatomy.anatomy import Anatomy
from ablationsim.anatomy.distance import Distance
from ablationsim.anatomy.structure import ROLES, VESSELS, Role, Structure

__all__ = ["ROLES", "VESSELS", "Anatomy", "Distance", "Role", "Structure"]
