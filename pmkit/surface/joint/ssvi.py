"""A surface of SSVI slices that share one tilt and one wing function of total variance at the money."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import ButterflyReport, butterfly
from pmkit.surface.arbitrage.calendar import CalendarReport, calendar
from pmkit.surface.arguments import require
from pmkit.surface.fitted import FittedSurface
from pmkit.surface.joint.essvi import EssviParameters, EssviSlice, essvi_w
from pmkit.surface.joint.essvi_bound import Bound
from pmkit.surface.joint.ssvi_phi import Phi, SsviReport, ssvi_conditions
from pmkit.surface.readouts.outside import snapped
from pmkit.surface.slices.svi import JumpWingSvi

__all__ = ["SsviSurface", "repaired_jump_wing", "ssvi_parameters"]


@dataclass(frozen=True, kw_only=True, repr=False)
class SsviSurface(FittedSurface[EssviSlice]):
    """Total variance of one underlying: one theta an expiry, one tilt and one wing function for all.

    Fitted surfaces have no static arbitrage. Between expiries theta is linear in tau. Before the first expiry
    theta and psi shrink with tau (implied vol at fixed k is flat); after the last, total variance at every k
    grows by what theta grows by, and theta in proportion to tau.

    Attributes
    ----------
    slices : tuple of EssviSlice
        Ascending in tau, at least one; they have the same rho, and psi = theta phi(theta).
    curve : ForwardCurve
        For strikes; interpolated log-linearly.
    phi : PowerPhi, ModifiedPowerPhi or HestonPhi
        Wing function.
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    left_out_status : mapping of Timestamp to str
        Their status.
    bound : {"mm", "gj"}
        Butterfly bound that the fit held.
    evaluations : int
        How often the fit evaluated the surface.

    Notes
    -----
    ``w = theta/2 (1 + rho phi k + sqrt((phi k + rho)² + 1 - rho²))`` with ``phi = phi(theta)``.
    """

    phi: Phi
    model: str = "ssvi"
    bound: Bound = "mm"
    evaluations: int = 0
    references = ("gatheral2014", "martini2023")
    _least: ClassVar[str] = "three"
    _outside = (
        "total variance goes on by the formula beyond the quoted strikes; before the first expiry theta and "
        "psi shrink with tau, after the last total variance at every k grows by what theta grows by"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        tilts = {s.rho for s in self.slices}
        if len(tilts) != 1:
            raise ParameterError(
                f"slices of {len(tilts)} different rho", "one rho for all", "use EssviSurface for these"
            )

    @cached_property
    def theta(self) -> FloatArray:
        """Total variance at the money of each slice."""
        return np.array([s.theta for s in self.slices])

    @property
    def rho(self) -> float:
        """Tilt of every slice."""
        return self.slices[0].rho

    @cached_property
    def psi(self) -> FloatArray:
        """Sum of the wing slopes of each slice."""
        return np.array([s.psi for s in self.slices])

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter."""
        return fingerprint(
            self.model, self.taus, self.theta.tolist(), self.rho, self.phi.name, self.phi.parameters
        )

    def conditions(self) -> SsviReport:
        """Return whether phi has static arbitrage at any theta between the first and the last."""
        return ssvi_conditions(self.phi, self.rho, float(self.theta.min()), float(self.theta.max()))

    # -- values ---------------------------------------------------------------------------------------------
    def _at_one_time(self, k: FloatArray, tau: float) -> FloatArray:
        return self._between(k, np.asarray(tau))

    def _between(self, k: FloatArray, years: FloatArray) -> FloatArray:
        taus, theta = self.taus, self.theta
        years = snapped(years, taus)
        early, late = np.minimum(years / taus[0], 1.0), np.maximum(years / taus[-1] - 1.0, 0.0)
        level = np.asarray(np.interp(years, taus, theta))
        scale = level * self.phi.at(level)
        with np.errstate(invalid="ignore"):
            w = essvi_w(level * early, self.rho * scale * early, scale * early, k) + theta[-1] * late
        return np.where(years == 0.0, np.where(np.isnan(k), np.nan, 0.0), w)

    # -- arbitrage ------------------------------------------------------------------------------------------
    def _butterfly(self, one: EssviSlice) -> ButterflyReport:
        return butterfly(one.svi)

    def _calendar(self, near: EssviSlice, far: EssviSlice) -> CalendarReport:
        return calendar(near.svi, far.svi)


def ssvi_parameters(jump_wing: JumpWingSvi) -> EssviParameters:
    """Return the SSVI slice with the variance at the money and the two wings of a jump-wing slice.

    Skew and least variance follow: ``psi = (c - p)/2`` and ``v_min = 4 v p c/(p + c)²``.

    Raises
    ------
    ParameterError
        The argument is not a jump-wing slice.

    Notes
    -----
    ``theta = v tau``, ``rho = (c - p)/(c + p)``, ``theta phi = (p + c) sqrt(theta)``.

    References
    ----------
    Gatheral and Jacquier (2014), section 4.

    Examples
    --------
    >>> from pmkit.surface import JumpWingSvi
    >>> one = JumpWingSvi(v=0.16, psi=-0.15, p=0.8, c=0.5, v_min=0.15, tau=0.25)
    >>> found = ssvi_parameters(one)
    >>> round(found.theta, 4), round(found.rho, 4), round(found.psi, 4)
    (0.04, -0.2308, 0.26)
    """
    require("jump_wing", jump_wing, JumpWingSvi, "convert it with to_jump_wing(tau) first")
    total = jump_wing.p + jump_wing.c
    theta = jump_wing.v * jump_wing.tau
    return EssviParameters(theta=theta, rho=(jump_wing.c - jump_wing.p) / total, psi=total * math.sqrt(theta))


def repaired_jump_wing(jump_wing: JumpWingSvi) -> JumpWingSvi:
    """Return the SSVI slice with the same variance and skew at the money and the same put wing.

    The call wing and the least variance give way. Its butterflies are looked at with :func:`butterfly` or
    :meth:`EssviParameters.psi_max`: a steep put wing can leave some.

    Raises
    ------
    ParameterError
        The argument is not a jump-wing slice.

    Notes
    -----
    ``c' = p + 2 psi`` and ``v_min' = 4 v p c'/(p + c')²``.

    References
    ----------
    Gatheral and Jacquier (2014), section 5.1.

    Examples
    --------
    >>> from pmkit.surface.slices.svi import RawSvi
    >>> vogt = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153).to_jump_wing(1.0)
    >>> mended = repaired_jump_wing(vogt)
    >>> round(mended.c, 7), round(mended.v_min, 8)
    (0.3493158, 0.01548182)
    """
    require("jump_wing", jump_wing, JumpWingSvi, "convert it with to_jump_wing(tau) first")
    one = jump_wing
    call = one.p + 2.0 * one.psi
    return JumpWingSvi(
        v=one.v,
        psi=one.psi,
        p=one.p,
        c=call,
        v_min=4.0 * one.v * one.p * call / (one.p + call) ** 2,
        tau=one.tau,
    )
