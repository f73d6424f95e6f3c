"""One smile after a shock, in closed form: the map of moneyness, level and shape, with two derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.moves.dynamics import SmileDynamics, held_at
from pmkit.surface.moves.shocks import SurfaceShock
from pmkit.surface.readouts.curves import VarianceCurve
from pmkit.surface.slices.svi import RawSvi

__all__ = ["SliceMove", "floor_move", "slice_move"]


@dataclass(frozen=True, kw_only=True)
class SliceMove:
    """What a shock does to the smile of one time.

    Attributes
    ----------
    tau, tau_after : float
        Years before and after ageing.
    factor, lift : float
        Implied vol becomes ``factor·iv + lift`` plus the shape.
    shift, divisor : float
        The smile before is read at ``(k + shift)/divisor``.
    skew, curvature, reach, unit : float
        Of the shape, in standard deviations ``z = k/unit``.
    floor : float
        Least vol after the shock, 0 for none.
    """

    tau: float
    tau_after: float
    factor: float
    lift: float
    shift: float
    divisor: float
    skew: float
    curvature: float
    reach: float
    unit: float
    floor: float

    @property
    def affine(self) -> bool:
        """True where total variance is only multiplied and moved in k."""
        return self.lift == self.skew == self.curvature == self.floor == 0.0

    @property
    def variance_factor(self) -> float:
        """What total variance is multiplied by where the move is affine."""
        return self.factor**2 * self.tau_after / self.tau

    def raw(self, svi: RawSvi) -> RawSvi:
        """Return the raw parameters after an affine move: the family is closed under it.

        Notes
        -----
        ``w'(k) = v w((k + shift)/divisor)`` maps (a, b, m, sigma) to
        (v a, v b/divisor, divisor·m - shift, divisor·sigma).
        """
        v, d = self.variance_factor, self.divisor
        return RawSvi(
            a=v * svi.a, b=v * svi.b / d, rho=svi.rho, m=d * svi.m - self.shift, sigma=d * svi.sigma
        )

    def _shape(self, k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the part of the vol that is a function of k alone, and its derivatives."""
        u = np.tanh(k / (self.unit * self.reach))
        t, dt = self.reach * u, (1.0 - u * u) / self.unit
        ddt = -2.0 * u * dt / (self.unit * self.reach)
        value = self.lift - self.skew * t + self.curvature * t * t
        first = (2.0 * self.curvature * t - self.skew) * dt
        return value, first, 2.0 * self.curvature * dt * dt + (2.0 * self.curvature * t - self.skew) * ddt

    def vols(self, k: FloatArray, iv: FloatArray) -> FloatArray:
        """Return the vol after the shock, from the vol before it at :meth:`before`."""
        moved = self.factor * iv
        if not self.affine:
            moved = moved + self._shape(np.asarray(k))[0]
        bad = moved <= 0.0
        if bad.any() and self.floor == 0.0:
            at = int(np.argmin(np.where(bad, moved, np.inf)))
            raise ParameterError(
                f"implied vol after the shock is {float(moved.flat[at]):.4g} at k = {float(k.flat[at]):.4g}, "
                f"{365.0 * self.tau:.4g} days to expiry",
                "a positive vol at every strike",
                "make the shock smaller, or give it as a relative move",
            )
        return np.asarray(np.maximum(moved, self.floor) if self.floor > 0.0 else moved)

    def before(self, k: FloatArray) -> FloatArray:
        """Return the log-moneyness at which the smile before the shock is read."""
        return np.asarray((k + self.shift) / self.divisor)

    def after(self, k: FloatArray) -> FloatArray:
        """Return the log-moneyness after the shock that reads the smile before it at ``k``."""
        return np.asarray(k * self.divisor - self.shift)

    def curve(self, base: VarianceCurve) -> VarianceCurve:
        """Return total variance after the shock with its derivatives."""
        if self.affine and base.raw is not None:
            svi = self.raw(base.raw)
            return VarianceCurve(w=svi.w, dw=svi.dw, d2w=svi.d2w, tau=self.tau_after, raw=svi)

        def parts(k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
            u = self.before(k)
            w, dw, d2w = base.w(u), base.dw(u) / self.divisor, base.d2w(u) / self.divisor**2
            s = np.sqrt(w / self.tau)
            ds = dw / (2.0 * self.tau * s)
            d2s = d2w / (2.0 * self.tau * s) - ds * ds / s
            vol, dvol, d2vol = self.vols(k, s), self.factor * ds, self.factor * d2s
            if not self.affine:
                _, first, second = self._shape(k)
                dvol, d2vol = dvol + first, d2vol + second
            if self.floor > 0.0:
                held = vol <= self.floor
                dvol, d2vol = np.where(held, 0.0, dvol), np.where(held, 0.0, d2vol)
            return vol, dvol, d2vol

        def w(k: FloatArray) -> FloatArray:
            moved = self.vols(k, np.sqrt(base.w(self.before(k)) / self.tau))
            return np.asarray(self.tau_after * moved**2)

        def dw(k: FloatArray) -> FloatArray:
            vol, dvol, _ = parts(k)
            return np.asarray(2.0 * self.tau_after * vol * dvol)

        def d2w(k: FloatArray) -> FloatArray:
            vol, dvol, d2vol = parts(k)
            return np.asarray(2.0 * self.tau_after * (dvol * dvol + vol * d2vol))

        return VarianceCurve(w=w, dw=dw, d2w=d2w, tau=self.tau_after, source=base.source)


def floor_move(tau: float, floor: float) -> SliceMove:
    """Return the move that lifts every vol of a smile to a floor and does nothing else."""
    return SliceMove(
        tau=tau, tau_after=tau, factor=1.0, lift=0.0, shift=0.0, divisor=1.0, skew=0.0, curvature=0.0,
        reach=1.0, unit=1.0, floor=floor,
    )  # fmt: skip


def slice_move(
    shock: SurfaceShock, dynamics: SmileDynamics, *, tau: float, atm_iv: float, log_move: float
) -> SliceMove:
    """Return what a shock does to the smile of one time.

    Parameters
    ----------
    shock : SurfaceShock
    dynamics : SmileDynamics
    tau : float
        Years to expiry before the shock, above its horizon.
    atm_iv : float
        Implied vol at the money before it.
    log_move : float
        ``ln(F'/F)`` at that expiry.

    Raises
    ------
    ParameterError
        The level of vol is taken to 0 or below, or the time does not outlast the horizon.
    """
    after = tau - shock.horizon_days / 365.0
    if not after > 0.0:
        raise ParameterError(
            f"{365.0 * tau:g} days to expiry and a horizon of {shock.horizon_days:g} days",
            "time left after the horizon",
            "shorten the horizon, or leave the expiry out",
        )
    days = 365.0 * tau
    factor, lift = shock.factor(days), shock.vol_add * shock.scale(days)
    level = factor * atm_iv + lift
    if not level > 0.0 and shock.floor == 0.0:
        raise ParameterError(
            f"implied vol at the money after the shock is {level:.4g} at {days:.4g} days",
            "a positive vol",
            "make the shock smaller, or give it as a relative move",
        )
    stretch = max(level, 1e-12) / atm_iv * math.sqrt(after / tau)
    shift, divisor = held_at(dynamics, log_move, stretch)
    return SliceMove(
        tau=tau,
        tau_after=after,
        factor=factor,
        lift=lift,
        shift=shift,
        divisor=divisor,
        skew=shock.skew,
        curvature=shock.curvature,
        reach=shock.reach,
        unit=atm_iv * math.sqrt(tau),
        floor=shock.floor,
    )
