"""Parts on top of a rule, each of which can be switched off: liquidity, concentration, credit and more."""

from pmkit.margin.addons.assembled import AssembledRule
from pmkit.margin.addons.base import Part, PartCharge, PartInput
from pmkit.margin.addons.basis import BasisRisk
from pmkit.margin.addons.build import assembled_rule, with_parts
from pmkit.margin.addons.concentration import Concentration
from pmkit.margin.addons.credit import Counterparty
from pmkit.margin.addons.effects import PartEffects
from pmkit.margin.addons.liquidity import SpreadCost, VolumeDays
from pmkit.margin.addons.offsets import CollateralWrongWay, DiversificationCap
from pmkit.margin.addons.stress import StressPeriod, WorstCaseCorrelationMode
from pmkit.margin.addons.tail import MeasuredTail
from pmkit.margin.addons.windows import CorrelationBreak, Subsamples

__all__ = [
    "AssembledRule",
    "BasisRisk",
    "CollateralWrongWay",
    "Concentration",
    "CorrelationBreak",
    "Counterparty",
    "DiversificationCap",
    "MeasuredTail",
    "Part",
    "PartCharge",
    "PartEffects",
    "PartInput",
    "SpreadCost",
    "StressPeriod",
    "Subsamples",
    "VolumeDays",
    "WorstCaseCorrelationMode",
    "assembled_rule",
    "with_parts",
]
