"""Measures of a P&L vector: VaR and ES by named estimators, spectral measures and the expectile."""

from pmkit.risk.measures.cornish_fisher import (
    expansion_is_increasing,
    expansion_moments,
    matched_parameters,
)
from pmkit.risk.measures.empirical import MEASURE_METHODS, QUANTILE_RULES, expected_shortfall, value_at_risk
from pmkit.risk.measures.expectile import expectile
from pmkit.risk.measures.figure import RiskFigure
from pmkit.risk.measures.spectral import Spectrum, spectral_risk

__all__ = [
    "MEASURE_METHODS",
    "QUANTILE_RULES",
    "RiskFigure",
    "Spectrum",
    "expansion_is_increasing",
    "expansion_moments",
    "expected_shortfall",
    "expectile",
    "matched_parameters",
    "spectral_risk",
    "value_at_risk",
]
