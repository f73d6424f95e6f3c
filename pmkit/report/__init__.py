"""What a reader gets: the pictures of a margin and the report as one HTML file."""

from pmkit.report.explorer import ExplorerPanel, ExplorerPicture, ExplorerView, MarginExplorer
from pmkit.report.margin_report import margin_report, write_margin_report
from pmkit.report.plots import loss_distribution, margin_comparison, scenario_heatmap
from pmkit.report.profile import pnl_profile
from pmkit.report.rule_pictures import requirements_by_account, worst_scenarios
from pmkit.report.style import house_style
from pmkit.report.surface_pictures import smiles, surface_map, term_structure
from pmkit.report.validation import (
    ReportTable,
    Section,
    ValidationConfig,
    ValidationReport,
    account_book,
    load_validation_config,
    validate,
)
from pmkit.report.verdict_pictures import (
    backtest_path,
    margin_waterfall,
    procyclicality_picture,
    traffic_light,
)

__all__ = [
    "ExplorerPanel",
    "ExplorerPicture",
    "ExplorerView",
    "MarginExplorer",
    "ReportTable",
    "Section",
    "ValidationConfig",
    "ValidationReport",
    "account_book",
    "backtest_path",
    "house_style",
    "load_validation_config",
    "loss_distribution",
    "margin_comparison",
    "margin_report",
    "margin_waterfall",
    "pnl_profile",
    "procyclicality_picture",
    "requirements_by_account",
    "scenario_heatmap",
    "smiles",
    "surface_map",
    "term_structure",
    "traffic_light",
    "validate",
    "worst_scenarios",
    "write_margin_report",
]
