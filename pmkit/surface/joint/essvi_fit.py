"""Calibration of eSSVI to the quotes of all expiries at once, admissible at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.pricing.inputs import as_floats
from pmkit.surface.arguments import as_number
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.inputs.slice_quotes import LeftOut, SliceQuotes
from pmkit.surface.joint.essvi import EssviParameters, EssviSlice, EssviSurface
from pmkit.surface.joint.essvi_bound import Bound, check_bound
from pmkit.surface.joint.essvi_box import EssviBox, EssviCurves, box_to_parameters, parameters_to_box, project
from pmkit.surface.joint.essvi_kernel import C, F, S
from pmkit.surface.joint.essvi_points import QuotePoints
from pmkit.surface.joint.essvi_search import search_box, slice_by_slice
from pmkit.surface.slices.slice_fit import judge

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ESSVI_MIN_POINTS", "EssviFit", "Loss", "anchored_theta", "fit_essvi", "fit_essvi_surface"]

#: A slice has three parameters.
ESSVI_MIN_POINTS = 3
#: ``squared``: sum of squared errors over their error bars; ``cauchy``: the sum of ln(1 + z²) of these.
Loss = Literal["squared", "cauchy"]

_RHO_MAX = 0.999
#: The search stays this share inside the range of c, and keeps a at least this share of theta.
_C_EDGE, _A_EDGE = 1e-4, 1e-6
_TOLERANCE = 1e-9
#: Most evaluations of the searches from all starts, and of each of the rounds with new weights.
_MOST, _MOST_AGAIN, _ROUNDS = 300, 48, 4


def anchored_theta(w_star: npt.ArrayLike, k_star: npt.ArrayLike, rho: float, psi: float) -> FloatArray:
    """Return theta of the SSVI slice that passes through a quote, exactly; NaN where none does.

    Parameters
    ----------
    w_star : array_like
        Total variance of the quote, positive.
    k_star : array_like
        ln(K/F) of the quote.
    rho, psi : float
        Tilt and wing scale of the slice.

    Raises
    ------
    ParameterError
        A number outside its domain.

    Notes
    -----
    ``theta = w* - rho psi k* - psi² k*² (1 - rho²)/(4 w*)``; with the last sign turned the slice misses it.

    References
    ----------
    Corbetta, Cohort, Laachir and Martini (2019), where the slices are anchored to first order.

    Examples
    --------
    >>> round(float(anchored_theta(0.0371815416922694, 0.03, -0.5, 0.2)), 12)
    0.04
    """
    level = as_floats("w_star", w_star, "total variance", any_sign=True, finite=False)
    place = as_floats("k_star", k_star, "log-moneyness", any_sign=True, finite=False)
    if (level <= 0.0).any():
        raise ParameterError(
            f"w_star is {float(level.min()):g}", "a positive total variance", "correct the argument"
        )
    if not 0.0 < as_number("psi", psi) < math.inf or not abs(as_number("rho", rho)) < 1.0:
        raise ParameterError(
            f"rho is {rho:g} and psi {psi:g}", "rho between -1 and 1, psi positive", "correct the argument"
        )
    bend = psi**2 * place**2 * (1.0 - rho**2) / (4.0 * level)
    theta = level - rho * psi * place - bend
    return np.where(theta > 0.0, theta, np.nan)


@dataclass(frozen=True, kw_only=True, repr=False)
class EssviFit(Result):
    """Outcome of a search: the box, and how it ended.

    Attributes
    ----------
    box : EssviBox
    loss : float
        Sum of squared errors over their error bars, weighted by the loss that was asked for.
    evaluations : int
        How often the whole surface was evaluated.
    converged : bool
    bounds : tuple of str
        Per slice the bounds on which it ended, in words; empty where on none.
    """

    box: EssviBox
    loss: float
    evaluations: int
    converged: bool
    bounds: tuple[str, ...]
    references = ("corbetta2019", "martini2023", "mingone2022")

    @property
    def curves(self) -> EssviCurves:
        """Theta, rho and psi of the slices."""
        return box_to_parameters(self.box)

    def summary(self) -> pd.DataFrame:
        """Return one row: slices, loss, evaluations, whether it closed, slices on a bound."""
        row = {
            "slices": self.box.size,
            "loss": self.loss,
            "evaluations": self.evaluations,
            "converged": self.converged,
            "at_bound": sum(1 for reasons in self.bounds if reasons),
        }
        return pd.DataFrame([row])

    def to_frame(self) -> pd.DataFrame:
        """Return one row per slice: theta, rho, psi, and the bounds on which it ended."""
        return pd.DataFrame(self.curves._asdict()).assign(bounds=list(self.bounds))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw rho and psi of the slices over total variance at the money, and return the axes."""
        axes = new_axes(ax, (6.0, 3.5))
        axes.plot(self.curves.theta, self.curves.rho, "o-", label="rho")
        axes.plot(self.curves.theta, self.curves.psi, "s-", label="psi")
        axes.set_xlabel("theta")
        axes.legend(frameon=False)
        return axes


def _limits(atm: FloatArray) -> FloatArray:
    """Return lower and upper bounds of rho, theta_first, a and c, rows of (2, 3 slices)."""
    n, most = atm.size, 1e3 * float(atm.max())
    least = np.concatenate([1e-3 * atm[:1], _A_EDGE * atm[1:]])
    low = np.concatenate([np.full(n, -_RHO_MAX), least, np.full(n, _C_EDGE)])
    high = np.concatenate([np.full(n, _RHO_MAX), np.full(n, most), np.full(n, 1.0 - _C_EDGE)])
    return np.array([low, high])


def _start(curves: EssviCurves, bound: Bound) -> FloatArray:
    """Return the coordinates of the box that admits given slices, away from its edges."""
    moved = project(*curves, bound=bound)
    box = parameters_to_box(moved.theta, moved.rho, moved.psi, bound)
    return np.concatenate([box.rho, [box.theta_first], box.a, np.clip(box.c, 0.02, 0.98)])


def _cold(points: QuotePoints, bound: Bound) -> list[FloatArray]:
    starts = []
    for joined in (True, False):
        grid = np.empty((3, points.atm.size))
        slice_by_slice(points.first, points.k, points.w, points.weight, bound == "mm", joined, grid)
        starts.append(_start(EssviCurves(*grid), bound))
    return starts


def fit_essvi(
    quotes: Sequence[SliceQuotes],
    *,
    bound: Bound = "mm",
    start: EssviCurves | None = None,
    loss: Loss = "squared",
) -> EssviFit:
    """Return the box whose slices come nearest to the quotes of all expiries, in units of the error bars.

    Parameters
    ----------
    quotes : sequence of SliceQuotes
        Ascending in time, at least three points each.
    bound : {"mm", "gj"}
        Butterfly bound: exact, or sufficient.
    start : EssviCurves, optional
        Theta, rho and psi to begin from, one each per expiry; a grid over rho and psi, slice by slice with
        and without regard to the slice before, where None.
    loss : {"squared", "cauchy"}
        Squares of the errors over their bars, or their logarithm: three numbers a slice cannot follow every
        wing, and squares then sacrifice many tight quotes to a few far ones.

    Returns
    -------
    EssviFit

    Raises
    ------
    ParameterError
        No expiry, too few points, k not finite, an unknown bound or loss,
        or a start of another length.

    Notes
    -----
    Levenberg and Marquardt's steps in (rho, theta_first, a, c) with analytic derivatives; each stays in the
    box, so that every surface tried is free of static arbitrage. The better of two starts is kept: where
    bounds of the box meet, ends can differ by a per cent of the loss. c keeps 1e-4 from its ends and a is at
    least 1e-6 of theta, so that a fit at a bound is inside by more than rounding. Fewer than 500 evaluations;
    about 2 ms for twelve expiries of 45 quotes.

    References
    ----------
    Mingone (2022); Corbetta, Cohort, Laachir and Martini (2019).

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> quotes = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")), model="pchip")
    >>> found = fit_essvi([one.quotes for one in quotes.slices])
    >>> found.curves.rho[[0, -1]].round(3)
    array([-0.075, -0.227])
    """
    check_bound(bound)
    if loss not in get_args(Loss):
        raise ParameterError(f"loss {loss!r}", "'squared' or 'cauchy'", "name one of these")
    points = QuotePoints.of(quotes, ESSVI_MIN_POINTS)
    if start is not None and start.theta.size != points.atm.size:
        raise ParameterError(
            f"a start of {start.theta.size} slices",
            f"{points.atm.size}, one per expiry",
            "match the expiries",
        )
    limits, weight = _limits(points.atm), points.weight
    begin = _cold(points, bound) if start is None else [_start(start, bound)]
    best, total = _descend(points, weight, bound, limits, begin, _MOST // len(begin))
    for _ in range(_ROUNDS if loss == "cauchy" else 0):
        weight = points.weight / (1.0 + _squares(points, best[0], bound))
        best, more = _descend(points, weight, bound, limits, [best[0]], _MOST_AGAIN)
        total += more
    x, value, converged = best
    box = _box(x, bound)
    return EssviFit(
        box=box, loss=value, evaluations=total, converged=converged, bounds=_at_bounds(x, box, limits)
    )


def _descend(
    points: QuotePoints,
    weight: FloatArray,
    bound: Bound,
    limits: FloatArray,
    starts: Sequence[FloatArray],
    most: int,
) -> tuple[tuple[FloatArray, float, bool], int]:
    """Return the best end of the searches from some starts, and how many evaluations they took."""
    found, total, exact = [], 0, bound == "mm"
    for start in starts:
        x, out = start.copy(), np.empty(3)
        search_box(points.first, points.k, points.w, weight, exact, limits, most, _TOLERANCE, x, out)
        found.append((x, float(out[0]), bool(out[2])))
        total += int(out[1])
    return min(found, key=lambda one: one[1]), total


def _box(x: FloatArray, bound: Bound) -> EssviBox:
    n = x.size // 3
    return EssviBox(rho=x[:n], theta_first=float(x[n]), a=x[n + 1 : 2 * n], c=x[2 * n :], bound=bound)


def _squares(points: QuotePoints, x: FloatArray, bound: Bound) -> FloatArray:
    """Return the squared errors over their bars."""
    curves = box_to_parameters(_box(x, bound))
    fitted = np.concatenate(
        [
            EssviParameters(theta=t, rho=r, psi=p).at(points.k[low:high])
            for t, r, p, low, high in zip(
                *(v.tolist() for v in curves), points.first[:-1], points.first[1:], strict=True
            )
        ]
    )
    return np.asarray(points.weight * (fitted - points.w) ** 2)


def _at_bounds(x: FloatArray, box: EssviBox, limits: FloatArray) -> tuple[str, ...]:
    """Return per slice the bounds that the search ended on, in words."""
    n, table = box.size, box.table()
    found = []
    for i in range(n):
        reasons = []
        if abs(x[i]) >= _RHO_MAX:
            reasons.append("rho is at the edge of the search")
        if i > 0 and x[n + i] <= 2.0 * limits[0, n + i]:
            reasons.append("total variance at the money is held up by the expiry before")
        if x[2 * n + i] <= 2.0 * _C_EDGE:
            reasons.append("a wing is as flat as that of the expiry before" if i else "the wings are flat")
        if x[2 * n + i] >= 1.0 - 2.0 * _C_EDGE:
            if table[C, i] < table[S, i]:
                reasons.append("psi/theta may not rise from the expiry before")
            elif table[S, i] < table[F, i]:
                reasons.append("the wings are held down by a later expiry")
            else:
                reasons.append("the wings are at the butterfly bound")
        found.append("; ".join(reasons))
    return tuple(found)


def fit_essvi_surface(
    quotes: Sequence[SliceQuotes],
    curve: ForwardCurve,
    left_out: LeftOut,
    *,
    bound: Bound = "mm",
    start: EssviSurface | None = None,
    loss: Loss = "squared",
) -> EssviSurface:
    """Return the eSSVI surface through the quotes of all expiries; see :func:`fit_essvi`.

    An expiry whose fitted vol nearest the money is off by more than a fifth is left out as ``degenerate``,
    the worst first, and the others are fitted again.

    Parameters
    ----------
    start : EssviSurface, optional
        Such as that of the day before: slices of the same expiry are taken over with their remaining time,
        new ones are read between them.
    """
    out, used = dict(left_out), list(quotes)
    evaluations = 0
    while used:
        begin = None if start is None else _taken_over(start, curve, used)
        found = fit_essvi(used, bound=bound, start=begin, loss=loss)
        evaluations += found.evaluations
        slices = []
        for one, reasons, level, tilt, scale in zip(
            used, found.bounds, *(v.tolist() for v in found.curves), strict=True
        ):
            parameters = EssviParameters(theta=level, rho=tilt, psi=scale)
            fit = judge(one, parameters.at(one.k), 3, converged=found.converged, bounds=reasons)
            slices.append(EssviSlice(quotes=one, parameters=parameters, fit=fit))
        bad = [s for s in slices if not s.fit.usable]
        if not bad:
            break
        worst = max(bad, key=lambda s: s.atm_gap)
        out[worst.expiry] = (worst.fit.status, worst.fit.detail)
        used.remove(worst.quotes)
    return EssviSurface(
        slices=tuple(slices) if used else (),
        curve=curve,
        left_out={e: why for e, (_, why) in out.items()},
        left_out_status={e: status for e, (status, _) in out.items()},
        bound=bound,
        evaluations=evaluations,
    )


def _taken_over(start: EssviSurface, curve: ForwardCurve, quotes: Sequence[SliceQuotes]) -> EssviCurves:
    """Return slices to begin from: an expiry's own with the time that is left, others read between them."""
    if not isinstance(start, EssviSurface):
        raise ParameterError(
            f"a start of type {type(start).__name__}", "an EssviSurface", "pass the surface of another day"
        )
    if start.curve.underlying != curve.underlying:
        raise ConventionError(
            f"a start of {start.curve.underlying} for {curve.underlying}",
            "the same underlying",
            "pass the surface of another day of this underlying",
        )
    read = start.parameters_at([one.tau for one in quotes])
    known: dict[pd.Timestamp, EssviSlice] = {s.expiry: s for s in start.slices}
    for i, one in enumerate(quotes):
        if one.expiry in known:
            before = known[one.expiry]
            left = one.tau / before.tau
            read.theta[i], read.rho[i] = before.theta * left, before.rho
            # the wings of short expiries grow like the root of variance
            read.psi[i] = before.psi * math.sqrt(left)
    return read
