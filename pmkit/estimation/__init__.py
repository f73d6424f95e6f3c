"""What the past says about the next day: volatility, correlation, its repair and stress, dates redrawn."""

from pmkit.estimation.bootstrap import stationary_blocks
from pmkit.estimation.dynamic.correlation import CorrelationModel
from pmkit.estimation.dynamic.correlation_compile import warmup_correlation
from pmkit.estimation.dynamic.correlation_fit import fit_correlation
from pmkit.estimation.dynamic.correlation_forecast import CorrelationForecast
from pmkit.estimation.dynamic.correlation_scores import CorrelationScores, score_correlation
from pmkit.estimation.dynamic.dcc_margin_errors import with_margin_errors
from pmkit.estimation.imperfect import CompletedReturns, complete_returns
from pmkit.estimation.matrices.asynchronous import asynchronous_correlation
from pmkit.estimation.matrices.bands import CorrelationBands, correlation_bands
from pmkit.estimation.matrices.covariance_estimate import CovarianceEstimate
from pmkit.estimation.matrices.ewma import EwmaCovariance, ewma_covariance
from pmkit.estimation.matrices.nearest import CorrelationRepair, nearest_correlation
from pmkit.estimation.matrices.rank import gerber_correlation, rank_correlation
from pmkit.estimation.matrices.regimes import RegimeCorrelation, regime_correlation
from pmkit.estimation.matrices.robust import mcd_covariance
from pmkit.estimation.matrices.shrinkage import shrink_covariance
from pmkit.estimation.matrices.stress import CorrelationStress, stress_correlation
from pmkit.estimation.matrices.worst_case import WorstCaseCorrelation, worst_case_correlation
from pmkit.estimation.panel import common_calendar
from pmkit.estimation.tails.conditional_evt import ConditionalTail, conditional_tail
from pmkit.estimation.tails.copula import Copula, fit_copula, pseudo_observations
from pmkit.estimation.tails.dynamic_copula import DynamicCopula, fit_dynamic_copula
from pmkit.estimation.tails.evt import GpdTail, fit_gpd, hill, threshold_table
from pmkit.estimation.tails.margins import TailMargin, fit_margin
from pmkit.estimation.tails.tail_dependence import TailDependence, t_tail_dependence, tail_dependence
from pmkit.estimation.tails.vines import VineCopula, fit_vine
from pmkit.estimation.univariate.arch_volatility import ArchVolatility
from pmkit.estimation.univariate.har import HarModel, fit_har
from pmkit.estimation.univariate.refit_result import RollingVolatility
from pmkit.estimation.univariate.refit_rolling import rolling_volatility
from pmkit.estimation.univariate.volatility import VolatilityModel
from pmkit.estimation.univariate.volatility_compile import warmup_volatility
from pmkit.estimation.univariate.volatility_fit import fit_volatility
from pmkit.estimation.univariate.volatility_forecast import VolatilityForecast

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
