"""Scan ranges, risk arrays and composite deltas by own pricing (clauses SPN-2 to SPN-5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtr

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.types import BoolArray, FloatArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.margin.accounts.contract_marks import option_discounts
from pmkit.margin.rules.span.arrays import RiskArray
from pmkit.margin.rules.span.scenarios import scenario_table
from pmkit.margin.schemas import SpanParameters
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import black76

__all__ = ["composite_delta", "daily_vol", "price_scan_range", "risk_arrays_of"]

#: moves behind each of the four delta weights, in scan ranges
_DELTA_MOVES = ((0.0,), (1.0 / 3.0, -1.0 / 3.0), (2.0 / 3.0, -2.0 / 3.0), (1.0, -1.0))


def daily_vol(
    table: SpanParameters, underlying: str, sigma: float | None, history: PriceHistory | None
) -> float:
    """Return the volatility of a day as a decimal: the given one, else exponentially weighted from prices.

    Returns NaN where the parameters do not ask for it.

    Raises
    ------
    DataGapError
        It is asked for, and neither a value nor a history of the underlying is there.

    Notes
    -----
    ``s_t^2 = d s_(t-1)^2 + (1 - d) r_t^2`` from the first squared log return on.
    """
    if table.price_scan_sigmas == 0.0 and table.vol_scan_unit != "of realised vol":
        return math.nan
    if sigma is not None:
        if not (math.isfinite(sigma) and sigma > 0.0):
            raise ParameterError(
                f"sigma of {underlying} is {sigma!r}", "a positive daily vol as a decimal", "correct it"
            )
        return sigma
    if history is None or underlying not in history.prices or history.prices[underlying].count() < 2:
        raise DataGapError(
            f"no daily volatility of {underlying}",
            "sigma={name: value}, or a price history that holds it",
            "pass one of the two: the scan range is a multiple of it",
        )
    prices = history.prices[underlying].dropna().to_numpy(dtype=np.float64)
    variance = -1.0
    for change in np.diff(np.log(prices)).tolist():
        square = change * change
        decay = table.realised_vol_decay
        variance = square if variance < 0.0 else decay * variance + (1.0 - decay) * square
    return math.sqrt(variance)


def price_scan_range(table: SpanParameters, spot: float, days: float, sigma: float) -> float:
    """Return the price scan range of a contract month in price points.

    Parameters
    ----------
    table : SpanParameters
    spot : float
        Price of the underlying: rates are shares of it.
    days : float
        Days to expiry of the month.
    sigma : float
        Volatility of a day, decimal; NaN where the parameters do not use it.

    Notes
    -----
    ``max(points, S max(rate, far rate beyond the far date, sigmas s sqrt(days)))``.
    """
    rate = table.price_scan_rate
    if days > table.far_from_days:
        rate = max(rate, table.price_scan_far_rate)
    if table.price_scan_sigmas > 0.0:
        rate = max(rate, table.price_scan_sigmas * sigma * math.sqrt(table.price_scan_days))
    return max(table.price_scan_points, rate * spot)


def _vol_range(table: SpanParameters, iv: FloatArray, sigma: float) -> FloatArray:
    """Return the vol scan range of options by their implied vol, decimals."""
    annual = sigma * math.sqrt(table.days_per_year)
    unit = {"relative": iv, "absolute": np.ones(iv.shape), "of realised vol": np.full(iv.shape, annual)}
    return np.maximum(table.vol_scan * unit[table.vol_scan_unit], table.vol_scan_floor)


def composite_delta(
    table: SpanParameters,
    is_call: BoolArray,
    strike: FloatArray,
    forward: FloatArray,
    iv: FloatArray,
    tau: FloatArray,
    scan: FloatArray,
) -> FloatArray:
    """Return the delta of one long option averaged over the seven price points, before discount and scale.

    Parameters
    ----------
    table : SpanParameters
    is_call : ndarray of bool, shape (options,)
    strike, forward : ndarray, shape (options,)
        Price points, positive.
    iv, tau : ndarray, shape (options,)
        Decimal vol, and years to expiry after the look-ahead.
    scan : ndarray, shape (options,)
        Price scan range, points.

    Returns
    -------
    ndarray, shape (options,)

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> one, table = np.ones(1), load_parameter_sets("span")[0].table("ES")
    >>> tau = one / 4 - 1 / 365
    >>> delta = composite_delta(table, one > 0, 2825 * one, 2790 * one, 0.16 * one, tau, 120 * one)
    >>> round(float(delta[0]), 5)
    0.45305
    """
    root = iv * np.sqrt(tau)
    total = np.zeros(strike.shape)
    for weight, moves in zip(table.delta_weights, _DELTA_MOVES, strict=True):
        for move in moves:
            price = forward + move * scan
            d1 = np.log(price / strike) / np.where(root > 0.0, root, 1.0) + 0.5 * root
            # without time or vol an option is exercised or not
            d1 = np.where(root > 0.0, d1, np.copysign(np.inf, price - strike))
            total += weight * (ndtr(d1) - np.where(is_call, 0.0, 1.0))
    return total


def risk_arrays_of(
    table: SpanParameters,
    instruments: Sequence[Instrument],
    marks: Mapping[str, float],
    snapshot: MarketSnapshot,
    sigma: float,
) -> dict[str, RiskArray]:
    """Return the sixteen losses of one long contract of each instrument, and scaled composite deltas.

    Parameters
    ----------
    table : SpanParameters
    instruments : sequence of Instrument
        Futures and options of one underlying.
    marks : mapping of str to float
        Marks by name of the contract.
    snapshot : MarketSnapshot
    sigma : float
        Volatility of a day, decimal; NaN where the parameters do not use it.

    Raises
    ------
    ParameterError
        A scenario takes a price to zero or below.
    """
    scenarios = scenario_table(table)
    underlying = instruments[0].underlying
    expiries = [getattr(i, "expiry", snapshot.as_of) for i in instruments]
    spot = snapshot.spot(underlying)
    ranges = {e: price_scan_range(table, spot, snapshot.days(e), sigma) for e in dict.fromkeys(expiries)}
    forwards = {e: snapshot.forward(underlying, e) for e in ranges}
    scan, forward = (np.array([by_month[e] for e in expiries]) for by_month in (ranges, forwards))
    steps = scan[:, None] * scenarios.moves
    moved = forward[:, None] + steps
    lowest = moved.min(axis=1)
    if lowest.min() <= 0.0:
        row = int(np.argmin(lowest))
        raise ParameterError(
            f"a scan range of {scan[row]:g} points takes {instruments[row].name} from {forward[row]:g} to"
            f" {lowest[row]:g}",
            "positive prices in every scenario",
            "lower the scan range or the extreme move",
        )
    size = np.array([i.multiplier for i in instruments])
    losses = 0.0 - size[:, None] * scenarios.weights * steps
    delta = np.full(len(instruments), table.delta_scale)
    rows = [row for row, i in enumerate(instruments) if isinstance(i, Option)]
    options = [i for i in instruments if isinstance(i, Option)]
    if options:
        price, iv = np.array([marks[o.name] for o in options]), np.array([snapshot.iv(o) for o in options])
        df = option_discounts(options, snapshot)
        ahead = table.lookahead_days / table.days_per_year
        left = {e: max(snapshot.tau(e) - ahead, 0.0) for e in {o.expiry for o in options}}
        tau = np.array([left[o.expiry] for o in options])
        strike, is_call = np.array([o.strike for o in options]), np.array([o.is_call for o in options])
        shock = _vol_range(table, iv, sigma)[:, None] * scenarios.vol_signs
        vols = np.maximum(iv[:, None] + shock, 0.0)
        values = black76(
            moved[rows], strike[:, None], tau[:, None], vols, df=df[:, None], is_call=is_call[:, None]
        )
        losses[rows] = size[rows][:, None] * scenarios.weights * (price[:, None] - np.asarray(values))
        delta[rows] *= df * composite_delta(table, is_call, strike, forward[rows], iv, tau, scan[rows])
    return {
        i.name: RiskArray(tuple(row), d)
        for i, row, d in zip(instruments, losses.tolist(), delta.tolist(), strict=True)
    }
