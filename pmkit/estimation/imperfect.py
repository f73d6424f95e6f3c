"""Short, broken and ended price histories: completed by a stated rule, never by dropping days in silence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import BoolArray, FloatArray
from pmkit.estimation.panel import cross_moment
from pmkit.market.history import PriceHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DEFAULT_UPLIFT", "CompletedReturns", "complete_returns"]

Rule = Literal["regression", "proxy", "floor"]

#: factor on every filled return; a choice, larger where less is known about the asset
DEFAULT_UPLIFT: Mapping[str, float] = {"regression": 1.10, "proxy": 1.25, "floor": 1.50}

#: share of the full assets whose volatility the floor exceeds
_FLOOR_QUANTILE = 0.9


@dataclass(frozen=True, kw_only=True, repr=False)
class CompletedReturns(Result):
    """Daily log returns of every asset on every day, with what was filled, how, and how much was added.

    Attributes
    ----------
    returns : DataFrame, shape (T, n)
        Decimal, no gap.
    filled : DataFrame of bool
        True where a return was not observed.
    rules : DataFrame
        One row an asset: ``observed, filled, rule, proxies, beta, r2, uplift, flag``; rule ``none`` for an
        asset without gaps.
    history : PriceHistory
        The same as prices, through the last observed price of each asset; ``simulated`` where anything was
        filled.
    """

    returns: pd.DataFrame
    filled: pd.DataFrame
    rules: pd.DataFrame
    history: PriceHistory
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.complete_returns"))
    references: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader must be told, one sentence for each completed asset."""
        return tuple(str(flag) for flag in self.rules["flag"] if flag)

    def check(self) -> None:
        """Raise where a return is missing or the history does not give the returns back."""
        rebuilt = np.diff(np.log(self.history.prices.to_numpy()), axis=0)
        worst = float(np.abs(rebuilt - self.returns.to_numpy()).max())
        if not worst <= 1e-9:
            raise PmkitError(f"prices and returns differ by {worst:g}", "equality", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row an asset: what was observed, filled and by which rule."""
        return self.rules.drop(columns="flag").round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a day and asset: date, asset, return, filled."""
        long = (
            self.returns.rename_axis("date").reset_index().melt("date", var_name="asset", value_name="return")
        )
        long["filled"] = self.filled.to_numpy().ravel(order="F")
        return long

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the days of each asset that were filled."""
        axes = new_axes(ax)
        names = [str(name) for name in self.filled.columns]
        axes.imshow(self.filled.to_numpy().T, aspect="auto", interpolation="nearest", cmap="Greys", vmax=1.0)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="day of the panel", title="dark: filled, not observed")
        return axes


def complete_returns(
    history: PriceHistory,
    *,
    rules: Mapping[str, Rule] | None = None,
    proxies: Mapping[str, Sequence[str]] | None = None,
    regress_rows: int = 250,
    proxy_rows: int = 60,
    least_r2: float = 0.3,
    uplift: Mapping[str, float] | None = None,
    draw: bool = True,
    seed: int = 20260801,
) -> CompletedReturns:
    """Return daily log returns without gaps: missing ones by regression, proxy or floor, flagged and raised.

    Parameters
    ----------
    history : PriceHistory
        Prices with gaps at either end or inside; at least one asset without any.
    rules : mapping of str to {"regression", "proxy", "floor"}, optional
        For assets whose rule is not to be chosen.
    proxies : mapping of str to sequence of str, optional
        Assets without gaps to fill from; the one most correlated on common days where absent.
    regress_rows, proxy_rows : int
        Observed returns from which on regression and proxy are allowed.
    least_r2 : float
        Explained share below which a regression gives way to the proxy, from 0 to 1.
    uplift : mapping of str to float, optional
        Factor on filled returns by rule, 1 or more; what is absent is taken from ``DEFAULT_UPLIFT``.
    draw : bool
        Whether the regression adds residuals, drawn with replacement from those observed. Without them filled
        days are too quiet and too correlated.
    seed : int
        Of the residuals; each asset has its own stream.

    Returns
    -------
    CompletedReturns

    Raises
    ------
    SchemaError
        Not a PriceHistory; rules or proxies that name unknown assets.
    DataGapError
        No asset without gaps; a date without a row; an asset with fewer than 2 prices.
    ParameterError
        A value out of range, a proxy with gaps of its own, a rule that the observed days do not allow.

    Notes
    -----
    Regression through the origin: ``r = beta' x + e``. Proxy: the most correlated asset times the ratio of
    standard deviations about 0 on common days. Floor: the mean of the full assets brought to the 90 %
    quantile of their standard deviations. All times the uplift. Inside a gap between two observed prices the
    filled returns are shifted to the move that was observed over it. A history that ended is filled like one
    that began late, and the flag says that it ended: whether such an asset may be margined is for the user.

    Examples
    --------
    >>> days = pd.date_range("2023-01-01", periods=5)
    >>> closes = pd.DataFrame({"BTC": [10.0, 11, 12, 11, 12], "NEW": [np.nan, np.nan, np.nan, 2, 3]}, days)
    >>> done = complete_returns(PriceHistory.from_frame(closes, calendar="every day"))
    >>> done.flags
    ('NEW: 3 of 4 returns filled by floor (beta 1.000, 1 observed returns), times 1.5',)
    """
    if not isinstance(history, PriceHistory):
        raise SchemaError(
            f"history is a {type(history).__name__}", "a PriceHistory", "use PriceHistory.from_frame(prices)"
        )
    lifts = _uplifts(uplift)
    for name, value, least in (("regress_rows", regress_rows, 10), ("proxy_rows", proxy_rows, 2)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ParameterError(f"{name} is {value!r}", f"a whole number, {least} or more", "correct it")
    if not 0.0 <= least_r2 <= 1.0:
        raise ParameterError(f"least_r2 is {least_r2!r}", "from 0 to 1", "0.3 is the default")
    logs = _log_prices(history)
    names = list(logs.columns)
    _known(rules, names, "rules")
    _known(proxies, names, "proxies")
    moves = logs.diff().iloc[1:]
    missing = moves.isna()
    full = [name for name in names if not missing[name].any()]
    if not full:
        raise DataGapError(
            f"no asset of {history.source} has a price on every day",
            "at least one complete asset",
            "cut a window() in which one is complete",
        )
    columns: dict[str, FloatArray] = {}
    table: dict[str, dict[str, Any]] = {}
    for name in names:
        observed = ~missing[name].to_numpy()
        own = moves[name].to_numpy(dtype=np.float64)
        if observed.all():
            columns[name] = own
            table[name] = _row(own.size, 0, "none", (), math.nan, math.nan, math.nan, "")
            continue
        columns[name], table[name] = _complete(
            name,
            own,
            observed,
            moves[full],
            rules,
            proxies,
            (regress_rows, proxy_rows, least_r2),
            lifts,
            draw,
            seed,
        )
        columns[name] = _bridged(columns[name], observed, logs[name].to_numpy(dtype=np.float64))
        last = logs[name].last_valid_index()
        if last != logs.index[-1]:
            days = int((logs.index > last).sum())
            table[name]["flag"] += f"; its prices ended on {str(last)[:10]}, {days} rows before the last"
    returns = pd.DataFrame(columns, index=moves.index)[names]
    record = Provenance(
        method="estimation.complete_returns",
        data={"history": history.fingerprint},
        parameters={
            "rules": {n: row["rule"] for n, row in table.items()},
            "proxies": {n: row["proxies"] for n, row in table.items()},
            "regress_rows": regress_rows,
            "proxy_rows": proxy_rows,
            "least_r2": least_r2,
            "uplift": lifts,
            "draw": draw,
        },
        seed=seed,
        simulated=bool(missing.to_numpy().any()) or history.simulated,
    )
    return CompletedReturns(
        returns=returns,
        filled=missing,
        rules=pd.DataFrame.from_dict(table, orient="index"),
        history=_as_history(returns, logs, history, record.simulated),
        provenance=record,
    )


def _complete(
    name: str,
    own: FloatArray,
    observed: BoolArray,
    full: pd.DataFrame,
    rules: Mapping[str, Rule] | None,
    proxies: Mapping[str, Sequence[str]] | None,
    limits: tuple[int, int, float],
    lifts: Mapping[str, float],
    draw: bool,
    seed: int,
) -> tuple[FloatArray, dict[str, Any]]:
    """Return the completed returns of one asset and its row of the table."""
    count = int(observed.sum())
    chosen = _proxies_of(name, own, observed, full, (proxies or {}).get(name))
    X = full[chosen].to_numpy(dtype=np.float64)
    beta, r2, residuals = _regression(own[observed], X[observed])
    rule = (rules or {}).get(name)
    if rule is None:
        enough = count >= limits[0] and r2 >= limits[2]
        rule = "regression" if enough else "proxy" if count >= limits[1] else "floor"
    elif (rule == "regression" and count < 10 * len(chosen)) or (rule == "proxy" and count < 2):
        raise ParameterError(
            f"{name} has {count} observed returns, its rule is {rule}",
            f"at least {10 * len(chosen) if rule == 'regression' else 2}",
            "name another rule",
        )
    lift = lifts[rule]
    if rule == "regression":
        filled = np.add.reduce(X * beta, axis=1)
        if draw:
            filled = filled + stream(seed, "backfill", name).choice(residuals, size=own.size)
        slope, words = (
            float(beta[0]),
            f"regression on {', '.join(chosen)}" + ("" if draw else ", no residuals"),
        )
    elif rule == "proxy":
        x = X[:, 0]
        slope = _sd(own[observed]) / _sd(x[observed])
        if not math.isfinite(slope):
            raise ParameterError(
                f"{chosen[0]} does not move on the observed days of {name}",
                "a proxy that moves",
                "name another",
            )
        filled, words, r2 = slope * x, f"proxy {chosen[0]}", r2
    else:
        matrix = full.to_numpy(dtype=np.float64)
        market = np.add.reduce(matrix, axis=1) / matrix.shape[1]
        slope = float(np.quantile(np.sqrt(np.mean(matrix**2, axis=0)), _FLOOR_QUANTILE)) / _sd(market)
        filled, words, r2, chosen = slope * market, "floor", math.nan, list(full.columns)
    out = np.where(observed, own, lift * filled)
    flag = (
        f"{name}: {own.size - count} of {own.size} returns filled by {words} (beta {slope:.3f}, "
        f"{count} observed returns), times {lift:g}"
    )
    return out, _row(count, own.size - count, rule, chosen, slope, r2, lift, flag)


def _row(
    observed: int,
    filled: int,
    rule: str,
    proxies: Sequence[str],
    beta: float,
    r2: float,
    lift: float,
    flag: str,
) -> dict[str, Any]:
    return {
        "observed": observed,
        "filled": filled,
        "rule": rule,
        "proxies": ", ".join(proxies),
        "beta": beta,
        "r2": r2,
        "uplift": lift,
        "flag": flag,
    }


def _proxies_of(
    name: str, own: FloatArray, observed: BoolArray, full: pd.DataFrame, given: Sequence[str] | None
) -> list[str]:
    if given is not None:
        chosen = [given] if isinstance(given, str) else list(given)
        bad = [one for one in chosen if one not in full.columns]
        if bad or not chosen:
            raise ParameterError(
                f"proxies of {name} are {', '.join(chosen) or 'none'}"
                + (f"; {', '.join(bad)} has gaps or is unknown" if bad else ""),
                f"some of {', '.join(map(str, full.columns))}",
                "name assets without gaps",
            )
        return chosen
    if int(observed.sum()) < 3:
        return [str(full.columns[0])]
    y = own[observed] - own[observed].mean()
    X = full.to_numpy(dtype=np.float64)[observed]
    X = X - X.mean(axis=0)
    scale = np.sqrt(np.add.reduce(X**2, axis=0) * np.add.reduce(y**2))
    score = np.add.reduce(X * y[:, None], axis=0) / np.where(scale > 0.0, scale, np.inf)
    return [str(full.columns[int(np.argmax(score))])]


def _regression(y: FloatArray, X: FloatArray) -> tuple[FloatArray, float, FloatArray]:
    """Return slopes through the origin, explained share and residuals; NaN slopes where days are too few."""
    if len(y) <= X.shape[1]:
        return np.full(X.shape[1], np.nan), 0.0, np.zeros(0)
    beta = np.linalg.lstsq(cross_moment(X), cross_moment(X, y[:, None])[:, 0], rcond=None)[0]
    residuals = y - np.add.reduce(X * beta, axis=1)
    total = float(np.add.reduce(y**2))
    r2 = 1.0 - float(np.add.reduce(residuals**2)) / total if total > 0.0 else 0.0
    return np.asarray(beta, dtype=np.float64), r2, np.asarray(residuals, dtype=np.float64)


def _sd(x: FloatArray) -> float:
    return math.sqrt(float(np.mean(x * x))) if x.size else math.nan


def _bridged(filled: FloatArray, observed: BoolArray, logs: FloatArray) -> FloatArray:
    """Return the returns shifted inside each gap between two prices to the move observed over it."""
    out = filled.copy()
    known = np.flatnonzero(np.isfinite(logs))
    for a, b in itertools.pairwise(known.tolist()):
        if b > a + 1:
            gap = slice(a, b)
            out[gap] += (logs[b] - logs[a] - float(np.add.reduce(out[gap]))) / (b - a)
    return out


def _log_prices(history: PriceHistory) -> pd.DataFrame:
    prices = history.prices
    if len(prices) < 2:
        raise DataGapError(f"{len(prices)} row(s) in {history.source}", "2 or more", "load a longer history")
    if history.calendar == "every day":
        step = np.diff(prices.index.to_numpy(dtype="datetime64[D]").astype(np.int64))
        if (step != 1).any():
            day = prices.index[int(np.flatnonzero(step != 1)[0])]
            raise DataGapError(
                f"{history.source} has no row after {day.date()}",
                "a row for every day, empty where there is no price",
                "reindex the prices to every day",
            )
    thin = [str(name) for name in prices.columns if int(prices[name].notna().sum()) < 2]
    if thin:
        raise DataGapError(f"{', '.join(thin)} has fewer than 2 prices", "2 or more", "leave the asset out")
    return pd.DataFrame(
        np.log(prices.to_numpy(dtype=np.float64)),
        index=prices.index,
        columns=[str(c) for c in prices.columns],
    )


def _as_history(
    returns: pd.DataFrame, logs: pd.DataFrame, history: PriceHistory, simulated: bool
) -> PriceHistory:
    """Return prices whose log differences are the returns, through the last observed price of each asset."""
    path = np.zeros(logs.shape)
    path[1:] = np.cumsum(returns.to_numpy(), axis=0)
    values = logs.to_numpy()
    for column in range(values.shape[1]):
        last = int(np.flatnonzero(np.isfinite(values[:, column]))[-1])
        path[:, column] += values[last, column] - path[last, column]
    observed = np.isfinite(values)
    prices = np.where(observed, history.prices.to_numpy(dtype=np.float64), np.exp(path))
    return PriceHistory(
        prices=pd.DataFrame(prices, index=logs.index, columns=logs.columns),
        calendar=history.calendar,
        currency=history.currency,
        source=f"{history.source}, completed" if simulated else history.source,
        simulated=simulated,
    )


def _uplifts(given: Mapping[str, float] | None) -> dict[str, float]:
    out = dict(DEFAULT_UPLIFT) | dict(given or {})
    for rule, value in out.items():
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and 1.0 <= value < math.inf
        if rule not in DEFAULT_UPLIFT or not good:
            raise ParameterError(
                f"uplift of {rule!r} is {value!r}",
                f"1 or more for {', '.join(DEFAULT_UPLIFT)}",
                "write {'proxy': 1.25}",
            )
    return {rule: float(value) for rule, value in out.items()}


def _known(given: Mapping[str, Any] | None, names: list[str], what: str) -> None:
    for name, value in (given or {}).items():
        if name not in names or (what == "rules" and value not in DEFAULT_UPLIFT):
            raise SchemaError(
                f"{what} name {name!r}: {value!r}",
                f"assets of {', '.join(names)}"
                + ("" if what == "proxies" else f" and one of {', '.join(DEFAULT_UPLIFT)}"),
                f"correct {what}",
            )
