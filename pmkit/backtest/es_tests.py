"""Tests of an ES model: by the size of losses beyond VaR, by the probabilities of the model, by betting.

:func:`compare_forecasts` asks which of two models is the better one, all others whether one is right.

Every test takes a series in order of time, or the figures of a report where they suffice: ``TailSeries``
holds losses with VaR and ES, ``PitSeries`` the probabilities that the model gave to what came. Losses over
more days than lie between two observations share days, and no test here is valid on them: such a series is
refused unless ``horizon=`` asks for the test of each non-overlapping offset
(:class:`~pmkit.backtest.OffsetOutcomes`).

The law of most statistics depends on the tail of the loss. It is simulated from the law named by ``null=``,
or from losses of the model itself; :func:`du_escanciano` and :func:`costanzino_curran` have an exact law, and
:func:`e_process` needs none.
"""

from __future__ import annotations

from pmkit.backtest.compare.mean_scores import compare_forecasts
from pmkit.backtest.compare.scores import fz0_score, fzg_score, tick_score
from pmkit.backtest.es.acerbi import acerbi_szekely, minimally_biased
from pmkit.backtest.es.cumulative import costanzino_curran, du_escanciano
from pmkit.backtest.es.memory import du_escanciano_conditional
from pmkit.backtest.es.multinomial import multinomial
from pmkit.backtest.es.one_sided import one_sided_calibration
from pmkit.backtest.es.process import average_e_processes, e_backtest, e_process
from pmkit.backtest.es.quantiles import es_by_quantiles, quantile_gap
from pmkit.backtest.es.regression import es_regression
from pmkit.backtest.es.residuals import mcneil_frey, nolde_ziegel
from pmkit.backtest.es.violation_law import ViolationLaw
from pmkit.backtest.es.wealth import EProcess
from pmkit.backtest.series.es_series import PitSeries, TailSeries

__all__ = [
    "EProcess",
    "PitSeries",
    "TailSeries",
    "ViolationLaw",
    "acerbi_szekely",
    "average_e_processes",
    "compare_forecasts",
    "costanzino_curran",
    "du_escanciano",
    "du_escanciano_conditional",
    "e_backtest",
    "e_process",
    "es_by_quantiles",
    "es_regression",
    "fz0_score",
    "fzg_score",
    "mcneil_frey",
    "minimally_biased",
    "multinomial",
    "nolde_ziegel",
    "one_sided_calibration",
    "quantile_gap",
    "tick_score",
]
