"""A surface of SSVI slices with a tilt of their own each (eSSVI), free of arbitrage by its coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import ButterflyReport, butterfly
from pmkit.surface.arbitrage.calendar import CalendarReport, calendar
from pmkit.surface.fitted import FittedSlice, FittedSurface
from pmkit.surface.joint.essvi_bound import Bound, psi_max
from pmkit.surface.joint.essvi_box import EssviBox, EssviCurves, check_curves, parameters_to_box
from pmkit.surface.readouts.outside import snapped
from pmkit.surface.slices.slice_fit import judge
from pmkit.surface.slices.svi import RawSvi

__all__ = ["EssviParameters", "EssviSlice", "EssviSurface", "essvi_w"]


def essvi_w(theta: npt.ArrayLike, rho_psi: npt.ArrayLike, psi: npt.ArrayLike, k: npt.ArrayLike) -> FloatArray:
    """Return total variance of SSVI slices at ``k`` from theta, rho·psi and psi; arguments broadcast."""
    level, tilt, scale, x = (np.asarray(v, dtype=np.float64) for v in (theta, rho_psi, psi, k))
    # a sum of squares: psi² k² + 2 rho psi theta k + theta² would cancel near the bottom of a tilted slice
    rho = tilt / scale
    root = np.hypot(scale * x + level * rho, level * np.sqrt((1.0 - rho) * (1.0 + rho)))
    return np.asarray(0.5 * (level + tilt * x + root))


@dataclass(frozen=True, kw_only=True)
class EssviParameters:
    """One SSVI slice.

    Attributes
    ----------
    theta : float
        Total variance at the money, positive.
    rho : float
        Tilt, between -1 and 1 exclusive.
    psi : float
        ``theta phi``: sum of the wing slopes of total variance, positive.

    Raises
    ------
    ParameterError
        A number outside its domain.

    Notes
    -----
    ``w(k) = (theta + rho psi k + sqrt((psi k + theta rho)² + theta² (1 - rho²)))/2``.

    References
    ----------
    Gatheral and Jacquier (2014), equation (4.1); Hendriks and Martini (2019).

    Examples
    --------
    >>> EssviParameters(theta=0.04, rho=-0.3, psi=0.1).at([-0.5, 0.0, 0.5]).round(6)
    array([0.063901, 0.04    , 0.039426])
    """

    theta: float
    rho: float
    psi: float

    def __post_init__(self) -> None:
        check_curves(self.theta, self.rho, self.psi)

    @property
    def phi(self) -> float:
        """Wing scale over total variance at the money, ``psi/theta``."""
        return self.psi / self.theta

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k`` = ln(K/F); NaN gives NaN."""
        return essvi_w(self.theta, self.rho * self.psi, self.psi, k)

    def raw(self) -> RawSvi:
        """Return the same curve in the raw parameters of SVI.

        Notes
        -----
        ``a = theta (1 - rho²)/2``, ``b = psi/2``, ``m = -rho theta/psi``,
        ``sigma = sqrt(1 - rho²) theta/psi``.
        """
        rest = (1.0 - self.rho) * (1.0 + self.rho)
        return RawSvi(
            a=0.5 * self.theta * rest,
            b=0.5 * self.psi,
            rho=self.rho,
            m=-self.rho * self.theta / self.psi,
            sigma=math.sqrt(rest) * self.theta / self.psi,
        )

    def psi_max(self, bound: Bound = "mm") -> float:
        """Return the greatest psi without butterfly arbitrage at this theta and rho."""
        return float(psi_max(self.theta, self.rho, bound))


@dataclass(frozen=True, kw_only=True)
class EssviSlice(FittedSlice):
    """One SSVI slice with the quotes it was fitted to."""

    parameters: EssviParameters

    @property
    def theta(self) -> float:
        """Total variance at the money."""
        return self.parameters.theta

    @property
    def rho(self) -> float:
        """Tilt."""
        return self.parameters.rho

    @property
    def psi(self) -> float:
        """Sum of the wing slopes of total variance."""
        return self.parameters.psi

    @property
    def svi(self) -> RawSvi:
        """The same curve in the raw parameters of SVI."""
        return self.parameters.raw()

    def raw(self) -> RawSvi:
        """Return the same curve in the raw parameters of SVI."""
        return self.parameters.raw()

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``, by the formula also beyond the quoted strikes."""
        return self.parameters.at(k)


@dataclass(frozen=True, kw_only=True, repr=False)
class EssviSurface(FittedSurface[EssviSlice]):
    """Total variance of one underlying, one SSVI slice an expiry, each with a tilt of its own.

    Fitted surfaces have no static arbitrage. Between expiries theta, psi and rho·psi are linear in tau, which
    keeps it so. Before the first expiry theta and psi shrink with tau (implied vol at fixed k is flat); after
    the last theta grows with tau while psi and rho stay (implied vol at the money is flat, wings flatten).

    Attributes
    ----------
    slices : tuple of EssviSlice
        Ascending in tau, at least one.
    curve : ForwardCurve
        For strikes; interpolated log-linearly.
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    left_out_status : mapping of Timestamp to str
        Their status.
    bound : {"mm", "gj"}
        Butterfly bound of the box: exact, or sufficient.
    evaluations : int
        How often the fit evaluated the surface; 0 where it was not fitted.

    Notes
    -----
    ``w = (theta + rho psi k + sqrt((psi k + theta rho)² + theta² (1 - rho²)))/2``. Interpolating rho in the
    place of rho·psi would let a wing flatten between two expiries.
    """

    model: str = "essvi"
    bound: Bound = "mm"
    evaluations: int = 0
    references = ("corbetta2019", "gatheral2014", "hendriks2019", "martini2023", "mingone2022")
    _least: ClassVar[str] = "three"
    _outside = (
        "total variance goes on by the formula beyond the quoted strikes; before the first expiry theta and "
        "psi shrink with tau, after the last theta grows with tau at fixed psi and rho"
    )

    # -- parameters -----------------------------------------------------------------------------------------
    @cached_property
    def theta(self) -> FloatArray:
        """Total variance at the money of each slice."""
        return np.array([s.parameters.theta for s in self.slices])

    @cached_property
    def rho(self) -> FloatArray:
        """Tilt of each slice."""
        return np.array([s.parameters.rho for s in self.slices])

    @cached_property
    def psi(self) -> FloatArray:
        """Sum of the wing slopes of each slice."""
        return np.array([s.parameters.psi for s in self.slices])

    @property
    def box(self) -> EssviBox:
        """Mingone's coordinates of the slices.

        Raises
        ------
        ArbitrageError
            The parameters are not admissible: they were set from outside.
        """
        return parameters_to_box(self.theta, self.rho, self.psi, self.bound)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter."""
        values = [(s.theta, s.rho, s.psi) for s in self.slices]
        return fingerprint(self.model, self.taus, values)

    def with_parameters(
        self, theta: npt.ArrayLike, rho: npt.ArrayLike, psi: npt.ArrayLike, *, bound: Bound | None = None
    ) -> EssviSurface:
        """Return the surface with other parameters at the same expiries, its quality judged anew.

        Nothing is projected: :meth:`arbitrage` says what the parameters admit.

        Parameters
        ----------
        theta, rho, psi : array_like, shape (slices,)
        bound : {"mm", "gj"}, optional
            Butterfly bound of the box; as before where None.

        Raises
        ------
        ParameterError
            Not one of each per slice, or a number outside its domain.
        """
        curves = check_curves(theta, rho, psi)
        if curves.theta.size != len(self.slices):
            raise ParameterError(
                f"{curves.theta.size} parameters of each kind",
                f"one per slice, {len(self.slices)}",
                "give them in the order of the slices",
            )
        slices = []
        for one, level, tilt, scale in zip(self.slices, *(v.tolist() for v in curves), strict=True):
            parameters = EssviParameters(theta=level, rho=tilt, psi=scale)
            fit = judge(one.quotes, parameters.at(one.quotes.k), 3)
            slices.append(replace(one, parameters=parameters, fit=fit))
        chosen = self.bound if bound is None else bound
        return replace(self, slices=tuple(slices), bound=chosen, evaluations=0)

    def parameters_at(self, tau: npt.ArrayLike) -> EssviCurves:
        """Return theta, rho and psi at times in years, arrays of the shape of ``tau``; NaN gives NaN.

        Between expiries theta, psi and rho·psi are linear in tau; see the class for times outside.

        Raises
        ------
        ParameterError
            A negative time.
        """
        years = np.asarray(tau, dtype=np.float64)
        if (years < 0.0).any():
            raise ParameterError(
                f"tau is {float(np.nanmin(years)):g} years", "0 or more", "drop what has expired"
            )
        level, _, scale = self._linear(years)
        # before the first expiry theta and psi shrink alike, so that rho stays, down to time 0
        _, tilt, held = self._linear(np.maximum(years, self.taus[0]))
        return EssviCurves(theta=level, rho=tilt / held, psi=scale)

    def _linear(self, years: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return theta, rho·psi and psi at times."""
        taus = self.taus
        level, scale, tilt = (
            np.asarray(np.interp(years, taus, values))
            for values in (self.theta, self.psi, self.rho * self.psi)
        )
        early, late = np.minimum(years / taus[0], 1.0), np.maximum(years / taus[-1], 1.0)
        return level * early * late, tilt * early, scale * early

    # -- values ---------------------------------------------------------------------------------------------
    def _at_one_time(self, k: FloatArray, tau: float) -> FloatArray:
        return self._between(k, np.asarray(tau))

    def _between(self, k: FloatArray, years: FloatArray) -> FloatArray:
        years = snapped(years, self.taus)
        level, tilt, scale = self._linear(years)
        with np.errstate(invalid="ignore"):
            w = essvi_w(level, tilt, scale, k)
        return np.where(years == 0.0, np.where(np.isnan(k), np.nan, 0.0), w)

    # -- arbitrage ------------------------------------------------------------------------------------------
    def _butterfly(self, one: EssviSlice) -> ButterflyReport:
        return butterfly(one.svi)

    def _calendar(self, near: EssviSlice, far: EssviSlice) -> CalendarReport:
        return calendar(near.svi, far.svi)
