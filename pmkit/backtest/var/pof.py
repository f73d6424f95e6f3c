"""The likelihood ratio of the proportion of hits: its value, and the counts it does not reject."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
from scipy.special import xlog1py, xlogy
from scipy.stats import chi2

from pmkit.backtest.series.checks import check_alpha, check_count, check_probability
from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray

__all__ = ["kupiec_non_rejection", "pof_statistic"]


def pof_statistic(n: int, x: Any, p: float) -> FloatArray:
    """Return LR = 2[x ln(x/(np)) + (n - x) ln((1 - x/n)/(1 - p))], elementwise in ``x``, 0 or more.

    Logarithms, not likelihoods: products of thousands of probabilities underflow. 0·ln 0 = 0.

    Examples
    --------
    >>> round(float(pof_statistic(250, 5, 0.01)), 4)
    1.9568
    """
    hits = np.asarray(x, dtype=np.float64)
    misses = n - hits
    hit = xlogy(hits, hits / n) - hits * np.log(p)
    no_hit = xlog1py(misses, -hits / n) - misses * np.log1p(-p)
    statistic: FloatArray = np.maximum(2.0 * (hit + no_hit), 0.0)
    return statistic


def kupiec_non_rejection(n: int, p: float, alpha: float = 0.05) -> range:
    """Return the counts of hits that Kupiec's asymptotic test does not reject, as a range (end excluded).

    Parameters
    ----------
    n : int
        Observations, 1 or more.
    p : float
        Tail probability in (0, 0.5].
    alpha : float
        Level of the test, in (0, 1).

    Returns
    -------
    range
        Contiguous; empty where a small n and a large alpha leave no count.

    Raises
    ------
    ParameterError
        n, p or alpha outside their domain.

    Notes
    -----
    The statistic falls up to x = np and rises from there, so each end is found by bisection in O(ln n).

    References
    ----------
    Kupiec (1995), table of non-rejection regions.

    Examples
    --------
    >>> kupiec_non_rejection(1000, 0.01)
    range(5, 17)
    """
    n, p, alpha = check_count(n, "n"), check_probability(p), check_alpha(alpha)
    if n == 0:
        raise ParameterError("n is 0", "at least one observation", "pass the number of observations")
    critical = float(chi2.isf(alpha, 1))
    middle = int(n * p)
    low = bisect_left(range(middle + 1), True, key=lambda x: bool(pof_statistic(n, x, p) <= critical))
    above = range(middle + 1, n + 1)
    high = bisect_left(above, True, key=lambda x: bool(pof_statistic(n, x, p) > critical))
    return range(low, middle + 1 + high)
