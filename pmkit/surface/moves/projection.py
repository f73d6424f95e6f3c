"""Smiles brought back to a surface without static arbitrage: nearest eSSVI slices, then a forward pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.types import FloatArray
from pmkit.pricing.inputs import as_floats
from pmkit.surface.joint.essvi import EssviParameters
from pmkit.surface.joint.essvi_bound import Bound, psi_max
from pmkit.surface.joint.essvi_box import EDGE
from pmkit.surface.moves.scaling_limits import raw_scaling_limit
from pmkit.surface.slices.svi import RawSvi

__all__ = ["essvi_between", "fit_smile", "projected", "shifted_raw", "steepest"]

_ROUNDS = 60
#: A tilt this near to 1 has no raw form that can be computed with.
_TILT = 1.0 - 1e-7
#: Coordinates of the share of psi in its bound between which the logistic function is resolved.
_SHARE = 16.0
#: Least weight of a strike, so that far wings are not free.
_FAR = 0.01
#: Relative step of the derivatives of the bound.
_STEP = 1e-6


def _parameters(x: FloatArray, bound: Bound) -> tuple[float, float, float, FloatArray]:
    """Return theta, rho, psi and the derivatives of ln psi in the three coordinates."""
    theta, rho = math.exp(x[0]), _TILT * math.tanh(x[1])
    d_rho = _TILT * (1.0 - (rho / _TILT) ** 2)
    ahead = 1.0 if rho < 0.0 else -1.0
    most = psi_max([theta, theta * (1.0 + _STEP), theta], [rho, rho, rho + ahead * _STEP * 0.1], bound)
    share = 1.0 / (1.0 + math.exp(-x[2]))
    logs = np.log(most)
    slopes = np.array(
        [
            float(logs[1] - logs[0]) / math.log1p(_STEP),
            float(logs[2] - logs[0]) / (ahead * _STEP * 0.1) * d_rho,
            1.0 - share,
        ]
    )
    return theta, rho, float(most[0]) * share, slopes


def _smile(x: FloatArray, k: FloatArray, bound: Bound) -> tuple[FloatArray, FloatArray]:
    """Return sqrt(w) and its derivatives in (ln theta, atanh rho, logit of psi over its bound)."""
    theta, rho, psi, d_log_psi = _parameters(x, bound)
    side = 1.0 - rho * rho
    root = np.sqrt((psi * k + theta * rho) ** 2 + theta * theta * side)
    total = np.sqrt(0.5 * (theta + rho * psi * k + root))
    d_theta = 0.5 * (1.0 + (rho * psi * k + theta) / root) * theta
    d_rho = 0.5 * (psi * k + psi * k * theta / root) * _TILT * (1.0 - (rho / _TILT) ** 2)
    d_psi = 0.5 * (rho * k + k * (psi * k + theta * rho) / root) * psi
    slopes = np.stack([d_theta, d_rho, np.zeros_like(k)]) + d_log_psi[:, None] * d_psi
    return total, slopes / (2.0 * total)


def fit_smile(k: FloatArray, w: FloatArray, bound: Bound = "mm") -> EssviParameters:
    """Return the eSSVI slice without butterfly arbitrage nearest to a smile in vol.

    Parameters
    ----------
    k, w : ndarray, shape (points,)
        Log-moneyness, ascending, and total variance; at least three points.
    bound : {"mm", "gj"}
        Butterfly bound: exact, or sufficient.

    Raises
    ------
    ParameterError
        Fewer than three points, or total variance that is not positive.

    Notes
    -----
    Least squares in vol, weighted by the density of the strike (``exp(-k²/(2w))``, at least 0.01) so that far
    wings do not bend the middle. Levenberg–Marquardt in (ln theta, atanh rho, logit of psi over its bound):
    every step stays inside the bound. Sums run in a fixed order. About 1 ms.

    Examples
    --------
    >>> k = np.linspace(-0.4, 0.4, 9)
    >>> found = fit_smile(k, EssviParameters(theta=0.04, rho=-0.3, psi=0.1).at(k))
    >>> round(found.theta, 8), round(found.rho, 8), round(found.psi, 8)
    (0.04, -0.3, 0.1)
    """
    k = as_floats("k", k, "log-moneyness", any_sign=True).ravel()
    w = as_floats("w", w, "total variance", any_sign=True).ravel()
    if k.size != w.size or k.size < 3 or np.isnan(k).any() or not (w > 0.0).all():
        raise ParameterError(
            f"{k.size} points, least total variance {float(w.min()) if w.size else math.nan:g}",
            "three points or more, positive",
            "give the smile on its quoted range",
        )
    weight = np.sqrt(np.maximum(np.exp(-0.5 * k * k / w), _FAR))
    target = np.sqrt(w)
    x = _start(k, w, bound)
    total, slopes = _smile(x, k, bound)
    gap, slopes = weight * (target - total), weight * slopes
    loss, damping = float(np.add.reduce(gap * gap)), 1e-3
    for _ in range(_ROUNDS):
        step = _step(slopes, gap, damping)
        moved = x + np.clip(step, -1.0, 1.0)
        moved[1], moved[2] = _clip(moved[1], 8.0), _clip(moved[2], _SHARE)
        total, trial_slopes = _smile(moved, k, bound)
        trial_gap = weight * (target - total)
        trial = float(np.add.reduce(trial_gap * trial_gap))
        if trial >= loss:
            damping *= 10.0
            if damping > 1e8:
                break
            continue
        closed = loss - trial <= 1e-14 * loss
        x, gap, slopes, loss = moved, trial_gap, weight * trial_slopes, trial
        damping = max(0.1 * damping, 1e-12)
        if closed or loss <= 1e-28 * k.size:
            break
    theta, rho, psi, _ = _parameters(x, bound)
    return EssviParameters(theta=theta, rho=rho, psi=psi)


def _clip(value: float, most: float) -> float:
    return min(max(float(value), -most), most)


def _start(k: FloatArray, w: FloatArray, bound: Bound) -> FloatArray:
    """Return coordinates from the value at the money and the chords to a standard deviation on each side."""
    theta = float(np.interp(0.0, k, w))
    reach = 1.5 * math.sqrt(theta)
    left, right = (float(np.interp(side * reach, k, w)) - theta for side in (-1.0, 1.0))
    psi = max((left + right) / reach, 0.05 * math.sqrt(theta))
    rho = _clip((right - left) / (reach * psi), 0.8)
    share = min(max(psi / float(psi_max(theta, rho, bound)), 0.02), 0.98)
    return np.array([math.log(theta), math.atanh(rho), math.log(share / (1.0 - share))])


def _step(slopes: FloatArray, gap: FloatArray, damping: float) -> FloatArray:
    """Return the damped step by Cholesky, written out so that equal inputs give equal bits."""
    a = np.array([[float(np.add.reduce(p * q)) for q in slopes] for p in slopes])
    right = [float(np.add.reduce(p * gap)) for p in slopes]
    lower = np.zeros((3, 3))
    for i in range(3):
        a[i, i] += damping * a[i, i] + 1e-300
        for j in range(i + 1):
            rest = a[i, j] - math.fsum(lower[i, n] * lower[j, n] for n in range(j))
            lower[i, j] = math.sqrt(max(rest, 1e-300)) if i == j else rest / lower[j, j]
    y, x = np.zeros(3), np.zeros(3)
    for i in range(3):
        y[i] = (right[i] - math.fsum(lower[i, n] * y[n] for n in range(i))) / lower[i, i]
    for i in (2, 1, 0):
        x[i] = (y[i] - math.fsum(lower[n, i] * x[n] for n in range(i + 1, 3))) / lower[i, i]
    return x


def shifted_raw(parameters: EssviParameters, shift: float) -> RawSvi:
    """Return the raw form of an eSSVI slice read at ``k + shift``."""
    raw = parameters.raw()
    return raw if shift == 0.0 else replace(raw, m=raw.m - shift)


def steepest(parameters: EssviParameters, shift: float, bound: Bound = "mm") -> float:
    """Return the greatest psi up to the slice's own without butterfly arbitrage, when read at ``k + shift``.

    Without a shift this is the bound itself; with one, the root in psi of the exact criterion.
    """
    if shift == 0.0 or bound == "gj":
        limit = parameters.psi_max(bound)
        if shift == 0.0:
            return limit
        parameters = replace(parameters, psi=min(parameters.psi, limit))

    def spare(psi: float) -> float:
        return min(raw_scaling_limit(shifted_raw(replace(parameters, psi=psi), shift)), 2.0) - 1.0

    if spare(parameters.psi) >= 0.0:
        return parameters.psi
    from scipy.optimize import brentq

    low = parameters.psi
    while spare(low) < 0.0:
        low *= 0.5
    found: float = brentq(spare, low, 2.0 * low, xtol=1e-14, rtol=1e-12)
    return found


def projected(
    parameters: Sequence[EssviParameters], *, shift: float = 0.0, bound: Bound = "mm"
) -> tuple[EssviParameters, ...]:
    """Return slices without static arbitrage in the place of given ones, earliest first.

    Parameters
    ----------
    parameters : sequence of EssviParameters
    shift : float
        The slices are read at ``k + shift``, all alike: a smile that stays at its strikes while the forward
        moves. It leaves calendars as they are and changes what is free of butterflies.
    bound : {"mm", "gj"}
        Butterfly bound: exact, or sufficient.

    Raises
    ------
    PmkitError
        No admissible slices were found.

    Notes
    -----
    Mingone's forward pass: rho stays, theta is raised to p theta of the slice before where it is less, psi is
    cut to what the butterfly bound leaves and to [p psi before, theta phi before]. Without a shift it is
    :func:`pmkit.surface.project`. With one, the bound of a slice is known only once it is violated: the pass
    is repeated with the bounds found until every slice is free.

    References
    ----------
    Mingone (2022), Theorem 3.4; Martini and Mingone (2022).
    """
    wanted = tuple(parameters)
    bounds = [one.psi_max(bound) if shift == 0.0 else math.inf for one in _raised(wanted)]
    known: dict[EssviParameters, float] = {}
    for _ in range(4 * len(wanted)):
        found = _pass(wanted, bounds)
        bad = False
        for i, one in enumerate(found):
            if one not in known:
                known[one] = steepest(one, shift, bound)
            most = known[one]
            if one.psi > most:
                bounds[i], bad = most, True
        if not bad:
            return found
    raise PmkitError(
        f"no admissible slices near {len(wanted)} given ones, read {shift:g} off the money",
        "a surface that can be projected",
        "make the move of spot smaller, or project the vol shock alone",
    )


def _ratio(near: EssviParameters, far: EssviParameters) -> float:
    return max((1.0 + near.rho) / (1.0 + far.rho), (1.0 - near.rho) / (1.0 - far.rho))


def _raised(wanted: Sequence[EssviParameters]) -> list[EssviParameters]:
    """Return the slices with theta raised to the least that the wings of the slice before ask for."""
    out = [wanted[0]]
    for one in wanted[1:]:
        least = out[-1].theta * _ratio(out[-1], one) * (1.0 + EDGE)
        out.append(replace(one, theta=max(one.theta, least)))
    return out


def _pass(wanted: Sequence[EssviParameters], bounds: Sequence[float]) -> tuple[EssviParameters, ...]:
    """Return the slices after one forward pass; psi stays ``EDGE`` inside every bound."""
    raised = _raised(wanted)
    ratio = [1.0, *(_ratio(near, far) for near, far in pairwise(raised))]
    most = [limit * (1.0 - EDGE) for limit in bounds]
    for i in range(len(raised) - 2, -1, -1):
        most[i] = min(most[i], most[i + 1] / ratio[i + 1] * (1.0 - EDGE))
    out: list[EssviParameters] = []
    for i, one in enumerate(raised):
        low, high = 0.0, most[i]
        if out:
            near = out[-1]
            low = near.psi * ratio[i] * (1.0 + 0.25 * EDGE)
            high = min(high, near.psi * one.theta / near.theta * (1.0 - 0.25 * EDGE))
        out.append(replace(one, psi=min(max(one.psi, low), high)))
    return tuple(out)


def essvi_between(taus: FloatArray, parameters: Sequence[EssviParameters], tau: float) -> EssviParameters:
    """Return the slice of a positive time in years: theta, psi and rho·psi linear in tau between expiries.

    Before the first theta and psi shrink with tau; after the last theta grows with it while psi and rho stay.
    """
    table = np.array([(p.theta, p.psi, p.rho * p.psi) for p in parameters])
    if tau <= taus[0]:
        theta, psi, tilt = (table[0] * (tau / taus[0])).tolist()
    elif tau >= taus[-1]:
        theta, psi, tilt = (table[-1] * np.array([tau / taus[-1], 1.0, 1.0])).tolist()
    else:
        theta, psi, tilt = (float(np.interp(tau, taus, column)) for column in table.T)
    return EssviParameters(theta=theta, rho=tilt / psi, psi=psi)
