"""What stands behind the positions: haircuts by tier, limits, dynamic haircuts, pooled equity, wrong way."""

from pmkit.margin.collateral.borrow import borrow_interest, kinked_borrow_rate
from pmkit.margin.collateral.dynamic import DynamicHaircut, dynamic_haircut, dynamic_haircuts
from pmkit.margin.collateral.pooled import pooled_equity
from pmkit.margin.collateral.terms import collateral_terms, eligible_collateral
from pmkit.margin.collateral.tiers import tiered_haircut
from pmkit.margin.collateral.value import CollateralValue, collateral_value
from pmkit.margin.collateral.wrong_way import WrongWay, wrong_way

__all__ = [
    "CollateralValue",
    "DynamicHaircut",
    "WrongWay",
    "borrow_interest",
    "collateral_terms",
    "collateral_value",
    "dynamic_haircut",
    "dynamic_haircuts",
    "eligible_collateral",
    "kinked_borrow_rate",
    "pooled_equity",
    "tiered_haircut",
    "wrong_way",
]
