"""The expectile: the loss at which expected excess and expected shortage balance in a given ratio."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pmkit.core.types import FloatArray
from pmkit.risk.measures.figure import RiskFigure, share_frame
from pmkit.risk.measures.sample import bootstrap_error, check_scenarios, effective_size, probabilities
from pmkit.risk.tail import tail_of
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["expectile"]


def expectile(
    pnl: npt.ArrayLike,
    level: float = 0.99,
    weights: npt.ArrayLike | None = None,
    *,
    scenarios: ScenarioSet | None = None,
    n_boot: int = 0,
    seed: int = 0,
) -> RiskFigure:
    """Return the expectile of the loss: the only coherent measure that is also elicitable by itself.

    Parameters
    ----------
    pnl : array_like, shape (n,)
        Profit by scenario, gain positive, finite.
    level : float
        Asymmetry, from 0.5 (the mean loss) to below 1. The 0.99855 expectile of a normal loss is its 0.99
        quantile: levels are not comparable with those of VaR.
    weights : array_like, shape (n,), optional
        Probabilities of the scenarios, as for :func:`expected_shortfall`.
    scenarios : ScenarioSet, optional
    n_boot, seed : int
        Samples behind ``se_bootstrap``, 0 for none, and their seed.

    Returns
    -------
    RiskFigure
        The shares of all scenarios add up to the value.

    Raises
    ------
    ParameterError
        P&L not finite or empty, level outside [0.5, 1), weights negative or of another length.

    Notes
    -----
    The root e of ``level E[(loss - e)^+] = (1 - level) E[(e - loss)^+]``, which is piecewise linear in e: the
    piece is found by cumulative sums and the root is exact. Sandwich error.

    References
    ----------
    Newey and Powell (1987), section 2; Bellini et al. (2014), theorem 5.

    Examples
    --------
    >>> round(float(expectile([1.0, 0.0, -1.0, -4.0], 0.8)), 6)
    2.285714
    """
    tail = tail_of(pnl, level, probabilities(weights, scenarios))
    check_scenarios(tail, scenarios)
    value = _root(tail.loss, tail.weight, tail.level)

    def again(drawn: FloatArray, weight: FloatArray) -> float:
        sample = tail_of(drawn, tail.level, weight)
        return _root(sample.loss, sample.weight, tail.level)

    pull = np.where(tail.loss > value, tail.level, 1.0 - tail.level)
    share = tail.weight * pull
    slope = float(np.add.reduce(share))
    push = pull * (tail.loss - value) / slope
    beyond = tail.loss > value
    return RiskFigure(
        value=value,
        measure="expectile",
        estimator="asymmetric least squares, exact root",
        level=tail.level,
        n=tail.loss.size,
        threshold=tail.threshold,
        tail_weight=float(np.add.reduce(tail.weight[beyond])),
        se_simulation=math.sqrt(float(np.add.reduce(tail.weight * push**2)) / effective_size(tail.weight)),
        tail_scenarios=share_frame(-tail.loss, share / slope, tail.order, scenarios),
        se_bootstrap=bootstrap_error(tail, again, n_boot, seed),
        additive=True,
        references=("newey1987als", "bellini2014"),
    )


def _root(loss: FloatArray, weight: FloatArray, level: float) -> float:
    """Return the expectile of losses sorted worst first."""
    mass, value = np.cumsum(weight), np.cumsum(weight * loss)
    # balance with e at each loss, increasing along the order: the losses before it are the larger ones
    balance = level * (value - mass * loss) - (1.0 - level) * ((mass[-1] - mass) * loss - (value[-1] - value))
    at = int(np.searchsorted(balance, 0.0, side="left"))
    above_mass, above = (0.0, 0.0) if at == 0 else (float(mass[at - 1]), float(value[at - 1]))
    total = level * above + (1.0 - level) * (float(value[-1]) - above)
    root = total / (level * above_mass + (1.0 - level) * (float(mass[-1]) - above_mass))
    # rounding must not put it outside the piece it was solved on
    upper = math.inf if at == 0 else float(loss[at - 1])
    return min(max(root, float(loss[min(at, loss.size - 1)])), upper)
