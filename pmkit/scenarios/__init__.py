"""What may happen: grids, stresses, historical, filtered and simulated scenarios of every risk factor."""

from pmkit.scenarios.age_weighted import age_weighted, age_weights
from pmkit.scenarios.combine import concatenate, cross, join
from pmkit.scenarios.conditional import ConditionalMoves
from pmkit.scenarios.copula_paths import copula_simulated
from pmkit.scenarios.factor_covariance import FactorCovariance
from pmkit.scenarios.factors import Factor, FactorKind, TermScaling
from pmkit.scenarios.filtered import filtered_historical
from pmkit.scenarios.grid import grid, grid_over_time, table
from pmkit.scenarios.historical import historical
from pmkit.scenarios.joint_compile import warmup_joint
from pmkit.scenarios.joint_filtered import joint_filtered
from pmkit.scenarios.lists import ScanRow, from_frame, scan_list
from pmkit.scenarios.montecarlo import (
    Convergence,
    GarchPaths,
    JumpDiffusion,
    KouJumps,
    MertonJumps,
    StudentLaw,
    convergence,
    monte_carlo,
)
from pmkit.scenarios.refit import refit_scenarios
from pmkit.scenarios.response import FactorResponse, UnderlyingResponse, factor_response
from pmkit.scenarios.response_covariance import factor_covariance
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.scenarios.storage import load_scenarios
from pmkit.scenarios.stressed_weights import append_stressed, stressed_weights
from pmkit.scenarios.stresses import StressEvent, list_stresses, stress, stress_event
from pmkit.scenarios.vol_scaled import scale_ratio, volatility_scaled

__all__ = [
    "ConditionalMoves",
    "Convergence",
    "Factor",
    "FactorCovariance",
    "FactorKind",
    "FactorResponse",
    "GarchPaths",
    "JumpDiffusion",
    "KouJumps",
    "MertonJumps",
    "ScanRow",
    "ScenarioSet",
    "StressEvent",
    "StudentLaw",
    "TermScaling",
    "UnderlyingResponse",
    "age_weighted",
    "age_weights",
    "append_stressed",
    "concatenate",
    "convergence",
    "copula_simulated",
    "cross",
    "factor_covariance",
    "factor_response",
    "filtered_historical",
    "from_frame",
    "grid",
    "grid_over_time",
    "historical",
    "join",
    "joint_filtered",
    "list_stresses",
    "load_scenarios",
    "monte_carlo",
    "refit_scenarios",
    "scale_ratio",
    "scan_list",
    "stress",
    "stress_event",
    "stressed_weights",
    "table",
    "volatility_scaled",
    "warmup_joint",
]
