"""A surface after a shock: as it was specified, or brought back to one without static arbitrage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.calendar import CalendarReport
from pmkit.surface.arbitrage.numeric_arbitrage import arbitrage_frame
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.joint.essvi import EssviParameters, EssviSurface
from pmkit.surface.moves.dynamics import SmileDynamics
from pmkit.surface.moves.pointwise import (
    JudgedCurve,
    WingsReport,
    free_of_butterflies,
    free_of_calendars,
    judge_butterfly,
    judge_calendar,
)
from pmkit.surface.moves.projection import essvi_between, shifted_raw
from pmkit.surface.moves.shocks import SurfaceShock
from pmkit.surface.moves.slice_move import SliceMove, floor_move, slice_move
from pmkit.surface.readouts.curves import VarianceCurve, variance_curve
from pmkit.surface.readouts.outside import same_time
from pmkit.surface.sliced import SlicedSurface
from pmkit.surface.slices.svi import RawSvi

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Between", "ShockedSlice", "ShockedSurface", "Treatment", "atm_iv"]

Between = Literal["pointwise", "essvi"]
"""How a shocked surface runs between expiries: the shock at every time, or eSSVI linear in tau."""

Treatment = Literal["as_specified", "projected"]
"""What becomes of arbitrage that a shock creates: it stays, or smiles are moved to where there is none."""


@dataclass(frozen=True, kw_only=True)
class ShockedSlice:
    """One expiry after a shock.

    Attributes
    ----------
    expiry : pandas.Timestamp
    tau : float
        Years left after the shock's horizon.
    forward : float
        USD after the shock.
    k : ndarray, shape (points,)
        Log-moneyness of the quoted strikes at the new forward, ascending.
    judged : JudgedCurve
        The smile with what a search for arbitrage has to know.
    parameters : EssviParameters or None
        Where the smile is an eSSVI slice read at ``k + shift`` (before any floor).
    shift : float
        Distance in k by which the money has moved away from the smile.
    """

    expiry: pd.Timestamp
    tau: float
    forward: float
    k: FloatArray
    judged: JudgedCurve
    parameters: EssviParameters | None = None
    shift: float = 0.0

    @property
    def curve(self) -> VarianceCurve:
        """Total variance and its derivatives."""
        return self.judged.curve

    @property
    def svi(self) -> RawSvi | None:
        """The raw parameters; None where the smile has none."""
        return self.curve.raw

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``."""
        return self.curve.w(np.asarray(k, dtype=np.float64))

    def iv(self, k: npt.ArrayLike) -> FloatArray:
        """Return implied vol at ``k``, decimal."""
        return np.asarray(np.sqrt(self.at(k) / self.tau))


@dataclass(frozen=True, kw_only=True, repr=False)
class ShockedSurface(SlicedSurface[ShockedSlice]):
    """Total variance of one underlying after a shock.

    As specified, the shock acts on the smile of every time, at the expiries and between them, and arbitrage
    that it creates stays: :meth:`arbitrage` locates it. Projected, none is left at the expiries: a surface
    that was free is as specified, of another every expiry is an eSSVI slice, with theta, psi and rho·psi
    linear in tau between them.

    Attributes
    ----------
    slices : tuple of ShockedSlice
        Ascending in tau; expiries inside the horizon are left out.
    curve : ForwardCurve
        Forwards after the shock.
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    base : SlicedSurface
        Before the shock.
    applied : SurfaceShock
    dynamics : SmileDynamics
    treatment : {"as_specified", "projected"}
    between : {"pointwise", "essvi"}
    moved : DataFrame
        One row per expiry: vol points (0.01) by which projecting moved the smile on its quoted strikes:
        ``max`` (signed) at ``k_max``, ``mean`` (of sizes) and ``at_the_money``; 0 as specified.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="svi")
    >>> up = surface.shock(SurfaceShock(spot=-0.16, vol=0.5), dynamics="sticky_strike")
    >>> round(float(up.iv(55_000.0, 30 / 365) / surface.iv(55_000.0, 30 / 365)), 6)
    1.5
    """

    slices: tuple[ShockedSlice, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    base: SlicedSurface[Any]
    applied: SurfaceShock
    dynamics: SmileDynamics
    treatment: Treatment
    between: Between
    moved: pd.DataFrame
    model: str = "shocked"
    references = ("gatheral2014", "martini2022")

    @property
    def _horizon(self) -> float:
        return self.applied.horizon_days / 365.0

    # -- values ---------------------------------------------------------------------------------------------
    def _at_one_time(self, k: FloatArray, tau: float) -> FloatArray:
        if np.isnan(tau):
            return np.full(k.shape, np.nan)
        if tau == 0.0:
            return np.where(np.isnan(k), np.nan, 0.0)
        return self.curve_at(tau).w(k)

    def _between(self, k: FloatArray, years: FloatArray) -> FloatArray:
        out = np.full(years.shape, np.nan)
        for one in np.unique(years[np.isfinite(years)]):
            chosen = years == one
            out[chosen] = self._at_one_time(k[chosen], float(one))
        return out

    def curve_at(self, tau: float) -> VarianceCurve:
        """Return total variance and its derivatives at a positive time in years after the horizon."""
        for one in self.slices:
            if same_time(one.tau, tau):
                return one.curve
        if self.between == "essvi":
            held = [one.parameters for one in self.slices if one.parameters is not None]
            here = shifted_raw(essvi_between(self.taus, held, tau), self.slices[0].shift)
            plain, floor = variance_curve(here, tau), self.applied.floor
            return floor_move(tau, floor).curve(plain) if floor > 0.0 else plain
        before = variance_curve(self.base, tau + self._horizon, outside="extend")
        still = self.applied.spot == 0.0 and self.applied.horizon_days == 0.0
        moved = 1.0 if still else float(self.curve.at(tau) / self.base.curve.at(before.tau))
        log_move = math.log(moved)
        return self._move(before, log_move).curve(before)

    def _move(self, before: VarianceCurve, log_move: float) -> SliceMove:
        at_the_money = math.sqrt(float(before.w(np.array(0.0))) / before.tau)
        return slice_move(self.applied, self.dynamics, tau=before.tau, atm_iv=at_the_money, log_move=log_move)

    def essvi(self) -> EssviSurface:
        """Return the surface as :class:`EssviSurface`, where it is one and its quotes are where they were.

        Raises
        ------
        ParameterError
            A smile is not an eSSVI slice, the surface before the shock was none, or spot or time moved.
        """
        held = [one.parameters if one.svi is not None and one.shift == 0.0 else None for one in self.slices]
        moved = self.applied.spot != 0.0 or self.applied.horizon_days != 0.0
        known = [one for one in held if one is not None]
        if not isinstance(self.base, EssviSurface) or moved or len(known) < len(held):
            raise ParameterError(
                f"a {self.base.model} surface after {self.applied}",
                "an eSSVI surface whose vols alone are scaled, or projected",
                "read it by iv(), w() and slices",
            )
        return self.base.with_parameters(
            [p.theta for p in known], [p.rho for p in known], [p.psi for p in known]
        )

    # -- arbitrage ------------------------------------------------------------------------------------------
    @cached_property
    def _reports(self) -> tuple[tuple[WingsReport, CalendarReport | None], ...]:
        nears: tuple[ShockedSlice | None, ...] = (None, *self.slices[:-1])
        return tuple(
            (judge_butterfly(far.judged), judge_calendar(near.judged, far.judged) if near else None)
            for near, far in zip(nears, self.slices, strict=True)
        )

    @property
    def free(self) -> bool:
        """True where no expiry and no pair of neighbours admits static arbitrage."""
        return all(wings.free and (time is None or time.free) for wings, time in self._reports)

    def violations(self) -> tuple[int, int]:
        """Return how many expiries admit butterfly and how many calendar arbitrage, without locating it."""
        alone = sum(not free_of_butterflies(one.judged) for one in self.slices)
        pairs = ((near.judged, far.judged) for near, far in pairwise(self.slices))
        return alone, sum(not free_of_calendars(near, far) for near, far in pairs)

    def arbitrage(self) -> pd.DataFrame:
        """Return the static arbitrage that each slice admits, one row per expiry, over the whole line of k.

        Returns
        -------
        DataFrame
            As of a fitted surface: ``free``, ``butterfly_margin`` (NaN where the smile has no raw form),
            ``min_g`` at ``k_min_g``, ``butterfly_at``, slopes and limits of g, ``calendar_min`` at
            ``k_calendar_min``, ``calendar_at``; and ``exact``: True where the raw form decided, False where
            g was searched on the shocked smile.
        """
        frame = arbitrage_frame((one.expiry for one in self.slices), self._reports)
        return frame.assign(exact=[wings.exact for wings, _ in self._reports])

    # -- display --------------------------------------------------------------------------------------------
    @property
    def status(self) -> pd.DataFrame:
        """One row per expiry: how the smile is held, the quoted range of k, and what was left out and why."""
        rows: dict[pd.Timestamp, dict[str, Any]] = {
            s.expiry: {
                "status": self.treatment,
                "form": _form(s),
                "detail": str(self.applied),
                "k_low": float(s.k[0]),
                "k_high": float(s.k[-1]),
            }
            for s in self.slices
        }
        rows |= {e: {"status": "left_out", "form": "", "detail": why} for e, why in self.left_out.items()}
        return pd.DataFrame.from_dict(dict(sorted(rows.items())), orient="index")

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the surface before, the shock and what became of it."""
        values = [s.at(s.k) for s in self.slices]
        return fingerprint(self.model, self.taus, self.applied.to_dict(), str(self.dynamics), *values)

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: tau, forward, ATM vol before and after, arbitrage, vol points moved."""
        before = {s.expiry: s for s in self.base.slices}
        rows = {
            s.expiry.strftime("%Y-%m-%d"): {
                "tau": s.tau,
                "forward": s.forward,
                "atm_iv_before": atm_iv(before[s.expiry]),
                "atm_iv": float(s.iv(0.0)),
                "butterfly_free": wings.free,
                "calendar_free": time is None or time.free,
                "moved": float(moved),
            }
            for s, (wings, time), moved in zip(self.slices, self._reports, self.moved["max"], strict=True)
        }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        rule = self.dynamics if isinstance(self.dynamics, str) else f"R = {self.dynamics.ratio:g}"
        frame.index.name = f"{self.applied}; {rule}; {self.treatment}"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row per quoted strike: expiry, tau, strike, k, w, iv, iv_before (at the same strike)."""
        parts = []
        before = {s.expiry: s for s in self.base.slices}
        for s in self.slices:
            old = before[s.expiry]
            k_old = s.k + math.log(s.forward / old.forward)
            w = s.at(s.k)
            parts.append(
                pd.DataFrame(
                    {
                        "expiry": s.expiry,
                        "tau": s.tau,
                        "strike": s.forward * np.exp(s.k),
                        "k": s.k,
                        "w": w,
                        "iv": np.sqrt(w / s.tau),
                        "iv_before": np.sqrt(old.at(k_old) / old.tau),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def plot(self, ax: Axes | None = None, *, expiries: Sequence[str | pd.Timestamp] | None = None) -> Axes:
        """Return axes with vol against strike before (dotted) and after, by expiry.

        Parameters
        ----------
        ax : Axes, optional
            Those of a new figure where None.
        expiries : sequence of str or Timestamp, optional
            Those to draw; the one nearest 30 days where None.

        Raises
        ------
        DataGapError
            The surface has no such expiry.
        """
        axes = new_axes(ax)
        nearest = self.slices[int(np.argmin(np.abs(self.taus - 30.0 / 365.0)))]
        chosen = [nearest] if expiries is None else [self.slice(expiry) for expiry in expiries]
        frame = self.to_frame()
        for one in chosen:
            rows = frame[frame["expiry"] == one.expiry]
            strike = rows["strike"].to_numpy()
            drawn = axes.plot(strike, 100.0 * rows["iv"].to_numpy(), label=f"{one.expiry:%Y-%m-%d}")
            old = 100.0 * rows["iv_before"].to_numpy()
            axes.plot(strike, old, linestyle=":", color=drawn[0].get_color(), label="before")
        axes.set(
            xlabel="strike, USD",
            ylabel="implied vol, % a year",
            title=f"{self.curve.underlying}: {self.applied} ({self.treatment.replace('_', ' ')})",
        )
        axes.legend()
        return axes


def _form(one: ShockedSlice) -> str:
    if one.svi is None:
        return one.curve.source
    return "essvi" if one.parameters is not None and one.shift == 0.0 else "svi"


def atm_iv(one: Any) -> float:
    """Return the implied vol at the money of a slice, decimal."""
    return math.sqrt(float(one.at(0.0)) / one.tau)
