"""VaR and ES of a P&L vector, with the estimator named, the simulation error and the tail scenarios."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.risk.measures.cornish_fisher import cornish_fisher
from pmkit.risk.measures.figure import RiskFigure, tail_frame
from pmkit.risk.measures.peaks import generalised_pareto
from pmkit.risk.measures.sample import Estimate, bootstrap_error, check_scenarios, probabilities
from pmkit.risk.measures.smoothed import smoothed
from pmkit.risk.tail import SAME, Tail, mean_error, tail_of
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["MEASURE_METHODS", "QUANTILE_RULES", "expected_shortfall", "value_at_risk"]

ES_ESTIMATOR = "Acerbi–Tasche tail mean with fractional weight"

#: Estimators of VaR and ES.
MEASURE_METHODS = ("empirical", "kernel", "gpd", "cornish-fisher", "cornish-fisher-matched")

#: Rules of the empirical quantile by name, with what the figure calls them.
QUANTILE_RULES = {
    "inverted_cdf": "empirical, left-continuous inverse",
    "hazen": "empirical, interpolated, Hyndman–Fan 5",
    "weibull": "empirical, interpolated, Hyndman–Fan 6",
    "linear": "empirical, interpolated, Hyndman–Fan 7",
    "median_unbiased": "empirical, interpolated, Hyndman–Fan 8",
}


def value_at_risk(
    pnl: npt.ArrayLike,
    level: float = 0.99,
    weights: npt.ArrayLike | None = None,
    *,
    scenarios: ScenarioSet | None = None,
    strata: npt.ArrayLike | None = None,
    method: str = "empirical",
    quantile_rule: str = "inverted_cdf",
    n_boot: int = 0,
    seed: int = 0,
    **options: Any,
) -> RiskFigure:
    """Return the value at risk: the smallest loss that is exceeded with probability at most ``1 - level``.

    Parameters
    ----------
    pnl : array_like, shape (n,)
        Profit by scenario, gain positive, finite.
    level : float
        Between 0.5 and 1, for example 0.99 (never 0.01).
    weights : array_like, shape (n,), optional
        Probabilities of the scenarios, 0 or more; those of ``scenarios`` where None, equal without either.
        They are normalised.
    scenarios : ScenarioSet, optional
        Names the tail scenarios in the result, and weighs them.
    strata : array_like of int, shape (n,), optional
        Group of each scenario where the design fixes how many fall in each (the window, in historical
        simulation with replications): only the spread inside groups is then simulation error. Empirical
        estimators only.
    method : {"empirical", "kernel", "gpd", "cornish-fisher", "cornish-fisher-matched"}
        Order statistic; quantile of a smoothed distribution; generalised Pareto law of the largest losses;
        Cornish–Fisher expansion with the sample's skewness and kurtosis as its parameters, or with
        parameters chosen so that the expansion has them.
    quantile_rule : {"inverted_cdf", "hazen", "weibull", "linear", "median_unbiased"}
        Of the empirical method; all but the first interpolate and take equal weights.
    n_boot : int
        Samples behind ``se_bootstrap``; 0 for none.
    seed : int
        Of the bootstrap.
    **options
        ``bandwidth`` and ``kernel`` of the kernel method, ``tail_share`` or ``threshold`` of the GPD method.

    Returns
    -------
    RiskFigure

    Raises
    ------
    ParameterError
        P&L not finite or empty, level outside [0.5, 1), weights negative or of another length, an unknown
        method, rule or option.
    DataGapError
        Too few losses above the threshold of the GPD method.

    Notes
    -----
    Empirical: ``VaR = inf{x : P(loss <= x) >= level}``, a scenario's own loss, never interpolated. Its
    simulation error is half the distance between the order statistics one binomial standard deviation either
    side. Kernel: root of ``sum w_i Phi((x - loss_i)/h) = level``, with ``h = 1.587 s n^(-1/3)`` the bandwidth
    that suits a distribution function, error ``sqrt(p (1-p)/n) / density``. The other methods are told in
    :func:`pmkit.estimation.fit_gpd` and in the chapter on measures.

    References
    ----------
    Acerbi and Tasche (2002), definition 2.1; Hyndman and Fan (1996), table 1; Azzalini (1981), section 2;
    McNeil and Frey (2000), section 2; Maillard (2012), section 2.

    Examples
    --------
    >>> losses = np.arange(1.0, 101.0)
    >>> value_at_risk(-losses, 0.99).value
    99.0
    >>> round(value_at_risk(-losses, 0.99, method="kernel").value, 4)
    109.3325
    """
    tail = tail_of(pnl, level, probabilities(weights, scenarios))
    return _figure("VaR", tail, scenarios, strata, method, quantile_rule, n_boot, seed, options)


def expected_shortfall(
    pnl: npt.ArrayLike,
    level: float = 0.975,
    weights: npt.ArrayLike | None = None,
    *,
    scenarios: ScenarioSet | None = None,
    strata: npt.ArrayLike | None = None,
    method: str = "empirical",
    n_boot: int = 0,
    seed: int = 0,
    **options: Any,
) -> RiskFigure:
    """Return the expected shortfall: the mean loss of the worst ``1 - level`` of the probability.

    Parameters
    ----------
    pnl, level, weights, scenarios, strata, method, n_boot, seed, **options
        As for :func:`value_at_risk`.

    Returns
    -------
    RiskFigure

    Raises
    ------
    ParameterError, DataGapError
        As :func:`value_at_risk`.

    Notes
    -----
    Empirical: ``ES = VaR + E[max(loss - VaR, 0)] / (1 - level)``: the scenario at the threshold counts with
    the part of its weight that is needed, so ES is coherent for discrete distributions and never below VaR.
    The simulation error is that of the mean of ``max(loss - VaR, 0)``, divided by ``1 - level``; the error of
    VaR does not enter at first order. Every other method integrates its own quantile function beyond
    ``level``; only the empirical one is coherent as it stands.

    References
    ----------
    Acerbi and Tasche (2002), definition 2.6 and proposition 4.1; Maillard (2012), section 4.

    Examples
    --------
    >>> losses = np.arange(1.0, 101.0)
    >>> expected_shortfall(-losses, 0.975).value
    99.2
    """
    tail = tail_of(pnl, level, probabilities(weights, scenarios))
    return _figure("ES", tail, scenarios, strata, method, "inverted_cdf", n_boot, seed, options)


def _figure(
    measure: str,
    tail: Tail,
    scenarios: ScenarioSet | None,
    strata: npt.ArrayLike | None,
    method: str,
    rule: str,
    n_boot: int,
    seed: int,
    options: dict[str, Any],
) -> RiskFigure:
    """Return the figure with its simulation error and tail scenarios."""
    check_scenarios(tail, scenarios)
    found = estimate_of(tail, method, rule, strata, options)
    first = measure == "VaR"

    def again(pnl: FloatArray, weight: FloatArray) -> float:
        redrawn = estimate_of(tail_of(pnl, tail.level, weight), method, rule, None, options)
        return redrawn.var if first else redrawn.es

    value = found.var if first else found.es
    sample_only = method == "empirical"
    # which scenarios lie beyond is always the empirical tail's affair: an estimator only says how bad it is
    beyond = tail.loss > tail.threshold
    return RiskFigure(
        value=value,
        measure=measure,
        estimator=ES_ESTIMATOR if sample_only and not first else found.name,
        level=tail.level,
        n=tail.loss.size,
        threshold=found.var,
        tail_weight=float(np.add.reduce(tail.weight[beyond])),
        se_simulation=found.var_error if first else found.es_error,
        tail_scenarios=tail_frame(tail, scenarios),
        se_bootstrap=bootstrap_error(tail, again, n_boot, seed),
        status=found.status,
        additive=sample_only and not first,
        settings=found.settings,
        references=() if sample_only and first else found.references,
    )


def estimate_of(
    tail: Tail, method: str, rule: str, strata: npt.ArrayLike | None, options: dict[str, Any]
) -> Estimate:
    """Return VaR, ES and their errors by one of :data:`MEASURE_METHODS`."""
    known = {"kernel": {"bandwidth", "kernel"}, "gpd": {"tail_share", "threshold"}}
    if method not in MEASURE_METHODS:
        raise ParameterError(
            f"method is {method!r}", f"one of {', '.join(MEASURE_METHODS)}", "correct the name"
        )
    strange = sorted(set(options) - known.get(method, set()))
    if strange:
        raise ParameterError(
            f"option {strange[0]!r} with method {method!r}",
            f"one of {', '.join(sorted(known.get(method, set()))) or 'no options'}",
            "remove it, or choose the method it belongs to",
        )
    if method == "empirical":
        return _empirical(tail, rule, strata)
    if strata is not None:
        raise ParameterError(
            f"strata with method {method!r}", "strata with method 'empirical'", "leave them out"
        )
    if method == "kernel":
        return smoothed(tail, **options)
    if method == "gpd":
        return generalised_pareto(tail, **options)
    return cornish_fisher(tail, matched=method == "cornish-fisher-matched")


def _empirical(tail: Tail, rule: str, strata: npt.ArrayLike | None) -> Estimate:
    groups = None if strata is None else np.asarray(strata)
    if groups is not None and groups.shape != tail.loss.shape:
        raise ParameterError(
            f"strata have shape {groups.shape}",
            f"one group a scenario, {tail.loss.shape}",
            "correct the array",
        )
    groups = None if groups is None else groups[tail.order]
    excess = np.maximum(tail.loss - tail.threshold, 0.0)
    return Estimate(
        name=QUANTILE_RULES.get(rule, ""),
        var=_quantile(tail, rule),
        es=tail.es(),
        var_error=_var_error(tail, groups),
        es_error=mean_error(excess, tail.weight, groups) / (1.0 - tail.level),
        references=("acerbi2002",),
    )


def _quantile(tail: Tail, rule: str) -> float:
    if rule == "inverted_cdf":
        return tail.threshold
    if rule not in QUANTILE_RULES:
        raise ParameterError(
            f"quantile_rule is {rule!r}", f"one of {', '.join(QUANTILE_RULES)}", "correct the name"
        )
    if float(np.ptp(tail.weight)) > SAME:
        raise ParameterError(
            f"unequal weights with quantile_rule {rule!r}",
            "equal weights, or quantile_rule 'inverted_cdf'",
            "leave the rule out",
        )
    return float(np.quantile(tail.loss, tail.level, method=rule))  # type: ignore[call-overload]


def _var_error(tail: Tail, groups: npt.NDArray[Any] | None) -> float:
    """Return half the distance of the order statistics one sd of the tail weight either side."""
    indicator = (np.arange(tail.loss.size) <= tail.at).astype(np.float64)
    spread = mean_error(indicator, tail.weight, groups)
    above = np.cumsum(tail.weight)
    p = 1.0 - tail.level
    last = tail.loss.size - 1
    low = min(int(np.searchsorted(above, p + spread)), last)
    high = min(int(np.searchsorted(above, max(p - spread, 0.0))), last)
    return 0.5 * float(tail.loss[high] - tail.loss[low])
