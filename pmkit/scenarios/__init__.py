"""What may happen: grids, historical and filtered historical scenarios of spot, vol and basis."""

from pmkit.scenarios.age_weighted import age_weighted, age_weights
from pmkit.scenarios.copula_paths import copula_simulated
from pmkit.scenarios.filtered import filtered_historical
from pmkit.scenarios.grid import grid, table
from pmkit.scenarios.historical import historical
from pmkit.scenarios.joint_compile import warmup_joint
from pmkit.scenarios.joint_filtered import joint_filtered
from pmkit.scenarios.refit import refit_scenarios
from pmkit.scenarios.response import FactorResponse, UnderlyingResponse, factor_response
from pmkit.scenarios.scenario_set import Factor, ScenarioSet, TermScaling
from pmkit.scenarios.stressed_weights import append_stressed, stressed_weights
from pmkit.scenarios.vol_scaled import scale_ratio, volatility_scaled

__all__ = [
    "Factor",
    "FactorResponse",
    "ScenarioSet",
    "TermScaling",
    "UnderlyingResponse",
    "age_weighted",
    "age_weights",
    "append_stressed",
    "copula_simulated",
    "factor_response",
    "filtered_historical",
    "grid",
    "historical",
    "joint_filtered",
    "refit_scenarios",
    "scale_ratio",
    "stressed_weights",
    "table",
    "volatility_scaled",
    "warmup_joint",
]
