"""What can be traded: contracts with their cost per contract, depth, lots and limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.result import Result
from pmkit.instruments import Instrument, Option, parse_instrument
from pmkit.market import MarketSnapshot, Quotes
from pmkit.optimize.inputs import check_each, check_number
from pmkit.scenarios.inputs import check_kind

__all__ = ["Leg", "Legs", "legs_at_cost", "legs_from_quotes"]

#: seconds by which quotes and snapshot may differ
_APART = 600.0
_PARSED = "pmkit.instruments.parse_instrument(name, as_of)"


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One contract that may be traded.

    Attributes
    ----------
    instrument : Instrument
    cost : float
        USD per contract, buying or selling, up to the depth: half the spread and the fee. 0 or more.
    depth : float
        Contracts that can be had at that cost on either side.
    cost_beyond : float
        USD per contract beyond the depth, ``cost`` at least; NaN for ``cost``.
    max_buy, max_sell : float
        Most contracts bought and sold, 0 or more.
    min_size : float
        Smallest trade other than none, contracts.
    ticket : float
        USD that a trade costs whatever its size, 0 or more.

    Raises
    ------
    ConventionError
        What is no instrument or no number.
    ParameterError
        A negative or NaN number, ``cost_beyond`` below ``cost``, or a smallest trade or a ticket with a side
        without end.
    """

    instrument: Instrument
    cost: float = 0.0
    depth: float = math.inf
    cost_beyond: float = math.nan
    max_buy: float = math.inf
    max_sell: float = math.inf
    min_size: float = 0.0
    ticket: float = 0.0

    def __post_init__(self) -> None:
        check_kind("instrument", self.instrument, Instrument, _PARSED)
        name = self.instrument.name
        check_number(f"cost_beyond of {name}", self.cost_beyond)
        for word in ("cost", "depth", "max_buy", "max_sell", "min_size", "ticket"):
            value = getattr(self, word)
            check_number(f"{word} of {name}", value)
            if not value >= 0.0 or (word in ("cost", "min_size", "ticket") and math.isinf(value)):
                raise ParameterError(f"{word} of {name} is {value!r}", "a number, 0 or more", "correct it")
        if math.isnan(self.cost_beyond):
            object.__setattr__(self, "cost_beyond", self.cost)
        if not self.cost <= self.cost_beyond < math.inf:
            raise ParameterError(
                f"cost_beyond of {name} is {self.cost_beyond!r} USD",
                f"the cost of {self.cost:g} USD or more: the book does not get cheaper with size",
                "correct the costs",
            )
        if max(self.min_size, self.ticket) > 0.0 and math.isinf(max(self.max_buy, self.max_sell)):
            raise ParameterError(
                f"{name} has a {'smallest trade' if self.min_size > 0.0 else 'ticket'} and no largest one",
                "finite max_buy and max_sell beside min_size or ticket",
                "limit the size of its trades",
            )

    def cost_of(self, trade: float) -> float:
        """Return the USD that a net trade of signed contracts costs."""
        size = abs(trade)
        fixed = self.ticket if size > 0.0 else 0.0
        return fixed + self.cost * min(size, self.depth) + self.cost_beyond * max(size - self.depth, 0.0)


@dataclass(frozen=True, kw_only=True, repr=False)
class Legs(Result):
    """The contracts that may be traded, each once, with the source of their costs.

    Attributes
    ----------
    legs : tuple of Leg
    source : str
        Where the costs come from, in words.

    Raises
    ------
    ConventionError
        What is no leg.
    ParameterError
        No leg, or one contract twice.
    """

    legs: tuple[Leg, ...]
    source: str = "given"
    references: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        check_each("legs", self.legs, Leg, "legs_at_cost makes them of instruments")
        names = self.names
        if not names or len(set(names)) < len(names):
            twice = next((n for n in names if names.count(n) > 1), None)
            raise ParameterError(
                "no leg" if twice is None else f"two legs in {twice}",
                "one leg or more, each contract once",
                "correct the list of legs",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the contracts in order."""
        return tuple(leg.instrument.name for leg in self.legs)

    def limited(self, most: float | Mapping[str, float]) -> Legs:
        """Return the legs with at most so many contracts bought or sold, one number or one by name.

        Raises
        ------
        ConventionError
            Neither a number nor a mapping.
        ParameterError
            A name without a leg, or a size that is negative or NaN.
        """
        if isinstance(most, Mapping):
            unknown = [name for name in most if name not in self.names]
            if unknown:
                raise ParameterError(f"a limit for {unknown[0]!r}", "names of the legs", "correct the name")
        else:
            check_number("most", most)
        cut = []
        for leg in self.legs:
            size = most if isinstance(most, (int, float)) else most.get(leg.instrument.name, math.inf)
            cut.append(replace(leg, max_buy=min(leg.max_buy, size), max_sell=min(leg.max_sell, size)))
        return replace(self, legs=tuple(cut))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a leg: costs (USD a contract), sizes (contracts), tickets (USD) if there are any."""
        words = ["cost", "depth", "cost_beyond", "max_buy", "max_sell", "min_size"]
        # a column of zeros would only widen the table
        words += ["ticket"] if any(leg.ticket > 0.0 for leg in self.legs) else []
        rows: dict[str, dict[str, Any]] = {
            leg.instrument.name: {word: getattr(leg, word) for word in words} | {"lot": leg.instrument.lot}
            for leg in self.legs
        }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = "instrument"
        return frame

    def summary(self) -> pd.DataFrame:
        """Return :meth:`to_frame` rounded."""
        return self.to_frame().round(8)


def legs_at_cost(
    instruments: Iterable[Instrument], cost: float | Mapping[str, float] = 0.0, **more: Any
) -> Legs:
    """Return legs in given contracts at a cost in USD per contract, one number or one by name.

    Parameters
    ----------
    instruments : iterable of Instrument
    cost : float or mapping of str to float
    **more
        Further fields of :class:`Leg`, alike for all.

    Raises
    ------
    ConventionError
        What is no instrument, or a cost that is neither a number nor a mapping.
    DataGapError
        A mapping without one of the contracts.
    ParameterError
        As :class:`Leg` and :class:`Legs`.

    Examples
    --------
    >>> import pandas as pd
    >>> perpetual = parse_instrument("BTC-PERPETUAL", pd.Timestamp("2026-08-01", tz="UTC"))
    >>> legs_at_cost([perpetual], 0.002).legs[0].cost_of(-500.0)
    1.0
    """
    unknown = sorted(set(more) - {f.name for f in fields(Leg)})
    if unknown:
        raise ParameterError(f"no field {unknown[0]!r} of a leg", "max_buy, depth, ...", "see Leg")
    if not isinstance(cost, Mapping):
        check_number("cost", cost)
    found = []
    for instrument in check_each("instruments", instruments, Instrument, _PARSED):
        if not isinstance(cost, (int, float)) and instrument.name not in cost:
            raise DataGapError(
                f"no cost of {instrument.name}", "USD per contract for every leg", "complete the mapping"
            )
        own = cost if isinstance(cost, (int, float)) else cost[instrument.name]
        found.append(Leg(instrument=instrument, cost=float(own), **more))
    return Legs(legs=tuple(found))


def legs_from_quotes(
    quotes: Quotes,
    snapshot: MarketSnapshot,
    names: Iterable[str],
    *,
    fee_rate: float = 0.0,
    fee_cap: float = math.inf,
    depth: float = math.inf,
    beyond: float = 1.0,
    most: float = math.inf,
    min_size: float = 0.0,
) -> Legs:
    """Return legs in listed coin-settled contracts whose cost is half the quoted spread and a fee, in USD.

    Parameters
    ----------
    quotes : Quotes
        A chain of coin-settled contracts.
    snapshot : MarketSnapshot
        Of the same instant; coins are turned into USD at its index.
    names : iterable of str
        Contracts of the chain.
    fee_rate : float
        Fee as a share of the notional in USD, 0 or more.
    fee_cap : float
        Most that the fee of an option takes of its mid, as a share.
    depth : float
        Contracts at the touch. The chain has no sizes, so this is an assumption of the caller.
    beyond : float
        Half the spread beyond the depth as a multiple of the quoted one, 1 or more.
    most, min_size : float
        Contracts, as in :class:`Leg`.

    Returns
    -------
    Legs

    Raises
    ------
    DataGapError
        A contract that the chain does not quote, or quotes on one side only.
    ParameterError
        A rate or a multiple outside its range.
    ConventionError
        Quotes and snapshot more than ten minutes apart, or what is none.
    SchemaError, RuleVersionError
        A name that is no contract.

    Examples
    --------
    >>> import pmkit as pm
    >>> quotes = pm.market.read_quotes(pm.datasets.path("deribit-btc-2026-08-01"))
    >>> snap = pm.market.load_snapshot("deribit-btc-2026-08-01")
    >>> legs = legs_from_quotes(quotes, snap, ["BTC-28AUG26-70000-C"])
    >>> round(legs.legs[0].cost, 2)
    6.27
    """
    if not (fee_rate >= 0.0 and fee_cap >= 0.0 and 1.0 <= beyond < math.inf):
        raise ParameterError(
            f"fee_rate {fee_rate!r}, fee_cap {fee_cap!r}, beyond {beyond!r}",
            "rates of 0 or more, and a multiple of 1 or more",
            "correct them",
        )
    check_kind("quotes", quotes, Quotes, "pmkit.market.read_quotes(path)")
    check_kind("snapshot", snapshot, MarketSnapshot, "pmkit.market.load_snapshot(name)")
    apart = abs((quotes.as_of - snapshot.as_of).total_seconds())
    if apart > _APART:
        raise ConventionError(
            f"quotes of {quotes.as_of.isoformat()} with a snapshot of {snapshot.as_of.isoformat()}",
            f"one instant, or at most {_APART:g} seconds apart",
            "take both from the same source",
        )
    sides = quotes.frame[["bid", "ask"]].to_numpy(dtype=np.float64)
    quoted = dict(zip(quotes.frame["instrument"], sides.tolist(), strict=True))
    found = []
    for name in check_each("names", names, str, "write [name] for a single contract"):
        instrument = parse_instrument(name, snapshot.as_of)
        if name not in quoted:
            raise DataGapError(
                f"{name} is not quoted in {quotes.source}", "a contract of the chain", "drop it"
            )
        bid, ask = quoted[name]
        if not (bid > 0.0 and ask >= bid):
            raise DataGapError(
                f"{name} has bid {bid:g} and ask {ask:g} in {quotes.source}",
                "a bid and an ask: without them a trade has no price",
                "drop it from the legs, or give its cost with legs_at_cost",
            )
        half, mid = (ask - bid) / 2.0, (ask + bid) / 2.0
        if isinstance(instrument, Option):
            unit = snapshot.spot(instrument.underlying) * instrument.multiplier
            spread, fee = half * unit, min(fee_rate, fee_cap * mid) * unit
        else:
            spread, fee = half / mid * instrument.multiplier, fee_rate * instrument.multiplier
        found.append(
            Leg(
                instrument=instrument,
                cost=spread + fee,
                depth=depth,
                cost_beyond=spread * beyond + fee,
                max_buy=most,
                max_sell=most,
                min_size=min_size,
            )
        )
    return Legs(legs=tuple(found), source=f"half spreads of {quotes.source}, fee rate {fee_rate:g}")
