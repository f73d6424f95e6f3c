"""Filtered historical simulation: past residuals drawn through a volatility recursion that starts today."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    HistoryEndsWarning,
    ParameterError,
    SchemaError,
)
from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.core.types import Dynamics, FloatArray, IntArray
from pmkit.estimation import VolatilityModel, fit_volatility
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries, check_horizon, factor_moves, history_gap_text, underlyings_of
from pmkit.scenarios.historical import BRIDGE_NOTE, mean_correlation
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse, factor_response
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["Anchor", "FilteredDesign", "filtered_historical"]

Anchor = str | float | Mapping[str, float]

#: tenors that are printed beside the anchor
_TENORS = (7, 30, 90, 180)
_YEAR = 365


def filtered_historical(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    *,
    underlyings: Sequence[str] | None = None,
    horizon: int = 2,
    n_paths: int = 100_000,
    model: str = "gjr",
    dist: str = "t",
    vol_anchor: Anchor = "atm-30d",
    response: FactorResponse | str = DEFAULT_RESPONSE,
    dynamics: Dynamics = "sticky_moneyness",
    seed: int = 20260801,
    models: Mapping[str, VolatilityModel] | None = None,
    expiries: Expiries | None = None,
    drift: bool = False,
) -> ScenarioSet:
    """Return filtered-historical-simulation scenarios of spot, vol, basis and fixings.

    Parameters
    ----------
    history : PriceHistory
        Daily closes on every calendar day, ending before the snapshot.
    snapshot : MarketSnapshot
        Decides underlyings, expiries and, by ``vol_anchor``, the level of volatility.
    underlyings : sequence of str, optional
        All of the snapshot where None.
    horizon : int
        Days, 1 or more.
    n_paths : int
    model, dist : str
        Of :func:`pmkit.estimation.fit_volatility`.
    vol_anchor : str, float or mapping of str to float
        Annual volatility of the first day: ``"atm-30d"`` (any number of days) reads the at-the-money vol of
        the snapshot, ``"filter"`` takes what the recursion reached at the end of the history, and a decimal
        (0.45), for all or by underlying, states it.
    response : FactorResponse or str
    dynamics : {"sticky_moneyness", "sticky_strike", "sticky_delta"}
    seed : int
    models : mapping of str to VolatilityModel, optional
        Fitted or given models by underlying, over the same dates; fitted here where None.
    expiries : mapping of str to sequence of Timestamp, optional
        Which expiries get a basis or fixing factor; the forwards of the snapshot where None.
    drift : bool
        Whether the fitted daily mean is added to each day's return.

    Returns
    -------
    ScenarioSet
        ``n_paths`` equally weighted rows, moves in logs; ``dates`` holds the day behind each day of each
        path.

    Raises
    ------
    DataGapError
        A history, response set or model lacks an underlying, or the anchor needs a surface that is absent.
    LookAheadError
        The history reaches past the snapshot.
    ParameterError, ConventionError
        Arguments outside their range, a vol in percent, a history without weekends, models over unequal
        dates.

    Warns
    -----
    HistoryEndsWarning
        The history ends more than a day before the snapshot.

    Notes
    -----
    ``z[t] = (r[t] - mu)/sigma[t]`` for each underlying; days are drawn independently with replacement, and
    all underlyings take the residual of the same day. Along a path ``r = sigma z`` and
    ``sigma^2 -> omega + (alpha + gamma 1{r < 0}) r^2 + beta sigma^2``, starting at the anchor / sqrt(365).
    The mean mu is left out by default: its own error over four years is as large as itself. Vol and basis
    follow by :class:`FactorResponse`.

    References
    ----------
    Barone-Adesi, Giannopoulos and Vosper (1999), equations (3) to (5).

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = filtered_historical(past, snap, underlyings=["BTC"], n_paths=1000, vol_anchor="filter")
    >>> len(scen), float(scen.summary().loc["BTC spot", "sd"].round(3))
    (1000, 0.035)
    """
    design = FilteredDesign(
        history=history,
        snapshot=snapshot,
        underlyings=tuple(underlyings_of(history, snapshot, underlyings)),
        horizon=check_horizon(horizon, history),
        n_paths=n_paths,
        model=model,
        dist=dist,
        vol_anchor=vol_anchor,
        response=factor_response(response) if isinstance(response, str) else response,
        dynamics=dynamics,
        seed=seed,
        expiries=expiries,
        drift=drift,
    )
    if design.warning is not None:
        warnings.warn(design.warning, stacklevel=2)
    chosen = design.fit(design.returns) if models is None else design.given(models)
    return design.simulate(chosen, chosen, np.arange(len(chosen[design.underlyings[0]].returns)))


@dataclass(frozen=True, kw_only=True)
class FilteredDesign:
    """Everything that fixes a filtered simulation except the models: the base run and its refits share it.

    Attributes
    ----------
    history, snapshot, underlyings, horizon, n_paths, model, dist, vol_anchor, response, dynamics, seed,
    expiries, drift
        As for :func:`filtered_historical`.
    returns : pandas.DataFrame
        Daily log returns of the underlyings.
    """

    history: PriceHistory
    snapshot: MarketSnapshot
    underlyings: tuple[str, ...]
    horizon: int
    n_paths: int
    model: str
    dist: str
    vol_anchor: Anchor
    response: FactorResponse
    dynamics: Dynamics
    seed: int
    expiries: Expiries | None = None
    drift: bool = False
    returns: pd.DataFrame = field(init=False)
    gap_text: str = field(init=False)
    warning: HistoryEndsWarning | None = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.n_paths, bool) or not isinstance(self.n_paths, int) or self.n_paths < 1:
            raise ParameterError(f"n_paths is {self.n_paths!r}", "a whole number, 1 or more", "correct it")
        text, warning = history_gap_text(self.history, self.snapshot)
        object.__setattr__(self, "gap_text", text)
        object.__setattr__(self, "warning", warning)
        object.__setattr__(self, "returns", self.history.returns(list(self.underlyings)))

    def fit(self, returns: pd.DataFrame, *, covariance: bool = True) -> dict[str, VolatilityModel]:
        """Return a fitted model per underlying."""
        return {
            name: fit_volatility(
                returns[name],
                self.model,  # type: ignore[arg-type]
                self.dist,  # type: ignore[arg-type]
                annualisation=_YEAR,
                covariance=covariance,
            )
            for name in self.underlyings
        }

    def given(self, models: Mapping[str, VolatilityModel]) -> dict[str, VolatilityModel]:
        """Return the given models after checking that they cover the underlyings on the same dates."""
        chosen: dict[str, VolatilityModel] = {}
        if not isinstance(models, Mapping):
            raise SchemaError(
                f"models are a {type(models).__name__}",
                "a mapping of underlying to VolatilityModel",
                "pass {'BTC': fit_volatility(...)}",
            )
        for name in self.underlyings:
            if name in models and not isinstance(models[name], VolatilityModel):
                raise SchemaError(
                    f"the model of {name} is a {type(models[name]).__name__}",
                    "a VolatilityModel",
                    "fit it with fit_volatility",
                )
            if name not in models:
                raise DataGapError(
                    f"no volatility model for {name}",
                    f"one for each of {', '.join(self.underlyings)}",
                    "add it, or leave models out to have them fitted",
                )
            chosen[name] = models[name]
        first = chosen[self.underlyings[0]].returns.index
        for name, model in chosen.items():
            if not model.returns.index.equals(first):
                raise ConventionError(
                    f"the models of {self.underlyings[0]} and {name} cover different dates",
                    "the same dates, so that residuals of one day stay together",
                    "fit all models on the same history",
                )
        return chosen

    def anchors(self, current: Mapping[str, VolatilityModel]) -> dict[str, float]:
        """Return the annual volatility of the first day by underlying."""
        levels: dict[str, float] = {}
        for name in self.underlyings:
            anchor: Any = self.vol_anchor
            if isinstance(anchor, Mapping):
                if name not in anchor:
                    raise ParameterError(
                        f"vol_anchor names {', '.join(anchor)}", f"a vol for {name}", "add it to the mapping"
                    )
                anchor = anchor[name]
            tenor = re.fullmatch(r"atm-(\d+)d", anchor) if isinstance(anchor, str) else None
            if anchor == "filter":
                level = current[name].next_sigma * math.sqrt(_YEAR)
            elif tenor is not None and int(tenor[1]) > 0:
                level = self.snapshot.atm_iv(name, float(tenor[1]))
            elif (
                isinstance(anchor, (int, float)) and not isinstance(anchor, bool) and 0.0 < anchor < math.inf
            ):
                level = float(anchor)
            else:
                raise ParameterError(
                    f"vol_anchor is {anchor!r}",
                    "'atm-30d' (any days), 'filter', or a positive decimal such as 0.45",
                    "name one of these",
                )
            if level > 5.0:
                raise ConventionError(
                    f"vol_anchor of {name} is {level:g}: looks like percent",
                    "a decimal such as 0.45",
                    "divide by 100",
                )
            levels[name] = level
        return levels

    def day_draws(self, days: int) -> IntArray:
        """Return the history day behind each day of each path, shape (paths, horizon)."""
        columns = [
            stream(self.seed, "days", step).integers(0, days, size=self.n_paths)
            for step in range(self.horizon)
        ]
        drawn: IntArray = np.column_stack(columns).astype(np.int64)
        return drawn

    def simulate(
        self,
        models: Mapping[str, VolatilityModel],
        current: Mapping[str, VolatilityModel],
        dates_of_pool: IntArray,
        label: str = "filtered historical",
    ) -> ScenarioSet:
        """Return the scenarios of a residual pool.

        Parameters
        ----------
        models : mapping
            Parameters and residual pool by underlying.
        current : mapping
            The same parameters filtered over the history itself, for the level that the filter reached.
        dates_of_pool : ndarray of int64
            Row of the history behind each residual of the pool.
        label : str
        """
        levels = self.anchors(current)
        drawn = self.day_draws(len(dates_of_pool))
        daily: dict[str, FloatArray] = {}
        sigma: dict[str, FloatArray] = {}
        for name in self.underlyings:
            pool = models[name].residuals.to_numpy()
            daily[name], sigma[name] = models[name].simulate(
                pool[drawn], levels[name] / math.sqrt(_YEAR), drift=self.drift
            )
        residuals = np.column_stack([models[name].residuals.to_numpy() for name in self.underlyings])
        factors, shocks = factor_moves(
            daily,
            sigma,
            self.snapshot,
            self.response,
            self.seed,
            expiries=self.expiries,
            bridge_correlation=mean_correlation(residuals),
        )
        dates = dates_of_pool[drawn]
        reached = {n: current[n].next_sigma * math.sqrt(_YEAR) for n in self.underlyings}
        tenors = {n: self._tenors(n) for n in self.underlyings}
        index = current[self.underlyings[0]].returns.index
        return ScenarioSet(
            name=label,
            factors=factors,
            shocks=shocks,
            horizon_days=float(self.horizon),
            dynamics=self.dynamics,
            vol_term=self.response.vol_term,
            dates=dates,
            history_dates=pd.DatetimeIndex(index),
            n_independent=len(dates_of_pool) / self.horizon,
            provenance=Provenance(
                method="scenarios.filtered_historical",
                data={
                    "history": self.history.fingerprint,
                    "snapshot": self.snapshot.fingerprint,
                    "response": self.response.fingerprint,
                    **{f"model {n}": m.provenance.id for n, m in models.items()},
                },
                parameters={
                    "underlyings": list(self.underlyings),
                    "horizon": self.horizon,
                    "n_paths": self.n_paths,
                    "model": f"{self.model}-{self.dist}",
                    "dynamics": self.dynamics,
                    "response": self.response.id,
                    "history_end": str(self.history.last_date.date()),
                    "vol_anchor": self.vol_anchor
                    if isinstance(self.vol_anchor, (str, float))
                    else dict(levels),
                    "anchor_level": levels,
                    "filter_level": reached,
                    "atm_vol": tenors,
                    "drift": self.drift,
                    "converged": all(m.status != "not_converged" for m in models.values()),
                },
                seed=self.seed,
                simulated=bool(getattr(self.history, "simulated", False)),
            ),
            notes=(self.gap_text, *self._notes(models, levels, reached, tenors)),
            references=("baroneadesi1999",),
        )

    def _tenors(self, name: str) -> dict[str, float]:
        """At-the-money vol of the snapshot at a few tenors; empty without a surface."""
        if self.snapshot.market(name).surface is None:
            return {}
        return {f"{days}d": self.snapshot.atm_iv(name, float(days)) for days in _TENORS}

    def _notes(
        self,
        models: Mapping[str, VolatilityModel],
        levels: Mapping[str, float],
        reached: Mapping[str, float],
        tenors: Mapping[str, Mapping[str, float]],
    ) -> list[str]:
        """Return in words what a reader of the result must know."""
        notes = []
        for name in self.underlyings:
            anchor = self.vol_anchor[name] if isinstance(self.vol_anchor, Mapping) else self.vol_anchor
            how = "stated" if not isinstance(anchor, str) else anchor
            beside = ", ".join(f"{tenor} {vol:.1%}" for tenor, vol in tenors[name].items())
            notes.append(
                f"{name} starts at a volatility of {levels[name]:.1%} a year ({how}); the filter reached "
                f"{reached[name]:.1%} at the end of the history"
                + (f"; at-the-money vol of the snapshot: {beside}" if beside else "")
            )
            notes += [
                f"{name} {models[name].model}-{models[name].dist}: {flag}" for flag in models[name].flags
            ]
        means = ", ".join(f"{n} {models[n].params['mu']:.3%}" for n in self.underlyings)
        notes.append(
            f"the fitted daily mean ({means}) is "
            + ("added to each day" if self.drift else "left out: drift zero")
        )
        notes.append(self.response.note(self.snapshot.as_of))
        notes.append(BRIDGE_NOTE.format("the path's conditional volatility"))
        return notes
