"""ES by risk class: what spot, vol, basis and others add, in a game of factors that move or stand still."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.instruments import Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.attribution.shapley import ShapleyAttribution, shapley
from pmkit.risk.collateral import CollateralAccount
from pmkit.risk.inputs import check_held
from pmkit.risk.revalue import revalue
from pmkit.risk.tail import tail_of
from pmkit.scenarios import ScenarioSet

__all__ = ["RISK_CLASSES", "shapley_by_risk_class"]

#: Risk class of each kind of factor.
RISK_CLASSES = {
    "spot": "spot",
    "fixing": "spot",
    "vol": "vol",
    "skew": "smile",
    "curvature": "smile",
    "term": "smile",
    "basis": "basis",
    "funding": "basis",
    "rate": "rates",
    "fx": "currency",
}


def shapley_by_risk_class(
    held: Portfolio | CollateralAccount,
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    level: float = 0.975,
    *,
    classes: Mapping[str, str] | None = None,
    balances: Mapping[str, float] | None = None,
    numeraire: str = "USD",
) -> ShapleyAttribution:
    """Return the ES of an account by risk class, in the numeraire; with ageing alone they add up to the ES.

    Parameters
    ----------
    held : Portfolio or Account
        Positions; an account brings its balances along.
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
    level : float
        From 0.5 to below 1.
    classes : mapping of str to str, optional
        Class of each kind of factor (``"spot"``, ``"vol"``, ...) or of single factors by their label, which
        go first; :data:`RISK_CLASSES` where None.
    balances : mapping of str to float, optional
        Collateral, with a portfolio alone.
    numeraire : str

    Returns
    -------
    ShapleyAttribution
        ``total`` is the ES less the loss of an account that only ages.

    Raises
    ------
    ParameterError
        A kind of factor without a class, or a level out of range.
    DataGapError, ConventionError
        As :func:`revalue`.

    Notes
    -----
    The value of some classes is the ES when their factors move as in the scenarios and all others stand
    still. Losses from spot and vol together are no sum of either alone, so the order in which they are let
    loose matters and is averaged out. ``2^classes`` revaluations.

    References
    ----------
    Shapley (1953).

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
    >>> scen = grid([-0.1, 0.1], [0.5], dynamics="sticky_strike", underlyings=["BTC"])
    >>> found = shapley_by_risk_class(Portfolio.from_records([row]), snap, scen, 0.9)
    >>> found.table["value"].round(6).to_dict()
    {'spot': 100.0, 'vol': 0.0}
    """
    given = RISK_CLASSES if classes is None else classes
    own: list[str] = []
    for factor in scenarios.factors:
        name = given.get(factor.label, given.get(factor.kind))
        if name is None:
            raise ParameterError(
                f"factor {factor.label!r} has no risk class",
                f"a class for its kind {factor.kind!r} or for its label",
                "add it to the mapping",
            )
        own.append(name)
    check_held(held)
    portfolio = held if isinstance(held, Portfolio) else held.portfolio

    def value(names: tuple[str, ...]) -> float:
        moving = np.array([name in names for name in own])
        moved = replace(scenarios, shocks=np.where(moving, scenarios.shocks, 0.0))
        cube = revalue(portfolio, snapshot, moved)
        pnl = cube.account_pnl(held, balances=balances, numeraire=numeraire)
        return tail_of(pnl, level, scenarios.weights).es()

    return shapley(tuple(dict.fromkeys(own)), value, empty=value(()))
