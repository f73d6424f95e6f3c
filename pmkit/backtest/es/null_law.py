"""How losses beyond VaR are drawn under the null of a right model: law of the excess, blocks of draws.

Of a loss that is right by VaR and ES, a test of the tail sees this alone: with probability p it goes beyond
VaR, and then it is VaR + (ES - VaR)·W, where the excess W is positive with mean 1. What is left to choose is
the law of W: that of a normal or Student t loss, whose place and scale each day follow from VaR and ES, or an
exponential one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import norm
from scipy.stats import t as student

from pmkit.backtest.series.simulated_null import SimulatedP, blocks, draw_counts, draw_days, ranked
from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, IntArray

__all__ = ["Null", "TailLaw", "check_law", "lower_p", "tail_blocks"]

Null = Literal["normal", "t", "exponential"]
"""Law of the loss, or of its excess over VaR, under the null."""

_BLOCK = 1_000_000  # numbers drawn at once


@dataclass(frozen=True, kw_only=True)
class TailLaw:
    """Law of a standard loss, which place and scale turn into the loss of a day.

    Parameters
    ----------
    null : {"normal", "t", "exponential"}
        Standard normal, Student t with ``df``, or exponential in the tail alone.
    df : float or None
        Degrees of freedom of ``"t"``, above 1.

    Examples
    --------
    >>> law = TailLaw(null="normal", df=None)
    >>> round(law.var(0.025), 6), round(law.es(0.025), 6)
    (1.959964, 2.337803)
    """

    null: Null
    df: float | None

    @property
    def words(self) -> str:
        """The law in words, for the name of a p-value."""
        if self.null == "t":
            return f"t({self.df:g}) losses"
        return "normal losses" if self.null == "normal" else "exponential excesses"

    def upper_quantile(self, u: FloatArray) -> FloatArray:
        """Return the standard loss that is exceeded with probability ``u`` (not for ``"exponential"``)."""
        lower = ndtri(u) if self.df is None else stdtrit(self.df, u)
        return np.asarray(-lower, dtype=np.float64)

    def var(self, p: float) -> float:
        """Return the VaR of a standard loss; for ``"exponential"`` the start of the tail, 0."""
        return 0.0 if self.null == "exponential" else float(self.upper_quantile(np.array(p)))

    def es(self, p: float) -> float:
        """Return the ES of a standard loss; 1 for ``"exponential"``."""
        if self.null == "exponential":
            return 1.0
        z = self.var(p)
        if self.df is None:
            return float(norm.pdf(z)) / p
        return (self.df + z * z) / (self.df - 1.0) * float(student.pdf(z, self.df)) / p

    def exceeded(self, loss: FloatArray) -> FloatArray:
        """Return the probability of a standard loss above ``loss`` (not for ``"exponential"``)."""
        law = norm.sf(loss) if self.df is None else student.sf(loss, self.df)
        return np.asarray(law, dtype=np.float64)

    def draw_excess(self, rng: np.random.Generator, p: float, shape: tuple[int, ...]) -> FloatArray:
        """Return draws of the excess W over VaR in units of ES - VaR: positive, of mean 1."""
        u = 1.0 - rng.random(shape)  # in (0, 1]
        if self.null == "exponential":
            return np.asarray(-np.log(u))
        low, mean = self.var(p), self.es(p)
        return np.asarray((self.upper_quantile(p * u) - low) / (mean - low))


def check_law(null: Any, df: Any) -> TailLaw:
    """Return the law of the null.

    Raises
    ------
    ParameterError
        An unknown name, or degrees of freedom that are missing, 1 or less, or given without ``"t"``.
    """
    if null not in ("normal", "t", "exponential"):
        raise ParameterError(
            f"null is {null!r}", "'normal', 't' or 'exponential'", "choose one of them, or pass simulated="
        )
    if (df is None) == (null == "t"):
        raise ParameterError(
            f"df is {df!r} with null={null!r}",
            "degrees of freedom with 't', and none without",
            "pass null='t', df=5, or leave df out",
        )
    if df is None:
        return TailLaw(null=null, df=None)
    try:
        value = math.nan if isinstance(df, (bool, np.bool_, str)) else float(df)
    except (TypeError, ValueError):
        value = math.nan
    if not 1.0 < value < math.inf:
        raise ParameterError(
            f"df is {df!r}", "a number above 1, where the mean of the tail exists", "pass df=5"
        )
    return TailLaw(null="t", df=value)


def tail_blocks(
    rng: np.random.Generator, n: int, p: float, draws: int, law: TailLaw, lowest: int = 0
) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Yield days of hits, their number and their excesses in blocks of rows, ``draws`` rows in all.

    Parameters
    ----------
    lowest : int
        Hits that each draw has at least: draws are conditional on it.

    Yields
    ------
    days : array of int, shape (rows, widest)
        Days of the hits from 1, ascending, 0 beyond x.
    x : array of int, shape (rows,)
        Hits of each row.
    excess : array, shape (rows, widest)
        W of each hit, 0 beyond x.
    """
    counts = draw_counts(rng, n, p, draws, lowest=lowest, highest=n)
    widest = int(counts.max())
    for rows in blocks(draws, _BLOCK, max(2 * widest, 1 if 3 * widest <= n else n)):
        x = counts[rows]
        days = draw_days(rng, n, x)
        excess = np.where(days > 0, law.draw_excess(rng, p, days.shape), 0.0)
        yield days, x, excess


def lower_p(rng: np.random.Generator, simulated: FloatArray, observed: float, words: str) -> SimulatedP:
    """Return the Monte Carlo p-value of a statistic that is small where the null is doubtful."""
    return ranked(rng, -simulated, -observed, f"Monte Carlo of {words}, {simulated.size} draws, ties count")
