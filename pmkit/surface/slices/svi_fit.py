"""Calibration of raw SVI to the quotes of one expiry or of many, with a status for every way to fail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, IntArray
from pmkit.surface.arbitrage.wing_findings import LEE_BOUND
from pmkit.surface.slices.slice_fit import DEGENERATE, FitStatus, atm_error
from pmkit.surface.slices.svi import RawSvi
from pmkit.surface.slices.svi_fits import SVI_MIN_POINTS, SviFit, SviFits
from pmkit.surface.slices.svi_free import nearest_free
from pmkit.surface.slices.svi_kernel import quality, search
from pmkit.surface.slices.svi_verdict import Between

__all__ = ["STARTS", "SVI_MIN_POINTS", "SviFit", "SviFits", "fit_svi", "fit_svi_many"]

#: Dips of the coarse net that are followed downhill.
STARTS = 2


def _rows(name: str, values: npt.ArrayLike | Sequence[npt.ArrayLike]) -> list[FloatArray]:
    """Return one contiguous array a slice."""
    try:
        rows = [np.ascontiguousarray(row, dtype=np.float64) for row in values]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name} is {values!r}"[:120],
            "one row of numbers for each slice",
            "give a table, slices by strikes, or a list of rows",
        ) from None
    for index, row in enumerate(rows):
        if row.ndim != 1:
            raise ParameterError(
                f"{name} of slice {index} has {row.ndim} dimensions",
                "one row of numbers for each slice",
                "give a table, slices by strikes, or a list of rows",
            )
    return rows


def _flat(
    name: str, values: npt.ArrayLike | Sequence[npt.ArrayLike], sizes: IntArray | None
) -> tuple[FloatArray, IntArray]:
    """Return the rows of a table one after another, and their sizes; refuse NaN and other shapes."""
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype == np.float64:
        flat = np.ascontiguousarray(values).ravel()
        found = np.full(values.shape[0], values.shape[1], dtype=np.int64)
    else:
        rows = _rows(name, values)
        flat = np.concatenate(rows) if rows else np.empty(0)
        found = np.array([row.size for row in rows], dtype=np.int64)
    if sizes is not None and not np.array_equal(found, sizes):
        one = sizes.size == 1 and found.size == 1
        raise ParameterError(
            f"{name} of shape {(int(found[0]),)}" if one else f"{name} of other shape than k",
            f"shape {(int(sizes[0]),)} like k" if one else "one number for each k of each slice",
            "give one number per quote",
        )
    missing = int(np.isnan(flat).sum())
    if missing:
        raise ParameterError(f"{name} has {missing} NaN of {flat.size}", "no NaN", "drop these quotes first")
    return flat, found


def _check_positive(name: str, flat: FloatArray, sizes: IntArray) -> None:
    bad = np.flatnonzero(~((flat > 0.0) & np.isfinite(flat)))
    if bad.size:
        row = int(np.searchsorted(np.cumsum(sizes), bad[0], side="right"))
        place = int(bad[0] - (np.cumsum(sizes)[row] - sizes[row]))
        where = f"{name}[{place}]" if sizes.size == 1 else f"{name}[{row}][{place}]"
        raise ParameterError(f"{where} is {flat[bad[0]]:g}", "finite and positive numbers", "drop the quote")


def _check_options(largest: FloatArray, min_a: float | None, starts: int) -> float:
    """Return the lower bound of ``a`` as a number, below the largest w of every slice."""
    if not isinstance(starts, (int, np.integer)) or not 1 <= starts <= 50:
        raise ParameterError(f"starts is {starts!r}", "1 to 50", "correct the argument")
    if min_a is None:
        return -math.inf
    if not (math.isfinite(min_a) and (min_a < largest).all()):
        raise ParameterError(
            f"min_a is {min_a:g}",
            f"a number below the largest w, {largest.min():g}",
            "lower it or leave it out",
        )
    return float(min_a)


def fit_svi_many(
    k: npt.ArrayLike | Sequence[npt.ArrayLike],
    w: npt.ArrayLike | Sequence[npt.ArrayLike],
    error: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    *,
    min_a: float | None = None,
    starts: int = STARTS,
) -> SviFits:
    """Return the raw SVI slice nearest to each of many sets of quotes, in one call.

    Use it for panels, resampling and simulation; :func:`fit_svi` is the same for one slice.

    Parameters
    ----------
    k, w, error : ndarray of shape (slices, strikes), or a sequence of 1-d arrays of any lengths
        As in :func:`fit_svi`, one row a slice.
    min_a, starts
        As in :func:`fit_svi`.

    Returns
    -------
    SviFits

    Raises
    ------
    ParameterError
        As :func:`fit_svi`; the message names the slice.

    Notes
    -----
    Below 10 microseconds a slice of 25 quotes.

    Examples
    --------
    >>> k = np.linspace(-1.0, 1.0, 21)
    >>> slices = [RawSvi(a, 0.1331, 0.3060, 0.3586, 0.4153) for a in (-0.04, 0.01, 0.04)]
    >>> fits = fit_svi_many(np.tile(k, (3, 1)), np.array([s.w(k) for s in slices]))
    >>> fits.status, fits.parameters[:, 0].round(6).tolist()
    (['ok', 'ok', 'ok'], [-0.04, 0.01, 0.04])
    """
    x, sizes = _flat("k", k, None)
    v, _ = _flat("w", w, sizes)
    bars = np.ones(x.size) if error is None else _flat("error", error, sizes)[0]
    ends = np.cumsum(sizes)
    rising = np.diff(x) > 0.0
    rising[ends[:-1][(ends[:-1] > 0) & (ends[:-1] < x.size)] - 1] = True
    if not (rising.all() and np.isfinite(x).all()):
        raise ParameterError(
            "k is not finite or not ascending",
            "distinct log-moneyness, ascending",
            "sort and drop duplicates",
        )
    _check_positive("w", v, sizes)
    _check_positive("error", bars, sizes)
    enough = sizes >= SVI_MIN_POINTS
    rows = [] if min_a is None else [row for row in np.split(v, ends[:-1]) if row.size]
    lowest_a = _check_options(np.array([row.max() for row in rows]), min_a, starts)
    if enough.all():
        found, figures = _search(x, v, bars, ends, lowest_a, starts)
    else:
        kept = np.repeat(enough, sizes)
        found, figures = np.full((sizes.size, 8), np.nan), np.full((sizes.size, 3), np.nan)
        found[:, 6:] = 0.0
        found[enough], figures[enough] = _search(
            x[kept], v[kept], bars[kept], np.cumsum(sizes[enough]), lowest_a, starts
        )
    return SviFits(
        parameters=found[:, :5],
        points=sizes,
        chi2=figures[:, 0] if error is not None else np.full(sizes.size, np.nan),
        rmse=np.sqrt(figures[:, 1] / np.maximum(sizes, 1)),
        atm_error=figures[:, 2],
        converged=found[:, 7] > 0.0,
        bounds=found[:, 6].astype(np.int64),
    )


def _search(
    k: FloatArray, w: FloatArray, bars: FloatArray, ends: IntArray, min_a: float, starts: int
) -> tuple[FloatArray, FloatArray]:
    """Return what the compiled search found for each slice, and the figures of its quality."""
    found, figures = np.empty((ends.size, 8)), np.empty((ends.size, 3))
    if ends.size:
        # errors relative to their least, so that no weight overflows or vanishes for its unit
        firsts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
        least = np.repeat(np.minimum.reduceat(bars, firsts), ends - firsts)
        weight = (least / bars) ** 2
        # just inside, because a call wing of slope 2 itself leaves value at infinite strikes
        search(k, w, weight, ends, min_a, LEE_BOUND * (1.0 - 1e-9), int(starts), found)
        quality(k, w, bars, ends, found, figures)
    return found, figures


def fit_svi(
    k: npt.ArrayLike,
    w: npt.ArrayLike,
    error: npt.ArrayLike | None = None,
    *,
    w_bid: npt.ArrayLike | None = None,
    w_ask: npt.ArrayLike | None = None,
    min_a: float | None = None,
    starts: int = STARTS,
    butterfly: Literal["report", "free"] = "report",
    between: Between = (None, None),
    ceiling: float = math.inf,
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
        Dips of the coarse net that are followed downhill, 1 to 50.
    butterfly : {"report", "free"}
        ``"free"``: the nearest slice without butterfly arbitrage anywhere on the line.
    between : (RawSvi or None, RawSvi or None)
        With ``"free"``: slices of an earlier and a later expiry, free and in order themselves; the slice is
        held between them on the whole line.
    ceiling : float
        With ``"free"``: chi² above which the slice is of no use to the caller, positive. A search that stands
        above it is given up, which saves seconds where neighbours leave hardly any room.

    Returns
    -------
    SviFit
        With ``butterfly="report"`` butterfly arbitrage is not excluded, only the wing slopes are held at 2 or
        less: judge the slice by :func:`pmkit.surface.butterfly`.

    Raises
    ------
    ParameterError
        Shapes that differ, NaN, k not ascending, w or error not positive, starts out of range, ``min_a``
        together with ``butterfly="free"``, ``between`` or ``ceiling`` without it, or a ceiling that is not
        positive.

    Notes
    -----
    For given (m, sigma) the problem is linear in the rest with bounds on the two wing slopes, and is solved
    exactly; Levenberg and Marquardt's steps move (m, ln sigma) from the lowest dips of a net of 5 by 4. Where
    that ends at a bound, a finer net over the whole box is searched too. m is sought up to once the range of
    k beyond it on either side, sigma between 1/200 of the range and ten times it. Below 0.1 ms for 50 quotes;
    ``butterfly="free"`` takes some 20 ms where the constraint binds.

    References
    ----------
    De Marco and Martini (2009); Gatheral and Jacquier (2014), section 3.1; Kaufman (1975).

    Examples
    --------
    >>> k = np.linspace(-1.0, 1.0, 21)
    >>> fitted = fit_svi(k, RawSvi(-0.0410, 0.1331, 0.3060, 0.3586, 0.4153).w(k))
    >>> fitted.status, round(fitted.svi.a, 4), round(fitted.svi.sigma, 4)
    ('ok', -0.041, 0.4153)
    """
    if butterfly not in ("report", "free"):
        raise ParameterError(f"butterfly is {butterfly!r}", "'report' or 'free'", "correct the argument")
    if butterfly == "free" and min_a is not None:
        raise ParameterError(
            f"min_a is {min_a:g} and butterfly is 'free'", "one of the two", "leave min_a out"
        )
    if butterfly != "free" and between != (None, None):
        raise ParameterError(
            "between with butterfly='report'", "butterfly='free'", "ask for a slice without arbitrage"
        )
    if butterfly != "free" and ceiling != math.inf:
        raise ParameterError(
            f"ceiling is {ceiling!r} and butterfly is 'report'", "butterfly='free'", "leave ceiling out"
        )
    if not ceiling > 0.0:
        raise ParameterError(f"ceiling is {ceiling!r}", "a positive number", "give a chi² or leave it out")
    if (w_bid is None) != (w_ask is None):
        raise ParameterError("only one of w_bid and w_ask", "both or neither", "give the other too")
    fits = fit_svi_many([k], [w], None if error is None else [error], min_a=min_a, starts=starts)
    fitted = fits[0]
    size = np.array([fitted.points], dtype=np.int64)
    sides = None
    if w_bid is not None and w_ask is not None:
        sides = _flat("w_bid", [w_bid], size)[0], _flat("w_ask", [w_ask], size)[0]
    if fitted.svi is None:
        return fitted
    x, v = np.asarray(k, dtype=np.float64), np.asarray(w, dtype=np.float64)
    if butterfly == "free":
        bars = np.ones(x.size) if error is None else np.asarray(error, dtype=np.float64)
        fitted = _freed(fitted, fitted.svi, x, v, bars, between, ceiling, weighted=error is not None)
    if sides is None or fitted.svi is None:
        return fitted
    values = fitted.svi.w(x)
    return replace(fitted, inside=float(np.mean((sides[0] <= values) & (values <= sides[1]))))


def _freed(
    fitted: SviFit,
    svi: RawSvi,
    k: FloatArray,
    w: FloatArray,
    bars: FloatArray,
    between: Between,
    ceiling: float,
    *,
    weighted: bool,
) -> SviFit:
    """Return the fit with the nearest slice without arbitrage in place of its own."""
    free = nearest_free(k, w, bars, svi, between, ceiling)
    if not free.binds:
        return fitted
    values = free.svi.w(k)
    off = atm_error(k, w, values)
    status: FitStatus = "at_bound"
    detail = "held at the edge of arbitrage"
    if abs(off) > DEGENERATE:
        status, detail = "degenerate", f"the vol nearest the money is off by {100.0 * off:+.0f}%"
    elif not free.closed:
        status, detail = "not_converged", "the search for a slice free of arbitrage did not close"
    z = (values - w) / bars
    return replace(
        fitted, svi=free.svi, status=status, detail=detail, chi2=math.fsum(z * z) if weighted else math.nan,
        rmse=math.sqrt(math.fsum((np.sqrt(values) - np.sqrt(w)) ** 2) / k.size),
    )  # fmt: skip
