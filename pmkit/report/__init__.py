"""What a reader gets: the pictures of a margin and the report as one HTML file."""

from pmkit.report.margin_report import margin_report, write_margin_report
from pmkit.report.plots import loss_distribution, margin_comparison, scenario_heatmap
from pmkit.report.profile import pnl_profile
from pmkit.report.style import house_style

__all__ = [
    "house_style",
    "loss_distribution",
    "margin_comparison",
    "margin_report",
    "pnl_profile",
    "scenario_heatmap",
    "write_margin_report",
]
