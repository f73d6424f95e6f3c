"""``derive-srm`` (clauses DSR): isolated shorts or the largest loss of their expiry, perpetuals, coins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from pmkit.core.types import BoolArray, FloatArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.feeds import CollateralFeed, ExpiryFeed, Feeds, UnderlyingFeed
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.usd_rule import UsdCharge, UsdRule
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step
from pmkit.margin.schemas import SrmParameters
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import black76

__all__ = ["DeriveSrm", "isolated_short", "largest_loss"]


def isolated_short(
    spot: float, strike: float, is_call: bool, size: float, value: float, table: SrmParameters
) -> tuple[float, float]:
    """Return initial and maintenance net margin of a short option alone, USD, 0 or below.

    Parameters
    ----------
    spot, strike : float
        USD.
    is_call : bool
    size : float
        Signed units, negative.
    value : float
        Marked value of the line in USD, 0 or below.
    table : SrmParameters

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> table = load_parameter_sets("derive-srm")[1].table("ETH")
    >>> [round(x, 6) for x in isolated_short(1500.0, 1500.0, True, -1.0, -79.371585, table)]
    [-304.371585, -191.871585]
    """
    out_of_the_money = max(strike - spot, 0.0) if is_call else max(spot - strike, 0.0)
    share = max(table.max_spot_req - out_of_the_money / spot, table.min_spot_req)
    initial = value + share * spot * size
    if is_call:
        return initial, value + table.mm_call_spot_req * spot * size
    maintenance = value + min(table.mm_put_spot_req * spot * size, table.mm_put_mtm_req * value)
    return min(initial, table.mm_offset_scale * maintenance), maintenance


def largest_loss(strikes: FloatArray, is_call: BoolArray, sizes: FloatArray) -> tuple[float, float]:
    """Return the lowest payoff of an expiry over 0 and its strikes, 0 or below, and its net calls.

    Beyond the highest strike the payoff falls without bound where the net number of calls is negative.

    Examples
    --------
    >>> largest_loss(np.array([1100.0, 1300.0]), np.array([True, True]), np.array([-1.0, 1.0]))
    (-200.0, 0.0)
    """
    at = np.concatenate([[0.0], np.unique(strikes)])
    sign = np.where(is_call, 1.0, -1.0)
    payoffs = np.maximum(sign[:, None] * (at[None, :] - strikes[:, None]), 0.0)
    lowest = min(math.fsum(sizes * payoffs[:, column]) for column in range(at.size))
    return min(lowest, 0.0), math.fsum(sizes[is_call])


def _unit_values(held: tuple[Instrument, ...], snapshot: MarketSnapshot) -> FloatArray:
    """Return the value of one unit of each option in USD, 0 for perpetuals; all options in one call."""
    values = np.zeros(len(held))
    options = [(line, o) for line, o in enumerate(held) if isinstance(o, Option)]
    if options:
        values[[line for line, _ in options]] = black76(
            [snapshot.forward(o.underlying, o.expiry) for _, o in options],
            [o.strike for _, o in options],
            [snapshot.tau(o.expiry) for _, o in options],
            [snapshot.iv(o) for _, o in options],
            is_call=[o.is_call for _, o in options],
        )
    return values


@dataclass(frozen=True, kw_only=True)
class _Market:
    """One underlying: its lines in the portfolio, its coin balance, its feeds and its table."""

    name: str
    spot: float
    perpetual: float
    seen: UnderlyingFeed
    table: SrmParameters
    #: expiry, forward, feed and lines
    expiries: tuple[tuple[pd.Timestamp, float, ExpiryFeed, tuple[int, ...]], ...]
    perpetual_lines: tuple[int, ...]
    coin: int | None  # position in the balances


@dataclass(frozen=True, kw_only=True)
class _SrmBook:
    instruments: tuple[Any, ...]
    units: FloatArray  # units of underlying per contract
    marks: FloatArray  # value of one unit, 0 for perpetuals
    markets: tuple[_Market, ...]
    coins: tuple[CollateralFeed, ...]
    feeds: Feeds
    parameters: ParameterSet

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts and coin balances (clauses DSR-2 to DSR-9)."""
        sizes = quantities * self.units
        values = sizes * self.marks
        net: dict[str, list[tuple[float, float]]] = {}
        steps: list[Step] = []
        rows: list[dict[str, Any]] = []
        doubt: list[float] = []
        peg: list[float] = []
        for market in self.markets:
            t = market.table
            options, found = self._options(market, sizes, values)
            rows += found
            perpetuals = math.fsum(sizes[list(market.perpetual_lines)])
            size = abs(perpetuals) * market.perpetual
            coins = 0.0 if market.coin is None else float(amounts[market.coin])
            base = coins * market.spot * t.base_margin_factor
            parts = {
                "options": options,
                "perpetual": (-size * t.perp_im_req, -size * t.perp_mm_req),
                "base asset": (base * t.base_im_scale, base),
            }
            keys = {
                "options": ("DSR-5", "max_spot_req"),
                "perpetual": ("DSR-6", "perp_im_req"),
                "base asset": ("DSR-7", "base_margin_factor"),
            }
            for what, (initial, maintenance) in parts.items():
                net.setdefault(what, []).append((initial, maintenance))
                clause, key = keys[what]
                steps.append(self._step(clause, f"{market.name} {what}, initial", initial, key))
                steps.append(self._step(clause, f"{market.name} {what}, maintenance", maintenance, key))
            doubt.append(self._doubt(market, sizes, perpetuals, coins))
            lines = [line for *_, at in market.expiries for line in at]
            short = math.fsum(np.maximum(-sizes[lines], 0.0)) + abs(perpetuals)
            peg.append(
                max(t.peg_loss_threshold - self.feeds.stable, 0.0) * t.peg_loss_factor * market.spot * short
            )
        option_value = math.fsum(values)
        coin_value = math.fsum(
            a * c.price / self.feeds.stable for a, c in zip(amounts, self.coins, strict=True)
        )
        confidence, depeg = math.fsum(doubt), math.fsum(peg)
        initial = math.fsum(i for pairs in net.values() for i, _ in pairs) - confidence - depeg
        maintenance = math.fsum(m for pairs in net.values() for _, m in pairs)
        equity = option_value + coin_value
        steps += [
            self._step("DSR-3", "value of options", option_value),
            self._step("DSR-3", "value of coins", coin_value),
            self._step("DSR-8", "confidence contingency", confidence, "confidence_factor_option"),
            self._step("DSR-9", "loss of the peg", depeg, "peg_loss_threshold", "peg_loss_factor"),
        ]
        addons = {"confidence contingency": confidence, "loss of the peg": depeg}
        return UsdCharge(
            im=equity - initial,
            mm=equity - maintenance,
            equity=equity,
            option_value=option_value,
            addons={name: value for name, value in addons.items() if value != 0.0},
            steps=tuple(steps),
            figures={"expiries": pd.DataFrame(rows)},
        )

    def _step(self, clause: str, what: str, value: float, *keys: str) -> Step:
        return Step(clause, what, value, "USD", origin(self.parameters, *keys))

    def _options(
        self, market: _Market, sizes: FloatArray, values: FloatArray
    ) -> tuple[tuple[float, float], list[dict[str, Any]]]:
        """Return initial and maintenance net margin of the options, and one row an expiry."""
        t = market.table
        rows = []
        for expiry, forward, _, lines in market.expiries:
            at = [line for line in lines if sizes[line] != 0.0]
            if not at:
                continue
            held: list[Option] = [self.instruments[line] for line in at]
            alone = [
                isolated_short(market.spot, o.strike, o.is_call, float(sizes[line]), float(values[line]), t)
                for line, o in zip(at, held, strict=True)
                if sizes[line] < 0.0
            ]
            lowest, calls = largest_loss(
                np.array([o.strike for o in held]), np.array([o.is_call for o in held]), sizes[at]
            )
            unpaired = forward * min(calls, 0.0)
            row: dict[str, Any] = {"underlying": market.name, "expiry": expiry}
            for side, scale, which in (
                ("im", t.unpaired_im_scale, 0),
                ("mm", t.unpaired_mm_scale, 1),
            ):
                row[f"{side}_isolated"] = math.fsum(pair[which] for pair in alone)
                row[f"{side}_largest_loss"] = lowest + scale * unpaired
                row[side] = max(row[f"{side}_isolated"], row[f"{side}_largest_loss"])
            rows.append(row)
        totals = (math.fsum(r["im"] for r in rows), math.fsum(r["mm"] for r in rows))
        return totals, rows

    def _doubt(self, market: _Market, sizes: FloatArray, perpetuals: float, coins: float) -> float:
        """Return the confidence contingency of a market, USD, 0 or above."""
        t, seen = market.table, market.seen
        groups = [
            (
                min(seen.spot_confidence, feed.forward_confidence, feed.vol_confidence),
                t.confidence_threshold_option,
                t.confidence_factor_option,
                math.fsum(np.maximum(-sizes[list(lines)], 0.0)),
            )
            for _, _, feed, lines in market.expiries
        ]
        groups.append(
            (
                min(seen.spot_confidence, seen.perpetual_confidence),
                t.confidence_threshold_perp,
                t.confidence_factor_perp,
                abs(perpetuals),
            )
        )
        groups.append((seen.spot_confidence, t.confidence_threshold_base, t.confidence_factor_base, coins))
        return math.fsum(
            (1.0 - confidence) * factor * market.spot * amount
            for confidence, threshold, factor, amount in groups
            if confidence < threshold
        )


@dataclass(frozen=True, kw_only=True)
class DeriveSrm(UsdRule):
    """Derive's standard margin: several underlyings, summed market by market, in USD.

    Notes
    -----
    Options are charged by expiry with the smaller of the sum of isolated shorts and the largest loss at
    settlement; perpetuals with a share of their value; coins count with a share of theirs. ``equity - im`` is
    the venue's net initial margin.
    """

    name: ClassVar[str] = "derive-srm"
    citations: ClassVar[tuple[str, ...]] = ("derive2026", "derivedocs")
    many_underlyings: ClassVar[bool] = True
    money_clauses: ClassVar[tuple[str, str]] = ("DSR-10", "DSR-10")

    variant: str = "mainnet"

    def eligible(self, underlying: str, parameters: ParameterSet) -> tuple[str, ...]:
        """Return the base asset of every market."""
        return tuple(parameters.tables)

    def book(
        self, account: Account, balances: Mapping[str, CollateralFeed], snapshot: MarketSnapshot,
        parameters: ParameterSet, underlyings: tuple[str, ...],
    ) -> _SrmBook:  # fmt: skip
        """Return the account with the values of its lines."""
        feeds, held = self._feeds(), account.portfolio.instruments
        coins = tuple(balances)
        markets = []
        for name in dict.fromkeys([*account.portfolio.underlyings, *coins]):
            own = [i for i, x in enumerate(held) if x.underlying == name]
            groups: dict[pd.Timestamp, list[int]] = {}
            for line in own:
                instrument = held[line]
                if isinstance(instrument, Option):
                    groups.setdefault(instrument.expiry, []).append(line)
            markets.append(
                _Market(
                    name=name,
                    spot=snapshot.spot(name),
                    perpetual=snapshot.market(name).perpetual,
                    seen=feeds.underlying(name),
                    table=parameters.table(name),
                    expiries=tuple(
                        (e, snapshot.forward(name, e), feeds.expiry(name, e), tuple(lines))
                        for e, lines in sorted(groups.items())
                    ),
                    perpetual_lines=tuple(i for i in own if not isinstance(held[i], Option)),
                    coin=coins.index(name) if name in coins else None,
                )
            )
        return _SrmBook(
            instruments=tuple(held),
            units=np.array([i.multiplier for i in held], dtype=np.float64),
            marks=_unit_values(tuple(held), snapshot),
            markets=tuple(markets),
            coins=tuple(balances.values()),
            feeds=feeds,
            parameters=parameters,
        )
