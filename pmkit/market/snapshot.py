"""What is seen at one instant: spot, forwards, implied vols and marks, each with its source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.protocols import VolSurface
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.time import days_between, parse_utc, year_fraction
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual, Spot
from pmkit.market.underlying import ForwardQuote, Mark, UnderlyingMarket, check_fx
from pmkit.pricing import black76, black76_inverse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STABLECOINS", "ForwardQuote", "Mark", "MarketSnapshot", "UnderlyingMarket"]

#: Currencies worth one USD where a snapshot gives no other price.
STABLECOINS = ("USD", "USDC", "USDT")
#: Periods of eight hours in a year of 365 days.
_FUNDING_PERIODS = 3.0 * 365.0


@dataclass(frozen=True, kw_only=True, repr=False)
class MarketSnapshot(Result):
    """The market at one UTC instant.

    Attributes
    ----------
    as_of : pandas.Timestamp
    underlyings : mapping of str to UnderlyingMarket
    ledger : pandas.DataFrame
        Dropped quotes: instrument, reason and detail, one row each.
    listed : frozenset of str
        Names of the instruments in the source; empty where it is not a chain (then any contract is priced).
    source : str
        Name of the data set or file.
    notes : tuple of str
        What stands for what, in words, for the reader of a report.
    fx : mapping of str to float
        USD per unit of a currency that is no underlying; USD, USDC and USDT are 1 where they are not here.
    """

    as_of: pd.Timestamp
    underlyings: Mapping[str, UnderlyingMarket]
    ledger: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["instrument", "reason", "detail"])
    )
    listed: frozenset[str] = frozenset()
    source: str = "given"
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(method="market.MarketSnapshot"))
    fx: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fx(self.fx, {name: seen.spot for name, seen in self.underlyings.items()})

    @classmethod
    def from_marks(
        cls,
        as_of: str | pd.Timestamp,
        spot: Mapping[str, float],
        *,
        forwards: Mapping[str, Mapping[str, float]] | None = None,
        option_iv: Mapping[str, float] | None = None,
        perpetual: Mapping[str, float] | None = None,
        surfaces: Mapping[str, VolSurface] | None = None,
        funding: Mapping[str, float] | None = None,
        discounts: Mapping[str, Mapping[str, float]] | None = None,
        fx: Mapping[str, float] | None = None,
    ) -> MarketSnapshot:
        """Return a snapshot from given marks, all in USD and decimals.

        Parameters
        ----------
        as_of : str or Timestamp
            UTC instant.
        spot : mapping
            Index price by underlying, USD.
        forwards : mapping of mapping, optional
            By underlying, then by expiry (ISO instant in UTC), USD.
        option_iv : mapping, optional
            Implied vol by option name.
        perpetual : mapping, optional
            Mark of the perpetual by underlying; the index where absent.
        surfaces : mapping, optional
            Vol surface by underlying.
        funding : mapping, optional
            Last 8-hour funding rate of the perpetual by underlying, decimal, long pays where positive.
        discounts : mapping of mapping, optional
            Discount factor by underlying, then by expiry as in ``forwards``.
        fx : mapping, optional
            USD per unit of a collateral currency that is no underlying.

        Raises
        ------
        SchemaError
            A price, vol or discount factor that is not positive, or a rate that is not finite.
        ConventionError
            A vol or a funding rate in percent, or a currency priced twice.

        Examples
        --------
        >>> snap = MarketSnapshot.from_marks("2024-06-17T00:00:00Z", {"BTC": 65666.19})
        >>> snap.spot("BTC")
        65666.19
        """
        ivs = dict(option_iv or {})
        markets: dict[str, UnderlyingMarket] = {}
        for name, price in spot.items():
            quoted = {
                parse_utc(e): ForwardQuote(float(f), "given")
                for e, f in (forwards or {}).get(name, {}).items()
            }
            own_perpetual = (perpetual or {}).get(name)
            markets[name] = UnderlyingMarket(
                name=name,
                spot=float(price),
                spot_source="given",
                perpetual=float(price if own_perpetual is None else own_perpetual),
                perpetual_source="index" if own_perpetual is None else "given",
                forwards=dict(sorted(quoted.items())),
                option_iv={n: float(v) for n, v in ivs.items() if n.startswith(f"{name}-")},
                surface=(surfaces or {}).get(name),
                iv_source="given",
                funding=(funding or {}).get(name),
                discounts={parse_utc(e): float(d) for e, d in (discounts or {}).get(name, {}).items()},
            )
        prices = {str(c): float(p) for c, p in (fx or {}).items()}
        return cls(as_of=parse_utc(as_of), underlyings=markets, fx=prices)

    # -- reading --------------------------------------------------------------------------------------------
    def market(self, underlying: str) -> UnderlyingMarket:
        """Return everything seen of one underlying, or raise DataGapError."""
        if underlying not in self.underlyings:
            raise DataGapError(
                f"no market data for underlying {underlying!r}",
                f"one of {', '.join(self.underlyings) or 'none'}",
                f"load a snapshot that holds {underlying}",
            )
        return self.underlyings[underlying]

    def spot(self, underlying: str) -> float:
        """Return the index (or its stand-in) in USD."""
        return self.market(underlying).spot

    def tau(self, expiry: pd.Timestamp) -> float:
        """Return the years of 365 days from ``as_of`` to ``expiry``."""
        return year_fraction(self.as_of, expiry)

    def days(self, expiry: pd.Timestamp) -> float:
        """Return the days from ``as_of`` to ``expiry``."""
        return days_between(self.as_of, expiry)

    def forward(self, underlying: str, expiry: pd.Timestamp) -> float:
        """Return the forward of an expiry in USD; an expiry that was not seen is an error."""
        seen = self.market(underlying).forwards
        if expiry not in seen:
            raise DataGapError(
                f"no forward for {underlying} expiry {expiry.isoformat()}",
                f"one of {', '.join(e.date().isoformat() for e in seen) or 'none'}",
                "correct the expiry, or load a snapshot that holds it",
            )
        return seen[expiry].price

    def discount(self, underlying: str, expiry: pd.Timestamp) -> float:
        """Return the discount factor of quote currency to an expiry, 1 where the snapshot has none."""
        return self.market(underlying).discounts.get(expiry, 1.0)

    def funding_rate(self, underlying: str) -> float | None:
        """Return the perpetual's last funding rate as a simple annual decimal, None where there is none."""
        rate = self.market(underlying).funding
        return None if rate is None else _FUNDING_PERIODS * rate

    def usd_price(self, currency: str) -> float:
        """Return USD per unit of a currency: its fx, 1 for a stablecoin without one, the spot of a coin."""
        if currency in self.fx:
            return self.fx[currency]
        return 1.0 if currency in STABLECOINS else self.spot(currency)

    def iv(self, option: Option) -> float:
        """Return the implied vol of an option: its own, else the surface at its strike."""
        seen = self.market(option.underlying)
        if option.name in seen.option_iv:
            return seen.option_iv[option.name]
        if seen.surface is None:
            raise DataGapError(
                f"no implied vol for {option.name} and no surface for {option.underlying}",
                "an own quote or a fitted surface",
                "give its implied vol, or load a chain from which a surface can be fitted",
            )
        k = math.log(option.strike / self.forward(option.underlying, option.expiry))
        tau = self.tau(option.expiry)
        return math.sqrt(float(seen.surface.w(k, tau)) / tau)

    def ivs(self, options: Sequence[Option]) -> FloatArray:
        """Return the implied vols of many options, decimals: those of :meth:`iv`, one surface call an expiry.

        Parameters
        ----------
        options : sequence of Option

        Returns
        -------
        ndarray, shape (options,)

        Raises
        ------
        DataGapError
            As :meth:`iv`.

        Examples
        --------
        >>> from pmkit.instruments import parse_instrument
        >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0},
        ...     option_iv={"BTC-28AUG26-70000-C": 0.5})
        >>> snap.ivs([parse_instrument("BTC-28AUG26-70000-C", snap.as_of)]).tolist()
        [0.5]
        """
        vols = np.empty(len(options))
        rest: dict[tuple[str, pd.Timestamp], list[int]] = {}
        for row, option in enumerate(options):
            own = self.market(option.underlying).option_iv.get(option.name)
            if own is None:
                rest.setdefault((option.underlying, option.expiry), []).append(row)
            else:
                vols[row] = own
        for (underlying, expiry), rows in rest.items():
            surface = self.market(underlying).surface
            if surface is None:
                # one by one says which option has no vol
                vols[rows] = [self.iv(options[row]) for row in rows]
                continue
            forward, tau = self.forward(underlying, expiry), self.tau(expiry)
            k = np.array([math.log(options[row].strike / forward) for row in rows])
            vols[rows] = np.sqrt(surface.w(k, tau) / tau)
        return vols

    def on_surface(self) -> MarketSnapshot:
        """Return the snapshot without own vols: every option is worth what its surface says.

        Raises
        ------
        DataGapError
            An underlying with own vols has no surface.
        """
        markets = {}
        for name, seen in self.underlyings.items():
            if seen.option_iv and seen.surface is None:
                raise DataGapError(
                    f"no surface for {name}", "a fitted surface", "keep the own vols of its options"
                )
            markets[name] = replace(seen, option_iv={})
        return replace(self, underlyings=markets)

    def atm_iv(self, underlying: str, days: float) -> float:
        """Return the at-the-money-forward implied vol at a tenor in days, read from the surface."""
        surface = self.market(underlying).surface
        if surface is None:
            raise DataGapError(
                f"no surface for {underlying}",
                "a fitted surface",
                "load a chain with options, or give the vol level",
            )
        tau = days / 365.0
        return math.sqrt(float(surface.w(0.0, tau)) / tau)

    def check_tradable(self, instrument: Instrument) -> None:
        """Raise where the contract is unknown to the chain or expired at ``as_of``."""
        if isinstance(instrument, (Future, Option)) and instrument.expiry <= self.as_of:
            raise SchemaError(
                f"{instrument.name} expired at {instrument.expiry.isoformat()}",
                f"an expiry after the snapshot's {self.as_of.isoformat()}",
                "remove the settled line and book its cash flow as collateral",
            )
        if self.listed and not isinstance(instrument, Spot) and instrument.name not in self.listed:
            raise SchemaError(
                f"unknown instrument {instrument.name!r} in snapshot {self.source}",
                f"one of its {len(self.listed)} instruments",
                "correct the name, or load the snapshot that lists it",
            )

    def mark(self, instrument: Instrument) -> Mark:
        """Return the mark of a contract: coins for inverse options, USD for everything else."""
        self.check_tradable(instrument)
        seen = self.market(instrument.underlying)
        if isinstance(instrument, Spot):
            return Mark(seen.spot, math.nan, seen.spot_source)
        if isinstance(instrument, Perpetual):
            return Mark(seen.perpetual, math.nan, seen.perpetual_source)
        if isinstance(instrument, Option):
            forward = self.forward(instrument.underlying, instrument.expiry)
            iv, tau = self.iv(instrument), self.tau(instrument.expiry)
            source = seen.iv_source if instrument.name in seen.option_iv else "surface"
            terms = (forward, instrument.strike, tau, iv)
            if instrument.is_inverse:
                return Mark(float(black76_inverse(*terms, is_call=instrument.is_call)), iv, source)
            df = self.discount(instrument.underlying, instrument.expiry)
            return Mark(float(black76(*terms, df, instrument.is_call)), iv, source)
        if isinstance(instrument, Future):
            quote = seen.forwards.get(instrument.expiry)
            if quote is None:
                self.forward(instrument.underlying, instrument.expiry)
            assert quote is not None
            return Mark(quote.price, math.nan, quote.source)
        raise SchemaError(
            f"{instrument.name} is a {type(instrument).__name__}",
            "a spot, future, perpetual or option",
            "use one of these",
        )

    @cached_property
    def ledger_reasons(self) -> dict[str, tuple[str, ...]]:
        """Why an instrument has no usable quote of its own, by name, for those that the ledger lists."""
        found: dict[str, dict[str, None]] = {}
        for name, reason in zip(self.ledger["instrument"], self.ledger["reason"], strict=True):
            found.setdefault(str(name), {})[str(reason)] = None
        return {name: tuple(reasons) for name, reasons in found.items()}

    # -- display --------------------------------------------------------------------------------------------
    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of every number that prices a contract or a balance."""
        parts = [
            (
                m.name,
                m.spot,
                m.perpetual,
                [(e.isoformat(), f.price) for e, f in m.forwards.items()],
                sorted(m.option_iv.items()),
            )
            for m in self.underlyings.values()
        ]
        # what few snapshots hold is added only where it is there
        extra = [
            (m.name, m.funding, sorted((e.isoformat(), d) for e, d in m.discounts.items()))
            for m in self.underlyings.values()
            if m.funding is not None or m.discounts
        ]
        rest = [*extra, sorted(self.fx.items())] if extra or self.fx else []
        return fingerprint(self.as_of.isoformat(), parts, *rest)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the at-the-money vol of every expiry against its days, one line an underlying."""
        axes = new_axes(ax)
        frame = self.to_frame()
        for name, rows in frame.groupby("underlying", sort=False):
            axes.plot(rows["days"].to_numpy(), 100.0 * rows["atm_iv"].to_numpy(), marker="o", label=str(name))
        axes.set_xscale("log")
        axes.set(
            xlabel="days to expiry",
            ylabel="at-the-money implied vol, % a year",
            title=f"{self.source}, {self.as_of:%Y-%m-%d %H:%M} UTC",
        )
        axes.legend()
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row per underlying: spot, expiries, options with an own vol, 30-day ATM vol.

        Currencies with an fx have a row too, and the 8-hour funding rate a column, where there are any.
        """
        rows: dict[str, dict[str, object]] = {
            m.name: {
                "spot": m.spot,
                "spot_source": m.spot_source,
                "expiries": len(m.forwards),
                "option_vols": len(m.option_iv),
                "atm_iv_30d": round(self.atm_iv(m.name, 30.0), 6) if m.surface is not None else math.nan,
            }
            for m in self.underlyings.values()
        }
        if any(m.funding is not None for m in self.underlyings.values()):
            for m in self.underlyings.values():
                rows[m.name]["funding_8h"] = math.nan if m.funding is None else m.funding
        no_market = {"expiries": 0, "option_vols": 0, "atm_iv_30d": math.nan}
        rows |= {c: {"spot": price, "spot_source": "fx", **no_market} for c, price in self.fx.items()}
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per underlying and expiry: days, forward and its source, ATM vol; df where given."""
        rows = []
        for m in self.underlyings.values():
            for expiry, quote in m.forwards.items():
                days = self.days(expiry)
                rows.append(
                    {
                        "underlying": m.name,
                        "expiry": expiry,
                        "days": days,
                        "forward": quote.price,
                        "source": quote.source,
                        "atm_iv": self.atm_iv(m.name, days)
                        if m.surface is not None and days > 0
                        else math.nan,
                    }
                    | ({"df": m.discounts.get(expiry, 1.0)} if m.discounts else {})
                )
        return pd.DataFrame(rows)
