"""The account: positions, collateral, open obligations, and its equity before and after a requirement."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from pmkit.core.errors import ConventionError, LookAheadError, SchemaError
from pmkit.core.result import Result
from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual, Spot
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.instruments.table import AccountTable, read_account_csv, read_account_rows
from pmkit.margin.accounts.contract_marks import unit_marks
from pmkit.market.snapshot import STABLECOINS, MarketSnapshot
from pmkit.pricing import inverse_future_pnl, linear_future_pnl

__all__ = ["STABLECOINS", "Account", "ValueParts", "unrealised_pnl"]


def unrealised_pnl(position: Position, mark: float) -> float:
    """Return the unrealised profit of a future or perpetual in its settlement currency, 0 without entry.

    Options are premium style: their profit is in cash and in option value, so it is 0 here.
    """
    instrument = position.instrument
    if not isinstance(instrument, (Future, Perpetual)) or position.entry_price is None:
        return 0.0
    size = position.qty * instrument.multiplier
    pnl = inverse_future_pnl if instrument.is_inverse else linear_future_pnl
    return float(pnl(size, position.entry_price, mark))


def _marks(instruments: Sequence[Instrument], snapshot: MarketSnapshot) -> dict[str, float]:
    """Return marks by name."""
    return dict(zip([i.name for i in instruments], unit_marks(instruments, snapshot).tolist(), strict=True))


class ValueParts(NamedTuple):
    """What an account is worth by currency, in units of it: cash with profits, options, stock and coins."""

    cash: Mapping[str, float]
    options: Mapping[str, float]
    stock: Mapping[str, float]

    def in_currency(self, currency: str) -> float:
        """Return the value of everything that settles in a currency, in units of it."""
        return math.fsum(part.get(currency, 0.0) for part in self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Account(Result):
    """A portfolio with its collateral.

    Attributes
    ----------
    portfolio : Portfolio
    collateral : mapping of str to float
        Balance by currency, in units of that currency; negative is a debt.
    name : str
    mmp_margin, open_order_margin : mapping of str to float
        Market-maker-protection and open-order margin by currency, as the venue reports them; 0 where absent.

    Examples
    --------
    >>> account = Account.from_records([
    ...     {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2026-08-01T17:58:04Z"},
    ...     {"type": "collateral", "instrument": "BTC", "qty": 1.0, "as_of": "2026-08-01T17:58:04Z"}])
    >>> len(account.portfolio), account.collateral["BTC"]
    (1, 1.0)
    """

    portfolio: Portfolio
    collateral: Mapping[str, float] = field(default_factory=dict)
    name: str = "account"
    mmp_margin: Mapping[str, float] = field(default_factory=dict)
    open_order_margin: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, amounts in (
            ("collateral", self.collateral),
            ("mmp_margin", self.mmp_margin),
            ("open_order_margin", self.open_order_margin),
        ):
            for currency, amount in amounts.items():
                if not math.isfinite(amount) or (what != "collateral" and amount < 0.0):
                    raise SchemaError(
                        f"{what} in {currency} is {amount!r}",
                        "a finite amount, not negative for obligations",
                        "correct it",
                    )

    # -- construction ---------------------------------------------------------------------------------------
    @classmethod
    def from_table(cls, table: AccountTable, name: str) -> Account:
        """Return the account of a checked table."""
        return cls(portfolio=Portfolio.from_table(table, name), collateral=dict(table.collateral), name=name)

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Account:
        """Return the account of a CSV with columns type, instrument, qty, entry_price (optional), as_of."""
        table = read_account_csv(path)
        return cls.from_table(table, table.source.rsplit(".", 1)[0])

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, name: str = "account") -> Account:
        """Return the account of a frame with the columns of an account CSV."""
        return cls.from_records(frame.to_dict(orient="records"), name=name)

    @classmethod
    def from_records(cls, records: Iterable[Mapping[Any, Any]], name: str = "account") -> Account:
        """Return the account of mappings with the keys of an account CSV."""
        return cls.from_table(read_account_rows(records, source=name, first_row=1), name)

    # -- value ----------------------------------------------------------------------------------------------
    @property
    def as_of(self) -> pd.Timestamp:
        """UTC instant of the positions."""
        return self.portfolio.as_of

    def check_against(self, snapshot: MarketSnapshot) -> None:
        """Raise where the snapshot is older than the account, or does not list one of its contracts."""
        if snapshot.as_of < self.as_of:
            raise LookAheadError(
                f"snapshot of {snapshot.as_of.isoformat()} is older than account {self.name!r}"
                f" of {self.as_of.isoformat()}",
                "a snapshot from the account's instant or later",
                "load a newer snapshot, or the account as it was then",
                file=self.portfolio.source,
                column="as_of" if self.portfolio.source else None,
            )
        for instrument in self.portfolio.instruments:
            try:
                snapshot.check_tradable(instrument)
            except SchemaError as error:
                place = self.portfolio.place(instrument.name)
                raise SchemaError(error.found, error.expected, error.remedy, **place) from None
        for position in self.portfolio:
            if position.entry_price is None or isinstance(position.instrument, Option):
                continue
            mark = snapshot.mark(position.instrument).price
            if not 0.1 <= position.entry_price / mark <= 10.0:
                raise ConventionError(
                    f"entry_price of {position.instrument.name} in account {self.name!r} is"
                    f" {position.entry_price:g} against a mark of {mark:g} USD",
                    "a futures price in USD within a factor of ten of the mark",
                    "correct the entry price, or its unit",
                    **self.portfolio.place(position.instrument.name, "entry_price"),
                )

    def price(self, currency: str, snapshot: MarketSnapshot) -> float:
        """Return USD per unit of a currency: its fx, 1 for stablecoins without one, the index for coins."""
        if currency not in (*STABLECOINS, *snapshot.fx, *snapshot.underlyings):
            raise ConventionError(
                f"collateral currency {currency!r} has no price in snapshot {snapshot.source}",
                f"one of {', '.join(dict.fromkeys((*STABLECOINS, *snapshot.fx, *snapshot.underlyings)))}",
                "remove it, or load a snapshot that prices it",
                **self.portfolio.place(currency),
            )
        return snapshot.usd_price(currency)

    def balances(self, snapshot: MarketSnapshot) -> dict[str, float]:
        """Return cash by currency: collateral plus unrealised profit of futures and perpetuals."""
        entered = [i.instrument for i in self.portfolio if i.entry_price is not None]
        return self._cash(_marks([i for i in entered if not isinstance(i, Option)], snapshot))

    def option_value(self, snapshot: MarketSnapshot) -> dict[str, float]:
        """Return the net value of the options by settlement currency (long positive)."""
        return self._options(_marks([i for i in self.instruments if isinstance(i, Option)], snapshot))

    def stock_value(self, snapshot: MarketSnapshot) -> dict[str, float]:
        """Return the value of stocks and coins held as positions, by settlement currency (long positive)."""
        return self._stock(_marks([i for i in self.instruments if isinstance(i, Spot)], snapshot))

    def value_parts(self, marks: Mapping[str, float]) -> ValueParts:
        """Return cash, option value and stock value by currency at given marks.

        Parameters
        ----------
        marks : mapping of str to float
            Mark of every contract held, by name: coins for inverse options, quote currency for the rest.

        Examples
        --------
        >>> from pmkit.instruments import stock
        >>> held = Portfolio(positions=(Position(instrument=stock("XYZ"), qty=2.0),),
        ...     as_of=pd.Timestamp("2026-07-31T20:00Z"))
        >>> Account(portfolio=held, collateral={"USD": 10.0}).value_parts({"XYZ": 5.0}).in_currency("USD")
        20.0
        """
        return ValueParts(self._cash(marks), self._options(marks), self._stock(marks))

    def equity(self, snapshot: MarketSnapshot, currency: str | None = None) -> float:
        """Return equity including the value of options and stock: of one currency, or of all in USD.

        Parameters
        ----------
        snapshot : MarketSnapshot
        currency : str, optional
            Only what settles in this currency, in units of it. None: everything, in USD.
        """
        parts = self.value_parts(_marks(self.instruments, snapshot))
        if currency is not None:
            return parts.in_currency(currency)
        currencies = dict.fromkeys(c for part in parts for c in part)
        return math.fsum(parts.in_currency(c) * self.price(c, snapshot) for c in currencies)

    def _cash(self, marks: Mapping[str, float]) -> dict[str, float]:
        cash = dict(self.collateral)
        for position in self.portfolio:
            if position.entry_price is None:
                continue
            instrument = position.instrument
            # the premium of an option is in cash already
            mark = math.nan if isinstance(instrument, Option) else marks[instrument.name]
            currency = instrument.settlement_currency
            cash[currency] = cash.get(currency, 0.0) + unrealised_pnl(position, mark)
        return cash

    def _options(self, marks: Mapping[str, float]) -> dict[str, float]:
        value: dict[str, float] = {}
        for position in self.portfolio:
            instrument = position.instrument
            if isinstance(instrument, Option):
                currency, size = instrument.settlement_currency, position.qty * instrument.multiplier
                value[currency] = value.get(currency, 0.0) + size * marks[instrument.name]
        return value

    def _stock(self, marks: Mapping[str, float]) -> dict[str, float]:
        value: dict[str, float] = {}
        for position in self.portfolio:
            instrument = position.instrument
            if isinstance(instrument, Spot):
                price = 1.0 if instrument.is_inverse else marks[instrument.name]
                currency = instrument.settlement_currency
                value[currency] = value.get(currency, 0.0) + position.qty * instrument.multiplier * price
        return value

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments of the portfolio."""
        return self.portfolio.instruments

    def with_portfolio(self, portfolio: Portfolio) -> Account:
        """Return the account with other positions and the same collateral."""
        return Account(
            portfolio=portfolio,
            collateral=self.collateral,
            name=self.name,
            mmp_margin=self.mmp_margin,
            open_order_margin=self.open_order_margin,
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the rows of the account in the columns of its CSV."""
        rows = [
            ("position", p.instrument.name, p.qty, math.nan if p.entry_price is None else p.entry_price)
            for p in self.portfolio
        ] + [("collateral", currency, amount, math.nan) for currency, amount in self.collateral.items()]
        frame = pd.DataFrame(rows, columns=["type", "instrument", "qty", "entry_price"])
        return frame.assign(as_of=self.as_of.isoformat())

    def summary(self) -> pd.DataFrame:
        """Return lines by kind and collateral by currency."""
        held = self.portfolio.summary().reset_index()
        held["item"] = held["underlying"] + " " + held["kind"]
        rows = [(r.item, r.lines, r.net) for r in held.itertuples()]
        rows += [(f"collateral {c}", 1, amount) for c, amount in self.collateral.items()]
        return pd.DataFrame(rows, columns=["item", "lines", "net"]).set_index("item")
