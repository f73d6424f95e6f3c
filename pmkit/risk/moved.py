"""The market after each scenario: prices, discount factors, funding and currencies, once per expiry."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments import Future, Instrument, Option, Perpetual
from pmkit.market.snapshot import STABLECOINS, MarketSnapshot
from pmkit.risk.collateral import CurrencyMoves
from pmkit.risk.inputs import check_market
from pmkit.risk.moved_vols import MovedVols
from pmkit.scenarios.factors import Factor
from pmkit.scenarios.inputs import check_kind
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["MovedMarket"]

#: kinds whose ``underlying`` is a currency
_OF_CURRENCIES = ("rate", "fx")


class MovedMarket:
    """Prices and vols behind every scenario for a list of instruments, before any contract is valued.

    Parameters
    ----------
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
    instruments : iterable of Instrument
        What will be valued; decides which forwards and settlement prices are needed.

    Raises
    ------
    DataGapError
        The scenarios move no factor of an underlying that is held, the smile must move and there is no
        surface, or a factor moves a rate or a funding rate that the snapshot does not have.
    ConventionError
        A contract expires inside the horizon and the scenarios hold no fixing for its expiry, or an argument
        is of another kind.
    ParameterError
        A move takes a price to 0, below, or beyond the numbers of the machine.
    """

    def __init__(
        self, snapshot: MarketSnapshot, scenarios: ScenarioSet, instruments: Iterable[Instrument]
    ) -> None:
        check_market(snapshot)
        check_kind("scenarios", scenarios, ScenarioSet, "a constructor of pmkit.scenarios, such as grid")
        self.snapshot, self.scenarios = snapshot, scenarios
        self.ratio: dict[str, FloatArray] = {}
        self.spot: dict[str, FloatArray] = {}
        self.forwards: dict[tuple[str, pd.Timestamp], FloatArray] = {}
        self.fixings: dict[tuple[str, pd.Timestamp], FloatArray] = {}
        self.perpetuals: dict[str, FloatArray] = {}
        self._moved = {f.underlying for f in scenarios.factors if f.kind not in _OF_CURRENCIES}
        self._end = snapshot.as_of + pd.Timedelta(days=scenarios.horizon_days)
        for name in snapshot.underlyings:
            with np.errstate(over="ignore"):
                self.ratio[name] = scenarios.spot_multiplier(name)
                self.spot[name] = snapshot.spot(name) * self.ratio[name]
            self._check_price(self.spot[name], f"spot of {name}", Factor("spot", name))
        self.vols = MovedVols(snapshot, scenarios)
        self.money = self._currencies()
        for instrument in instruments:
            self._prepare(instrument)

    def covers(self, underlying: str) -> bool:
        """Whether the scenarios hold any factor of the underlying."""
        return underlying in self._moved

    @property
    def unheld_factors(self) -> tuple[str, ...]:
        """Labels of the factors whose underlying or currency is not in the snapshot: they move nothing."""
        known = {*self.snapshot.underlyings, *self.money.fx0, *STABLECOINS}
        return tuple(f.label for f in self.scenarios.factors if f.underlying not in known)

    def settles(self, instrument: Instrument) -> bool:
        """Whether a contract expires at or before the horizon."""
        return isinstance(instrument, (Future, Option)) and instrument.expiry <= self._end

    def tau(self, expiry: pd.Timestamp) -> float:
        """Years from the horizon to ``expiry``."""
        return self.vols.tau(expiry)

    def perpetual(self, underlying: str) -> FloatArray:
        """Return the perpetual in each scenario: its premium over the index is kept, then its basis moved."""
        return self.perpetuals[underlying]

    def funding(self, underlying: str) -> FloatArray | float | None:
        """Return what a long perpetual pays over the horizon as a share of its notional, None for nothing.

        Notes
        -----
        ``(f + x) h/365`` with f the snapshot's last rate as a simple annual decimal, x the move of the
        funding factor and h the horizon in days.
        """
        days, rate = self.scenarios.horizon_days, self.snapshot.funding_rate(underlying)
        move = self.scenarios.column("funding", underlying)
        if rate is None and move is not None:
            raise DataGapError(
                f"scenarios {self.scenarios.name!r} move {Factor('funding', underlying).label!r} and the "
                f"snapshot has no funding rate of {underlying}",
                "an expected funding rate, 0 included",
                f"give it: MarketSnapshot.from_marks(..., funding={{{underlying!r}: 0.0}})",
            )
        if rate is None or days == 0.0:
            return None
        return rate * days / 365.0 if move is None else (rate + move) * (days / 365.0)

    def discount(self, option: Option) -> tuple[float, FloatArray | float]:
        """Return the discount factor of an option's payoff before the scenarios, and at the horizon in each.

        Coin options are not discounted, and options in quote currency only where the snapshot says how.
        The rate to an expiry is held while time runs, then moved: ``exp(-(r + x)(tau - h))``.
        """
        held = self.snapshot.market(option.underlying).discounts
        if option.is_inverse:
            return 1.0, 1.0
        move = self.scenarios.column("rate", option.settlement_currency)
        if option.expiry not in held:
            if move is None:
                return 1.0, 1.0
            raise DataGapError(
                f"scenarios {self.scenarios.name!r} move "
                f"{Factor('rate', option.settlement_currency).label!r} and the snapshot has no discount "
                f"factor for {option.name}",
                f"a discount factor of {option.underlying} to {option.expiry:%Y-%m-%d}, 1 included",
                "give it: MarketSnapshot.from_marks(..., discounts=...)",
            )
        before = held[option.expiry]
        rate = -math.log(before) / self.snapshot.tau(option.expiry)
        left = self.tau(option.expiry)
        return before, (math.exp(-rate * left) if move is None else np.exp(-(rate + move) * left))

    def vol(self, option: Option) -> FloatArray:
        """Return the implied vol of an option in each scenario, annualised decimal."""
        return self.vols.vol(option)

    # -- preparation ----------------------------------------------------------------------------------------
    def _currencies(self) -> CurrencyMoves:
        """Return the prices of coins and currencies; a stablecoin is one USD where the snapshot is silent."""
        before, after = dict(self.snapshot.fx), {}
        for factor in self.scenarios.factors:
            name = factor.underlying
            if factor.kind != "fx" or name == "USD" or not (name in before or name in STABLECOINS):
                continue
            before.setdefault(name, 1.0)
            move = self.scenarios.column("fx", name)
            assert move is not None
            with np.errstate(over="ignore"):
                after[name] = before[name] * np.exp(move)
            self._check_price(after[name], f"price of {name}", factor)
        return CurrencyMoves(
            spot0={u: self.snapshot.spot(u) for u in self.snapshot.underlyings},
            spot1=self.spot,
            moved=frozenset(u for u in self.snapshot.underlyings if self.covers(u)),
            fx0=before,
            fx1=after,
            source=self.scenarios.name,
        )

    def _prepare(self, instrument: Instrument) -> None:
        self.snapshot.mark(instrument)  # raises for unknown, expired and unquoted contracts
        name = instrument.underlying
        if not self.covers(name):
            raise DataGapError(
                f"scenarios {self.scenarios.name!r} move {', '.join(sorted(self._moved)) or 'nothing'}, "
                f"and {instrument.name} is held",
                f"a factor of {name}",
                f"build the scenarios with {name} among the underlyings, or take the line out",
            )
        self._check_settlement(instrument)
        if isinstance(instrument, Perpetual):
            if name not in self.perpetuals:
                self.perpetuals[name] = self._perpetual(name)
            self.funding(name)  # raises where the snapshot has no rate to move
        if not isinstance(instrument, (Future, Option)):
            return
        key = (name, instrument.expiry)
        if self.settles(instrument):
            if key not in self.fixings:
                self.fixings[key] = self._fixing(*key)
            return
        if key not in self.forwards:
            self.forwards[key] = self._forward(*key)
        if isinstance(instrument, Option):
            self.vols.prepare(instrument, self.forwards[key])
            self.discount(instrument)  # raises where the snapshot has no rate to move

    def _check_settlement(self, instrument: Instrument) -> None:
        """Raise where a contract pays in a currency whose price in USD is not known in every scenario."""
        currency = instrument.settlement_currency
        if instrument.is_inverse:
            return
        if currency in self.snapshot.underlyings:
            raise ConventionError(
                f"linear contract {instrument.name} settles in the coin {currency}",
                f"quote currency: one of {', '.join(dict.fromkeys((*STABLECOINS, *self.money.fx0)))}",
                "correct its settlement",
            )
        self.money.check(currency, "settlement")

    def _perpetual(self, name: str) -> FloatArray:
        price = self.snapshot.market(name).perpetual * self.ratio[name]
        basis = self.scenarios.column("basis", name)
        if basis is None:
            return price
        with np.errstate(over="ignore"):
            moved: FloatArray = price * np.exp(basis)
        return self._check_price(moved, f"perpetual of {name}", Factor("basis", name))

    def _forward(self, name: str, expiry: pd.Timestamp) -> FloatArray:
        """Forward after the spot move, with its carry run off to the horizon and its basis moved."""
        forward, tau = self.snapshot.forward(name, expiry), self.snapshot.tau(expiry)
        carry = math.log(forward / self.snapshot.spot(name))
        run_off = carry * (self.tau(expiry) / tau - 1.0)
        basis = self.scenarios.column("basis", name, expiry)
        with np.errstate(over="ignore"):
            moved: FloatArray = (
                forward * self.ratio[name] * np.exp(run_off if basis is None else run_off + basis)
            )
        factor = Factor("spot", name) if basis is None else Factor("basis", name, expiry)
        return self._check_price(moved, f"forward of {name} {expiry:%Y-%m-%d}", factor)

    def _fixing(self, name: str, expiry: pd.Timestamp) -> FloatArray:
        factor = Factor("fixing", name, expiry)
        move = self.scenarios.column("fixing", name, expiry)
        if move is None:
            raise ConventionError(
                f"{name} contracts of {expiry.isoformat()} settle inside the horizon of "
                f"{self.scenarios.horizon_days:g} days",
                f"a factor {factor.label!r} in the scenarios",
                "use historical or filtered_historical scenarios built on this snapshot, or a horizon of 0",
            )
        with np.errstate(over="ignore"):
            fixed: FloatArray = self.snapshot.spot(name) * np.exp(move)
        return self._check_price(fixed, f"settlement price of {name} {expiry:%Y-%m-%d}", factor)

    def _check_price(self, prices: FloatArray, what: str, factor: Factor) -> FloatArray:
        """Return the prices, or raise naming the factor and the scenario of one that can be no price."""
        if float(prices.min()) > 0.0 and float(prices.max()) < math.inf:
            return prices
        at = int(np.flatnonzero(~((prices > 0.0) & (prices < math.inf)))[0])
        move = self.scenarios.column(*factor)
        size = "" if move is None else f" {move[at]:+g}"
        # only a given name: the words made of the moves would need the price that does not exist
        name = "" if self.scenarios.labels is None else f" ({self.scenarios.labels[at]})"
        raise ParameterError(
            f"{what} is {prices[at]:g} USD in scenario {at}{name} after the move{size} of {factor.label!r}",
            "a positive, finite price",
            "correct the move, or take the scenario out",
        )
