"""The quadratic programme of a spline on eSSVI: squares, curvature, convexity and order as local rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import density as raw_density
from pmkit.surface.inputs.slice_quotes import SliceQuotes
from pmkit.surface.joint.banded_programme import RUN, LocalRows, Solution, solve_banded
from pmkit.surface.joint.essvi import EssviParameters
from pmkit.surface.joint.essvi_bound import Bound
from pmkit.surface.joint.essvi_fit import fit_essvi
from pmkit.surface.joint.essvi_spline import otm_value, variance_vega
from pmkit.surface.joint.spline_basis import SplineBasis

__all__ = ["Expiry", "Programme", "laid_out"]

#: Least distance of two knots, in standard deviations.
_APART = 0.1
#: Knots beyond the outermost quotes, the first step in standard deviations, and how the steps grow.
_BEYOND, _STEP, _GROWTH = 9, 0.3, 1.4
#: Places from one knot to the next at which convexity and order are held from the beginning, and those at
#: which they are watched.
_PLACES, _WATCHED = 4, 32
#: Most solutions with more and more places.
_ROUNDS = 12
#: Points in which a dip is looked at closely, and the share of the margin below which its bottom joins.
_ZOOM, _GONE = 33, 0.5
#: Least density kept, as a share of that of eSSVI or of a fiftieth of Black's where that is more.
_LEAST_DENSITY, _BLACK = 1e-3, 0.02
#: Least increase of prices in time kept, as a share of the price.
_LEAST_RISE = 1e-4
#: Prices below this, in shares of the forward, are nothing; fewest knots beyond the quotes on either side.
_NOTHING, _FEWEST = 1e-16, 3
#: The penalty is one error bar where a hundredth of the vol bends within a standard deviation.
_BEND = 1e4


@dataclass(frozen=True)
class Expiry:
    """One expiry of the programme: eSSVI below, a basis, and the unit of each unknown."""

    quotes: SliceQuotes
    parameters: EssviParameters
    basis: SplineBasis
    unit: FloatArray
    offset: int

    def of(self, x: FloatArray) -> FloatArray:
        """Return the weights of this expiry, in price, out of those of all in their units."""
        return np.asarray(x[self.offset : self.offset + self.unit.size] * self.unit)

    def rows(self, x: FloatArray, derivative: int, scale: FloatArray) -> LocalRows:
        """Return the spline or a derivative at places, divided by ``scale``, as rows of one run."""
        first, values = self.basis.local(x, derivative)
        values = values * self.unit[first[:, None] + np.arange(RUN)] / scale[:, None]
        begin = first + self.offset
        runs = np.zeros((x.size, 2, RUN))
        runs[:, 0] = values
        return LocalRows(first=np.stack([begin, begin], axis=1), values=runs)

    def dense(self, x: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the spline at places divided by ``scale``, one column an unknown of this expiry."""
        rows = self.rows(x, 0, scale)
        out = np.zeros((x.size, self.unit.size))
        np.put_along_axis(out, rows.first[:, :1] - self.offset + np.arange(RUN), rows.values[:, 0], axis=1)
        return out

    def net(self, places: int) -> FloatArray:
        """Return the knots and as many places from each of them to the next."""
        t = self.basis.knots
        shares = np.arange(places) / places
        return np.append((t[:-1, None] + np.diff(t)[:, None] * shares).ravel(), t[-1])


def _knots(quotes: SliceQuotes, parameters: EssviParameters) -> FloatArray:
    """Return knots at the quoted strikes that are apart, and beyond them in growing steps to nothing."""
    sd = math.sqrt(parameters.theta)
    kept = [float(quotes.k[0])]
    for k in quotes.k[1:].tolist():
        if k - kept[-1] >= _APART * sd:
            kept.append(k)
    if len(kept) == 1:
        kept.append(kept[0] + _APART * sd)
    steps = _STEP * sd * np.cumsum(_GROWTH ** np.arange(_BEYOND))
    sides = []
    for out in (kept[0] - steps, kept[-1] + steps):
        worth = otm_value(out, parameters.at(out)) > _NOTHING
        sides.append(out[: max(int(np.argmin(np.append(worth, False))), _FEWEST)])
    return np.concatenate([sides[0][::-1], kept, sides[1]])


def laid_out(quotes: Sequence[SliceQuotes], bound: Bound) -> list[Expiry]:
    """Return every expiry with its eSSVI slice and its unknowns, whose units are the prices there."""
    found, offset = [], 0
    for one, theta, rho, psi in zip(
        quotes, *(v.tolist() for v in fit_essvi(quotes, bound=bound).curves), strict=True
    ):
        parameters = EssviParameters(theta=theta, rho=rho, psi=psi)
        basis = SplineBasis(_knots(one, parameters))
        unit = np.maximum(otm_value(basis.centres, parameters.at(basis.centres)), _NOTHING)
        found.append(Expiry(one, parameters, basis, unit, offset))
        offset += basis.size
    return found


def _squares(one: Expiry, smoothing: float) -> tuple[FloatArray, FloatArray]:
    """Return the matrix and the linear part of the squared errors and of the penalty of an expiry."""
    k, quotes = one.quotes.k, one.quotes
    target = otm_value(k, quotes.w) - otm_value(k, one.parameters.at(k))
    bar = quotes.error * variance_vega(k, quotes.w)
    fitted = one.dense(k, bar)
    # relative change of vol, none beyond the knots; the growing steps beyond the quotes count alike
    t = one.basis.knots
    x = np.concatenate([[2.0 * t[0] - t[1]], t, [2.0 * t[-1] - t[-2]]])
    w = one.parameters.at(x)
    relative = one.dense(x, np.maximum(2.0 * w * variance_vega(x, w), _NOTHING))
    h = np.diff(x / math.sqrt(one.parameters.theta))
    h[(x[1:] <= k[0]) | (x[:-1] >= k[-1])] = _STEP
    slopes = np.diff(relative, axis=0) / h[:, None]
    bends = np.diff(slopes, axis=0) / np.sqrt(0.5 * (h[:-1] + h[1:]))[:, None]
    # sums by einsum: a library of linear algebra may add in another order on another number of threads
    matrix = np.einsum("ij,ik->jk", fitted, fitted) + _BEND * smoothing * np.einsum("ij,ik->jk", bends, bends)
    return 2.0 * matrix, -2.0 * np.einsum("ij,i->j", fitted, target / bar)


@dataclass(frozen=True)
class _Held:
    """A condition at places of one expiry or of two: what the programme holds at 0 or more.

    ``rows x <= limits`` keeps ``value`` of eSSVI plus what the spline adds above a small margin, or above
    half of what eSSVI has where that is less: no correction at all is admissible.
    """

    k: FloatArray
    at: Callable[[FloatArray], _Held]
    rows: LocalRows
    value: FloatArray
    margin: FloatArray

    @property
    def limits(self) -> FloatArray:
        """The right-hand side of the programme."""
        return self.value - self.margin

    def left(self, x: FloatArray) -> FloatArray:
        """Return what the condition leaves at a solution, in units of the margin."""
        return np.asarray((self.value - self.rows.times(x)) / self.margin)

    def lowest(self, x: FloatArray) -> _Held | None:
        """Return the condition at the bottoms of the dips in which most of the margin is gone."""
        left = self.left(x)
        padded = np.concatenate([[np.inf], left, [np.inf]])
        dips = np.flatnonzero((left <= padded[:-2]) & (left <= padded[2:]))
        low, high = self.k[np.maximum(dips - 1, 0)], self.k[np.minimum(dips + 1, self.k.size - 1)]
        near = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, _ZOOM)
        closer = self.at(near.ravel()).left(x).reshape(near.shape)
        bottom = np.argmin(closer, axis=1)
        each = np.arange(dips.size)
        gone = closer[each, bottom] < _GONE
        return self.at(near[each, bottom][gone]) if gone.any() else None


def _margin(value: FloatArray, least: float) -> FloatArray:
    return np.minimum(least, 0.5 * np.maximum(value, 1e-9 * least))


def _convex(one: Expiry, k: FloatArray) -> _Held:
    """Return the density of an expiry, in units of that of eSSVI."""
    w = one.parameters.at(k)
    below = raw_density(one.parameters.raw(), k)
    d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
    scale = np.maximum(below, _BLACK * np.exp(-0.5 * d2 * d2) / np.sqrt(2.0 * math.pi * w))
    scale = np.maximum(scale, _NOTHING)
    first, second = (one.rows(k, order, np.exp(k) * scale) for order in (1, 2))
    rows = LocalRows(first=second.first, values=first.values - second.values)
    value = below / scale
    return _Held(k, partial(_convex, one), rows, value, _margin(value, _LEAST_DENSITY))


def _ordered(near: Expiry, far: Expiry, k: FloatArray) -> _Held:
    """Return the increase of prices from one expiry to the next, in units of the later price."""
    after = otm_value(k, far.parameters.at(k))
    scale = np.maximum(after, _NOTHING)
    rise = (after - otm_value(k, near.parameters.at(k))) / scale
    early, late = near.rows(k, 0, scale), far.rows(k, 0, scale)
    values = np.stack([early.values[:, 0], -late.values[:, 0]], axis=1)
    first = np.stack([early.first[:, 0], late.first[:, 0]], axis=1)
    rows = LocalRows(first=first, values=values)
    return _Held(k, partial(_ordered, near, far), rows, rise, _margin(rise, _LEAST_RISE))


class Programme:
    """The quadratic programme of all expiries, with the places at which its conditions are held."""

    def __init__(self, expiries: Sequence[Expiry], smoothing: float) -> None:
        self.expiries = expiries
        total = expiries[-1].offset + expiries[-1].unit.size
        self.bands = np.zeros((total, max(one.unit.size for one in expiries)))
        self.linear = np.empty(total)
        # in units of one squared error, of which there are as many as quotes
        size = sum(one.quotes.k.size for one in expiries)
        for one in expiries:
            matrix, part = _squares(one, smoothing)
            n = part.size
            self.linear[one.offset : one.offset + n] = part / size
            for d in range(n):
                self.bands[one.offset : one.offset + n - d, d] = np.diagonal(matrix, d) / size
        self.held = self._conditions([one.net(_PLACES) for one in expiries])
        self.watched = self._conditions([one.net(_WATCHED) for one in expiries])

    def _conditions(self, nets: list[FloatArray]) -> list[_Held]:
        found = [_convex(one, k) for one, k in zip(self.expiries, nets, strict=True)]
        for i, (near, far) in enumerate(zip(self.expiries[:-1], self.expiries[1:], strict=True)):
            found.append(_ordered(near, far, np.unique(np.concatenate(nets[i : i + 2]))))
        return found

    def solve(self) -> Solution:
        """Return the weights in the units of the expiries.

        Between the places that are held a condition may fail; where it does on a finer net, the bottoms of
        the dips join and the programme is solved again.
        """
        held = list(self.held)
        for _ in range(_ROUNDS):
            found = solve_banded(
                self.bands,
                self.linear,
                LocalRows.joined([one.rows for one in held]),
                np.concatenate([one.limits for one in held]),
            )
            lowest = [one.lowest(found.x) for one in self.watched]
            more = [one for one in lowest if one is not None]
            if not found.usable or not more:
                break
            held += more
        return found
