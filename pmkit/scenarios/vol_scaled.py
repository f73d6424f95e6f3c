"""Volatility-scaled historical simulation: each past day's return brought to today's volatility."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import Dynamics, FloatArray
from pmkit.estimation import VolatilityModel
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries
from pmkit.scenarios.filtered import Anchor, FilteredDesign
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.scenarios.windows import WindowDesign

__all__ = ["scale_ratio", "volatility_scaled"]

_YEAR = 365


def scale_ratio(
    sigma: npt.ArrayLike, next_sigma: float, *, floor: float = 0.0, cap: float = math.inf
) -> FloatArray:
    """Return by how much each past return is multiplied: today's volatility over its own, cut to a range.

    Parameters
    ----------
    sigma : array_like, shape (T,)
        Volatility of each past day, positive, known the evening before.
    next_sigma : float
        Volatility of the next day, positive, same unit.
    floor, cap : float
        Range of the ratio; 0 and infinity for none. A floor of 1 never scales down (anti-procyclical), a cap
        keeps one scaled outlier from deciding the tail.

    Raises
    ------
    ParameterError
        A volatility that is not positive and finite, or a floor above the cap.

    Examples
    --------
    >>> scale_ratio([0.01, 0.02, 0.08], 0.04, floor=1.0, cap=3.0).tolist()
    [3.0, 2.0, 1.0]
    """
    try:
        own = np.asarray(sigma, dtype=np.float64)
        next_sigma, floor, cap = float(next_sigma), float(floor), float(cap)
    except (TypeError, ValueError):
        raise ParameterError(
            f"sigma is a {type(sigma).__name__}, next_sigma {next_sigma!r}, floor {floor!r}, cap {cap!r}",
            "numbers",
            "correct the arguments",
        ) from None
    if not (
        np.isfinite(own).all() and bool((own > 0.0).all()) and math.isfinite(next_sigma) and next_sigma > 0.0
    ):
        raise ParameterError(
            "a volatility is not positive and finite", "positive volatilities", "refit the model"
        )
    if not 0.0 <= floor <= cap or math.isinf(floor) or cap == 0.0:
        raise ParameterError(
            f"floor is {floor!r}, cap {cap!r}", "0 <= floor <= cap, cap above 0", "correct the range"
        )
    return np.asarray(np.clip(next_sigma / own, floor, cap))


def volatility_scaled(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    *,
    decay: float = 0.94,
    models: Mapping[str, VolatilityModel] | None = None,
    floor: float = 0.0,
    cap: float = math.inf,
    vol_anchor: Anchor = "filter",
    underlyings: Sequence[str] | None = None,
    horizon: int = 2,
    replications: int = 50,
    response: FactorResponse | str = DEFAULT_RESPONSE,
    dynamics: Dynamics = "sticky_moneyness",
    seed: int = 20260801,
    expiries: Expiries | None = None,
) -> ScenarioSet:
    """Return historical-simulation scenarios with each day's return scaled to today's volatility.

    Parameters
    ----------
    history, snapshot, underlyings, horizon, replications, response, dynamics, seed, expiries
        As for :func:`historical`.
    decay : float
        Of the exponentially weighted volatility that scales, mean 0.
    models : mapping of str to VolatilityModel, optional
        Volatilities of another model over the same dates, in place of ``decay``.
    floor, cap : float
        Range of the ratio of volatilities, as for :func:`scale_ratio`; how many days were cut is noted.
    vol_anchor : str, float or mapping
        Volatility of the next day, as for :func:`filtered_historical`; ``"filter"`` is the model's own.

    Returns
    -------
    ScenarioSet
        Equally weighted windows; within a window each day is scaled by its own ratio.

    Raises
    ------
    ParameterError, DataGapError, LookAheadError, ConventionError
        A decay or range that makes no sense; others as :func:`historical` and :func:`filtered_historical`.

    Warns
    -----
    HistoryEndsWarning
        The history ends more than a day before the snapshot.

    Notes
    -----
    ``r*[t] = r[t] sigma[T+1] / sigma[t]``, with ``sigma[t]`` known the evening before day t. Each asset by
    itself, so the correlation of the scaled returns is that of the sample's residuals.

    References
    ----------
    Hull and White (1998).

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = volatility_scaled(past, snap, underlyings=["BTC"], horizon=1, replications=1)
    >>> len(scen), float(scen.summary().loc["BTC spot", "min"].round(4))
    (1460, -0.3042)
    """
    design = WindowDesign(
        history=history,
        snapshot=snapshot,
        underlyings=underlyings,
        horizon=horizon,
        replications=replications,
        response=response,
        dynamics=dynamics,
        seed=seed,
        expiries=expiries,
    )
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0.0 < decay < 1.0:
        raise ParameterError(f"decay is {decay!r}", "above 0 and below 1", "0.94 is usual")
    levels = FilteredDesign(
        history=history,
        snapshot=snapshot,
        underlyings=tuple(design.names),
        horizon=horizon,
        n_paths=1,
        model="ewma",
        dist="normal",
        vol_anchor=vol_anchor,
        response=design.law,
        dynamics=dynamics,
        seed=seed,
    )
    chosen = (
        {
            name: VolatilityModel.from_parameters(
                {"omega": 0.0, "alpha": 1.0 - decay, "beta": decay},
                design.returns[name],
                "ewma",
                "normal",
                annualisation=_YEAR,
            )
            for name in design.names
        }
        if models is None
        else levels.given(models)
    )
    for name, model in chosen.items():
        if not model.returns.index.equals(design.returns.index):
            raise ParameterError(
                f"the model of {name} covers {len(model.returns)} days, the history {len(design.returns)}",
                "the dates of the history",
                f"pass models['{name}'].filter(history.returns(['{name}'])['{name}'])",
            )
    anchors = levels.anchors(chosen)
    daily: dict[str, FloatArray] = {}
    sigma: dict[str, float] = {}
    notes = []
    for name, model in chosen.items():
        sigma[name] = anchors[name] / math.sqrt(_YEAR)
        own = model.sigma.to_numpy()
        ratio = scale_ratio(own, sigma[name], floor=floor, cap=cap)
        cut = int((ratio != sigma[name] / own).sum())
        daily[name] = ratio * design.returns[name].to_numpy(dtype=np.float64)
        notes.append(
            f"{name}: past returns are scaled to {anchors[name]:.1%} a year by {float(ratio.min()):.2f} to "
            f"{float(ratio.max()):.2f}, {cut} of {ratio.size} ratios cut to [{floor:g}, {cap:g}]"
        )
    design.warn()
    return design.scenarios(
        "volatility-scaled historical",
        daily,
        sigma,
        np.ones(design.windows),
        method="scenarios.volatility_scaled",
        spread="that of the next day",
        data={f"model {n}": m.provenance.id for n, m in chosen.items()},
        parameters={
            "decay": float(decay) if models is None else None,
            "floor": float(floor),
            "cap": float(cap),
            "anchor_level": anchors,
        },
        notes=notes,
        references=("hullwhite1998",),
    )
