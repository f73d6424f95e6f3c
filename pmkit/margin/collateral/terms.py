"""The dated tables of haircuts, and what each of them takes."""

from __future__ import annotations

import datetime
import math

import pandas as pd

from pmkit.margin.parameters import ParameterSet, Stale, select

__all__ = ["collateral_terms", "eligible_collateral"]


def collateral_terms(
    name: str, as_of: str | pd.Timestamp | datetime.date, *, stale: Stale = "error"
) -> ParameterSet:
    """Return the dated table of haircuts of a venue, its currencies as the tables of the set.

    Parameters
    ----------
    name : str
        ``"okx"``, ``"bybit"``, ``"binance"``, ``"kraken"`` or ``"deribit"``.
    as_of : str, Timestamp or date
        The date that selects the set.
    stale : {"error", "warn"}
        What happens past the last date on which the set was seen.

    Raises
    ------
    RuleVersionError
        An unknown venue, a date before its first set, or a stale set under ``"error"``.

    Examples
    --------
    >>> collateral_terms("deribit", "2026-01-13").table("STETH").tier_haircuts
    (0.075,)
    """
    return select("collateral", as_of, name, stale=stale)


def eligible_collateral(terms: ParameterSet) -> pd.DataFrame:
    """Return the currencies that a table takes, one row a tier, haircuts as shares.

    Parameters
    ----------
    terms : ParameterSet
        Of :func:`collateral_terms`.

    Returns
    -------
    DataFrame
        ``currency``, ``tier`` (from 1), ``from`` and ``to`` in ``unit`` (coin or USD), ``haircut``,
        ``share_limit``, ``status`` (of the haircut: published or assumed).

    Examples
    --------
    >>> eligible_collateral(collateral_terms("okx", "2025-01-15"))["haircut"].to_list()
    [0.02, 0.0225, 1.0, 0.0]
    """
    rows = []
    for currency in terms.tables:
        held = terms.table(currency)
        edges = [0.0, *held.tier_limits, math.inf]
        for tier, haircut in enumerate(held.tier_haircuts, start=1):
            rows.append(
                {
                    "currency": currency,
                    "tier": tier,
                    "from": edges[tier - 1],
                    "to": edges[tier],
                    "unit": held.tier_unit,
                    "haircut": haircut,
                    "share_limit": held.share_limit,
                    "status": terms.status["tier_haircuts"],
                }
            )
    return pd.DataFrame(rows)
