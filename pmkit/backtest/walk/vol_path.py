"""Implied vols for years without quotes: simulated, and on purpose not by the margin model's own law.

No history of crypto option quotes ships with the project. A backtest of options over 2020-2023 is therefore
marked by a model of the world, and that model must not be the one under test: a margin model whose vol moves
are drawn from the law by which the P&L is marked passes by construction. The margin model lets implied vol
fall when spot rises, by an estimated slope. Here implied vol follows realised vol, up and down alike, with a
residual that reverts to its mean and has a vol of its own, at three sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.market.history import PriceHistory

__all__ = ["VOL_OF_VOL", "VolPath", "simulate_vol_path"]

#: Daily sd of the log residual of implied vol under each name; assumed, each twice the one before.
VOL_OF_VOL: dict[str, float] = {"low": 0.02, "base": 0.04, "high": 0.08}

_HIGHEST = 5.0  # 500 % a year: above it a vol is in percent


@dataclass(frozen=True, kw_only=True, repr=False)
class VolPath(Result):
    """Implied vol of the 30-day tenor by date and underlying, annualised decimal.

    Attributes
    ----------
    frame : DataFrame
        Index of naive days, ascending; one column an underlying.
    label : str
        ``"low"``, ``"base"``, ``"high"``, or the origin of a path that was given.
    simulated : bool
        True where a model made the vols: P&L from them is model-marked.
    assumptions : mapping of str to object
        Every number of the generator; empty for a path that was given.
    provenance : Provenance

    Raises
    ------
    SchemaError
        Dates out of order or repeated, no column, or values that are not finite numbers.
    ConventionError
        A vol that is not positive, or above 5 (looks like percent).
    """

    frame: pd.DataFrame
    label: str
    simulated: bool
    provenance: Provenance
    assumptions: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        index = self.frame.index
        if not isinstance(index, pd.DatetimeIndex) or not (index.is_monotonic_increasing and index.is_unique):
            raise SchemaError(
                "the implied vols have no ascending dates without repetition",
                "a DatetimeIndex of days, ascending and unique",
                "sort by date and drop repeated dates, knowingly",
            )
        if index.tz is not None or not bool((index == index.normalize()).all()):
            raise ConventionError(
                "the dates of the implied vols have clock times or a time zone",
                "naive days, as in a price history",
                "use index.tz_convert(None).normalize() if each vol belongs to the close of its day",
            )
        if self.frame.shape[1] == 0:
            raise SchemaError("the implied vols have no column", "one column an underlying", "add the vols")
        for name in self.frame.columns:
            values = self.frame[name].to_numpy(dtype=np.float64)
            bad = ~np.isfinite(values)
            if bad.any():
                raise SchemaError(
                    f"implied vol of {name} on {index[int(np.argmax(bad))].date()} is no finite number",
                    "one vol a date",
                    "cut the path to dates with vols",
                )
            wrong = (values <= 0.0) | (values > _HIGHEST)
            if wrong.any():
                raise ConventionError(
                    f"implied vol of {name} on {index[int(np.argmax(wrong))].date()} is "
                    f"{values[int(np.argmax(wrong))]:g}",
                    "an annualised decimal in (0, 5], 0.65 for 65 %",
                    "divide by 100 if the vols are in percent",
                )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, label: str = "given", simulated: bool = False) -> VolPath:
        """Return the path of implied vols that the caller has.

        Parameters
        ----------
        frame : DataFrame
            Index of days, one column an underlying, 30-day implied vol as an annualised decimal.
        label : str
            Origin, for titles.
        simulated : bool
            Say so where a model made them.

        Examples
        --------
        >>> days = pd.date_range("2021-01-01", periods=2)
        >>> VolPath.from_frame(pd.DataFrame({"BTC": [0.6, 0.7]}, index=days)).simulated
        False
        """
        numbers = frame.apply(pd.to_numeric, errors="coerce").astype("float64")
        data = {"vols": fingerprint(numbers.to_numpy(dtype=np.float64), [str(day) for day in frame.index])}
        made_by = Provenance(method="backtest.VolPath.from_frame", data=data, simulated=simulated)
        return cls(frame=numbers, label=label, simulated=simulated, provenance=made_by)

    def aligned(self, dates: pd.DatetimeIndex, underlyings: Sequence[str]) -> FloatArray:
        """Return the vols of the dates, shape (dates, underlyings), NaN on dates that the path does not hold.

        Raises
        ------
        DataGapError
            An underlying that the path does not hold.
        """
        for name in underlyings:
            if name not in self.frame.columns:
                raise DataGapError(
                    f"no implied vol of {name} in the path {self.label!r}",
                    f"one of {', '.join(map(str, self.frame.columns))}",
                    "give a path of all underlyings of the book",
                )
        return self.frame[list(underlyings)].reindex(dates).to_numpy(dtype=np.float64, copy=True)

    def to_frame(self) -> pd.DataFrame:
        """Return the vols; column names say ``simulated`` where they are."""
        mark = " (simulated)" if self.simulated else ""
        return self.frame.rename(columns={name: f"{name} iv 30d{mark}" for name in self.frame.columns})

    def summary(self) -> pd.DataFrame:
        """Return lowest, median, highest vol and sd of its daily log moves for each underlying."""
        rows = {}
        for name in self.frame.columns:
            vols = self.frame[name]
            rows[name] = {
                "path": self.label + (" (simulated)" if self.simulated else ""),
                "lowest": float(vols.min()),
                "median": float(vols.median()),
                "highest": float(vols.max()),
                "sd of daily log moves": float(np.log(vols).diff().std()),
            }
        return pd.DataFrame.from_dict(rows, orient="index")


def simulate_vol_path(
    history: PriceHistory,
    *,
    vol_of_vol: str | float = "base",
    underlyings: Sequence[str] | None = None,
    premium: float = 1.10,
    decay: float = 0.97,
    level_weight: float = 0.8,
    prior_vol: float = 0.70,
    prior_days: float = 365.0,
    persistence: float = 0.95,
    df: float = 5.0,
    correlation: float = 0.7,
    seed: int = 20260801,
) -> VolPath:
    """Return simulated 30-day implied vols along a price history, each from data up to its own date.

    Use it to mark options where no quotes exist, and run all three sizes: what changes between them is no
    finding (:func:`pmkit.backtest.run_vol_scenarios`).

    Parameters
    ----------
    history : PriceHistory
        Prices without gaps for the chosen underlyings.
    vol_of_vol : {"low", "base", "high"} or float
        Daily sd of the residual of log vol: 0.02, 0.04, 0.08, or a number of 0 or more.
    underlyings : sequence of str, optional
        All assets where None.
    premium : float
        Implied over realised vol, assumed; above 0.
    decay : float
        Decay of the exponentially weighted squared returns, in (0, 1).
    level_weight : float
        Weight of the recent level against the long-run level, in logs, in [0, 1].
    prior_vol, prior_days : float
        Annual vol assumed before the first return, and how many days it weighs in the long-run level.
    persistence : float
        Daily autocorrelation of the residual, in [0, 1): 0.95 halves a deviation in 13.5 days.
    df : float
        Degrees of freedom of the Student t innovations, above 2.
    correlation : float
        Share of variance of the innovations that all underlyings have in common, in [0, 1].
    seed : int
        Root seed. The same innovations serve all sizes of vol-of-vol.

    Returns
    -------
    VolPath
        ``simulated`` is True and ``assumptions`` holds every number above.

    Raises
    ------
    ParameterError
        A parameter outside its domain.
    DataGapError
        Missing prices or an unknown asset.

    Notes
    -----
    With A periods a year: v_t = λ v_{t-1} + (1-λ) A r_t², v_0 = prior²; L_t = (m·prior² + A Σ r²)/(m + t);
    ln iv_t = ln premium + w·½ ln v_t + (1-w)·½ ln L_t + x_t; x_t = φ x_{t-1} + s ε_t, x_0 = 0, with ε a t
    variable of variance 1. All numbers are assumptions, chosen to be plausible and not fitted to quotes. The
    law has no leverage: vol rises after a large move of either sign.

    Examples
    --------
    >>> days = pd.date_range("2021-01-01", periods=40)
    >>> prices = pd.DataFrame({"BTC": np.full(40, 100.0)}, index=days)
    >>> path = simulate_vol_path(PriceHistory.from_frame(prices), vol_of_vol=0.0)
    >>> round(float(path.frame["BTC"].iloc[0]), 4), round(float(path.frame["BTC"].iloc[-1]), 4)
    (0.77, 0.4739)
    """
    if isinstance(vol_of_vol, str):
        if vol_of_vol not in VOL_OF_VOL:
            raise ParameterError(
                f"vol_of_vol is {vol_of_vol!r}",
                f"one of {', '.join(map(repr, VOL_OF_VOL))}, or a daily sd",
                "name one of them",
            )
        size, label = VOL_OF_VOL[vol_of_vol], vol_of_vol
    else:
        size, label = float(vol_of_vol), f"{vol_of_vol:g}"
    numbers = {
        "vol_of_vol": (size, 0.0 <= size < 1.0, "[0, 1)"),
        "premium": (premium, 0.0 < premium < 10.0, "(0, 10)"),
        "decay": (decay, 0.0 < decay < 1.0, "(0, 1)"),
        "level_weight": (level_weight, 0.0 <= level_weight <= 1.0, "[0, 1]"),
        "prior_vol": (prior_vol, 0.0 < prior_vol <= _HIGHEST, "(0, 5], a decimal"),
        "prior_days": (prior_days, 0.0 < prior_days < math.inf, "a positive number"),
        "persistence": (persistence, 0.0 <= persistence < 1.0, "[0, 1)"),
        "df": (df, 2.0 < df < math.inf, "above 2"),
        "correlation": (correlation, 0.0 <= correlation <= 1.0, "[0, 1]"),
    }
    for name, (value, legal, domain) in numbers.items():
        if not legal:
            raise ParameterError(f"{name} is {value!r}", domain, "correct the argument")
    names = tuple(history.assets if underlyings is None else underlyings)
    returns = history.returns(list(names)).to_numpy(dtype=np.float64)
    periods = float(history.periods_per_year)
    days = returns.shape[0] + 1
    common = _innovations(seed, "common", df, days)
    columns = {}
    for at, name in enumerate(names):
        own = _innovations(seed, name, df, days)
        noise = math.sqrt(correlation) * common + math.sqrt(1.0 - correlation) * own
        squares = periods * returns[:, at] ** 2
        columns[name] = _path(
            squares, noise, size, premium, decay, level_weight, prior_vol, prior_days, persistence
        )
    assumptions: dict[str, Any] = {name: float(value) for name, (value, _, _) in numbers.items()}
    return VolPath(
        frame=pd.DataFrame(columns, index=history.prices.index),
        label=label,
        simulated=True,
        assumptions=assumptions,
        provenance=Provenance(
            method="backtest.simulate_vol_path",
            data={history.source: history.fingerprint},
            parameters=assumptions | {"underlyings": list(names)},
            seed=seed,
            simulated=True,
        ),
    )


def _innovations(seed: int, name: str, df: float, days: int) -> FloatArray:
    """Return t variables of variance 1, one a date; a longer history begins with the same ones."""
    return stream(seed, "vol path", name).standard_t(df, days) * math.sqrt((df - 2.0) / df)


def _path(
    squares: FloatArray,
    noise: FloatArray,
    size: float,
    premium: float,
    decay: float,
    level_weight: float,
    prior_vol: float,
    prior_days: float,
    persistence: float,
) -> FloatArray:
    """Return implied vols of one underlying by one pass forward in time, so that no date sees a later one."""
    recent = prior_vol**2
    total = prior_days * prior_vol**2
    residual = 0.0
    vols = np.empty(noise.size)
    for t in range(noise.size):
        if t > 0:
            recent = decay * recent + (1.0 - decay) * squares[t - 1]
            total += squares[t - 1]
            residual = persistence * residual + size * noise[t]
        long_run = total / (prior_days + t)
        log_level = 0.5 * (level_weight * math.log(recent) + (1.0 - level_weight) * math.log(long_run))
        vols[t] = premium * math.exp(log_level + residual)
    return vols
