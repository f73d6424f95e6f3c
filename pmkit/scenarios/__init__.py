"""What may happen: grids, historical and filtered historical scenarios of spot, vol and basis."""

from pmkit.scenarios.filtered import filtered_historical
from pmkit.scenarios.grid import grid, table
from pmkit.scenarios.historical import historical
from pmkit.scenarios.refit import refit_scenarios
from pmkit.scenarios.response import FactorResponse, UnderlyingResponse, factor_response
from pmkit.scenarios.scenario_set import Factor, ScenarioSet, TermScaling

__all__ = [
    "Factor",
    "FactorResponse",
    "ScenarioSet",
    "TermScaling",
    "UnderlyingResponse",
    "factor_response",
    "filtered_historical",
    "grid",
    "historical",
    "refit_scenarios",
    "table",
]
