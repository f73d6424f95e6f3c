"""What is seen at one instant: spot, forwards, implied vols and marks, each with its source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.protocols import VolSurface
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.time import days_between, parse_utc, year_fraction
from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual, Spot
from pmkit.pricing import black76, black76_inverse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ForwardQuote", "Mark", "MarketSnapshot", "UnderlyingMarket"]


class ForwardQuote(NamedTuple):
    """Forward price of one expiry in quote currency and where it came from."""

    price: float
    source: str


class Mark(NamedTuple):
    """Mark of one contract: price in its unit of quotation, implied vol where it has one, and the source."""

    price: float
    iv: float
    source: str


@dataclass(frozen=True, kw_only=True)
class UnderlyingMarket:
    """Everything seen of one underlying.

    Attributes
    ----------
    name : str
    spot : float
        Index or its stand-in, USD per unit.
    spot_source : str
        ``"index"``, ``"perpetual mid"`` or ``"given"``.
    perpetual : float
        Mark price of the perpetual, USD.
    perpetual_source : str
    forwards : mapping of Timestamp to ForwardQuote
        By expiry, ascending.
    option_iv : mapping of str to float
        Implied vol by option name, from its own quotes (decimal, annualised).
    surface : VolSurface or None
        Fitted to the chain; prices options without an own vol and moves the smile.
    funding : float or None
        Last 8-hour funding rate, decimal; None where the source has none.
    """

    name: str
    spot: float
    spot_source: str
    perpetual: float
    perpetual_source: str
    forwards: Mapping[pd.Timestamp, ForwardQuote] = field(default_factory=dict)
    option_iv: Mapping[str, float] = field(default_factory=dict)
    surface: VolSurface | None = None
    funding: float | None = None
    iv_source: str = "mid"

    def __post_init__(self) -> None:
        prices = {"spot": self.spot, "perpetual": self.perpetual}
        prices |= {f"forward {e:%Y-%m-%d}": f.price for e, f in self.forwards.items()}
        for what, price in prices.items():
            if not (math.isfinite(price) and price > 0.0):
                raise SchemaError(
                    f"{what} of {self.name} is {price!r}",
                    "a positive price in USD",
                    "correct the market data",
                )
        for name, iv in self.option_iv.items():
            if not (math.isfinite(iv) and iv > 0.0):
                raise SchemaError(
                    f"implied vol of {name} is {iv!r}", "a positive decimal", "correct or drop the quote"
                )
            if iv > 5.0:
                raise ConventionError(
                    f"implied vol of {name} is {iv:g}: looks like percent",
                    "a decimal such as 0.55",
                    "divide by 100",
                )


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
            )
        return cls(as_of=parse_utc(as_of), underlyings=markets)

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
            price = black76_inverse if instrument.is_inverse else black76
            return Mark(
                float(price(forward, instrument.strike, tau, iv, is_call=instrument.is_call)), iv, source
            )
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

    # -- display --------------------------------------------------------------------------------------------
    @property
    def fingerprint(self) -> str:
        """Fingerprint of every number that prices a contract."""
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
        return fingerprint(self.as_of.isoformat(), parts)

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
        """Return one row per underlying: spot, expiries, options with an own vol, 30-day ATM vol."""
        rows = {
            m.name: {
                "spot": m.spot,
                "spot_source": m.spot_source,
                "expiries": len(m.forwards),
                "option_vols": len(m.option_iv),
                "atm_iv_30d": round(self.atm_iv(m.name, 30.0), 6) if m.surface is not None else math.nan,
            }
            for m in self.underlyings.values()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per underlying and expiry: days, forward and its source, ATM vol."""
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
                )
        return pd.DataFrame(rows)
