"""From simulated daily returns to factor moves: implied vol, basis of each expiry, settlement on the path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    HistoryEndsWarning,
    LookAheadError,
    ParameterError,
)
from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.inputs import check_kind
from pmkit.scenarios.response import FactorResponse
from pmkit.scenarios.scenario_set import Factor

__all__ = [
    "Expiries",
    "check_horizon",
    "days_since_history",
    "factor_moves",
    "history_gap_text",
    "underlyings_of",
]

Expiries = Mapping[str, Sequence[pd.Timestamp]]

#: a history may end this many days before the snapshot without being called old
_FRESH_DAYS = 1.5


def factor_moves(
    daily: Mapping[str, FloatArray],
    sigma: Mapping[str, FloatArray],
    snapshot: MarketSnapshot,
    response: FactorResponse,
    seed: int,
    *,
    expiries: Expiries | None = None,
    bridge_correlation: float = 0.0,
) -> tuple[tuple[Factor, ...], FloatArray]:
    """Return the factors and their moves over the horizon, shape (paths, factors), all in logs.

    Parameters
    ----------
    daily : mapping of str to ndarray, shape (paths, days)
        Daily log returns of spot by underlying.
    sigma : mapping of str to ndarray, shape (paths, days)
        Daily volatility behind each return; sets the spread of the path between two closes.
    snapshot : MarketSnapshot
    response : FactorResponse
    seed : int
    expiries : mapping of str to sequence of Timestamp, optional
        By underlying; the forwards of the snapshot where absent.
    bridge_correlation : float
        Correlation of the paths of two underlyings between closes, from 0 to 1.

    Notes
    -----
    Every kind of residual has its own named stream, and each path uses its own stretch of it: a larger number
    of paths begins with the same paths, and another underlying changes no draw of the first.

    Between two closes the path is a Brownian bridge: at a share s of day j,
    ``x(s) = x_j + s r_j + sqrt(s (1 - s)) sigma_j xi`` with independent xi. A second expiry inside the same
    day continues the bridge from the first.
    """
    factors: list[Factor] = []
    columns: list[FloatArray] = []
    for name, returns in daily.items():
        own = response.of(name)
        shape = (returns.shape[0], returns.shape[1])
        move = np.add.reduce(returns, axis=1)
        factors += [Factor("spot", name), Factor("vol", name)]
        columns += [
            move,
            own.vol_slope * move + own.vol_residual_sd * _vol_residual(name, shape, response, seed),
        ]
        dated = sorted((expiries or {}).get(name, snapshot.market(name).forwards))
        ahead = [e for e in dated if snapshot.days(e) > 0.0]
        inside = [e for e in ahead if snapshot.days(e) <= shape[1]]
        beyond = ahead[len(inside) :]
        factors += [Factor("fixing", name, e) for e in inside]
        columns += _fixings(name, returns, sigma[name], inside, snapshot, seed, bridge_correlation)
        factors += [Factor("basis", name, e) for e in beyond]
        for expiry, residual in zip(
            beyond, _basis_residuals(name, shape, beyond, snapshot, response, seed), strict=True
        ):
            scale = response.basis_scale(snapshot.days(expiry))
            columns.append(scale * (own.basis_slope * move + own.basis_residual_sd * residual))
    return tuple(factors), np.column_stack(columns)


def _vol_residual(name: str, shape: tuple[int, int], response: FactorResponse, seed: int) -> FloatArray:
    """Return sums over days of unit-variance residuals; a common part correlates the underlyings."""
    share = response.vol_residual_correlation
    draws = math.sqrt(1.0 - share) * stream(seed, "vol", name).standard_normal(shape)
    if share > 0.0:
        draws += math.sqrt(share) * stream(seed, "vol", "common").standard_normal(shape)
    draws *= _mixing(shape, response.vol_residual_df, seed, "vol")
    total: FloatArray = np.add.reduce(draws, axis=1)
    return total


def _basis_residuals(
    name: str,
    shape: tuple[int, int],
    expiries: Sequence[pd.Timestamp],
    snapshot: MarketSnapshot,
    response: FactorResponse,
    seed: int,
) -> list[FloatArray]:
    """Return one column an expiry: an autoregression along ln(days) correlates neighbouring expiries."""
    share = response.basis_residual_correlation
    mixing = _mixing(shape, response.basis_residual_df, seed, "basis") if expiries else np.empty(0)
    previous: FloatArray | None = None
    days_before = math.nan
    sums = []
    for expiry in expiries:
        at, days = expiry.isoformat(), snapshot.days(expiry)
        draws = math.sqrt(1.0 - share) * stream(seed, "basis", name, at).standard_normal(shape)
        if share > 0.0:
            draws += math.sqrt(share) * stream(seed, "basis", "common", at).standard_normal(shape)
        if previous is not None:
            link = math.exp(-response.basis_expiry_decay * math.log(days / days_before))
            draws = link * previous + math.sqrt(1.0 - link * link) * draws
        previous, days_before = draws, days
        sums.append(np.add.reduce(draws * mixing, axis=1))
    return sums


def _mixing(shape: tuple[int, int], df: float, seed: int, what: str) -> FloatArray:
    """Return the factor that turns normal draws into unit-variance Student t draws, one a path and day."""
    if math.isinf(df):
        return np.ones(shape)
    mixed: FloatArray = np.sqrt((df - 2.0) / stream(seed, what, "mixing").chisquare(df, shape))
    return mixed


def _fixings(
    name: str,
    returns: FloatArray,
    sigma: FloatArray,
    expiries: Sequence[pd.Timestamp],
    snapshot: MarketSnapshot,
    seed: int,
    correlation: float,
) -> list[FloatArray]:
    """Return the log move from now to each expiry inside the horizon."""
    paths, horizon = returns.shape
    closes = np.zeros((paths, horizon + 1))
    np.cumsum(returns, axis=1, out=closes[:, 1:])
    columns: list[FloatArray] = []
    for count, expiry in enumerate(expiries):
        time = snapshot.days(expiry)
        day = min(int(time), horizon - 1)
        end = day + 1.0
        start, at_start = float(day), closes[:, day]
        if count and int(snapshot.days(expiries[count - 1])) == day:
            start, at_start = snapshot.days(expiries[count - 1]), columns[-1]
        at = expiry.isoformat()
        noise = math.sqrt(1.0 - correlation) * stream(seed, "fixing", name, at).standard_normal(paths)
        if correlation > 0.0:
            noise += math.sqrt(correlation) * stream(seed, "fixing", "common", at).standard_normal(paths)
        share = (time - start) / (end - start)
        spread = math.sqrt(max((time - start) * (end - time) / (end - start), 0.0))
        columns.append(at_start + share * (closes[:, day + 1] - at_start) + spread * sigma[:, day] * noise)
    return columns


def underlyings_of(
    history: PriceHistory, snapshot: MarketSnapshot, underlyings: Sequence[str] | str | None
) -> list[str]:
    """Return the underlyings to simulate: the named ones, else all of the snapshot."""
    check_kind("snapshot", snapshot, MarketSnapshot, "MarketSnapshot.from_marks or load_snapshot")
    if isinstance(underlyings, str):
        underlyings = [underlyings]
    names = list(dict.fromkeys(snapshot.underlyings if underlyings is None else underlyings))
    if not names:
        raise ParameterError("no underlying", "at least one name", "name an underlying of the snapshot")
    for name in names:
        snapshot.market(name)
        if name not in history.prices.columns:
            raise DataGapError(
                f"the history holds no prices of {name}",
                f"one of {', '.join(str(c) for c in history.prices.columns)}",
                "load a history that holds it, or name other underlyings",
            )
    return names


def check_horizon(horizon: int, history: PriceHistory) -> int:
    """Return the horizon in days after checking it against the calendar of the history."""
    check_kind("history", history, PriceHistory, "pmkit.market.load_history or PriceHistory.from_frame")
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        raise ParameterError(f"horizon is {horizon!r}", "a whole number of days, 1 or more", "correct it")
    if history.periods_per_year != 365:
        raise ConventionError(
            f"the history has {history.periods_per_year} days a year",
            "one row every calendar day, so that a horizon in days is a number of rows",
            "load a history with the calendar 'every day'",
        )
    return horizon


def days_since_history(history: PriceHistory, snapshot: MarketSnapshot) -> float:
    """Return the days from the last close (midnight at the end of its date) to the snapshot.

    Raises
    ------
    LookAheadError
        The history reaches past the snapshot.
    """
    close = history.last_date.tz_localize("UTC") + pd.Timedelta(days=1)
    gap = float((snapshot.as_of - close).total_seconds()) / 86_400.0
    if gap < 0.0:
        raise LookAheadError(
            f"the history's last close, {close.isoformat()}, lies after the snapshot of "
            f"{snapshot.as_of.isoformat()}",
            "a history that ends before the snapshot",
            f"cut it with history.until('{(snapshot.as_of - pd.Timedelta(days=1)).date()}')",
        )
    return gap


def history_gap_text(
    history: PriceHistory, snapshot: MarketSnapshot
) -> tuple[str, HistoryEndsWarning | None]:
    """Return in words how far the history ends before the snapshot, and a warning where that is long ago."""
    gap = days_since_history(history, snapshot)
    end, now = history.last_date.date(), snapshot.as_of.date()
    text = f"history ends {end}, {gap:.0f} days before the snapshot of {now}"
    return text, HistoryEndsWarning(text) if gap > _FRESH_DAYS else None
