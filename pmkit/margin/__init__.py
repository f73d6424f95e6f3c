"""What must be held: accounts, dated rules, one shape of result, and rules compared on one basis."""

from pmkit.margin.account import Account
from pmkit.margin.compare import Comparison, compare
from pmkit.margin.conform import Conformance, conform
from pmkit.margin.feeds import CollateralFeed, ExpiryFeed, Feeds, UnderlyingFeed
from pmkit.margin.parameters import list_parameter_sets
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import rule, rules
from pmkit.margin.shock_margin import ShockMargin, shock_margin
from pmkit.margin.what_if import WhatIf, what_if

__all__ = [
    "Account",
    "CollateralFeed",
    "Comparison",
    "Conformance",
    "ExpiryFeed",
    "Feeds",
    "MarginResult",
    "ShockMargin",
    "UnderlyingFeed",
    "WhatIf",
    "compare",
    "conform",
    "list_parameter_sets",
    "rule",
    "rules",
    "shock_margin",
    "what_if",
]
