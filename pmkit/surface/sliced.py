"""What every surface of slices shares: how total variance runs between and beyond its expiries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.pricing.inputs import as_floats
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.readouts.outside import Outside, check_outside, same_time
from pmkit.surface.slices.smile_plot import plot_smiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmkit.surface.joint.essvi_bound import Bound
    from pmkit.surface.moves.dynamics import SmileDynamics
    from pmkit.surface.moves.headroom import Headroom, Within
    from pmkit.surface.moves.shocked import ShockedSurface, Treatment
    from pmkit.surface.moves.shocks import SurfaceShock

__all__ = ["Slice", "SlicedSurface"]


class Slice(Protocol):
    """Total variance of one expiry as a function of k = ln(K/F)."""

    @property
    def expiry(self) -> pd.Timestamp:
        """Instant of expiry."""
        ...

    @property
    def tau(self) -> float:
        """Years of 365 days."""
        ...

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``."""
        ...


S = TypeVar("S", bound=Slice)


def _check_shapes(**arrays: FloatArray) -> None:
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        raise ParameterError(
            f"shapes {', '.join(f'{array.shape} of {name}' for name, array in arrays.items())}",
            "shapes that broadcast",
            "add an axis, for example k[:, None]",
        ) from None


class SlicedSurface(Result, Generic[S]):
    """Base of the surfaces that hold one slice an expiry; a subclass is a dataclass with these attributes.

    Between expiries ``w`` is linear in tau at fixed k; before the first and after the last the implied vol at
    fixed k is flat.
    """

    slices: tuple[S, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str]
    model: str
    #: Fewest usable options of an expiry, in words.
    _least: ClassVar[str] = "three"

    def __post_init__(self) -> None:
        if not self.slices:
            raise DataGapError(
                f"no expiry of {self.curve.underlying} has enough quotes for a surface",
                f"at least one expiry with {self._least} usable options",
                "load a fuller chain",
            )
        if not (np.diff(self.taus) > 0.0).all():
            raise ParameterError(
                "slices are not ascending in time", "each expiry once, earliest first", "sort the slices"
            )

    @cached_property
    def taus(self) -> FloatArray:
        """Times to expiry of the slices, years; read only."""
        times = np.array([s.tau for s in self.slices])
        times.flags.writeable = False
        return times

    # -- values ---------------------------------------------------------------------------------------------
    def w(self, k: npt.ArrayLike, tau: npt.ArrayLike, *, outside: Outside = "warn") -> FloatArray:
        """Return total variance iv²·tau; arguments broadcast, NaN gives NaN.

        Parameters
        ----------
        k : array_like
            ln(K/F).
        tau : array_like
            Years of 365 days, 0 or more; 0 gives 0.
        outside : {"warn", "raise", "extend"}
            Beyond the last expiry: go on by the rule in ``status["outside"]`` with a warning, refuse, or
            go on without one.

        Raises
        ------
        ParameterError
            A time that is negative or not finite, or shapes that do not broadcast.
        DataGapError
            A time beyond the last expiry under ``"raise"``.

        Warns
        -----
        ExtrapolationWarning
            A time beyond the last expiry under ``"warn"``.

        Notes
        -----
        About 30 ns a point on an expiry of the surface, twice that between two.
        """
        moneyness, years = (
            as_floats("k", k, "log-moneyness", any_sign=True, finite=False),
            as_floats("tau", tau, "years", any_sign=True, finite=False),
        )
        if (years < 0.0).any() or np.isinf(years).any():
            wrong = years[(years < 0.0) | np.isinf(years)]
            raise ParameterError(
                f"tau is {wrong.flat[0]:g} years", "0 or more, finite", "drop what has expired"
            )
        check_outside(self, np.atleast_1d(years), outside)
        if years.ndim == 0:
            return self._at_one_time(moneyness, float(years))
        _check_shapes(k=moneyness, tau=years)
        moneyness, years = np.broadcast_arrays(moneyness, years)
        out = np.empty(years.shape)
        distinct, which = np.unique(years, return_inverse=True)
        which = which.reshape(years.shape)
        if distinct.size <= 64:
            for index, one in enumerate(distinct):
                chosen = which == index
                out[chosen] = self._at_one_time(moneyness[chosen], float(one))
            return out
        return self._between(moneyness, years)

    def _at_one_time(self, k: FloatArray, tau: float) -> FloatArray:
        if np.isnan(tau):
            return np.full(k.shape, np.nan)
        taus = self.taus
        upper = int(np.searchsorted(taus, tau))
        for near in (upper - 1, upper):
            if 0 <= near < taus.size and same_time(float(taus[near]), tau):
                return self.slices[near].at(k)
        if upper == 0 or upper == taus.size:
            edge = self.slices[0 if upper == 0 else -1]
            return np.asarray(edge.at(k) * (tau / edge.tau))
        first, second = self.slices[upper - 1], self.slices[upper]
        share = (tau - first.tau) / (second.tau - first.tau)
        return np.asarray(first.at(k) * (1.0 - share) + second.at(k) * share)

    def _between(self, k: FloatArray, years: FloatArray) -> FloatArray:
        """Return total variance where times are many: one pass per pair of expiries."""
        taus, out = self.taus, np.full(years.shape, np.nan)
        segment = np.searchsorted(taus, years)
        for index in np.unique(segment[np.isfinite(years)]):
            chosen = (segment == index) & np.isfinite(years)
            k_here, tau_here = k[chosen], years[chosen]
            if index == 0 or index == taus.size:
                edge = self.slices[0 if index == 0 else -1]
                out[chosen] = edge.at(k_here) * (tau_here / edge.tau)
                continue
            first, second = self.slices[index - 1], self.slices[index]
            share = (tau_here - first.tau) / (second.tau - first.tau)
            out[chosen] = first.at(k_here) * (1.0 - share) + second.at(k_here) * share
        return out

    def iv(self, strike: npt.ArrayLike, tau: npt.ArrayLike, *, outside: Outside = "warn") -> FloatArray:
        """Return annualised implied vol (decimal) at strikes in USD; arguments broadcast, NaN gives NaN.

        ``outside`` as in :meth:`w`.

        Raises
        ------
        ParameterError
            A strike or a time that is not positive and finite, or shapes that do not broadcast.
        """
        strikes, years = (
            as_floats("strike", strike, "USD", any_sign=True, finite=False),
            as_floats("tau", tau, "years", any_sign=True, finite=False),
        )
        for what, values, unit in (("strike", strikes, "USD"), ("tau", years, "years")):
            wrong = values[(values <= 0.0) | np.isinf(values)]
            if wrong.size:
                raise ParameterError(
                    f"{what} is {wrong.flat[0]:g} {unit}", "a positive, finite number", "correct the argument"
                )
        _check_shapes(strike=strikes, tau=years)
        check_outside(self, np.atleast_1d(years), outside)
        k = np.log(strikes / self.curve.at(years))
        return np.asarray(np.sqrt(self.w(k, years, outside="extend") / years))

    # -- shocks ---------------------------------------------------------------------------------------------
    def shock(
        self,
        shock: SurfaceShock,
        *,
        dynamics: SmileDynamics | None = None,
        arbitrage: Treatment = "as_specified",
        bound: Bound = "mm",
    ) -> ShockedSurface:
        """Return the surface after a shock, as specified or projected; see :func:`shock_surface`."""
        from pmkit.surface.moves.apply_shock import shock_surface

        return shock_surface(self, shock, dynamics=dynamics, arbitrage=arbitrage, bound=bound)

    def headroom(
        self,
        family: SurfaceShock,
        *,
        dynamics: SmileDynamics | None = None,
        limit: float = 10.0,
        within: Within = "line",
    ) -> Headroom:
        """Return how far a family of shocks goes before arbitrage appears; see :func:`find_headroom`."""
        from pmkit.surface.moves.headroom import find_headroom

        return find_headroom(self, family, dynamics=dynamics, limit=limit, within=within)

    def slice(self, expiry: str | pd.Timestamp) -> S:
        """Return the slice of an expiry (an instant, or a date).

        Raises
        ------
        DataGapError
            The surface has no such expiry, or it was left out.
        ParameterError
            Neither an instant nor a date.
        """
        try:
            stamp = pd.Timestamp(expiry)
            known = not pd.isna(stamp)
        except (TypeError, ValueError):
            known = False
        if not known:
            raise ParameterError(
                f"expiry is {expiry!r}", "an instant or a date, such as '2026-09-25'", "correct the argument"
            )
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        for one in self.slices:
            if one.expiry == stamp or (stamp == stamp.normalize() and one.expiry.normalize() == stamp):
                return one
        why = [f" ({text})" for e, text in self.left_out.items() if stamp in (e, e.normalize())]
        raise DataGapError(
            f"no slice at {stamp.date()}{''.join(why)}",
            f"one of {', '.join(s.expiry.date().isoformat() for s in self.slices)}",
            "choose one of these",
        )

    # -- display --------------------------------------------------------------------------------------------
    def plot(self, ax: Axes | None = None, *, expiries: Sequence[str | pd.Timestamp] | None = None) -> Axes:
        """Draw the smile of each expiry with the vols of bid and ask as bars, and return the axes.

        Parameters
        ----------
        ax : Axes, optional
            Those of a new figure where None.
        expiries : sequence of str or Timestamp, optional
            Those to draw; all where None.

        Raises
        ------
        DataGapError
            The surface has no such expiry.
        """
        chosen = self.slices if expiries is None else [self.slice(expiry) for expiry in expiries]
        return plot_smiles(list(chosen), ax)
