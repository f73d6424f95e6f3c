"""What the past says about the next day: volatility, correlation, its repair and stress, dates redrawn."""

from pmkit.estimation.asynchronous import asynchronous_correlation
from pmkit.estimation.bands import CorrelationBands, correlation_bands
from pmkit.estimation.bootstrap import stationary_blocks
from pmkit.estimation.conditional_evt import ConditionalTail, conditional_tail
from pmkit.estimation.copula import Copula, fit_copula, pseudo_observations
from pmkit.estimation.correlation import CorrelationModel
from pmkit.estimation.correlation_compile import warmup_correlation
from pmkit.estimation.correlation_fit import fit_correlation
from pmkit.estimation.correlation_forecast import CorrelationForecast
from pmkit.estimation.correlation_scores import CorrelationScores, score_correlation
from pmkit.estimation.covariance_estimate import CovarianceEstimate
from pmkit.estimation.dcc_margin_errors import with_margin_errors
from pmkit.estimation.dynamic_copula import DynamicCopula, fit_dynamic_copula
from pmkit.estimation.evt import GpdTail, fit_gpd, hill, threshold_table
from pmkit.estimation.ewma import EwmaCovariance, ewma_covariance
from pmkit.estimation.har import HarModel, fit_har
from pmkit.estimation.imperfect import CompletedReturns, complete_returns
from pmkit.estimation.margins import TailMargin, fit_margin
from pmkit.estimation.nearest import CorrelationRepair, nearest_correlation
from pmkit.estimation.panel import common_calendar
from pmkit.estimation.rank import gerber_correlation, rank_correlation
from pmkit.estimation.refit_result import RollingVolatility
from pmkit.estimation.refit_rolling import rolling_volatility
from pmkit.estimation.regimes import RegimeCorrelation, regime_correlation
from pmkit.estimation.robust import mcd_covariance
from pmkit.estimation.shrinkage import shrink_covariance
from pmkit.estimation.stress import CorrelationStress, stress_correlation
from pmkit.estimation.tail_dependence import TailDependence, t_tail_dependence, tail_dependence
from pmkit.estimation.univariate import ArchVolatility
from pmkit.estimation.vines import VineCopula, fit_vine
from pmkit.estimation.volatility import VolatilityModel
from pmkit.estimation.volatility_compile import warmup_volatility
from pmkit.estimation.volatility_fit import fit_volatility
from pmkit.estimation.volatility_forecast import VolatilityForecast
from pmkit.estimation.worst_case import WorstCaseCorrelation, worst_case_correlation

__all__ = [
    "ArchVolatility",
    "CompletedReturns",
    "ConditionalTail",
    "Copula",
    "CorrelationBands",
    "CorrelationForecast",
    "CorrelationModel",
    "CorrelationRepair",
    "CorrelationScores",
    "CorrelationStress",
    "CovarianceEstimate",
    "DynamicCopula",
    "EwmaCovariance",
    "GpdTail",
    "HarModel",
    "RegimeCorrelation",
    "RollingVolatility",
    "TailDependence",
    "TailMargin",
    "VineCopula",
    "VolatilityForecast",
    "VolatilityModel",
    "WorstCaseCorrelation",
    "asynchronous_correlation",
    "common_calendar",
    "complete_returns",
    "conditional_tail",
    "correlation_bands",
    "ewma_covariance",
    "fit_copula",
    "fit_correlation",
    "fit_dynamic_copula",
    "fit_gpd",
    "fit_har",
    "fit_margin",
    "fit_vine",
    "fit_volatility",
    "gerber_correlation",
    "hill",
    "mcd_covariance",
    "nearest_correlation",
    "pseudo_observations",
    "rank_correlation",
    "regime_correlation",
    "rolling_volatility",
    "score_correlation",
    "shrink_covariance",
    "stationary_blocks",
    "stress_correlation",
    "t_tail_dependence",
    "tail_dependence",
    "threshold_table",
    "warmup_correlation",
    "warmup_volatility",
    "with_margin_errors",
    "worst_case_correlation",
]
