"""What a person sees of a run: figures, one self-contained HTML page, and files for other programs."""

from ablationsim.report.data import AntennaDrawing, ApplicatorDrawing, Citation, MeasuredRow, Parameter, ReportData
from ablationsim.report.html import write_report

__all__ = [
    "AntennaDrawing",
    "ApplicatorDrawing",
    "Citation",
    "MeasuredRow",
    "Parameter",
    "ReportData",
    "write_report",
]
