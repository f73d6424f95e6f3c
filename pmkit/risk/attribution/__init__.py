"""Attribution that adds up: Euler components of ES, Shapley values, and P&L explain."""

from pmkit.risk.attribution.euler import EulerAttribution, euler_es
from pmkit.risk.attribution.explain import PNL_PARTS, PnLExplain, explain_pnl
from pmkit.risk.attribution.lines import GROUPINGS, AccountLines, account_lines
from pmkit.risk.attribution.risk_classes import RISK_CLASSES, shapley_by_risk_class
from pmkit.risk.attribution.shapley import ShapleyAttribution, shapley

__all__ = [
    "GROUPINGS",
    "PNL_PARTS",
    "RISK_CLASSES",
    "AccountLines",
    "EulerAttribution",
    "PnLExplain",
    "ShapleyAttribution",
    "account_lines",
    "euler_es",
    "explain_pnl",
    "shapley",
    "shapley_by_risk_class",
]
