"""Historical simulation: what spot did over every past window of the horizon, applied to today's market."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics, FloatArray
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries, check_horizon, factor_moves, history_gap_text, underlyings_of
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse, factor_response
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["historical"]


def historical(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    *,
    underlyings: Sequence[str] | None = None,
    horizon: int = 2,
    replications: int = 50,
    response: FactorResponse | str = DEFAULT_RESPONSE,
    dynamics: Dynamics = "sticky_moneyness",
    seed: int = 20260801,
    expiries: Expiries | None = None,
) -> ScenarioSet:
    """Return historical-simulation scenarios: every overlapping window of past spot returns, unscaled.

    Use it for VaR by plain historical simulation; :func:`filtered_historical` also brings volatility to
    today's.

    Parameters
    ----------
    history : PriceHistory
        Daily closes on every calendar day, ending before the snapshot.
    snapshot : MarketSnapshot
        Decides underlyings and expiries.
    underlyings : sequence of str, optional
        All of the snapshot where None.
    horizon : int
        Days, 1 or more; windows overlap above 1.
    replications : int
        How often each window is used, each time with its own residuals of vol, basis and fixing.
    response : FactorResponse or str
        How vol and basis answer spot, and how large their residuals are.
    dynamics : {"sticky_moneyness", "sticky_strike", "sticky_delta"}
    seed : int
    expiries : mapping of str to sequence of Timestamp, optional
        Which expiries get a basis or fixing factor; the forwards of the snapshot where None.

    Returns
    -------
    ScenarioSet
        ``windows * replications`` equally weighted rows, replication by replication; moves in logs.

    Raises
    ------
    DataGapError
        A history without the underlying or shorter than the horizon, or a response set without it.
    LookAheadError
        The history reaches past the snapshot.
    ParameterError, ConventionError
        Horizon or replications not positive whole numbers, or a history without weekends.

    Warns
    -----
    HistoryEndsWarning
        The history ends more than a day before the snapshot.

    Notes
    -----
    The spot move of a window is the sum of its daily log returns r. Vol and basis follow by
    :class:`FactorResponse`, and contracts that expire inside the horizon settle on a Brownian bridge between
    the closes whose spread is the sample's daily standard deviation. ``n_independent`` is days / horizon.

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = historical(past, snap, underlyings=["BTC"], horizon=1, replications=1)
    >>> len(scen), float(scen.summary().loc["BTC spot", "min"].round(4))
    (1460, -0.4647)
    """
    h = check_horizon(horizon, history)
    if isinstance(replications, bool) or not isinstance(replications, int) or replications < 1:
        raise ParameterError(f"replications is {replications!r}", "a whole number, 1 or more", "correct it")
    law = factor_response(response) if isinstance(response, str) else response
    names = underlyings_of(history, snapshot, underlyings)
    text, warning = history_gap_text(history, snapshot)
    returns = history.returns(names)
    days = len(returns)
    if days < h + 1:
        raise DataGapError(
            f"{days} daily returns", f"more than the horizon of {h} days", "load a longer history"
        )
    if warning is not None:
        warnings.warn(warning, stacklevel=2)
    starts = np.tile(np.arange(days - h + 1), replications)
    dates = starts[:, None] + np.arange(h)
    values = {name: returns[name].to_numpy(dtype=np.float64) for name in names}
    sd = {name: float(np.std(x, ddof=1)) for name, x in values.items()}
    factors, shocks = factor_moves(
        {name: x[dates] for name, x in values.items()},
        {name: np.full(dates.shape, sd[name]) for name in names},
        snapshot,
        law,
        seed,
        expiries=expiries,
        bridge_correlation=mean_correlation(np.column_stack(list(values.values()))),
    )
    return ScenarioSet(
        name="historical",
        factors=factors,
        shocks=shocks,
        horizon_days=float(h),
        dynamics=dynamics,
        vol_term=law.vol_term,
        dates=dates.astype(np.int64),
        history_dates=pd.DatetimeIndex(returns.index),
        n_independent=days / h,
        provenance=Provenance(
            method="scenarios.historical",
            data={
                "history": history.fingerprint,
                "snapshot": snapshot.fingerprint,
                "response": law.fingerprint,
            },
            parameters={
                "underlyings": names,
                "horizon": h,
                "replications": replications,
                "dynamics": dynamics,
                "response": law.id,
                "windows": days - h + 1,
                "history_end": str(history.last_date.date()),
                "annual_volatility": {n: s * np.sqrt(365.0) for n, s in sd.items()},
            },
            seed=seed,
            simulated=bool(getattr(history, "simulated", False)),
        ),
        notes=(
            text,
            f"{days - h + 1} overlapping windows of {h} days, each used {replications} times with its own "
            f"residuals "
            "of vol, basis and fixing; spot moves are unscaled",
            law.note(snapshot.as_of),
            BRIDGE_NOTE.format("the sample's standard deviation"),
        ),
    )


#: how contracts that expire inside the horizon settle, for the notes of a set
BRIDGE_NOTE = (
    "contracts that expire inside the horizon settle on the path: linear in log spot between closes plus a "
    "Brownian "
    "bridge whose daily volatility is {}; the payoff is kept in settlement currency"
)


def mean_correlation(columns: FloatArray) -> float:
    """Return the mean correlation between columns, not below 0; 0 for one column.

    Examples
    --------
    >>> mean_correlation(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])).__round__(6)
    1.0
    """
    count = columns.shape[1]
    if count < 2:
        return 0.0
    matrix = np.atleast_2d(np.corrcoef(columns, rowvar=False))
    above = matrix[np.triu_indices(count, 1)]
    return float(min(max(float(np.mean(above)), 0.0), 1.0))
