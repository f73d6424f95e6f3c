"""The least capital for the risk that is wanted: problems, optima, and the proof of each."""

from pmkit.optimize.jobs.band_replay import BandReplay, replay_bands
from pmkit.optimize.jobs.close import CloseOrder, close_first
from pmkit.optimize.jobs.collateral import Asset, CollateralPlan, Obligation, Terms, allocate_collateral
from pmkit.optimize.jobs.frontier import Frontier, frontier
from pmkit.optimize.jobs.hedge import HedgePlan, hedge
from pmkit.optimize.jobs.rebalancing import RebalancingBand, rebalancing_band
from pmkit.optimize.jobs.venues import VenueSplit, split_across_venues
from pmkit.optimize.legs import Leg, Legs, legs_at_cost, legs_from_quotes
from pmkit.optimize.limits import AtMost, Band, Constraint, LongOnly, NoTrade
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import Term
from pmkit.optimize.terms.quadratic import Variance
from pmkit.optimize.terms.requirement import Requirement, optimisable_rules
from pmkit.optimize.terms.shortfall import Shortfall
from pmkit.optimize.terms.simple import Cost, ExpectedLoss, Premium, Weighted, Worst
from pmkit.optimize.trust.hedged_book import HedgedBook
from pmkit.optimize.trust.resample import Resampled, fresh_shortfall, resampled_optima
from pmkit.optimize.trust.robust import RobustHedge, robust_hedge
from pmkit.optimize.trust.stressed import StressedOptima, stressed_optima
from pmkit.optimize.trust.walk import WalkedHedge, walk_hedge

__all__ = [
    "Asset",
    "AtMost",
    "Band",
    "BandReplay",
    "CloseOrder",
    "CollateralPlan",
    "Constraint",
    "Cost",
    "ExpectedLoss",
    "Frontier",
    "HedgePlan",
    "HedgedBook",
    "Leg",
    "Legs",
    "LongOnly",
    "NoTrade",
    "Obligation",
    "Optimum",
    "Premium",
    "Problem",
    "RebalancingBand",
    "Requirement",
    "Resampled",
    "RobustHedge",
    "Shortfall",
    "StressedOptima",
    "Term",
    "Terms",
    "Variance",
    "VenueSplit",
    "WalkedHedge",
    "Weighted",
    "Worst",
    "allocate_collateral",
    "close_first",
    "fresh_shortfall",
    "frontier",
    "hedge",
    "legs_at_cost",
    "legs_from_quotes",
    "optimisable_rules",
    "rebalancing_band",
    "replay_bands",
    "resampled_optima",
    "robust_hedge",
    "split_across_venues",
    "stressed_optima",
    "walk_hedge",
]
