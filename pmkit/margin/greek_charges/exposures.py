"""Delta, gamma and vega of every position in USD, from the same revaluation that the rules use."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmkit.instruments.contracts import Future, Option
from pmkit.instruments.portfolio import Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import revalue
from pmkit.scenarios import Factor, ScenarioSet

__all__ = ["exposures"]

#: relative bumps of spot and vol: small against any smile, large against rounding
SPOT_BUMP, VOL_BUMP = 2e-4, 1e-3


def exposures(portfolio: Portfolio, snapshot: MarketSnapshot) -> pd.DataFrame:
    """Return delta, gamma and vega of every position in USD by central differences of full revaluation.

    Parameters
    ----------
    portfolio : Portfolio
        At least one position.
    snapshot : MarketSnapshot

    Returns
    -------
    DataFrame
        One row a position: ``underlying``, ``kind``, ``expiry`` (NaT without), ``days``, ``qty``; ``delta``,
        USD for a relative spot move of 1; ``gamma``, its change for a further relative move of 1;
        ``vega_relative``, USD for a relative vol move of 1; ``vega``, USD for one vol point.

    Raises
    ------
    DataGapError, SchemaError
        As :func:`pmkit.risk.revalue`.

    Notes
    -----
    Implied vols stay at the strike. ``delta = (V(S + h) − V(S − h))/2h`` and
    ``gamma = (V(S + h) − 2V + V(S − h))/h²`` with h = 0.0002 relative, vega likewise with 0.001: the value
    is that of :func:`pmkit.risk.revalue`, in USD at the moved index, so a coin-settled contract has the delta
    and gamma of its coins too. Four values a contract.

    Examples
    --------
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0})
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2026-08-01"}
    >>> found = exposures(Portfolio.from_records([row]), snap)
    >>> (found[["delta", "gamma", "vega"]].round(4) + 0.0).iloc[0].tolist()
    [-1000.0, 0.0, 0.0]
    """
    names = portfolio.underlyings
    factors = tuple(Factor(kind, name) for name in names for kind in ("spot", "vol"))
    bumps = [[SPOT_BUMP, 0.0], [-SPOT_BUMP, 0.0], [0.0, VOL_BUMP], [0.0, -VOL_BUMP]]
    bumped = ScenarioSet(
        name="bumps",
        factors=factors,
        shocks=np.array([bump * len(names) for bump in bumps]),
        horizon_days=0.0,
        dynamics="sticky_strike",
        spot_unit="relative",
        vol_unit="relative",
    )
    up, down, high, low = revalue(portfolio, snapshot, bumped).line_pnl(portfolio).T
    vega = (high - low) / (2.0 * VOL_BUMP)
    instruments = portfolio.instruments
    vols = np.array([snapshot.iv(i) if isinstance(i, Option) else np.inf for i in instruments])
    dated = [i.expiry if isinstance(i, (Future, Option)) else None for i in instruments]
    return pd.DataFrame(
        {
            "underlying": [i.underlying for i in instruments],
            "kind": [i.kind for i in instruments],
            "expiry": pd.DatetimeIndex([pd.NaT if e is None else e for e in dated], tz="UTC"),
            "days": [np.nan if e is None else snapshot.days(e) for e in dated],
            "qty": portfolio.quantities,
            "delta": (up - down) / (2.0 * SPOT_BUMP),
            "gamma": (up + down) / SPOT_BUMP**2,
            "vega_relative": vega,
            "vega": 0.01 * vega / vols,
        },
        index=pd.Index([i.name for i in instruments], name="instrument"),
    )
