"""What is held: one frozen record per contract, with every convention as a required field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.time import parse_utc

if TYPE_CHECKING:
    import pandas as pd

    from pmkit.core.types import Settlement

__all__ = ["Future", "Instrument", "Option", "Perpetual", "Spot"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """A contract: name, underlying, settlement, currency, size and lot.

    Parameters
    ----------
    name : str
        The venue's name, unique within a portfolio.
    underlying : str
        Coin or index whose price the contract follows, for example ``"BTC"``.
    settlement : {"linear", "inverse"}
        ``"inverse"`` pays in the underlying coin, ``"linear"`` in quote currency.
    settlement_currency : str
        Currency of the cash flows; the underlying itself for an inverse contract.
    multiplier : float
        Per contract: units of underlying, or USD for inverse futures and perpetuals. Positive.
    lot : float
        Smallest tradable number of contracts. Positive.

    Raises
    ------
    ParameterError
        Multiplier or lot not positive.
    ConventionError
        Settlement not one of the two words, or inverse in a currency that is not the underlying.
    """

    name: str
    underlying: str
    settlement: Settlement
    settlement_currency: str
    multiplier: float
    lot: float

    def __post_init__(self) -> None:
        for field, value in (("multiplier", self.multiplier), ("lot", self.lot)):
            if not (math.isfinite(value) and value > 0.0):
                raise ParameterError(
                    f"{field} of {self.name} is {value!r}",
                    "a positive number",
                    "take it from the contract specification",
                )
        if self.settlement not in ("linear", "inverse"):
            raise ConventionError(
                f"settlement of {self.name} is {self.settlement!r}",
                "'linear' or 'inverse'",
                "name one of the two",
            )
        if self.settlement == "inverse" and self.settlement_currency != self.underlying:
            raise ConventionError(
                f"inverse contract {self.name} settles in {self.settlement_currency}",
                f"settlement in its underlying {self.underlying}",
                "set settlement_currency to the underlying, or settlement to 'linear'",
            )

    @property
    def is_inverse(self) -> bool:
        """True where cash flows are in the underlying coin."""
        return self.settlement == "inverse"

    @property
    def kind(self) -> str:
        """Class name in lower case, for tables."""
        return type(self).__name__.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot(Instrument):
    """A holding of the coin itself; ``multiplier`` coins per unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Perpetual(Instrument):
    """A future without expiry, tied to the index by funding payments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Future(Instrument):
    """A dated future; ``expiry`` is the aware UTC instant of settlement."""

    expiry: pd.Timestamp

    def __post_init__(self) -> None:
        # slots=True rebuilds the class, so the zero-argument super() would name the wrong one
        Instrument.__post_init__(self)
        object.__setattr__(self, "expiry", parse_utc(self.expiry, column="expiry"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Option(Instrument):
    """A European option on the forward of its own expiry; strike in quote currency, positive."""

    expiry: pd.Timestamp
    strike: float
    is_call: bool

    def __post_init__(self) -> None:
        Instrument.__post_init__(self)
        object.__setattr__(self, "expiry", parse_utc(self.expiry, column="expiry"))
        if not (math.isfinite(self.strike) and self.strike > 0.0):
            raise ParameterError(
                f"strike of {self.name} is {self.strike!r}", "a positive number", "correct the strike"
            )
