"""The raw SVI slice nearest to quotes among those without static arbitrage anywhere on the line.

Durrleman's g is smooth in the parameters at each k, and so is total variance less that of a neighbour in
time; least squares subject to both being 0 or more at finitely many k is a small smooth programme. The exact
criteria judge its solution; where they find a violation between the places that were looked at, those places
join, and the programme is solved again (exchange method).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.wing_findings import LEE_BOUND
from pmkit.surface.slices.svi import RawSvi
from pmkit.surface.slices.svi_verdict import LITTLE, Between, judged, mended

__all__ = ["FreeSvi", "nearest_free"]

#: Distances from the middle of the quotes, in units of their range, at which g is held from the beginning.
_PLACES = np.concatenate([np.linspace(0.1, 0.6, 6), np.geomspace(1.0, 100.0, 5)])
_ROUNDS = 10
#: Relative change of chi² between two rounds at which a search has closed.
_STANDS = 1e-4
#: Just inside the moment bound, because a call wing of slope 2 leaves value at infinite strikes.
_STEEPEST = LEE_BOUND * (1.0 - 1e-9)


@dataclass(frozen=True)
class FreeSvi:
    """A slice without static arbitrage, whether a constraint binds, and whether the search closed."""

    svi: RawSvi
    binds: bool
    closed: bool


class _Programme:
    """Least squares in level, slope and curvature of w amid the quotes, m, and ln sigma.

    A wide hyperbola is nearly a parabola, of which the quotes fix these first three well while a, b and rho
    are large numbers that cancel. Steps are taken in coordinates that the squares are round in.
    """

    def __init__(
        self, k: FloatArray, w: FloatArray, bars: FloatArray, best: RawSvi, between: Between, ceiling: float
    ) -> None:
        self.k, self.w, self.bars = k, w, bars
        # a little more than nothing, so that what the search leaves does not cross a neighbour
        self.spare = 1e-7
        self.neighbours = [(side, one) for side, one in zip((1.0, -1.0), between, strict=True) if one]
        self.level, self.span = float(np.mean(w)), float(k[-1] - k[0])
        self.middle = 0.5 * float(k[0] + k[-1])
        places = self.span * np.concatenate([-_PLACES[::-1], [0.0], _PLACES])
        self.places = self.middle + places
        # squares in units of those that the best slice of all leaves, lest they vanish or overflow
        residual = math.sqrt(self.chi2(best) / k.size)
        unit = max(residual, 1e-6 * self.level / float(bars.min()))
        self.bars, self.ceiling, self.hopeless = bars * unit, ceiling / unit**2, False
        self.low = np.array([k[0] - self.span, math.log(self.span / 200.0)])
        self.high = np.array([k[-1] + self.span, math.log(10.0 * self.span)])
        self.flattest = min(1e-6 * self.level / self.span, 1.0)
        scale = [self.level, self.level / self.span, self.level / self.span**2, self.span, 1.0]
        self.origin, self.frame = np.zeros(5), np.diag(scale)
        self.scale = np.array(scale)

    def chi2(self, svi: RawSvi) -> float:
        return math.fsum(((svi.w(self.k) - self.w) / self.bars) ** 2)

    # -- from parameters to coordinates and back ------------------------------------------------------------
    def centre(self, svi: RawSvi) -> None:
        """Move the origin of the coordinates to a slice, in whose neighbourhood the squares become round."""
        m, log = np.clip([svi.m, math.log(svi.sigma)], self.low, self.high)
        at = np.array([self.middle])
        self.origin = np.array([float(f(at)[0]) for f in (svi.w, svi.dw, svi.d2w)] + [m, log])
        self.frame = np.diag(self.scale)
        columns = (self._columns(self.k, *self._raw(np.zeros(5)))[1][0] / self.bars).T
        _, values, axes = np.linalg.svd(columns @ self._to_raw(np.zeros(5)), full_matrices=False)
        # a direction that the quotes leave open gets steps of half its scale
        self.frame = self.frame @ axes.T / np.maximum(values, 2.0)

    def _raw(self, z: FloatArray) -> tuple[float, float, float, float, float]:
        """Return a, right slope, left slope, m and sigma."""
        x = self.origin + self.frame @ z
        m, log = np.clip(x[3:], self.low - self.span, self.high + 1.0)
        sigma, y = math.exp(log), self.middle - m
        root = math.hypot(y, sigma)
        b = x[2] * root**3 / sigma**2
        tilt = x[1] - b * y / root
        p, q = b + tilt, b - tilt
        return float(x[0] - 0.5 * (p * (root + y) + q * (root - y))), float(p), float(q), float(m), sigma

    def _to_raw(self, z: FloatArray) -> FloatArray:
        """Return the derivatives of a, both slopes, m and ln sigma in the coordinates."""
        columns = np.eye(5)
        columns[:3] = self._columns(np.array([self.middle]), *self._raw(z))[1][:, :, 0]
        return np.asarray(np.linalg.solve(columns, self.frame))

    def slice(self, z: FloatArray) -> RawSvi:
        a, p, q, m, sigma = self._raw(z)
        p, q = np.clip([p, q], self.flattest, _STEEPEST)
        m = float(np.clip(m, self.low[0], self.high[0]))
        sigma = math.exp(float(np.clip(math.log(sigma), self.low[1], self.high[1])))
        a = max(a, 1e-9 * self.level - sigma * math.sqrt(p * q))
        return RawSvi(a=a, b=float(0.5 * (p + q)), rho=float((p - q) / (p + q)), m=m, sigma=sigma)

    @staticmethod
    def _columns(
        k: FloatArray, a: float, p: float, q: float, m: float, sigma: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return w, w', w'' at k, one line each, and their derivatives in a, p, q, m and ln sigma."""
        b, y = 0.5 * (p + q), k - m
        root = np.hypot(y, sigma)
        t, s2, zero = y / root, sigma * sigma, np.zeros_like(y)
        slope, bend = 0.5 * (p - q) + b * t, b * s2 / root**3
        value = a + 0.5 * (p * (root + y) + q * (root - y))
        half = 0.5 * s2 / root**3
        return np.array([value, slope, bend]), np.array(
            [
                [zero + 1.0, 0.5 * (root + y), 0.5 * (root - y), -slope, b * s2 / root],
                [zero, 0.5 * (1.0 + t), 0.5 * (t - 1.0), -bend, -bend * y],
                [zero, half, half, 3.0 * bend * y / root**2, bend * (2.0 - 3.0 * s2 / root**2)],
            ]
        )

    # -- what the programme minimises and holds -------------------------------------------------------------
    def loss(self, z: FloatArray) -> tuple[float, FloatArray]:
        values, slopes = self._columns(self.k, *self._raw(z))
        gap = (values[0] - self.w) / self.bars
        gradient = 2.0 * np.add.reduce(slopes[0] * (gap / self.bars), axis=1)
        return math.fsum(gap * gap), np.asarray(gradient @ self._to_raw(z))

    def held(self, z: FloatArray) -> FloatArray:
        """Return what has to be 0 or more: g at the places, least variance, slopes, and the box."""
        raw = self._raw(z)
        (w, d, c), _ = self._columns(self.places, *raw)
        w = np.maximum(w, 1e-9 * self.level)
        g = (1.0 - 0.5 * self.places * d / w) ** 2 - 0.25 * d * d * (1.0 / w + 0.25) + 0.5 * c
        a, p, q, m, sigma = raw
        least = (a + sigma * math.sqrt(max(p * q, 0.0))) / self.level
        log = math.log(sigma)
        rest = [
            least - 1e-6, p - self.flattest, _STEEPEST - p, q - self.flattest, _STEEPEST - q,
            (m - self.low[0]) / self.span, (self.high[0] - m) / self.span,
            log - self.low[1], self.high[1] - log,
        ]  # fmt: skip
        for side, one in self.neighbours:
            rest += [side * (p - one.slopes[1]) - self.spare, side * (q - one.slopes[0]) - self.spare]
        apart = [side * (w - one.w(self.places)) / self.level - self.spare for side, one in self.neighbours]
        return np.concatenate([g - 1e-9, rest, *apart])

    def held_slopes(self, z: FloatArray) -> FloatArray:
        raw = self._raw(z)
        (w, d, _), slopes = self._columns(self.places, *raw)
        w, k = np.maximum(w, 1e-9 * self.level), self.places
        h = 1.0 - 0.5 * k * d / w
        in_w = h * k * d / w**2 + 0.25 * (d / w) ** 2
        in_d = -h * k / w - 0.5 * d * (1.0 / w + 0.25)
        rows = in_w * slopes[0] + in_d * slopes[1] + 0.5 * slopes[2]
        _, p, q, _, sigma = raw
        root = math.sqrt(max(p * q, self.flattest**2))
        rest = np.zeros((9, 5))
        rest[0] = np.array([1.0, 0.5 * sigma * q / root, 0.5 * sigma * p / root, 0.0, sigma * root])
        rest[0] /= self.level
        rest[1, 1], rest[2, 1], rest[3, 2], rest[4, 2] = 1.0, -1.0, 1.0, -1.0
        rest[5, 3], rest[6, 3], rest[7, 4], rest[8, 4] = 1.0 / self.span, -1.0 / self.span, 1.0, -1.0
        for side, _ in self.neighbours:
            rest = np.vstack([rest, side * np.eye(5)[1:3]])
        apart = [side * slopes[0].T / self.level for side, _ in self.neighbours]
        return np.asarray(np.vstack([rows.T, rest, *apart]) @ self._to_raw(z))


def _surely_free(k: FloatArray, w: FloatArray, rho: float) -> RawSvi:
    """Return an SSVI slice through the quote nearest the money, within the sufficient bounds."""
    theta = float(w[int(np.argmin(np.abs(k)))])
    rho = min(max(rho, -0.9), 0.9)
    top = 0.99 * min(4.0 / (1.0 + abs(rho)), 2.0 * math.sqrt(theta / (1.0 + abs(rho))))
    wanted = abs(float(w[-1]) + float(w[0]) - 2.0 * theta) / float(k[-1] - k[0])
    psi = min(max(wanted, 0.05 * top), top)
    root = math.sqrt(1.0 - rho * rho)
    return RawSvi(
        a=0.5 * theta * root * root, b=0.5 * psi, rho=rho, m=-rho * theta / psi, sigma=root * theta / psi
    )


def nearest_free(
    k: FloatArray,
    w: FloatArray,
    bars: FloatArray,
    start: RawSvi,
    between: Between = (None, None),
    ceiling: float = math.inf,
) -> FreeSvi:
    """Return the slice of least chi² among those without butterfly arbitrage, ordered in time if asked for.

    Parameters
    ----------
    k, w, bars : ndarray, shape (n,)
        Log-moneyness, total variance, error bars.
    start : RawSvi
        The slice of least chi² without the constraints; it is the answer where it meets them.
    between : (RawSvi or None, RawSvi or None)
        Slices of an earlier and of a later expiry, themselves free: total variance is held at least that of
        the first and at most that of the second, on the whole line.
    ceiling : float
        Chi² above which the slice is of no use. As places join chi² rises, so a search that stands above it
        is given up.

    Notes
    -----
    Minimise ``sum ((w_fit - w)/bar)²`` subject to ``g(k_j) >= 0``, ``w(k_j) >= w_early(k_j)`` and
    ``w(k_j) <= w_late(k_j)`` by sequential quadratic programming, from ``start`` and, where that does not
    close, from slices that are surely free; the places ``k_j`` grow by where the exact criteria find the
    worst, until chi² stands still. What is left of rounding is taken by widening to ``sigma*`` and by a shift
    of the level, so that the slice returned is free by the exact criteria. The problem is not convex: the
    solution is a local one.
    """
    if judged(start, between).free:
        return FreeSvi(start, binds=False, closed=True)
    programme = _Programme(k, w, bars, start, between, ceiling)
    inside = _between_starts(k, w, between)
    sure = _surely_free(k, w, start.rho)
    allowed = [one for one in (*inside, sure) if judged(one, between).free] or [sure]
    best = min(allowed, key=programme.chi2)
    lowest = programme.chi2(best)
    for begin in (start, *inside, sure, replace(sure, rho=0.5 * sure.rho)):
        if lowest <= programme.ceiling:
            programme.ceiling = math.inf
        found, closed = _exchange(programme, begin, between)
        if found is not None and (loss := programme.chi2(found)) < lowest:
            best, lowest = found, loss
        if closed or programme.hopeless:
            return FreeSvi(best, binds=True, closed=closed)
    return FreeSvi(best, binds=True, closed=False)


def _between_starts(k: FloatArray, w: FloatArray, between: Between) -> list[RawSvi]:
    """Return slices that meet the order in time: a neighbour, raised or lowered to the quotes, and itself."""
    atm = int(np.argmin(np.abs(k)))
    found = []
    for side, one in zip((1.0, -1.0), between, strict=True):
        if one is None:
            continue
        here = float(one.w(k[atm]))
        gap = float(w[atm]) - here
        if side * gap > 0.0:
            # raising keeps it above everywhere, scaling down keeps it below
            ratio = 1.0 if side > 0.0 else float(w[atm]) / here
            lift = gap if side > 0.0 else 0.0
            found.append(replace(one, a=ratio * one.a + lift, b=ratio * one.b))
        found.append(one)
    return found


def _exchange(programme: _Programme, begin: RawSvi, between: Between) -> tuple[RawSvi | None, bool]:
    """Return the local solution near a slice, and whether it closed; None where none was free."""
    from scipy.optimize import minimize

    svi, best, lowest = begin, None, math.inf
    rule: Any = {"type": "ineq", "fun": programme.held, "jac": programme.held_slopes}
    for _ in range(_ROUNDS):
        programme.centre(svi)
        with np.errstate(all="ignore"):
            solved: Any = minimize(
                programme.loss,
                np.zeros(5),
                jac=True,
                method="SLSQP",
                constraints=rule,
                options={"maxiter": 60, "ftol": 1e-9},
            )
        if not np.isfinite(solved.x).all():
            break
        # 0 and 8: a minimum, as far as rounding lets one be told
        if solved.status in (0, 8) and solved.fun > programme.ceiling:
            programme.hopeless = True
            break
        last, known, svi = (svi, programme.spare), programme.places.size, programme.slice(solved.x)
        verdict = judged(svi, between)
        clear = mended(svi, verdict, between, programme.level)
        if clear is not None:
            before, loss = lowest, programme.chi2(clear)
            if loss < lowest:
                best, lowest = clear, loss
            if abs(before - loss) <= _STANDS * loss:
                return best, True
        elif (miss := verdict.miss(programme.level)) < LITTLE:
            programme.spare = min(max(programme.spare, 2.0 * miss), LITTLE)
        programme.places = np.unique(np.append(programme.places, verdict.worst(svi)))
        if clear is None and last == (svi, programme.spare) and known == programme.places.size:
            # nothing has changed, nor would it in the rounds that are left
            break
    return best, False
