"""What an instrument is priced from, before and after: two snapshots, or a snapshot and one scenario."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from pmkit.core.errors import DataGapError, LookAheadError
from pmkit.core.types import FloatArray
from pmkit.instruments import Future, Instrument, Option, Perpetual, Spot
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import greeks
from pmkit.risk.cube import PnLCube
from pmkit.risk.moved import MovedMarket
from pmkit.risk.revalue import revalue
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["Later", "ScenarioLater", "SnapshotLater", "State", "state_before"]


class State(NamedTuple):
    """Prices behind one contract at one instant.

    ``price`` is the forward of an option, the price of a future or perpetual, the index of a coin; ``worth``
    USD per unit of settlement currency; ``df`` the discount factor of an option's payoff.
    """

    price: float
    iv: float
    spot: float
    worth: float
    tau: float
    df: float


class Later(Protocol):
    """The market to which a P&L leads."""

    label: str
    days: float

    def state(self, instrument: Instrument) -> State:
        """Return what the contract is priced from."""
        ...

    def unit_pnl(self, instrument: Instrument) -> tuple[float, float]:
        """Return the exact profit of one contract in USD, and in coin where it is coin-settled."""
        ...

    def funding(self, instrument: Instrument) -> float:
        """Return what a long perpetual has paid, as a share of its notional."""
        ...

    def usd_price(self, currency: str) -> float:
        """Return USD per unit of a currency."""
        ...


def state_before(instrument: Instrument, snapshot: MarketSnapshot) -> State:
    """Return what a contract is priced from in a snapshot.

    Raises
    ------
    SchemaError, DataGapError
        The contract is unknown, expired, or has no forward or vol.
    """
    seen = snapshot.mark(instrument)
    spot, worth = snapshot.spot(instrument.underlying), _worth(instrument, snapshot)
    if not isinstance(instrument, Option):
        return State(seen.price, 0.0, spot, worth, 0.0, 1.0)
    forward = snapshot.forward(instrument.underlying, instrument.expiry)
    df = 1.0 if instrument.is_inverse else snapshot.discount(instrument.underlying, instrument.expiry)
    return State(forward, snapshot.iv(instrument), spot, worth, snapshot.tau(instrument.expiry), df)


def _worth(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    return snapshot.usd_price(instrument.settlement_currency)


class SnapshotLater:
    """The market of a later snapshot; funding paid between the two is cash and not known to them."""

    def __init__(self, before: MarketSnapshot, after: MarketSnapshot) -> None:
        if after.as_of < before.as_of:
            raise LookAheadError(
                f"the second snapshot is of {after.as_of.isoformat()}, the first of "
                f"{before.as_of.isoformat()}",
                "snapshots in the order of time",
                "swap them",
            )
        self.before, self.after = before, after
        self.days = (after.as_of - before.as_of).total_seconds() / 86_400.0
        self.label = f"{before.as_of:%Y-%m-%d %H:%M} to {after.as_of:%Y-%m-%d %H:%M} UTC"

    def state(self, instrument: Instrument) -> State:
        """Return what the contract is priced from in the later snapshot."""
        if isinstance(instrument, (Future, Option)) and instrument.expiry <= self.after.as_of:
            raise DataGapError(
                f"{instrument.name} settles between the snapshots",
                "contracts that live in both",
                "explain up to its expiry with a scenario, or take the line out and book its cash flow",
            )
        return state_before(instrument, self.after)

    def unit_pnl(self, instrument: Instrument) -> tuple[float, float]:
        """Return the difference of the marks of one contract."""
        one, two = state_before(instrument, self.before), self.state(instrument)
        first, second = (_value(instrument, state, one.price) for state in (one, two))
        coin = second - first if instrument.is_inverse else 0.0
        return second * two.worth - first * one.worth, coin

    def funding(self, instrument: Instrument) -> float:
        """Return 0."""
        return 0.0

    def usd_price(self, currency: str) -> float:
        """Return USD per unit of a currency in the later snapshot."""
        return self.after.usd_price(currency)


class ScenarioLater:
    """The market of one scenario; its P&L is that of the cube."""

    def __init__(
        self, instruments: Sequence[Instrument], before: MarketSnapshot, scenarios: ScenarioSet
    ) -> None:
        self.before = before
        self.cube: PnLCube | None = revalue(instruments, before, scenarios) if instruments else None
        self.moved = MovedMarket(before, scenarios, instruments)
        self.days = scenarios.horizon_days
        self.label = scenarios.label(0)
        self._rows = {i.name: row for row, i in enumerate(instruments)}

    def state(self, instrument: Instrument) -> State:
        """Return what the contract is priced from in the scenario; at settlement its fixing."""
        moved, name = self.moved, instrument.underlying
        spot, worth = float(moved.spot[name][0]), self.usd_price(instrument.settlement_currency)
        if isinstance(instrument, Spot):
            return State(spot, 0.0, spot, worth, 0.0, 1.0)
        if isinstance(instrument, Perpetual):
            return State(float(moved.perpetual(name)[0]), 0.0, spot, worth, 0.0, 1.0)
        assert isinstance(instrument, (Future, Option))
        key, settles = (name, instrument.expiry), moved.settles(instrument)
        price = float((moved.fixings if settles else moved.forwards)[key][0])
        if not isinstance(instrument, Option):
            return State(price, 0.0, spot, worth, 0.0, 1.0)
        if settles:
            return State(price, self.before.iv(instrument), spot, worth, 0.0, 1.0)
        df = moved.discount(instrument)[1]
        vol, discount = float(moved.vol(instrument)[0]), float(np.ravel(df)[0])
        return State(price, vol, spot, worth, moved.tau(instrument.expiry), discount)

    def unit_pnl(self, instrument: Instrument) -> tuple[float, float]:
        """Return the profit of one contract from the cube."""
        assert self.cube is not None
        row = self._rows[instrument.name]
        return float(self.cube.unit_usd[row, 0]), float(self.cube.unit_coin[row, 0])

    def funding(self, instrument: Instrument) -> float:
        """Return what a long perpetual has paid, as a share of its notional."""
        paid: FloatArray | float | None = (
            self.moved.funding(instrument.underlying) if isinstance(instrument, Perpetual) else None
        )
        return 0.0 if paid is None else float(np.ravel(paid)[0])

    def usd_price(self, currency: str) -> float:
        """Return USD per unit of a currency in the scenario."""
        self.moved.money.check(currency, "collateral")
        after = self.moved.money.after(currency)
        return self.moved.money.before(currency) if after is None else float(after[0])


def _value(instrument: Instrument, state: State, reference: float) -> float:
    """Return the value of one contract in settlement currency; futures against a reference price."""
    size = instrument.multiplier
    if isinstance(instrument, Option):
        found = greeks(
            state.price,
            instrument.strike,
            state.tau,
            state.iv,
            state.df,
            instrument.is_call,
            instrument.settlement,
        )
        return size * float(found.price)
    if isinstance(instrument, Spot):
        return size * state.price
    if instrument.is_inverse:
        return size * (1.0 / reference - 1.0 / state.price)
    return size * (state.price - reference)
