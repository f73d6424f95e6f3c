"""Scenarios from every past window of the horizon: what the historical-simulation methods share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, HistoryEndsWarning, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics, FloatArray, IntArray
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries, check_horizon, factor_moves, history_gap_text, underlyings_of
from pmkit.scenarios.historical import BRIDGE_NOTE, mean_correlation
from pmkit.scenarios.response import FactorResponse, factor_response
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["WindowDesign", "effective_observations"]


def effective_observations(dates: IntArray, weights: FloatArray) -> float:
    """Return the independent observations behind weighted scenarios, at most days over horizon.

    With ``p[d]`` the weight of history day ``d``, spread evenly over the days of each scenario, it is
    ``1 / (sum p^2 h)``: ``T / h`` for equal weights.

    Examples
    --------
    >>> effective_observations(np.array([[0], [1], [2], [3]]), np.full(4, 0.25))
    4.0
    """
    h = dates.shape[1]
    share = np.bincount(dates.ravel(), np.repeat(weights / h, h))
    return float(1.0 / (np.add.reduce(share**2) * h))


@dataclass(frozen=True, kw_only=True)
class WindowDesign:
    """The checked arguments of a method that replays past windows, and the returns behind them.

    Attributes
    ----------
    history, snapshot, underlyings, horizon, replications, response, dynamics, seed, expiries
        As for :func:`pmkit.scenarios.historical`.
    names : list of str
        The underlyings that are simulated.
    returns : pandas.DataFrame
        Their daily log returns.
    law : FactorResponse
    """

    history: PriceHistory
    snapshot: MarketSnapshot
    underlyings: Sequence[str] | None
    horizon: int
    replications: int
    response: FactorResponse | str
    dynamics: Dynamics
    seed: int
    expiries: Expiries | None
    names: list[str] = field(init=False)
    returns: pd.DataFrame = field(init=False)
    law: FactorResponse = field(init=False)
    gap_text: str = field(init=False)
    warning: HistoryEndsWarning | None = field(init=False)

    def __post_init__(self) -> None:
        h = check_horizon(self.horizon, self.history)
        if (
            isinstance(self.replications, bool)
            or not isinstance(self.replications, int)
            or self.replications < 1
        ):
            raise ParameterError(
                f"replications is {self.replications!r}", "a whole number, 1 or more", "correct it"
            )
        names = underlyings_of(self.history, self.snapshot, self.underlyings)
        text, warning = history_gap_text(self.history, self.snapshot)
        returns = self.history.returns(names)
        if len(returns) < h + 1:
            raise DataGapError(
                f"{len(returns)} daily returns",
                f"more than the horizon of {h} days",
                "load a longer history",
            )
        law = factor_response(self.response) if isinstance(self.response, str) else self.response
        found = {"names": names, "returns": returns, "law": law, "gap_text": text, "warning": warning}
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def warn(self) -> None:
        """Warn of an old history, at the caller of the public function."""
        if self.warning is not None:
            warnings.warn(self.warning, stacklevel=3)

    @property
    def windows(self) -> int:
        """Overlapping windows of the horizon."""
        return len(self.returns) - self.horizon + 1

    def scenarios(
        self,
        name: str,
        daily: Mapping[str, FloatArray],
        sigma: Mapping[str, float],
        window_weights: FloatArray,
        *,
        method: str,
        spread: str,
        data: Mapping[str, str],
        parameters: Mapping[str, Any],
        notes: Sequence[str],
        references: tuple[str, ...],
    ) -> ScenarioSet:
        """Return the set that replays ``daily`` moves window by window.

        Parameters
        ----------
        name, method, spread : str
            Of the set; of the record; what the daily volatility of the bridge between closes is, in words.
        daily : mapping of str to ndarray, shape (T,)
            Daily log moves of spot to replay.
        sigma : mapping of str to float
            Daily volatility of the path between two closes.
        window_weights : ndarray, shape (windows,)
            Oldest first, 0 or more.
        data, parameters, notes, references
            Beyond what every method records.
        """
        h, count = self.horizon, self.replications
        starts = np.tile(np.arange(self.windows), count)
        dates = (starts[:, None] + np.arange(h)).astype(np.int64)
        factors, shocks = factor_moves(
            {n: daily[n][dates] for n in self.names},
            {n: np.full(dates.shape, sigma[n]) for n in self.names},
            self.snapshot,
            self.law,
            self.seed,
            expiries=self.expiries,
            bridge_correlation=mean_correlation(self.returns.to_numpy(dtype=np.float64)),
        )
        share = window_weights / np.add.reduce(window_weights)
        weights = np.tile(share, count) / count
        return ScenarioSet(
            name=name,
            factors=factors,
            shocks=shocks,
            horizon_days=float(h),
            dynamics=self.dynamics,
            vol_term=self.law.vol_term,
            weights=weights,
            dates=dates,
            history_dates=pd.DatetimeIndex(self.returns.index),
            n_independent=effective_observations(dates, weights),
            provenance=Provenance(
                method=method,
                data={
                    "history": self.history.fingerprint,
                    "snapshot": self.snapshot.fingerprint,
                    "response": self.law.fingerprint,
                    **data,
                },
                parameters={
                    "underlyings": self.names,
                    "horizon": h,
                    "replications": count,
                    "dynamics": self.dynamics,
                    "response": self.law.id,
                    "windows": self.windows,
                    "history_end": str(self.history.last_date.date()),
                    **parameters,
                },
                seed=self.seed,
                simulated=bool(self.history.simulated),
            ),
            notes=(
                self.gap_text,
                f"{self.windows} overlapping windows of {h} days, each used {count} times with its own "
                "residuals of vol, basis and fixing",
                *notes,
                self.law.note(self.snapshot.as_of),
                BRIDGE_NOTE.format(spread),
            ),
            references=references,
        )
