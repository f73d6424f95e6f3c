"""Estimation error of filtered simulation: the same scenarios from a resampled history, models refitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import Dynamics
from pmkit.estimation import stationary_blocks
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries, check_horizon, underlyings_of
from pmkit.scenarios.filtered import Anchor, FilteredDesign
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse, factor_response
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["refit_scenarios"]


def refit_scenarios(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    replicate: int,
    *,
    underlyings: Sequence[str] | None = None,
    horizon: int = 2,
    n_paths: int = 20_000,
    model: str = "gjr",
    dist: str = "t",
    vol_anchor: Anchor = "atm-30d",
    response: FactorResponse | str = DEFAULT_RESPONSE,
    dynamics: Dynamics = "sticky_moneyness",
    seed: int = 20260801,
    expiries: Expiries | None = None,
    drift: bool = False,
    mean_block: float = 20.0,
) -> ScenarioSet:
    """Return filtered scenarios of one bootstrap replicate of the history, with refitted models.

    The spread of a figure over replicates is its estimation error. Random numbers other than the choice of
    blocks are those of :func:`filtered_historical` with the same seed, so the simulation error hardly enters.

    Parameters
    ----------
    history, snapshot, underlyings, horizon, n_paths, model, dist, vol_anchor, response
        As for :func:`filtered_historical`.
    dynamics, seed, expiries, drift
        As for :func:`filtered_historical`.
    replicate : int
        Number of the replicate, 0 or more; each has its own stream of blocks.
    mean_block : float
        Mean length of a block in days.

    Returns
    -------
    ScenarioSet
        Its ``dates`` point into the history itself.

    Raises
    ------
    ParameterError
        ``replicate`` negative or not whole; others as :func:`filtered_historical`.

    Notes
    -----
    Blocks of days, all underlyings together, are put in a row (stationary bootstrap); the models are fitted
    to that series and its own residuals form the pool. The level ``"filter"`` comes from the refitted
    parameters over the history as it was. No warning is given for an old history: the base run gives it.

    References
    ----------
    Politis and Romano (1994), section 2.

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = refit_scenarios(past, snap, 0, underlyings=["BTC"], n_paths=1000, vol_anchor="filter")
    >>> len(scen), scen.provenance.parameters["converged"]
    (1000, True)
    """
    if isinstance(replicate, bool) or not isinstance(replicate, int) or replicate < 0:
        raise ParameterError(f"replicate is {replicate!r}", "a whole number, 0 or more", "correct it")
    arguments: dict[str, Any] = {
        "n_paths": n_paths,
        "model": model,
        "dist": dist,
        "vol_anchor": vol_anchor,
        "dynamics": dynamics,
        "seed": seed,
        "expiries": expiries,
        "drift": drift,
    }
    design = FilteredDesign(
        history=history,
        snapshot=snapshot,
        underlyings=tuple(underlyings_of(history, snapshot, underlyings)),
        horizon=check_horizon(horizon, history),
        response=factor_response(response) if isinstance(response, str) else response,
        **arguments,
    )
    rows = stationary_blocks(len(design.returns), mean_block, stream(seed, "refit", replicate))
    resampled = design.returns.iloc[rows].set_axis(design.returns.index)
    models = design.fit(resampled, covariance=False)
    current = {name: models[name].filter(design.returns[name]) for name in design.underlyings}
    return design.simulate(models, current, np.asarray(rows), label=f"filtered historical, refit {replicate}")
