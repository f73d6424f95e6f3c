"""Parts on top of a rule, each of which can be switched off: liquidity, concentration, credit and more."""

from pmkit.margin.addons.assembled import AssembledRule, with_parts
from pmkit.margin.addons.base import Part, PartCharge, PartInput
from pmkit.margin.addons.basis import BasisRisk
from pmkit.margin.addons.concentration import Concentration
from pmkit.margin.addons.credit import Counterparty
from pmkit.margin.addons.effects import PartEffects
from pmkit.margin.addons.liquidity import SpreadCost, VolumeDays
from pmkit.margin.addons.offsets import CollateralWrongWay, DiversificationCap

__all__ = [
    "AssembledRule",
    "BasisRisk",
    "CollateralWrongWay",
    "Concentration",
    "Counterparty",
    "DiversificationCap",
    "Part",
    "PartCharge",
    "PartEffects",
    "PartInput",
    "SpreadCost",
    "VolumeDays",
    "with_parts",
]
