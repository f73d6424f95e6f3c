"""Forwards and discount factors of one underlying by expiry, and what holds between expiries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.time import year_fraction
from pmkit.core.types import FloatArray, Settlement
from pmkit.market.snapshot import ForwardQuote
from pmkit.pricing.inputs import as_floats
from pmkit.surface.inputs.forwards_parity import ParityForward

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ForwardCurve"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ForwardCurve(Result):
    """Forwards and discount factors of one underlying by expiry, with what could not be found.

    Attributes
    ----------
    underlying : str
    spot : float
        Mid of the perpetual in USD, which stands for the index; of an index chain its last level.
    as_of : pandas.Timestamp
        Instant from which times to expiry count.
    quotes : mapping of Timestamp to ForwardQuote
        Ascending by expiry.
    parity : mapping of Timestamp to ParityForward
        Estimates by parity wherever pairs exist, also where the future was preferred.
    ledger : tuple of (instrument, reason, detail)
        Expiries without a forward: ``no_forward`` (coin-settled, and too few pairs), ``parity_infeasible``
        (bids and asks contradict each other), ``discount_out_of_range``, ``no_discount``; and pairs left out
        of an estimate, ``stale_pairs``; a listed future that is used although the call-put pairs bound the
        forward away from it, ``future_outside_parity``.
    df : mapping of Timestamp to float
        Discount factor by expiry; 1 where it is not named (coin-settled options).
    status : mapping of Timestamp to str
        ``ok``, ``repaired``, ``infeasible``, ``at_bound`` or ``too_few_points`` of every expiry that was
        looked at; empty where a curve was made by hand.
    settlement : {"inverse", "linear"}
    """

    underlying: str
    spot: float
    as_of: pd.Timestamp
    quotes: dict[pd.Timestamp, ForwardQuote]
    parity: dict[pd.Timestamp, ParityForward]
    ledger: tuple[tuple[str, str, str], ...]
    df: Mapping[pd.Timestamp, float] = field(default_factory=dict)
    status: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    settlement: Settlement = "inverse"

    def discount(self, expiry: pd.Timestamp) -> float:
        """Return the discount factor of an expiry, 1 where none is named."""
        return float(self.df.get(expiry, 1.0))

    def at(self, tau: npt.ArrayLike) -> FloatArray:
        """Return forwards in USD at times in years: ln F is linear in tau, from the spot at 0.

        Beyond the last expiry the carry from the spot to it goes on. A curve without expiries is flat.

        Raises
        ------
        ParameterError
            A negative time.
        """
        years = as_floats("tau", tau, "years", any_sign=True, finite=False)
        if (years < 0.0).any():
            raise ParameterError(
                f"tau is {float(np.nanmin(years)):g} years", "0 or more", "drop what has expired"
            )
        if not self.quotes:
            return np.where(np.isnan(years), np.nan, self.spot)
        knots = np.array([0.0] + [year_fraction(self.as_of, e) for e in self.quotes])
        logs = np.log(np.array([self.spot] + [f.price for f in self.quotes.values()]))
        carry = (logs[-1] - logs[0]) / knots[-1]
        beyond = np.maximum(years - knots[-1], 0.0) * carry
        return np.asarray(np.exp(np.interp(years, knots, logs) + beyond))

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: tau, forward, source, difference from parity in bp, df, status."""
        columns = ["expiry", "tau", "forward", "source", "difference_bp", "df", "status"]
        return self.to_frame().reindex(columns=columns)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the forwards over time with the bounds of parity, and return the axes."""
        axes = new_axes(ax, (6.0, 3.5))
        frame = self.to_frame()
        axes.plot([0.0], [self.spot], "o", color="black", label="spot")
        if len(frame):
            axes.plot(frame["tau"], frame["forward"], ".-", label="forward")
            axes.vlines(frame["tau"], frame["lower"], frame["upper"], color="gray", label="parity bounds")
        axes.set_xlabel("years")
        axes.set_ylabel(self.underlying)
        axes.legend(frameon=False)
        return axes

    def to_frame(self) -> pd.DataFrame:
        """Return one row per expiry: forward, source, parity with bounds and pairs, difference in bp, df.

        ``intercept`` is the free intercept of coin-settled parity, which should be 1 within the spread.
        """
        rows = []
        for expiry, quote in self.quotes.items():
            other = self.parity.get(expiry)
            rows.append(
                {
                    "expiry": expiry,
                    "tau": year_fraction(self.as_of, expiry),
                    "forward": quote.price,
                    "source": quote.source,
                    "parity": other.price if other else math.nan,
                    "lower": other.lower if other else math.nan,
                    "upper": other.upper if other else math.nan,
                    "pairs": other.pairs if other else 0,
                    "difference_bp": 1e4 * (other.price / quote.price - 1.0) if other else math.nan,
                    "df": self.discount(expiry),
                    "intercept": other.intercept if other else math.nan,
                    "status": self.status.get(expiry, ""),
                }
            )
        return pd.DataFrame(rows)
