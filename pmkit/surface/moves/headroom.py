"""Headroom: how far a family of shocks goes before a surface admits static arbitrage, and where first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.surface.arguments import as_number
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.joint.essvi import EssviParameters
from pmkit.surface.moves.apply_shock import moved_slice
from pmkit.surface.moves.dynamics import SmileDynamics, check_dynamics
from pmkit.surface.moves.pointwise import free_of_butterflies, free_of_calendars, judged_slice, quoted_k
from pmkit.surface.moves.scaling_limits import (
    Span,
    calendar_room,
    clipped,
    essvi_scaling_limit,
    raw_scaling_limit,
)
from pmkit.surface.moves.shocks import SurfaceShock
from pmkit.surface.sliced import SlicedSurface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Headroom", "Within", "find_headroom"]

Within = Literal["line", "quotes"]
"""Where arbitrage counts: on the whole line of k, or between the outermost quoted strikes."""

#: Sizes at which a search looks first, as shares of its limit: dense near 0.
_LOOKS = (np.arange(1, 25) / 24.0) ** 2
_CLOSED = 1e-8


@dataclass(frozen=True, kw_only=True, repr=False)
class Headroom(Result):
    """Largest size of a family of shocks without static arbitrage, by expiry and for the surface.

    Attributes
    ----------
    family : SurfaceShock
        The shock of size 1.
    dynamics : SmileDynamics
    limit : float
        Size up to which a search went where no formula applies.
    within : {"line", "quotes"}
    table : DataFrame
        One row per expiry. ``butterfly``, ``calendar`` (against the expiry before; NaN for the first) and
        ``zero_vol``: the size at which each appears, 0 where it is there before any shock, infinite where
        there is none (under a search: none up to ``limit``). ``size``: the least of them, ``kind`` which.
        ``method``: ``"formula"``, ``"bound"`` (root on the exact eSSVI bound) or ``"search"`` (g and the
        difference of smiles on the shocked curve). ``elasticity``: d ln theta/d ln T from the expiry
        before, and ``elasticity_needed`` at size 1.
    """

    family: SurfaceShock
    dynamics: SmileDynamics
    limit: float
    within: Within
    table: pd.DataFrame
    references = ("gatheral2014", "martini2022")

    @property
    def size(self) -> float:
        """Largest size without arbitrage anywhere on the surface."""
        return float(self.table["size"].min())

    @property
    def expiry(self) -> pd.Timestamp:
        """The expiry that binds first."""
        return pd.Timestamp(self.table.index[int(np.argmin(self.table["size"]))])

    @property
    def kind(self) -> str:
        """What appears first there: ``butterfly``, ``calendar``, ``zero_vol`` or ``none``."""
        return str(self.table.loc[self.expiry, "kind"])

    @property
    def shock(self) -> SurfaceShock:
        """The shock at the edge; the family itself where nothing binds."""
        return self.family.scaled(self.size) if math.isfinite(self.size) else self.family

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: butterfly, calendar and zero-vol size, which binds, how it was found."""
        columns = ["butterfly", "calendar", "zero_vol", "size", "kind", "method"]
        frame = self.table[columns].copy()
        frame.index = pd.Index([e.strftime("%Y-%m-%d") for e in self.table.index])
        frame.index.name = (
            f"times ({self.family}): {self.size:.6g}, {self.kind} at {self.expiry:%Y-%m-%d}, {self.within}"
        )
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return the whole table."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with butterfly and calendar headroom of every expiry against its days."""
        axes = new_axes(ax)
        for column, marker in (("butterfly", "o"), ("calendar", "s"), ("zero_vol", "x")):
            rows = self.table[np.isfinite(self.table[column])]
            if len(rows):
                axes.plot(rows["days"].to_numpy(), rows[column].to_numpy(), marker=marker, label=column)
        axes.axhline(1.0, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.set(xlabel="days to expiry", ylabel="size before it appears", title=f"Headroom: {self.family}")
        axes.legend()
        return axes


def _check_family(family: SurfaceShock, limit: float) -> None:
    if not isinstance(family, SurfaceShock):
        raise ParameterError(
            f"a family of type {type(family).__name__}",
            "a SurfaceShock: the shock of size 1",
            "pass SurfaceShock(vol=0.5), say",
        )
    if family.is_zero:
        raise ParameterError("a family that moves nothing", "at least one size", "give spot, vol, skew ...")
    if family.horizon_days:
        raise ParameterError(
            f"a family with a horizon of {family.horizon_days:g} days",
            "an instantaneous shock",
            "age first: surface.shock(SurfaceShock(horizon_days=...), ...).headroom(...)",
        )
    if not 0.0 < as_number("limit", limit) < math.inf:
        raise ParameterError(f"limit is {limit!r}", "a positive number", "correct it")


def find_headroom(
    surface: SlicedSurface[Any],
    family: SurfaceShock,
    *,
    dynamics: SmileDynamics | None = None,
    limit: float = 10.0,
    within: Within = "line",
) -> Headroom:
    """Return the largest size of a family of shocks before a surface admits static arbitrage.

    Parameters
    ----------
    surface : SlicedSurface
    family : SurfaceShock
        The shock of size 1; sizes multiply every number of it, conventions and ``min_vol_up`` stay.
    dynamics : SmileDynamics, optional
        Required where spot moves.
    limit : float
        Size up to which is searched where no formula applies, positive.
    within : {"line", "quotes"}
        Where arbitrage counts: anywhere on the line of k, or between the outermost quoted strikes (for a
        calendar, of both expiries). Far wings often bind first on the line.

    Returns
    -------
    Headroom

    Raises
    ------
    ConventionError
        No or unknown dynamics.
    ParameterError
        A family without a size or with a horizon, ``limit`` not positive, or an unknown ``within``.

    Notes
    -----
    Where vol is only multiplied, by c = 1 + s x at an expiry, a smile with raw parameters survives
    exactly up to a factor that a one-dimensional minimum gives (:func:`raw_scaling_limit`; for eSSVI the root
    of ``c² psi = min(4/(1 + |rho|), sqrt(f))``), and two expiries keep their order as long as
    ``c_near/c_far`` is at most q, the least ratio of their vols: ``s = (q - 1)/(x_near - q x_far)``.
    Every other family is searched: sizes upward, g and the order of smiles on the shocked curve, then
    bisection between the last size that is free and the first that is not. A floor is such a family: it is no
    scaling, and adds no arbitrage itself, since the dearer of two convex prices is convex.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import SurfaceShock, fit
    >>> surface = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")), model="essvi")
    >>> found = find_headroom(surface, SurfaceShock(skew=0.01))
    >>> round(found.size, 3)
    4.458
    """
    _check_family(family, limit)
    if within not in get_args(Within):
        raise ParameterError(f"within={within!r}", "'line' or 'quotes'", "name one of the two")
    rule = check_dynamics(dynamics, needed=family.spot != 0.0)
    rows: dict[pd.Timestamp, dict[str, Any]] = {}
    near: Any = None
    for one in surface.slices:
        found = _Pair(surface.curve, near, one, family, rule, limit, within).row()
        rows[one.expiry] = found
        near = one
    table = pd.DataFrame.from_dict(rows, orient="index")
    return Headroom(family=family, dynamics=rule, limit=limit, within=within, table=table)


class _Pair:
    """One expiry with the one before it, under every size of a family."""

    def __init__(
        self,
        curve: ForwardCurve,
        near: Any,
        far: Any,
        family: SurfaceShock,
        rule: SmileDynamics,
        limit: float,
        within: Within,
    ) -> None:
        self.curve, self.near, self.far = curve, near, far
        self.family, self.rule, self.limit = family, rule, limit
        self.quotes_only = within == "quotes"
        self.raw = judged_slice(far).curve.raw
        self.near_raw = None if near is None else judged_slice(near).curve.raw
        self.scaling = family.scales_only and family.twist == 0.0 and family.spot == 0.0 and family.vol != 0.0

    def row(self) -> dict[str, Any]:
        butterfly, method = self._butterfly()
        calendar = math.nan
        if self.near is not None:
            calendar, searched = self._calendar()
            method = method if searched == method else f"{method}, {searched}"
        zero = self._zero_vol()
        by_kind = {"butterfly": butterfly, "calendar": calendar, "zero_vol": zero}
        known = {kind: size for kind, size in by_kind.items() if not math.isnan(size)}
        kind = min(known, key=lambda name: known[name])
        size = known[kind]
        days = 365.0 * self.far.tau
        gained = needed = math.nan
        if self.near is not None:
            years = math.log(self.far.tau / self.near.tau)
            gained = math.log(float(self.far.at(0.0)) / float(self.near.at(0.0))) / years
            try:
                factors = [self.family.factor(365.0 * s.tau) for s in (self.near, self.far)]
                needed = -2.0 * math.log(factors[1] / factors[0]) / years
            except ParameterError:
                needed = math.nan
        return {
            "days": days,
            **by_kind,
            "size": size,
            "kind": kind if math.isfinite(size) else "none",
            "method": method,
            "elasticity": gained,
            "elasticity_needed": needed,
        }

    # -- by formula -----------------------------------------------------------------------------------------
    def _size_of(self, factor: float, days: float) -> float:
        """Return the size at which the vol factor at a tenor is ``factor``; infinite where it never is."""
        per_size = self.family.vol * self.family.scale(days)
        if factor <= 0.0 and self.family.vol_unit == "log":
            return math.inf
        goal = math.log(factor) if self.family.vol_unit == "log" else factor - 1.0
        return goal / per_size if per_size != 0.0 and goal / per_size >= 0.0 else math.inf

    def _butterfly(self) -> tuple[float, str]:
        delta = self.rule == "sticky_delta"
        # quotes stay at their k where the smile widens along, which the formula does not know
        if not self.scaling or self.raw is None or (delta and self.quotes_only):
            return self._search(self._wings_bad), "search"
        own = getattr(self.far, "parameters", None)
        method = "formula"
        centred = float(getattr(self.far, "shift", 0.0)) == 0.0
        if isinstance(own, EssviParameters) and centred and not (delta or self.quotes_only):
            most, method = essvi_scaling_limit(own.theta, own.rho, own.psi), "bound"
        else:
            most = raw_scaling_limit(self.raw, delta=delta, within=self._span(self.far))
        if most < 1.0:
            return 0.0, method
        return self._size_of(most, 365.0 * self.far.tau) if math.isfinite(most) else math.inf, method

    def _calendar(self) -> tuple[float, str]:
        if not self.scaling or self.rule == "sticky_delta" or self.raw is None or self.near_raw is None:
            return self._search(self._order_bad), "search"
        q = calendar_room(self.near_raw, self.raw, self._overlap(self.near, self.far))
        if q < 1.0:
            return 0.0, "formula"
        v = self.family.vol
        x_near, x_far = (v * self.family.scale(365.0 * s.tau) for s in (self.near, self.far))
        if self.family.vol_unit == "log":
            size = math.log(q) / (x_near - x_far) if x_near > x_far else math.inf
        else:
            size = (q - 1.0) / (x_near - q * x_far) if x_near > q * x_far else math.inf
        return size, "formula"

    def _zero_vol(self) -> float:
        """Return the size at which a vol reaches 0."""
        if self.family.vol_unit == "relative" and self.scaling:
            return self._size_of(0.0, 365.0 * self.far.tau)
        falls = self.family.vol < 0.0 or self.family.vol_add < 0.0
        bends = self.family.skew != 0.0 or self.family.curvature < 0.0
        if self.family.floor > 0.0 or not (falls or bends):
            return math.inf
        return self._search(self._vol_bad)

    # -- by search ------------------------------------------------------------------------------------------
    def _span(self, one: Any) -> Span | None:
        """Return the quoted range of k of a slice, None where the whole line counts."""
        if not self.quotes_only:
            return None
        k = quoted_k(one)
        return float(k[0]), float(k[-1])

    def _overlap(self, near: Any, far: Any) -> Span | None:
        """Return the range of k that both slices quote; a single point where they share none."""
        one, two = self._span(near), self._span(far)
        if one is None or two is None:
            return None
        low, high = max(one[0], two[0]), min(one[1], two[1])
        return min(low, high), max(low, high)

    def _at(self, one: Any, size: float) -> Any:
        """Return the slice at a size; ParameterError where the shock leaves none."""
        return one if size == 0.0 else moved_slice(one, self.family.scaled(size), self.rule, self.curve.spot)

    def _vol_bad(self, size: float) -> bool:
        try:
            moved = self._at(self.far, size)
            judged, span = judged_slice(moved), self._span(moved)
            judged.curve.w(judged.points if span is None else clipped(judged.points, span))
        except ParameterError:
            return True
        return False

    def _wings_bad(self, size: float) -> bool | None:
        try:
            moved = self._at(self.far, size)
            return not free_of_butterflies(judged_slice(moved), self._span(moved))
        except ParameterError:
            return None

    def _order_bad(self, size: float) -> bool | None:
        try:
            near, far = self._at(self.near, size), self._at(self.far, size)
            return not free_of_calendars(judged_slice(near), judged_slice(far), self._overlap(near, far))
        except ParameterError:
            return None

    def _search(self, bad: Callable[[float], bool | None]) -> float:
        """Return the first size found at which ``bad`` holds; infinite where none does up to the limit."""
        if bad(0.0):
            return 0.0
        low, high = 0.0, math.inf
        for size in self.limit * _LOOKS:
            answer = bad(float(size))
            if answer is None:
                # beyond this size there is no smile: look only as far as there is one
                high = self._edge(low, float(size), bad)
                break
            if answer:
                high = float(size)
                break
            low = float(size)
        if not math.isfinite(high):
            return math.inf
        while high - low > _CLOSED * max(high, 1e-3):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if bad(middle) else (middle, high)
        return low

    def _edge(self, low: float, high: float, bad: Callable[[float], bool | None]) -> float:
        """Return a size between a free one and one without a smile at which ``bad`` holds, else infinity."""
        while high - low > _CLOSED * max(high, 1e-3):
            middle = 0.5 * (low + high)
            answer = bad(middle)
            if answer:
                return middle
            low, high = (low, middle) if answer is None else (middle, high)
        return math.inf
