"""A surface of SABR slices, fitted expiry by expiry: a control for the models that exclude arbitrage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.numeric_arbitrage import (
    WholeLine,
)
from pmkit.surface.arguments import as_number, require
from pmkit.surface.fitted import FittedSlice, FittedSurface
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.inputs.slice_quotes import LeftOut, SliceQuotes
from pmkit.surface.slices.sabr import Sabr, alpha_from_atm
from pmkit.surface.slices.slice_fit import SliceFit, judge

__all__ = ["SABR_MIN_POINTS", "SabrSlice", "SabrSurface", "fit_sabr", "fit_sabr_surface"]

#: A slice has three parameters besides beta.
SABR_MIN_POINTS = 4
_MOST_NU_ROOT_TAU = 5.0
#: The expansion is in powers of nu² tau; from here on its terms do not fall.
_REACH = 1.0
#: Step of the finite differences, in units of the distance sqrt(w(0) + k²).
_STEP = 0.005


@dataclass(frozen=True, kw_only=True)
class SabrSlice(FittedSlice):
    """SABR of one expiry with the quotes it was fitted to."""

    sabr: Sabr

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k`` by Hagan's formula, also beyond the quoted strikes."""
        return self.sabr.w(k, self.forward, self.tau)

    def whole_line(self) -> WholeLine:
        """Return total variance with derivatives by differences; its wings are steeper than any line."""
        spread = float(self.at(0.0))

        def around(k: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
            h = _STEP * np.sqrt(spread + k * k)
            return h, [self.at(k + i * h) for i in (-2, -1, 0, 1, 2)]

        def first(k: FloatArray) -> FloatArray:
            h, (a, b, _, d, e) = around(k)
            return np.asarray((8.0 * (d - b) - (e - a)) / (12.0 * h))

        def second(k: FloatArray) -> FloatArray:
            h, (a, b, c, d, e) = around(k)
            return np.asarray((16.0 * (b + d) - (a + e) - 30.0 * c) / (12.0 * h * h))

        reach = max(4.0 * math.sqrt(spread), float(np.abs(self.quotes.k).max()))
        wing = (0.0, spread) if self.sabr.nu == 0.0 else (math.inf, math.nan)
        knots = reach * np.linspace(-1.0, 1.0, 17)
        return WholeLine(at=self.at, dw=first, d2w=second, knots=knots, wings=(wing, wing))


def _check_beta(beta: float) -> None:
    if not 0.0 <= as_number("beta of SABR", beta) <= 1.0:
        raise ParameterError(f"beta of SABR is {beta:g}", "between 0 and 1", "correct the argument")


def fit_sabr(quotes: SliceQuotes, *, beta: float = 1.0) -> tuple[Sabr, SliceFit]:
    """Return the SABR parameters nearest to the quotes of an expiry, in units of their error bars.

    Parameters
    ----------
    quotes : SliceQuotes
        At least four points.
    beta : float
        Backbone, 0 to 1, not fitted: one smile hardly tells it from rho.

    Returns
    -------
    Sabr, SliceFit
        Its status is ``at_bound`` where ``nu² tau`` exceeds 1, beyond the reach of Hagan's expansion.

    Raises
    ------
    ParameterError
        ``beta`` outside 0 to 1, fewer than four points, or quotes that no parameters reach.

    Notes
    -----
    The squares are minimised over the vol at the money, ``atanh rho`` and ``ln nu``; ``alpha`` is the root of
    the cubic of :func:`alpha_from_atm`. Two starts, one for each sign of rho. About 10 ms.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> surface = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")), model="essvi")
    >>> sabr, quality = fit_sabr(surface.slices[-1].quotes)
    >>> round(sabr.rho, 3), round(sabr.nu, 3), quality.status
    (-0.263, 0.581, 'ok')
    """
    from scipy.optimize import least_squares

    _check_beta(beta)
    require("quotes", quotes, SliceQuotes, "take those of a slice: surface.slices[0].quotes")
    if quotes.k.size < SABR_MIN_POINTS:
        raise ParameterError(
            f"{quotes.k.size} points of {quotes.expiry.date()}",
            f"at least {SABR_MIN_POINTS}",
            "take an expiry with more quotes",
        )
    tau, forward = quotes.tau, quotes.forward
    atm = math.sqrt(float(np.interp(0.0, quotes.k, quotes.w)) / tau)

    def model(x: FloatArray) -> Sabr | None:
        rho, nu = math.tanh(float(x[1])), math.exp(float(x[2]))
        try:
            level = math.exp(float(x[0]))
            alpha = alpha_from_atm(level, beta=beta, rho=rho, nu=nu, forward=forward, tau=tau)
            return Sabr(alpha=alpha, beta=beta, rho=rho, nu=nu)
        except ParameterError:
            return None

    def residual(x: FloatArray) -> FloatArray:
        made = model(x)
        if made is None:
            return np.full(quotes.k.size, 1e6)
        try:
            return np.asarray((made.w(quotes.k, forward, tau) - quotes.w) / quotes.error)
        except ParameterError:
            return np.full(quotes.k.size, 1e6)

    most = math.log(_MOST_NU_ROOT_TAU / math.sqrt(tau))
    low, high = [math.log(atm / 5.0), -4.0, math.log(1e-4)], [math.log(5.0 * atm), 4.0, most]
    best, lowest, closed = None, math.inf, False
    for rho in (-0.3, 0.3):
        start = [math.log(atm), math.atanh(rho), min(math.log(0.7 / math.sqrt(tau)), most - 0.1)]
        found = least_squares(residual, start, bounds=(low, high), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        if found.cost < lowest and (made := model(found.x)) is not None:
            best, lowest, closed = (made, found.x), float(found.cost), bool(found.status > 0)
    if best is None:
        raise ParameterError(
            f"no SABR parameters reach the quotes of {quotes.expiry.date()}",
            "quotes within the reach of the expansion",
            "take another model",
        )
    sabr, x = best
    names = ("the vol at the money", "rho", "nu")
    edges = [n for n, v, a, b in zip(names, x, low, high, strict=True) if min(v - a, b - v) < 1e-6 * (b - a)]
    reasons = [f"{' and '.join(edges)} at the edge of the search"] if edges else []
    if sabr.nu**2 * tau > _REACH:
        reasons.append(f"nu² tau is {sabr.nu**2 * tau:.2g}, beyond the reach of the expansion")
    bounds = "; ".join(reasons)
    return sabr, judge(quotes, sabr.w(quotes.k, forward, tau), 3, converged=closed, bounds=bounds)


@dataclass(frozen=True, kw_only=True, repr=False)
class SabrSurface(FittedSurface[SabrSlice]):
    """Total variance of one underlying, one SABR slice an expiry, by Hagan's formula: a control.

    The formula is not free of arbitrage: in both wings total variance grows faster than any line, so that
    every slice with vol of vol fails there; :meth:`arbitrage` says from which k on. Between expiries ``w`` is
    linear in tau at fixed k; before the first and after the last the implied vol at fixed k is flat.

    Attributes
    ----------
    slices : tuple of SabrSlice
        Ascending in tau, at least one.
    curve : ForwardCurve
        For strikes; interpolated log-linearly.
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    left_out_status : mapping of Timestamp to str
        Their status: ``too_few_points``, ``degenerate`` or ``not_converged``.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="sabr")
    >>> round(float(surface.iv(63_000.0, 30 / 365)), 2)
    0.33
    """

    model: str = "sabr"
    references = ("hagan2002",)
    _least: ClassVar[str] = "four"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter."""
        parameters = [(s.sabr.alpha, s.sabr.beta, s.sabr.rho, s.sabr.nu) for s in self.slices]
        return fingerprint(self.model, self.taus, parameters)


def fit_sabr_surface(
    quotes: Sequence[SliceQuotes], curve: ForwardCurve, left_out: LeftOut, *, beta: float = 1.0
) -> SabrSurface:
    """Return the surface of SABR slices, each fitted alone; see :func:`fit_sabr`."""
    _check_beta(beta)
    slices, out = [], dict(left_out)
    for one in quotes:
        try:
            sabr, quality = fit_sabr(one, beta=beta)
        except ParameterError as refusal:
            out[one.expiry] = ("not_converged", str(refusal))
            continue
        if quality.usable:
            slices.append(SabrSlice(quotes=one, sabr=sabr, fit=quality))
        else:
            out[one.expiry] = (quality.status, quality.detail)
    return SabrSurface(
        slices=tuple(slices),
        curve=curve,
        left_out={e: why for e, (_, why) in out.items()},
        left_out_status={e: status for e, (status, _) in out.items()},
    )
