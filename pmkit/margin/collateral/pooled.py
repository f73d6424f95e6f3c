"""One equity from all collateral after haircuts, against the requirement of the positions, in USD."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from pmkit.core.errors import ConventionError
from pmkit.margin.accounts.account import Account
from pmkit.margin.collateral.value import collateral_value
from pmkit.margin.parameters import ParameterSet, Stale
from pmkit.margin.result import MarginResult, Step, WorstScenario
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["pooled_equity"]


def pooled_equity(
    result: MarginResult,
    account: Account,
    snapshot: MarketSnapshot,
    terms: str | ParameterSet,
    *,
    dynamic: Mapping[str, float] | None = None,
    prices: Mapping[str, float] | None = None,
    stale: Stale = "error",
) -> MarginResult:
    """Return a result whose equity is all collateral after haircuts plus option value, in USD.

    Use it on the rules that margin each coin against that coin alone: the requirement stays as it is, at the
    index, and every eligible balance stands behind it.

    Parameters
    ----------
    result : MarginResult
        Requirement of the positions; its collateral treatment must be ``"own coin only"``.
    account : Account
    snapshot : MarketSnapshot
    terms, dynamic, prices, stale
        As :func:`collateral_value`.

    Returns
    -------
    MarginResult
        In USD, ``collateral_treatment`` ``"haircut"``; the margin of debts is an add-on named
        ``borrowing`` in IM, and enters MM.

    Raises
    ------
    ConventionError
        The rule revalues collateral in its scenarios or cuts it already: a second cut would count the same
        risk twice. Or a currency without a price.
    ParameterError, DataGapError, RuleVersionError
        As :func:`collateral_value`.

    Notes
    -----
    ``E = sum of counted value + net option value``. Balances are collateral and unrealised profit by
    settlement currency, so a loss that exceeds the balance is a debt. A balance that falls with the book is
    cut once and for all here: :func:`wrong_way` says what that misses.
    """
    if result.collateral_treatment != "own coin only":
        raise ConventionError(
            f"haircuts on a result whose collateral is {result.collateral_treatment}",
            "a requirement of the positions alone (own coin only)",
            "use one of the two: revaluation in the scenarios, or haircuts",
        )
    counted = collateral_value(account, snapshot, terms, dynamic=dynamic, prices=prices, stale=stale)
    rate = snapshot.usd_price(result.numeraire)
    options = math.fsum(
        amount * snapshot.usd_price(currency) for currency, amount in account.option_value(snapshot).items()
    )
    equity = counted.value + options
    borrowed = {"borrowing": counted.borrow_im} if counted.borrow_im > 0.0 else {}
    steps = (
        *result.steps,
        *counted.steps,
        Step("COL-6", "option value", options, "USD", "data"),
        Step("COL-6", "equity after haircuts", equity, "USD"),
    )
    return replace(
        result,
        numeraire="USD",
        im=result.im * rate + counted.borrow_im,
        mm=result.mm * rate + counted.borrow_mm,
        net_option_value=options,
        equity=equity,
        collateral_treatment="haircut",
        not_eligible=counted.not_eligible,
        worst_scenario=WorstScenario(result.worst_scenario.name, result.worst_scenario.pnl * rate),
        scenario_vector=result.scenario_vector * rate,
        addons={**{name: x * rate for name, x in result.addons.items()}, **borrowed},
        steps=steps,
        figures={**result.figures, "collateral": counted},
        parts={},
        notes=(
            *result.notes,
            f"collateral counts after the haircuts of {counted.param_set}; amounts of the rule at the index",
        ),
    )
