"""Scenarios drawn from a copula of residuals with Pareto-tailed margins: tails beyond the worst day seen."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError
from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.core.types import Dynamics, FloatArray
from pmkit.estimation import VolatilityModel
from pmkit.estimation.tails.copula import Copula, fit_copula
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries, check_horizon, factor_moves, underlyings_of
from pmkit.scenarios.filtered import Anchor, FilteredDesign
from pmkit.scenarios.historical import BRIDGE_NOTE, mean_correlation
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse, factor_response
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["copula_simulated"]

_YEAR = 365


def copula_simulated(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    *,
    underlyings: Sequence[str] | None = None,
    horizon: int = 2,
    n_paths: int = 100_000,
    model: str = "gjr",
    dist: str = "t",
    models: Mapping[str, VolatilityModel] | None = None,
    copula: Copula | None = None,
    vol_anchor: Anchor = "atm-30d",
    response: FactorResponse | str = DEFAULT_RESPONSE,
    dynamics: Dynamics = "sticky_moneyness",
    seed: int = 20260801,
    expiries: Expiries | None = None,
) -> ScenarioSet:
    """Return simulated scenarios: joint residuals from a copula, through each asset's volatility model.

    A control beside :func:`filtered_historical`: it makes days worse than any seen, at the price of a law for
    the tails.

    Parameters
    ----------
    history, snapshot, underlyings, horizon, n_paths, model, dist, models, vol_anchor, response
        As for :func:`filtered_historical`.
    dynamics, seed, expiries
        As for :func:`filtered_historical`.
    copula : Copula, optional
        Of the models' standardised residuals, with margins, one column an underlying; a t copula with
        Pareto-tailed margins is fitted where None and there are two underlyings or more.

    Returns
    -------
    ScenarioSet
        ``n_paths`` equally weighted rows without dates. ``n_independent`` is that of the history behind the
        margins: more paths are no more knowledge.

    Raises
    ------
    ConventionError
        One underlying only, or a copula of other labels or without margins.
    DataGapError, LookAheadError, ParameterError
        As :func:`filtered_historical` and :func:`pmkit.estimation.fit_copula`.

    Warns
    -----
    HistoryEndsWarning
        The history ends more than a day before the snapshot.

    Notes
    -----
    ``z = F^-1(u)`` with ``u`` from the copula, new each day, and ``r = sigma z`` along the recursion of the
    model, mean left out. The variance of ``z`` is that of the fitted margins, close to 1 and not made so.

    References
    ----------
    McNeil, Frey and Embrechts (2015), chapter 7; McNeil and Frey (2000).

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0, "ETH": 2300.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = copula_simulated(past, snap, n_paths=1000, vol_anchor="filter")
    >>> len(scen), scen.underlyings
    (1000, ('BTC', 'ETH'))
    """
    names = underlyings_of(history, snapshot, underlyings)
    if len(names) < 2:
        raise ConventionError(
            f"one underlying, {names[0]}", "two or more", "use filtered_historical for a single one"
        )
    design = FilteredDesign(
        history=history,
        snapshot=snapshot,
        underlyings=tuple(names),
        horizon=check_horizon(horizon, history),
        n_paths=n_paths,
        model=model,
        dist=dist,
        vol_anchor=vol_anchor,
        response=factor_response(response) if isinstance(response, str) else response,
        dynamics=dynamics,
        seed=seed,
        expiries=expiries,
    )
    if design.warning is not None:
        warnings.warn(design.warning, stacklevel=2)
    chosen = design.fit(design.returns, covariance=False) if models is None else design.given(models)
    residuals = pd.DataFrame({name: chosen[name].residuals for name in names})
    law = fit_copula(residuals) if copula is None else copula
    if set(law.correlation.index) != set(names) or not law.margins:
        raise ConventionError(
            f"the copula covers {', '.join(map(str, law.correlation.index))}"
            + ("" if law.margins else " and has no margins"),
            f"margins and exactly {', '.join(names)}",
            "fit it with margins=True on the residuals of these models",
        )
    levels = design.anchors(chosen)
    draws = [
        law.simulate_returns(n_paths, int(stream(seed, "copula day", day).integers(2**31 - 1)))
        for day in range(design.horizon)
    ]
    daily: dict[str, FloatArray] = {}
    sigma: dict[str, FloatArray] = {}
    for name in names:
        z = np.column_stack([one[name].to_numpy() for one in draws])
        daily[name], sigma[name] = chosen[name].simulate(z, levels[name] / math.sqrt(_YEAR), drift=False)
    factors, shocks = factor_moves(
        daily,
        sigma,
        snapshot,
        design.response,
        seed,
        expiries=expiries,
        bridge_correlation=mean_correlation(residuals.to_numpy()),
    )
    df = "normal" if math.isinf(law.nu) else f"t, {law.nu:.2f} degrees of freedom"
    tails = ", ".join(
        f"{name} {law.margins[name].lower.shape:.2f}/{law.margins[name].upper.shape:.2f}" for name in names
    )
    return ScenarioSet(
        name="copula simulation",
        factors=factors,
        shocks=shocks,
        horizon_days=float(design.horizon),
        dynamics=dynamics,
        vol_term=design.response.vol_term,
        n_independent=len(residuals) / design.horizon,
        provenance=Provenance(
            method="scenarios.copula_simulated",
            data={
                "history": history.fingerprint,
                "snapshot": snapshot.fingerprint,
                "response": design.response.fingerprint,
                "copula": law.provenance.id,
                **{f"model {n}": m.provenance.id for n, m in chosen.items()},
            },
            parameters={
                "underlyings": names,
                "horizon": design.horizon,
                "n_paths": n_paths,
                "family": law.family,
                "nu": law.nu,
                "dynamics": dynamics,
                "response": design.response.id,
                "history_end": str(history.last_date.date()),
                "anchor_level": levels,
            },
            seed=seed,
            simulated=True,
        ),
        notes=(
            design.gap_text,
            f"joint residuals are simulated from a copula ({df}, {law.status}); tail shapes: {tails}",
            *(f"{n} {m.model}-{m.dist}: {flag}" for n, m in chosen.items() for flag in m.flags),
            design.response.note(snapshot.as_of),
            BRIDGE_NOTE.format("the path's conditional volatility"),
        ),
        references=("mcneil2015", "mcneil2000"),
    )
