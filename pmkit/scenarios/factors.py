"""Risk factors: what a column of a scenario set moves, in which unit, and which moves make sense."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import FloatArray

__all__ = ["Factor", "FactorKind", "TermScaling", "check_factors", "check_moves", "unit_of"]

FactorKind = Literal["spot", "vol", "basis", "fixing", "skew", "curvature", "term", "rate", "funding", "fx"]
MoveUnit = Literal["log", "relative"]

#: what one unit of a move is, where the set does not choose between log and relative
_UNITS: Mapping[str, str] = {
    "basis": "log",
    "fixing": "log",
    "skew": "vol per sd",
    "curvature": "vol per sd²",
    "term": "exponent",
    "rate": "rate a year",
    "funding": "rate a year",
    "fx": "log",
}
_MEANINGS: Mapping[str, str] = {
    "spot": "move of the index over the horizon",
    "vol": "move of implied vol at the reference tenor",
    "basis": "move of ln(forward/index) after carry has run off",
    "fixing": "log move of the index from now to the settlement",
    "skew": "fall of implied vol per standard deviation of ln(K/F)",
    "curvature": "rise of implied vol per squared standard deviation of ln(K/F)",
    "term": "vol times (days/reference tenor)^x",
    "rate": "parallel move of the continuously compounded rate of a currency",
    "funding": "change of the perpetual's annual funding rate over the horizon",
    "fx": "log move of a collateral currency's price in USD",
}
#: kinds that may name an expiry; a fixing must
_DATED = ("basis", "fixing")
#: a rate or an exponent beyond this is a slip of unit, not a scenario
_LARGEST = {"rate": 1.0, "funding": 10.0, "term": 5.0, "skew": 5.0, "curvature": 5.0}
#: so is a relative move of spot or vol beyond this
_LARGEST_RELATIVE = 5.0


class Factor(NamedTuple):
    """One risk factor: its kind, the underlying or currency it belongs to, and an expiry where it has one.

    * ``spot``: move of the index over the horizon, in the set's ``spot_unit``.
    * ``vol``: move of implied vol at the reference tenor of :class:`TermScaling`, in ``vol_unit``; other
      tenors by its law.
    * ``basis``: move of ln(forward / index) of ``expiry``, additive in logs, after carry has run off; without
      expiry, of the perpetual.
    * ``fixing``: log move of the index from now to ``expiry``, an instant of settlement inside the horizon.
    * ``skew``: fall of implied vol per standard deviation of log-moneyness at the money, decimal.
    * ``curvature``: rise of implied vol per squared standard deviation at the money, decimal.
    * ``term``: exponent x of the factor ``(days/reference_days)**x`` on implied vol: above 0 the long end
      rises against the short.
    * ``rate``: parallel move of the continuously compounded rate of a currency (which stands in
      ``underlying``), decimal a year: 0.01 is a hundred basis points.
    * ``funding``: change of the perpetual's funding rate over the horizon, decimal a year (simple, 365 days);
      the expected rate itself comes from the snapshot.
    * ``fx``: log move of the USD price of a collateral currency that is no underlying, such as USDC.

    Skew, curvature and term are those of :class:`pmkit.surface.SurfaceShock` (its ``skew``, ``curvature`` and
    ``twist``): with ``z = k/(iv_ATM sqrt(tau))`` before the shock and ``t = 3 tanh(z/3)``, the vol after
    is ``c iv - skew t + curvature t^2`` with c the product of level and term factors, x alike at every tenor.
    """

    kind: FactorKind
    underlying: str
    expiry: pd.Timestamp | None = None

    @property
    def label(self) -> str:
        """Name used in frames, for example ``BTC spot`` or ``BTC basis 2026-12-25``.

        The day of the expiry, with its hour where that is not 08:00 UTC: ``BTC fixing 2026-12-25T20:00``.
        """
        if self.expiry is None:
            return f"{self.underlying} {self.kind}"
        hour = "" if (self.expiry.hour, self.expiry.minute) == (8, 0) else f"T{self.expiry:%H:%M}"
        return f"{self.underlying} {self.kind} {self.expiry:%Y-%m-%d}{hour}"

    @property
    def meaning(self) -> str:
        """What the factor moves, in words."""
        return _MEANINGS[self.kind]


@dataclass(frozen=True, kw_only=True, slots=True)
class TermScaling:
    """Power law by which a vol shock at the reference tenor reaches other tenors.

    ``scale(d) = (reference_days / max(d, floor_days)) ** p`` with ``p = short_power`` below the reference
    tenor and ``long_power`` from it on. Zero powers give a parallel shock.

    Raises
    ------
    ParameterError
        Days that are not positive, or a power that is not finite.

    Examples
    --------
    >>> round(TermScaling(short_power=0.30, long_power=0.13).scale(7.0), 8)
    1.54741558
    """

    reference_days: float = 30.0
    short_power: float = 0.0
    long_power: float = 0.0
    floor_days: float = 1.0

    def __post_init__(self) -> None:
        for word in ("reference_days", "floor_days", "short_power", "long_power"):
            value, days = getattr(self, word), word.endswith("_days")
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not number or (days and value <= 0.0):
                raise ParameterError(
                    f"{word} of the term law is {value!r}",
                    "a positive number of days" if days else "a finite power",
                    "correct it",
                )

    def scale(self, days: float) -> float:
        """Return the factor by which the shock of the reference tenor is multiplied at ``days``."""
        power = self.short_power if days < self.reference_days else self.long_power
        return float((self.reference_days / max(days, self.floor_days)) ** power)

    @property
    def words(self) -> str:
        """The law in words."""
        if self.short_power == self.long_power == 0.0:
            return "parallel: every tenor moves alike"
        d = f"{self.reference_days:g}"
        return (
            f"({d}/days)^{self.short_power:g} below {d} days, ({d}/days)^{self.long_power:g} beyond, "
            f"held below {self.floor_days:g}"
        )


def unit_of(factor: Factor, spot_unit: str, vol_unit: str) -> str:
    """Return the unit in which a column is written, in one or two words."""
    return {"spot": spot_unit, "vol": vol_unit}.get(factor.kind) or _UNITS[factor.kind]


def check_factors(factors: Sequence[Factor]) -> None:
    """Raise where a column is no factor, appears twice, lacks its expiry or has one that means nothing.

    Raises
    ------
    ConventionError
        A column that is no Factor, an unknown kind, or a currency that moves twice (``spot`` and ``fx``).
    ParameterError
        A repeated factor, an expiry where none belongs, or a fixing without one.
    """
    for factor in factors:
        if not isinstance(factor, Factor) or factor.kind not in get_args(FactorKind):
            raise ConventionError(
                f"column {factor!r}",
                f"a Factor of kind {', '.join(get_args(FactorKind))}",
                "name one of them",
            )
        dated = factor.expiry is not None
        if (dated and factor.kind not in _DATED) or (factor.kind == "fixing" and not dated):
            raise ParameterError(
                f"{factor.label} {'names an expiry' if dated else 'names no expiry'}",
                "an expiry for a fixing, and otherwise only for a basis",
                "drop the expiry" if dated else "name the instant of settlement",
            )
    if len(set(factors)) < len(factors):
        seen: set[Factor] = set()
        twice = next(f for f in factors if f in seen or seen.add(f))  # type: ignore[func-returns-value]
        raise ParameterError(f"factor {twice.label} appears twice", "distinct factors", "merge the columns")
    spots = {f.underlying for f in factors if f.kind == "spot"}
    for factor in factors:
        if factor.kind == "fx" and factor.underlying in spots:
            raise ConventionError(
                f"{factor.underlying} moves as spot and as fx",
                "one move of its USD price",
                f"drop the factor {factor.label!r}: collateral in a coin follows its spot",
            )


def check_moves(
    factors: Sequence[Factor], shocks: FloatArray, spot_unit: str, vol_unit: str, names: Sequence[str] | None
) -> None:
    """Raise where a move is not finite, takes a price or a vol below 0, or looks like another unit.

    Raises
    ------
    ParameterError
        NaN or infinity; a relative spot move of -1 or below, or a relative vol move below -1.
    ConventionError
        A move of rate, funding, term, skew or curvature, or a relative move of spot or vol, so large that it
        must be in percent.
    """
    for column, factor in enumerate(factors):
        x = shocks[:, column]
        unit = unit_of(factor, spot_unit, vol_unit)
        bad, expected, remedy = ~np.isfinite(x), "finite numbers", "drop or repair the observation"
        if not bad.any() and unit == "relative":
            bad = x <= -1.0 if factor.kind == "spot" else x < -1.0
            expected = f"a finite decimal above -1 ({unit})"
            remedy = "write -0.16 for 16 per cent down"
        limit = _LARGEST_RELATIVE if unit == "relative" else _LARGEST.get(factor.kind)
        if bad.any():
            row = int(np.argmax(bad))
            name = f"{row}" if names is None else repr(names[row])
            raise ParameterError(
                f"{factor.kind} move {x[row]:g} in scenario {name} ({factor.label})", expected, remedy
            )
        if limit is not None and float(np.max(np.abs(x))) > limit:
            row = int(np.argmax(np.abs(x)))
            raise ConventionError(
                f"{factor.label} moves by {x[row]:g} ({unit}) in scenario {row}: looks like percent",
                f"a decimal between {-limit:g} and {limit:g}",
                "divide by 100",
            )
