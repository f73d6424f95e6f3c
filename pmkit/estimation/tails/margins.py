"""Semi-parametric margin: the sample in the middle, a Pareto tail at either end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.estimation.tails.evt import GpdTail, checked_losses, fit_gpd

__all__ = ["TailMargin", "fit_margin"]


@dataclass(frozen=True, kw_only=True)
class TailMargin:
    """Distribution function and quantiles of one variable, in its own unit.

    Attributes
    ----------
    ordered : ndarray
        The sample, ascending.
    lower, upper : GpdTail
        Tails of the smallest (sign turned) and of the largest values.

    Notes
    -----
    Between the thresholds the quantiles run linearly through the order statistics at ``i / (n + 1)``; beyond
    them ``F(x) = 1 - s (1 + xi (x - u)/beta)^(-1/xi)`` with ``s`` the probability above the threshold.
    """

    ordered: FloatArray
    lower: GpdTail
    upper: GpdTail

    @property
    def _shares(self) -> tuple[float, float]:
        """Probability below the lower and above the upper threshold, which are order statistics."""
        n = self.ordered.size
        return (self.lower.excesses + 1) / (n + 1), (self.upper.excesses + 1) / (n + 1)

    def quantile(self, u: npt.ArrayLike) -> FloatArray:
        """Return the values below which the probabilities ``u`` lie; ``u`` strictly between 0 and 1."""
        shape, p = np.shape(u), np.atleast_1d(np.asarray(u, dtype=np.float64))
        if p.size and not (float(p.min()) > 0.0 and float(p.max()) < 1.0):
            raise ParameterError("a probability is not strictly between 0 and 1", "0 < u < 1", "correct it")
        n = self.ordered.size
        below, above = self._shares
        out = np.interp(p, np.arange(1, n + 1) / (n + 1.0), self.ordered)
        low, high = p < below, p > 1.0 - above
        out[low] = -(self.lower.threshold + _excess(self.lower, np.log(below / p[low])))
        out[high] = self.upper.threshold + _excess(self.upper, np.log(above / (1.0 - p[high])))
        return np.asarray(out.reshape(shape))

    def probability(self, x: npt.ArrayLike) -> FloatArray:
        """Return the probabilities below ``x``."""
        shape, value = np.shape(x), np.atleast_1d(np.asarray(x, dtype=np.float64))
        n = self.ordered.size
        below, above = self._shares
        out = np.interp(value, self.ordered, np.arange(1, n + 1) / (n + 1.0))
        low, high = value < -self.lower.threshold, value > self.upper.threshold
        out[low] = below * _survival(self.lower, -value[low] - self.lower.threshold)
        out[high] = 1.0 - above * _survival(self.upper, value[high] - self.upper.threshold)
        return np.asarray(out.reshape(shape))


def fit_margin(sample: pd.Series | FloatArray | Iterable[float], tail_share: float = 0.10) -> TailMargin:
    """Return the semi-parametric distribution of a sample, in its unit.

    Parameters
    ----------
    sample : Series or array, shape (n,)
        Returns or standardised residuals; at least 20 values in each tail.
    tail_share : float
        Share of the sample in each tail, above 0 and at most 0.4.

    Returns
    -------
    TailMargin

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As :func:`fit_gpd`.

    References
    ----------
    McNeil and Frey (2000), section 2.

    Examples
    --------
    >>> margin = fit_margin(np.sinh(np.linspace(-3.0, 3.0, 401)))
    >>> round(float(margin.probability(margin.quantile([0.001]))[0]), 6)
    0.001
    """
    if isinstance(tail_share, bool) or not 0.0 < tail_share <= 0.4:
        raise ParameterError(f"tail_share is {tail_share!r}", "above 0 and at most 0.4", "0.1 is usual")
    x = checked_losses(sample, fewest=50)
    return TailMargin(
        ordered=np.sort(x),
        lower=fit_gpd(-x, tail_share=tail_share),
        upper=fit_gpd(x, tail_share=tail_share),
    )


def _excess(tail: GpdTail, span: FloatArray) -> FloatArray:
    if abs(tail.shape) < 1e-6:
        return np.asarray(tail.scale * span)
    return np.asarray(tail.scale * np.expm1(tail.shape * span) / tail.shape)


def _survival(tail: GpdTail, y: FloatArray) -> FloatArray:
    if abs(tail.shape) < 1e-6:
        return np.asarray(np.exp(-y / tail.scale))
    top = np.maximum(1.0 + tail.shape * y / tail.scale, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(top ** (-1.0 / tail.shape))
