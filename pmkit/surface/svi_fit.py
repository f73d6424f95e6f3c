"""Calibration of raw SVI to the quotes of one expiry, with a status that says whether to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.butterfly import LEE_BOUND
from pmkit.surface.slice_fit import DEGENERATE, FitStatus, SliceFit, atm_error
from pmkit.surface.svi import RawSvi
from pmkit.surface.svi_kernel import AT_FLAT_WING, AT_LEVEL, AT_SEARCH, AT_STEEP_WING, AT_ZERO, search

__all__ = ["SVI_MIN_POINTS", "SviFit", "fit_svi"]

#: A slice has five parameters.
SVI_MIN_POINTS = 5
_BOUNDS = {
    AT_FLAT_WING: "a wing is flat",
    AT_STEEP_WING: "a wing has the slope 2 of the moment bound",
    AT_LEVEL: "a is at its lower bound",
    AT_ZERO: "total variance touches zero",
    AT_SEARCH: "m or sigma is at the edge of the search",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class SviFit(SliceFit):
    """Outcome of a calibration: the slice, or None where there were too few points, and its quality."""

    svi: RawSvi | None
    references = ("demarco2009", "gatheral2014")

    def summary(self) -> pd.DataFrame:
        """Return one row: parameters, then status and quality."""
        names = ("a", "b", "rho", "m", "sigma")
        parameters = {name: getattr(self.svi, name) if self.svi else math.nan for name in names}
        return pd.concat([pd.DataFrame([parameters]), super().summary()], axis=1)


def _column(name: str, values: npt.ArrayLike, size: int) -> FloatArray:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != (size,):
        raise ParameterError(
            f"{name} of shape {array.shape}", f"shape ({size},) like k", "give one number per quote"
        )
    if np.isnan(array).any():
        raise ParameterError(
            f"{name} has {int(np.isnan(array).sum())} NaN of {size}", "no NaN", "drop these quotes first"
        )
    return array


def _checked(
    k: npt.ArrayLike, w: npt.ArrayLike, error: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    size = int(np.size(k))
    x, v = _column("k", k, size), _column("w", w, size)
    bars = np.ones(size) if error is None else _column("error", error, size)
    if not np.isfinite(x).all() or not (np.diff(x) > 0.0).all():
        raise ParameterError(
            "k is not finite or not ascending",
            "distinct log-moneyness, ascending",
            "sort and drop duplicates",
        )
    for name, array in (("w", v), ("error", bars)):
        bad = np.flatnonzero(~((array > 0.0) & np.isfinite(array)))
        if bad.size:
            raise ParameterError(
                f"{name}[{bad[0]}] is {array[bad[0]]:g}", "finite and positive numbers", "drop the quote"
            )
    return x, v, bars


def fit_svi(
    k: npt.ArrayLike,
    w: npt.ArrayLike,
    error: npt.ArrayLike | None = None,
    *,
    w_bid: npt.ArrayLike | None = None,
    w_ask: npt.ArrayLike | None = None,
    min_a: float | None = None,
    starts: int = 6,
) -> SviFit:
    """Return the raw SVI slice nearest to quotes of total variance, in units of their error bars.

    Parameters
    ----------
    k : array_like, shape (n,)
        ln(K/F), ascending.
    w : array_like, shape (n,)
        Total variance, positive.
    error : array_like, shape (n,), optional
        Error bar of each: half the width of the bid-ask interval in total variance, positive. Equal weights
        where None.
    w_bid, w_ask : array_like, shape (n,), optional
        Total variance of bid and ask (0 and infinity where they have none), to count what is repriced inside.
    min_a : float, optional
        Lower bound of ``a``. Leave it out: many smiles need a negative ``a``, and total variance is kept
        positive without it.
    starts : int
        Basins of the coarse grid that are followed downhill, 1 to 50.

    Returns
    -------
    SviFit
        Butterfly arbitrage is not excluded, only the wing slopes are held at 2 or less: judge the slice by
        :func:`butterfly`.

    Raises
    ------
    ParameterError
        Shapes that differ, NaN, k not ascending, w or error not positive, starts out of range.

    Notes
    -----
    For given (m, sigma) the problem is linear in the rest with bounds on the two wing slopes, and is solved
    exactly; Nelder and Mead's simplex moves (m, ln sigma) from the lowest dips of a grid. m is sought up to
    once the range of k beyond it on either side, sigma between 1/200 of the range and ten times it. Below
    1 ms for 50 quotes.

    References
    ----------
    De Marco and Martini (2009); Gatheral and Jacquier (2014), section 3.1.

    Examples
    --------
    >>> k = np.linspace(-1.0, 1.0, 21)
    >>> fitted = fit_svi(k, RawSvi(-0.0410, 0.1331, 0.3060, 0.3586, 0.4153).w(k))
    >>> fitted.status, round(fitted.svi.a, 4), round(fitted.svi.sigma, 4)
    ('ok', -0.041, 0.4153)
    """
    x, v, bars = _checked(k, w, error)
    sides = None
    if w_bid is not None and w_ask is not None:
        sides = _column("w_bid", w_bid, x.size), _column("w_ask", w_ask, x.size)
    elif w_bid is not None or w_ask is not None:
        raise ParameterError("only one of w_bid and w_ask", "both or neither", "give the other too")
    if not 1 <= starts <= 50:
        raise ParameterError(f"starts is {starts}", "1 to 50", "correct the argument")
    if min_a is not None and not (math.isfinite(min_a) and min_a < float(v.max())):
        raise ParameterError(
            f"min_a is {min_a:g}", f"a number below the largest w, {v.max():g}", "lower it or leave it out"
        )
    if x.size < SVI_MIN_POINTS:
        return SviFit(
            svi=None, status="too_few_points", detail=f"{x.size} points, {SVI_MIN_POINTS} are needed",
            points=x.size, chi2=math.nan, inside=math.nan, rmse=math.nan,
        )  # fmt: skip
    # errors relative to their least, so that no weight overflows or vanishes for its unit
    weight = (bars.min() / bars) ** 2
    span = float(x[-1] - x[0])
    box = np.array([[x[0] - span, x[-1] + span], [math.log(span / 200.0), math.log(10.0 * span)]])
    out = np.empty(7)
    lowest_a = -math.inf if min_a is None else float(min_a)
    # just inside, because a call wing of slope 2 itself leaves value at infinite strikes
    converged = search(x, v, weight, lowest_a, LEE_BOUND * (1.0 - 1e-9), box, int(starts), out)
    a, b, rho, m, sigma = (float(p) for p in out[:5])
    # rho close to 1 carries rounding into the minimum that the search held above zero
    short = 1e-9 * float(v.min()) - (a + b * sigma * math.sqrt(1.0 - rho**2))
    svi = RawSvi(a=a + max(short, 0.0), b=b, rho=rho, m=m, sigma=sigma)
    fitted = svi.w(x)
    z = (fitted - v) / bars
    status, detail = _judge(x, v, fitted, bool(converged), int(out[6]))
    return SviFit(
        svi=svi,
        status=status,
        detail=detail,
        points=x.size,
        chi2=math.fsum(z * z) if error is not None else math.nan,
        inside=float(np.mean((sides[0] <= fitted) & (fitted <= sides[1]))) if sides else math.nan,
        rmse=math.sqrt(math.fsum((np.sqrt(fitted) - np.sqrt(v)) ** 2) / x.size),
    )


def _judge(
    k: FloatArray, w: FloatArray, fitted: FloatArray, converged: bool, flags: int
) -> tuple[FitStatus, str]:
    """Return status and reason; the vol nearest the money is looked at first."""
    off = atm_error(k, w, fitted)
    if abs(off) > DEGENERATE:
        return "degenerate", f"the vol nearest the money is off by {100.0 * off:+.0f}%"
    if not converged:
        return "not_converged", "the simplex did not close"
    reasons = [text for bit, text in _BOUNDS.items() if flags & bit]
    return ("at_bound", "; ".join(reasons)) if reasons else ("ok", "")
