"""Filtered historical simulation of all factors jointly: past shocks re-coloured with today's correlation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import Dynamics, FloatArray, IntArray
from pmkit.estimation import VolatilityModel
from pmkit.estimation.dynamic.correlation import CorrelationModel
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries, check_horizon, factor_moves, underlyings_of
from pmkit.scenarios.filtered import Anchor, FilteredDesign
from pmkit.scenarios.historical import BRIDGE_NOTE
from pmkit.scenarios.joint_filter import CorrelationPath, JointFilter, joint_filter
from pmkit.scenarios.joint_paths import joint_paths, whiten
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse, factor_response
from pmkit.scenarios.scenario_set import Factor, ScenarioSet

__all__ = ["joint_filtered"]

_YEAR = 365


def joint_filtered(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    *,
    underlyings: Sequence[str] | None = None,
    horizon: int = 2,
    n_paths: int = 100_000,
    decay: float = 0.97,
    models: Mapping[str, VolatilityModel] | None = None,
    correlation: CorrelationPath | CorrelationModel | None = None,
    factors: Mapping[Factor, pd.Series] | None = None,
    vol_anchor: Anchor = "atm-30d",
    paths: Literal["simulated", "overlapping"] = "simulated",
    response: FactorResponse | str = DEFAULT_RESPONSE,
    dynamics: Dynamics = "sticky_moneyness",
    seed: int = 20260801,
    expiries: Expiries | None = None,
    drift: bool = False,
    start: int = 75,
    keep_start: bool = False,
) -> ScenarioSet:
    """Return filtered scenarios in which correlation, like volatility, is today's and not the sample's.

    :func:`filtered_historical` scales each asset by itself and keeps the mean correlation of the sample;
    where correlation has drifted since, its offsets are wrong. Here the residual vector of a day is freed of
    that day's whole covariance and given the next day's.

    Parameters
    ----------
    history, snapshot, underlyings, horizon, response, dynamics, seed, expiries, drift
        As for :func:`filtered_historical`.
    n_paths : int
        Of simulated paths.
    decay : float
        Of the exponentially weighted covariance; with ``models`` and without ``correlation``, of the
        correlation of their residuals.
    models : mapping of str to VolatilityModel, optional
        Volatility of every underlying over the same dates, in place of the exponentially weighted one.
    correlation : CorrelationModel, or object with ``path`` and ``next_correlation``, optional
        Fitted on the residuals of ``models``, which it needs; its order is that of the underlyings, or named
        by the labels of ``next_correlation``. A CorrelationModel follows its own recursion along each path,
        any other stays at the next day's matrix over the horizon.
    factors : mapping of Factor to Series, optional
        Daily moves (logs) of vol or basis factors that were observed, on the dates of the returns: they enter
        the covariance beside spot, and their scenarios replace those of ``response``. Their volatility is
        exponentially weighted; they start at what it reached.
    vol_anchor : str, float or mapping
        As for :func:`filtered_historical`.
    paths : {"simulated", "overlapping"}
        Days drawn independently with replacement, or every past window once, in its own order.
    start : int
        First days whose second moment starts the recursions.
    keep_start : bool
        Whether those days lend residuals as well. They are left out by default, because their covariance has
        seen them; where the largest move of the history is among them the notes of the result say so. Kept,
        the recursion runs from the first day, as those of fitted models do, and a shock among the first days
        comes out smaller than it was.

    Returns
    -------
    ScenarioSet
        Equally weighted; ``dates`` holds the day behind each day of each path.

    Raises
    ------
    DataGapError
        Fewer than 50 days after the start; a model is absent; others as :func:`filtered_historical`.
    ConventionError
        Models, correlations or factors on other dates than the returns; a model whose recursion is not that
        of ``gjr``, ``garch`` or ``ewma``.
    SchemaError
        Models, correlation or factors of another kind.
    ParameterError
        Arguments out of range; ``correlation`` without ``models``; a matrix that is not positive definite.
    LookAheadError
        The history reaches past the snapshot.

    Warns
    -----
    HistoryEndsWarning
        The history ends more than a day before the snapshot.

    Notes
    -----
    ``e[t] = H[t]^(-1/2) (r[t] - mu)`` and ``r* = H[T+1]^(1/2) e[J]`` with **symmetric** roots. They permute
    with the assets, so that the order of columns changes nothing; a Cholesky root would make the figures
    depend on it. From the second day on ``H`` follows its recursion along each path: the exponentially
    weighted one, or that of the models with an exponentially weighted, a moving or a held correlation. Cost
    ``O(paths days n^3)``; memory ``16 paths days n`` bytes.

    References
    ----------
    Barone-Adesi, Giannopoulos and Vosper (1999), for one asset; Duffie and Pan (1997), for returns brought to
    a current covariance.

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0, "ETH": 2300.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = joint_filtered(past, snap, n_paths=1000, vol_anchor="filter")
    >>> len(scen), scen.underlyings
    (1000, ('BTC', 'ETH'))
    """
    names = underlyings_of(history, snapshot, underlyings)
    if paths not in ("simulated", "overlapping"):
        raise ParameterError(f"paths is {paths!r}", "'simulated' or 'overlapping'", "name one of them")
    if not isinstance(keep_start, bool):
        raise ParameterError(f"keep_start is {keep_start!r}", "True or False", "name one of them")
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0.0 < decay < 1.0:
        raise ParameterError(f"decay is {decay!r}", "above 0 and below 1", "0.97 is usual")
    design = FilteredDesign(
        history=history,
        snapshot=snapshot,
        underlyings=tuple(names),
        horizon=check_horizon(horizon, history),
        n_paths=n_paths,
        model="ewma",
        dist="normal",
        vol_anchor=vol_anchor,
        response=factor_response(response) if isinstance(response, str) else response,
        dynamics=dynamics,
        seed=seed,
        expiries=expiries,
        drift=drift,
    )
    extra = _extra(factors, design, names)
    filtered = joint_filter(design, extra, models, correlation, float(decay), start, keep_start)
    if design.warning is not None:
        warnings.warn(design.warning, stacklevel=2)
    reached = dict(zip(names, filtered.next_sigma, strict=False))
    levels = design.anchors(
        cast("Mapping[str, VolatilityModel]", {n: _Level(float(s)) for n, s in reached.items()})
    )
    sigma0 = filtered.next_sigma.copy()
    sigma0[: len(names)] = [levels[name] / math.sqrt(_YEAR) for name in names]
    pool = np.empty_like(filtered.deviations)
    whiten(filtered.deviations, filtered.sigma, filtered.path, pool)
    if not np.isfinite(pool).all():
        raise ParameterError(
            "a whitened residual is not finite",
            "covariances that are positive definite",
            "drop collinear factors",
        )
    drawn = design.day_draws(len(pool)) if paths == "simulated" else _windows(len(pool), design.horizon)
    moves = np.empty((*drawn.shape, pool.shape[1]))
    sigma = np.empty_like(moves)
    joint_paths(
        pool,
        drawn,
        sigma0,
        filtered.recursion.state,
        filtered.params,
        filtered.recursion.constant,
        np.array(filtered.recursion.news),
        filtered.recursion.corrected,
        filtered.recursion.equal,
        filtered.recursion.whole,
        moves,
        sigma,
    )
    if drift:
        moves += filtered.mean
    return _scenario_set(design, names, list(extra), filtered, pool, drawn, moves, sigma, levels, paths)


@dataclass(frozen=True)
class _Level:
    """What the anchors ask of a model."""

    next_sigma: float


def _extra(
    factors: Mapping[Factor, pd.Series] | None, design: FilteredDesign, names: list[str]
) -> dict[Factor, FloatArray]:
    """Return the observed moves of further factors in a fixed order, checked against the dates of returns."""
    out: dict[Factor, FloatArray] = {}
    if factors is not None and not isinstance(factors, Mapping):
        raise SchemaError(
            f"factors are a {type(factors).__name__}", "a mapping of Factor to Series", "name the factors"
        )
    for factor in sorted(factors or {}, key=lambda f: f.label if isinstance(f, Factor) else str(f)):
        if (
            not isinstance(factor, Factor)
            or factor.kind not in ("vol", "basis")
            or factor.underlying not in names
        ):
            raise SchemaError(
                f"factors name {factor!r}",
                f"Factor('vol', ...) or Factor('basis', ..., expiry) of {', '.join(names)}",
                "spot comes from the history",
            )
        series = cast("Mapping[Factor, pd.Series]", factors)[factor]
        if not isinstance(series, pd.Series) or not series.index.equals(design.returns.index):
            found = series.index if isinstance(series, pd.Series) else []
            raise ConventionError(
                f"{factor.label} has {len(found)} rows on other dates than the {len(design.returns)} returns",
                "one move for each return",
                "cut the history with window() to the dates of the factor",
            )
        values = series.to_numpy(dtype=np.float64)
        if not np.isfinite(values).all() or float(np.std(values)) == 0.0:
            raise ParameterError(
                f"moves of {factor.label} are not finite or do not vary",
                "finite moves that vary",
                "repair them",
            )
        out[factor] = values
    return out


def _windows(rows: int, horizon: int) -> IntArray:
    starts = np.arange(rows - horizon + 1)
    return np.asarray(starts[:, None] + np.arange(horizon), dtype=np.int64)


def _scenario_set(
    design: FilteredDesign,
    names: list[str],
    extra: list[Factor],
    filtered: JointFilter,
    pool: FloatArray,
    drawn: IntArray,
    moves: FloatArray,
    sigma: FloatArray,
    levels: Mapping[str, float],
    paths: str,
) -> ScenarioSet:
    spots = len(names)
    R = filtered.next_correlation
    above = R[:spots, :spots][np.triu_indices(spots, 1)]
    mean_now = float(np.add.reduce(above)) / above.size if above.size else 0.0
    columns, shocks = factor_moves(
        {name: np.ascontiguousarray(moves[:, :, i]) for i, name in enumerate(names)},
        {name: np.ascontiguousarray(sigma[:, :, i]) for i, name in enumerate(names)},
        design.snapshot,
        design.response,
        design.seed,
        expiries=design.expiries,
        bridge_correlation=min(max(mean_now, 0.0), 1.0),
    )
    for k, factor in enumerate(extra):
        if factor not in columns:
            raise SchemaError(
                f"factors name {factor.label}",
                f"a factor of the set: {', '.join(c.label for c in columns if c.kind in ('vol', 'basis'))}",
                "give the expiry a forward in the snapshot, or name it in expiries",
            )
        shocks[:, columns.index(factor)] = np.add.reduce(moves[:, :, spots + k], axis=1)
    past = np.atleast_2d(np.corrcoef(filtered.deviations[:, :spots], rowvar=False))
    drifted = ", ".join(
        f"{names[i]}-{names[j]} {past[i, j]:.2f} in the sample, {R[i, j]:.2f} now"
        for i in range(spots)
        for j in range(i + 1, spots)
    )
    return ScenarioSet(
        name="joint filtered historical",
        factors=columns,
        shocks=shocks,
        horizon_days=float(design.horizon),
        dynamics=design.dynamics,
        vol_term=design.response.vol_term,
        dates=drawn,
        history_dates=filtered.index,
        n_independent=len(pool) / design.horizon,
        provenance=Provenance(
            method="scenarios.joint_filtered",
            data={
                "history": design.history.fingerprint,
                "snapshot": design.snapshot.fingerprint,
                "response": design.response.fingerprint,
                "residuals": fingerprint(pool),
                "correlation": fingerprint(R),
            },
            parameters={
                "underlyings": names,
                "horizon": design.horizon,
                "n_paths": len(drawn),
                "paths": paths,
                "filter": filtered.words,
                "first_residual": str(filtered.index[0].date()),
                "factors": [factor.label for factor in extra],
                "dynamics": design.dynamics,
                "response": design.response.id,
                "history_end": str(design.history.last_date.date()),
                "anchor_level": dict(levels),
                "drift": design.drift,
            },
            seed=design.seed if paths == "simulated" else None,
            simulated=bool(design.history.simulated),
        ),
        notes=(
            design.gap_text,
            f"residuals are whitened and re-coloured by symmetric roots of {filtered.words}",
            *((f"correlation of spot: {drifted}",) if drifted else ()),
            *(
                (f"scenarios of {', '.join(f.label for f in extra)} come from observed moves, with spot",)
                if extra
                else ()
            ),
            f"{len(pool)} residual days from {filtered.index[0].date()} on, {paths} paths",
            filtered.lost,
            design.response.note(design.snapshot.as_of),
            BRIDGE_NOTE.format("the path's conditional volatility"),
        ),
        references=("baroneadesi1999", "duffie1997"),
    )
