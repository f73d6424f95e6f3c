"""The common scenarios of listed accounts: daily moves of the past, where no model of the coins fits."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pmkit.core.errors import DataGapError
from pmkit.margin import Account
from pmkit.market import MarketSnapshot, PriceHistory, load_history
from pmkit.scenarios import ScenarioSet, from_frame

__all__ = ["INDEX_HISTORY", "common_scenarios", "level_note"]

#: data set and column with the closes of an index
INDEX_HISTORY = {"SPX": ("sp500-index-1990-2022", "SP500")}


def common_scenarios(
    accounts: Sequence[Account], market: MarketSnapshot, history: PriceHistory | None
) -> ScenarioSet | None:
    """Return daily moves of the underlyings as scenarios, vols left; None where an account holds coins.

    Parameters
    ----------
    accounts : sequence of Account
    market : MarketSnapshot
    history : PriceHistory or None
        Prices given by the user; without them the shipped index history serves where it fits.

    Raises
    ------
    DataGapError
        No prices of an underlying.
    """
    held = [instrument for account in accounts for instrument in account.instruments]
    names = list(dict.fromkeys(i.underlying for i in held))
    if not names or any(i.is_inverse for i in held):
        return None
    closes = {name: _closes(name, history) for name in names}
    prices = pd.DataFrame(closes).dropna()
    prices = prices[prices.index < market.as_of.tz_localize(None).normalize()]
    moves = prices.pct_change(fill_method=None).iloc[1:]
    moves.index = pd.Index([f"{day:%Y-%m-%d}" for day in moves.index])
    moves.columns = pd.Index([f"{name} spot" for name in names])
    return from_frame(
        moves, dynamics="sticky_strike", spot_unit="relative", horizon_days=0.0, name="daily moves"
    )


def level_note(common: ScenarioSet | None) -> str:
    """Return what the implied level of listed accounts is measured on; empty without such scenarios."""
    if common is None or common.labels is None:
        return ""
    first, last = common.labels[0], common.labels[-1]
    moved = ", ".join(factor.label for factor in common.factors)
    return (
        f"implied levels on {len(common):,} daily moves of {moved}, {first} to {last}, vols left as they are"
    )


def _closes(name: str, history: PriceHistory | None) -> pd.Series:
    if history is not None and name in history.assets:
        return history.prices[name]
    if name not in INDEX_HISTORY:
        raise DataGapError(
            f"no prices of {name} for the implied level",
            "a daily history that holds it",
            f"add --history FILE with a column {name}",
        )
    source, column = INDEX_HISTORY[name]
    return load_history(source).prices[column]
