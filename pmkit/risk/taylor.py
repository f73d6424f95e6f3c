"""Revaluation by the greeks: what delta, gamma, vega and their kin say a move costs, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument, Option, Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import greeks
from pmkit.risk.cube import PnLCube
from pmkit.risk.moved import MovedMarket
from pmkit.risk.revalue import build_cube, distinct
from pmkit.risk.taylor_terms import TAYLOR_TERMS, TERMS, TaylorTerm
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["TAYLOR_TERMS", "TaylorTerm", "revalue_taylor"]


def revalue_taylor(
    book: Portfolio | Sequence[Instrument],
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    *,
    terms: Sequence[TaylorTerm] = TAYLOR_TERMS,
) -> PnLCube:
    """Return the profit of one contract of each instrument by its greeks, USD and coin, gain positive.

    For comparison with :func:`revalue`, which is the default everywhere; :func:`revaluation_gap` shows the
    difference. Only options that outlive the horizon are approximated: futures, perpetuals, coins and
    contracts that settle are as in full revaluation.

    Parameters
    ----------
    book : Portfolio or sequence of Instrument
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
    terms : sequence of str
        Of :data:`TAYLOR_TERMS`; ``("delta", "gamma")`` leaves vol and time out.

    Returns
    -------
    PnLCube

    Raises
    ------
    ParameterError
        No term, an unknown or a repeated one.
    PmkitError
        Whatever :func:`revalue` raises.

    Notes
    -----
    In settlement currency, with the moves f of the option's forward and v of its own vol as full revaluation
    has them (smile, level, term, skew and curvature), h years and a rate move r::

        delta f + gamma f²/2 + vega v + vanna f v + volga v²/2 + theta h + rho r

    The greeks of an option in coin are those of its value in coin; its USD profit is that profit and the
    value before, both at the index of the scenario. Of third order in (f, v, √h); far from the money and at
    moves of the size that margin looks at there is no bound on what is missed.

    References
    ----------
    Black (1976), equation (16); Haug (2007), chapter 2.

    Examples
    --------
    >>> from pmkit.market import load_snapshot
    >>> from pmkit.scenarios import grid
    >>> name, snap = "BTC-28AUG26-60000-C", load_snapshot("deribit-btc-2026-08-01")
    >>> line = {"type": "position", "instrument": name, "qty": 1, "as_of": snap.as_of}
    >>> book, scen = Portfolio.from_records([line]), grid([-0.16, 0.01], dynamics="sticky_strike")
    >>> revalue_taylor(book, snap, scen).account_pnl(book).round(1).tolist()
    [-4462.9, 451.5]
    """
    chosen = _checked(terms)

    def values(option: Option, moved: MovedMarket, before: float) -> FloatArray:
        return before + _change(option, moved, chosen)

    instruments = distinct(book)
    moved = MovedMarket(snapshot, scenarios, instruments)
    return build_cube(
        instruments, moved, values, method="risk.revalue_taylor", parameters={"terms": list(chosen)}
    )


def _checked(terms: Sequence[str]) -> tuple[str, ...]:
    listed = [terms] if isinstance(terms, str) or not isinstance(terms, Sequence) else list(terms)
    wrong = [t for t in listed if t not in TERMS]
    if wrong or not listed or len(set(listed)) < len(listed):
        found = f"the term {wrong[0]!r}" if wrong else f"the terms {listed}"
        raise ParameterError(
            found, f"one or more of {', '.join(TAYLOR_TERMS)}, each once", "correct the terms"
        )
    return tuple(t for t in TAYLOR_TERMS if t in listed)


def _change(option: Option, moved: MovedMarket, terms: tuple[str, ...]) -> FloatArray:
    """Return the change in value of one unit of a living option, settlement currency."""
    snapshot, scenarios = moved.snapshot, moved.scenarios
    forward, iv = snapshot.forward(option.underlying, option.expiry), snapshot.iv(option)
    local = greeks(
        forward,
        option.strike,
        snapshot.tau(option.expiry),
        iv,
        moved.discount(option)[0],
        option.is_call,
        option.settlement,
    )
    f = moved.forwards[option.underlying, option.expiry] - forward
    v = moved.vol(option) - iv
    rate = scenarios.column("rate", option.settlement_currency)
    change = np.zeros(len(scenarios))
    for term in terms:
        change += TERMS[term](local, f, v, scenarios.horizon_days / 365.0, 0.0 if rate is None else rate)
    return change
