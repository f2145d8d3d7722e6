"""The ablation zone: extraction from nodal fields, size and shape, contraction, and the content of zone.json."""

from ablationsim.zone.contraction import UNIFORM, contracted, history_contraction, moved, uniform_contraction
from ablationsim.zone.displaced import displaced_tissue
from ablationsim.zone.document import isotherm_metrics, zone_document
from ablationsim.zone.extract import Surface, zone_surface, zone_volume
from ablationsim.zone.metrics import ZoneMetrics, measure

__all__ = [
    "UNIFORM",
    "Surface",
    "ZoneMetrics",
    "contracted",
    "displaced_tissue",
    "history_contraction",
    "isotherm_metrics",
    "measure",
    "moved",
    "uniform_contraction",
    "zone_document",
    "zone_surface",
    "zone_volume",
]
