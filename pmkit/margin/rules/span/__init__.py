"""``span``: sixteen scenarios, spreads, delivery, credits and the short option minimum."""

from pmkit.margin.rules.span.arrays import RiskArray, RiskArrays
from pmkit.margin.rules.span.pricing import composite_delta, price_scan_range, risk_arrays_of
from pmkit.margin.rules.span.rule import Span
from pmkit.margin.rules.span.scenarios import scenario_table
from pmkit.margin.rules.span.spreads import delivery_charge, intercommodity_credits, intermonth_charge

__all__ = [
    "RiskArray",
    "RiskArrays",
    "Span",
    "composite_delta",
    "delivery_charge",
    "intercommodity_credits",
    "intermonth_charge",
    "price_scan_range",
    "risk_arrays_of",
    "scenario_table",
]
