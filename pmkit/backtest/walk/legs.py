"""Legs of a constant book, and the named books made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, Settlement

__all__ = ["PRESETS", "Leg", "LegKind", "linear_pnl", "matrix_of", "option_leg"]

LegKind = Literal["perpetual", "future", "option"]
"""``perpetual`` and ``future`` move with the index, because their basis is taken as constant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leg:
    """One leg of a constant book.

    Parameters
    ----------
    underlying : str
        Column of the price history, for example ``"BTC"``.
    kind : {"perpetual", "future", "option"}
        A future of constant maturity whose basis does not move has the P&L of a perpetual.
    weight : float
        Signed notional (spot price of what the leg is written on) as a share of the book's notional of 1.
    tenor_days : float, optional
        Days to expiry at each close, above 0; needed for an option.
    moneyness : float
        K/F of an option, above 0.
    is_call : bool, optional
        True for a call, False for a put; needed for an option.
    settlement : {"linear", "inverse"}
        In quote currency or in coin.

    Raises
    ------
    ParameterError
        A value outside its domain, an option without tenor or right, or another leg with them.

    Examples
    --------
    >>> Leg(underlying="BTC", kind="option", weight=-1.0, tenor_days=30, is_call=True).label
    '-1 BTC call 30d K/F 1'
    """

    underlying: str
    kind: LegKind
    weight: float
    tenor_days: float | None = None
    moneyness: float = 1.0
    is_call: bool | None = None
    settlement: Settlement = "linear"

    def __post_init__(self) -> None:
        if self.kind not in ("perpetual", "future", "option"):
            raise ParameterError(
                f"kind of leg is {self.kind!r}", "'perpetual', 'future' or 'option'", "name one of them"
            )
        if self.settlement not in ("linear", "inverse"):
            raise ParameterError(
                f"settlement is {self.settlement!r}", "'linear' or 'inverse'", "name one of them"
            )
        for name, value, positive in (
            ("weight", self.weight, False),
            ("moneyness", self.moneyness, True),
            ("tenor_days", self.tenor_days, True),
        ):
            if value is None:
                continue
            if isinstance(value, (bool, str)) or not math.isfinite(value) or (positive and value <= 0.0):
                raise ParameterError(
                    f"{name} of the {self.underlying} {self.kind} is {value!r}",
                    "a positive number" if positive else "a finite number",
                    "correct the leg",
                )
        if self.kind == "option" and (
            self.tenor_days is None or not isinstance(self.is_call, (bool, np.bool_))
        ):
            raise ParameterError(
                f"{self.underlying} option with tenor_days={self.tenor_days!r} and is_call={self.is_call!r}",
                "days to expiry, and True for a call or False for a put",
                "give both",
            )
        if self.kind == "perpetual" and (self.tenor_days is not None or self.is_call is not None):
            raise ParameterError(
                f"the {self.underlying} perpetual has a tenor or a right",
                "a perpetual without them",
                "say kind='option' or kind='future'",
            )

    @property
    def label(self) -> str:
        """Weight and contract in words."""
        tenor = "" if self.tenor_days is None else f" {self.tenor_days:g}d"
        if self.kind != "option":
            return f"{self.weight:+g} {self.underlying} {self.kind}{tenor}"
        right = "call" if self.is_call else "put"
        return f"{self.weight:+g} {self.underlying} {right}{tenor} K/F {self.moneyness:g}"


def option_leg(
    underlying: str, weight: float, is_call: bool, tenor: float = 30.0, moneyness: float = 1.0
) -> Leg:
    """Return an option settled in its coin, its tenor in days and its strike over the forward."""
    return Leg(
        underlying=underlying,
        kind="option",
        weight=weight,
        tenor_days=tenor,
        moneyness=moneyness,
        is_call=is_call,
        settlement="inverse",
    )


def _straddle(underlying: str, weight: float, tenor: float = 30.0) -> list[Leg]:
    return [option_leg(underlying, weight, True, tenor), option_leg(underlying, weight, False, tenor)]


def _perpetual(underlying: str, weight: float) -> Leg:
    return Leg(underlying=underlying, kind="perpetual", weight=weight, settlement="inverse")


#: Name of each preset: legs, and whether the delta is hedged at each close.
PRESETS: dict[str, tuple[tuple[Leg, ...], bool]] = {
    "long_btc": ((_perpetual("BTC", 1.0),), False),
    "short_btc": ((_perpetual("BTC", -1.0),), False),
    "long_eth": ((_perpetual("ETH", 1.0),), False),
    "short_eth": ((_perpetual("ETH", -1.0),), False),
    "btc_eth_spread": ((_perpetual("BTC", 1.0), _perpetual("ETH", -1.0)), False),
    "long_straddle_30d": (tuple(_straddle("BTC", 1.0)), True),
    "short_straddle_30d": (tuple(_straddle("BTC", -1.0)), True),
    "risk_reversal_30d": (
        (option_leg("BTC", 1.0, True, moneyness=1.1), option_leg("BTC", -1.0, False, moneyness=0.9)),
        True,
    ),
    "covered_call_30d": ((_perpetual("BTC", 1.0), option_leg("BTC", -1.0, True, moneyness=1.1)), False),
    "calendar_30d_90d": ((*_straddle("BTC", -1.0), *_straddle("BTC", 1.0, 90.0)), True),
}


def matrix_of(name: str, values: npt.ArrayLike, columns: int) -> FloatArray:
    """Return a float64 array of shape (n, columns); a vector stands for one column."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1 and columns == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != columns:
        raise ParameterError(
            f"{name} has shape {array.shape}",
            f"(scenarios, {columns}), one column an underlying of the book",
            "order the columns as in book.underlyings",
        )
    return array


def linear_pnl(log_return: FloatArray, coin: bool, out: FloatArray) -> None:
    """Fill ``out`` with the P&L of one unit of notional in the index: e^R - 1 in USD, 1 - e^-R in coin."""
    if coin:
        np.negative(np.expm1(-log_return), out=out)
    else:
        np.expm1(log_return, out=out)
