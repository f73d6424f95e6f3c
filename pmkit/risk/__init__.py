"""What scenarios cost: revaluation to a P&L cube, measures with their errors, attribution, worst cases."""

from pmkit.risk.accounts import account_measures
from pmkit.risk.accounts_result import AccountMeasures
from pmkit.risk.adversarial import (
    Ellipsoid,
    FoundScenario,
    QuadraticWorst,
    delta_gamma_worst,
    reverse_stress,
    scenario_covariance,
    worst_scenario,
)
from pmkit.risk.attribution import (
    GROUPINGS,
    PNL_PARTS,
    RISK_CLASSES,
    AccountLines,
    EulerAttribution,
    PnLExplain,
    ShapleyAttribution,
    account_lines,
    euler_es,
    explain_pnl,
    shapley,
    shapley_by_risk_class,
)
from pmkit.risk.chunks import measures_in_chunks, revalue_in_chunks
from pmkit.risk.collateral import CurrencyMoves
from pmkit.risk.compile import warmup_accounts
from pmkit.risk.cube import STABLECOINS, PnLCube
from pmkit.risk.interpolate import revalue_grid
from pmkit.risk.interpolate_result import GridRevaluation
from pmkit.risk.measures import (
    MEASURE_METHODS,
    QUANTILE_RULES,
    RiskFigure,
    Spectrum,
    expansion_is_increasing,
    expansion_moments,
    expected_shortfall,
    expectile,
    matched_parameters,
    spectral_risk,
    value_at_risk,
)
from pmkit.risk.projected import ShockedCubes, revalue_shocked, surface_shocks
from pmkit.risk.revalue import revalue
from pmkit.risk.revalue_gap import RevaluationGap, revaluation_gap
from pmkit.risk.screened import option_tails
from pmkit.risk.tail import tail_check
from pmkit.risk.taylor import TAYLOR_TERMS, revalue_taylor
from pmkit.risk.uncertainty import (
    EstimationError,
    Influence,
    estimation_error,
    leave_one_date_out,
    window_error,
)
from pmkit.risk.what_if import TradeMeasures, trade_measures

__all__ = [
    "GROUPINGS",
    "MEASURE_METHODS",
    "PNL_PARTS",
    "QUANTILE_RULES",
    "RISK_CLASSES",
    "STABLECOINS",
    "TAYLOR_TERMS",
    "AccountLines",
    "AccountMeasures",
    "CurrencyMoves",
    "Ellipsoid",
    "EstimationError",
    "EulerAttribution",
    "FoundScenario",
    "GridRevaluation",
    "Influence",
    "PnLCube",
    "PnLExplain",
    "QuadraticWorst",
    "RevaluationGap",
    "RiskFigure",
    "ShapleyAttribution",
    "ShockedCubes",
    "Spectrum",
    "TradeMeasures",
    "account_lines",
    "account_measures",
    "delta_gamma_worst",
    "estimation_error",
    "euler_es",
    "expansion_is_increasing",
    "expansion_moments",
    "expected_shortfall",
    "expectile",
    "explain_pnl",
    "leave_one_date_out",
    "matched_parameters",
    "measures_in_chunks",
    "option_tails",
    "revaluation_gap",
    "revalue",
    "revalue_grid",
    "revalue_in_chunks",
    "revalue_shocked",
    "revalue_taylor",
    "reverse_stress",
    "scenario_covariance",
    "shapley",
    "shapley_by_risk_class",
    "spectral_risk",
    "surface_shocks",
    "tail_check",
    "trade_measures",
    "value_at_risk",
    "warmup_accounts",
    "window_error",
    "worst_scenario",
]
