"""The ablation zone: extraction from nodal fields, size and shape, contraction, and the content of zone.json."""

from ablationsim.zone.contraction import contracted
from ablationsim.zone.document import isotherm_metrics, zone_document
from ablationsim.zone.extract import Surface, zone_surface, zone_volume
from ablationsim.zone.metrics import ZoneMetrics, measure

__all__ = [
    "Surface",
    "ZoneMetrics",
    "contracted",
    "isotherm_metrics",
    "measure",
    "zone_document",
    "zone_surface",
    "zone_volume",
]
