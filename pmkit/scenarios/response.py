"""How implied vol and the basis respond to spot, and by how much they move on their own: dated parameters."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.result import Result
from pmkit.scenarios.factors import TermScaling
from pmkit.scenarios.tables import check_keys, read_table

__all__ = ["FactorResponse", "UnderlyingResponse", "factor_response"]

DEFAULT_RESPONSE = "deribit-btc-eth-2026-04"


@dataclass(frozen=True, kw_only=True, slots=True)
class UnderlyingResponse:
    """Estimated response of one underlying's vol and basis to its own spot.

    Attributes
    ----------
    vol_slope, vol_slope_se, vol_slope_se_robust, vol_r2 : float
        Of d ln(30-day at-the-money vol) on d ln(spot), one day; classical and heteroscedasticity-robust
        errors.
    vol_residual_sd : float
        Of that regression, per root day.
    basis_slope, basis_slope_se, basis_r2, basis_residual_sd : float
        Of d ln(forward/spot) after run-off on d ln(spot), at the reference tenor, residual per root day.
    observations, basis_observations : int
    largest_fall : float
        Largest one-day log fall of spot in the sample.
    """

    observations: int
    largest_fall: float
    vol_slope: float
    vol_slope_se: float
    vol_slope_se_robust: float
    vol_r2: float
    vol_residual_sd: float
    basis_observations: int
    basis_slope: float
    basis_slope_se: float
    basis_r2: float
    basis_residual_sd: float


@dataclass(frozen=True, kw_only=True, repr=False)
class FactorResponse(Result):
    """Dated parameters of how implied vol and basis respond to spot.

    Attributes
    ----------
    id, venue, source : str
    first_observed, last_observed, valid_from : date
        Sample, and the first day on which the estimates could have been known.
    vol_term : TermScaling
        Law by which the move of 30-day vol reaches other tenors.
    vol_residual_df, basis_residual_df : float
        Degrees of freedom of the Student t residuals (scaled to their standard deviation); infinite for
        normal.
    vol_residual_correlation, basis_residual_correlation : float
        Between underlyings, from 0 to 1.
    basis_power : float
        Basis moves grow with tenor as ``(days / basis_reference_days) ** basis_power``.
    basis_expiry_decay : float
        Correlation between two expiries is ``exp(-decay |ln(days1 / days2)|)``.
    underlyings : mapping of str to UnderlyingResponse
    assumed : mapping of str to str
        What was assumed and not estimated, in words.
    """

    id: str
    venue: str
    source: str
    first_observed: date
    last_observed: date
    valid_from: date
    vol_term: TermScaling
    vol_residual_df: float
    vol_residual_correlation: float
    basis_reference_days: float
    basis_power: float
    basis_residual_df: float
    basis_expiry_decay: float
    basis_residual_correlation: float
    underlyings: Mapping[str, UnderlyingResponse]
    assumed: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranges = {
            "vol_residual_df": (2.0, math.inf),
            "basis_residual_df": (2.0, math.inf),
            "vol_residual_correlation": (0.0, 1.0),
            "basis_residual_correlation": (0.0, 1.0),
            "basis_reference_days": (1e-6, 1e6),
            "basis_power": (-2.0, 2.0),
            "basis_expiry_decay": (0.0, math.inf),
        }
        for name, (low, high) in ranges.items():
            self._check(name, getattr(self, name), low, high)
        for name in ("vol_residual_df", "basis_residual_df"):
            self._check(name, getattr(self, name), math.nextafter(2.0, 3.0), math.inf)
        for name in ("reference_days", "floor_days"):
            self._check(f"vol {name}", getattr(self.vol_term, name), 1e-6, 1e6)
        for coin, response in self.underlyings.items():
            for item in fields(response):
                low = -math.inf if item.name in ("vol_slope", "basis_slope", "largest_fall") else 0.0
                high = 1.0 if item.name.endswith(("_r2", "_sd")) else math.inf
                self._check(f"{item.name} of {coin}", getattr(response, item.name), low, high)
        if self.first_observed > self.last_observed or self.last_observed > self.valid_from:
            raise ParameterError(
                f"{self.id} is observed from {self.first_observed} to {self.last_observed}, valid from "
                f"{self.valid_from}",
                "dates in this order",
                "correct the parameter file",
            )

    def _check(self, name: str, value: Any, low: float, high: float) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ParameterError(
                f"{name} in response set {self.id!r} is {value!r}",
                f"a number from {low:g} to {high:g}",
                "correct the parameter file",
            )

    def of(self, underlying: str) -> UnderlyingResponse:
        """Return the response of one underlying, or raise DataGapError."""
        if underlying not in self.underlyings:
            raise DataGapError(
                f"response set {self.id!r} has no parameters for {underlying}",
                f"one of {', '.join(self.underlyings)}",
                "name the underlyings to simulate, or give a response set that covers it",
            )
        return self.underlyings[underlying]

    def basis_scale(self, days: float) -> float:
        """Return how much larger basis moves are at a tenor of ``days`` than at the reference tenor."""
        return float((days / self.basis_reference_days) ** self.basis_power)

    def note(self, as_of: pd.Timestamp) -> str:
        """Return in words which parameters are used at ``as_of`` and how old they are."""
        age = (as_of.date() - self.last_observed).days
        when = f"{age} days old" if as_of.date() >= self.valid_from else "estimated after the snapshot"
        return f"vol and basis respond by {self.id} ({self.source}; {when})"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter."""
        return fingerprint(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """Return every parameter: underlying (``all`` for shared ones), name, value."""
        shared = {
            "vol reference_days": self.vol_term.reference_days,
            "vol short_power": self.vol_term.short_power,
            "vol long_power": self.vol_term.long_power,
            "vol floor_days": self.vol_term.floor_days,
        }
        shared |= {
            f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), float)
        }
        rows = [("all", name, float(value)) for name, value in shared.items()]
        for coin, response in self.underlyings.items():
            rows += [(coin, f.name, float(getattr(response, f.name))) for f in fields(response)]
        return pd.DataFrame(rows, columns=["underlying", "parameter", "value"])

    def summary(self) -> pd.DataFrame:
        """Return one row an underlying: sample size, slopes with errors, R², residual sizes."""
        frame = pd.DataFrame(
            {coin: {f.name: getattr(r, f.name) for f in fields(r)} for coin, r in self.underlyings.items()}
        ).T
        frame.index.name = f"{self.id}: {self.first_observed} to {self.last_observed}"
        return frame


def factor_response(name: str | os.PathLike[str] = DEFAULT_RESPONSE) -> FactorResponse:
    """Return a dated response set by its id, or from the path of a TOML file of the same layout.

    Parameters
    ----------
    name : str or path
        Id of a shipped set, or a path that ends in ``.toml``.

    Returns
    -------
    FactorResponse

    Raises
    ------
    DataGapError
        No shipped set has that id, or the file is absent.
    ParameterError
        The file is not TOML, a key is missing or unknown, or a value lies outside its range.

    Notes
    -----
    ``d ln iv = scale(tenor) (vol_slope d ln S + e)`` and
    ``d ln(F/S) = (tenor/30)^power (basis_slope d ln S + u)`` after the carry has run off, with residuals e
    and u that are independent of spot.

    Examples
    --------
    >>> btc = factor_response("deribit-btc-eth-2026-04").of("BTC")
    >>> btc.vol_slope, btc.vol_slope_se, btc.vol_r2, btc.vol_residual_sd
    (-1.08, 0.1189, 0.4094, 0.03196)
    """
    found, _, where = read_table(name, "response set")
    return _from_table(found, where)


def _from_table(table: dict[str, Any], where: str) -> FactorResponse:
    """Return the set of a parsed file after checking its keys."""
    top = ("id", "venue", "source", "first_observed", "last_observed", "valid_from")
    vol = ("reference_days", "short_power", "long_power", "floor_days", "residual_df", "residual_correlation")
    basis = ("reference_days", "power", "residual_df", "expiry_decay", "residual_correlation")
    check_keys(table, (*top, "vol", "basis", "underlying", "assumed"), where)
    check_keys(table["vol"], vol, where, "vol")
    check_keys(table["basis"], basis, where, "basis")
    for coin, part in table["underlying"].items():
        check_keys(part, tuple(f.name for f in fields(UnderlyingResponse)), where, f"underlying.{coin}")
    for key in ("first_observed", "last_observed", "valid_from"):
        if not isinstance(table[key], date):
            raise ParameterError(
                f"{key} is {table[key]!r}", "a date such as 2026-04-30", "write it without quotes", file=where
            )
    v, b = table["vol"], table["basis"]
    return FactorResponse(
        **{key: table[key] for key in top},
        vol_term=TermScaling(**{key: v[key] for key in vol[:4]}),
        vol_residual_df=v["residual_df"],
        vol_residual_correlation=v["residual_correlation"],
        basis_reference_days=b["reference_days"],
        basis_power=b["power"],
        basis_residual_df=b["residual_df"],
        basis_expiry_decay=b["expiry_decay"],
        basis_residual_correlation=b["residual_correlation"],
        underlyings={coin: UnderlyingResponse(**part) for coin, part in table["underlying"].items()},
        assumed=table["assumed"],
    )
