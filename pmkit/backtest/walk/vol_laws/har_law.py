"""Implied vol from a heterogeneous autoregression of realised vol over a day, a week and a month."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pmkit.backtest.walk.vol_laws.vol_law import LawInput, Numbers, VolLaw
from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, IntArray

__all__ = ["HAR_SPANS", "HarVolLaw", "har_coefficients"]

HAR_SPANS: tuple[int, int, int] = (1, 5, 22)
"""Dates behind the three realised vols."""

_LONGEST = HAR_SPANS[-1]


@dataclass(frozen=True, kw_only=True)
class HarVolLaw(VolLaw):
    """Implied vols that forecast realised vol from a day, a week and a month of it.

    Large moves of either sign raise vol, by what such moves have meant so far; there is no leverage and the
    smile is flat.

    Attributes
    ----------
    premium_sd, premium_persistence : float
        Daily sd of the log premium's innovations, in [0, 1), and its autocorrelation, in [0, 1).
    prior_slopes : tuple of 3 floats
        Slopes on the day, the week and the month before the data speak, of this tenor; they add up to less
        than 1. The default is meant for a month.
    prior_rows : float
        Rows of data that the prior weighs, above 0.

    Notes
    -----
    With A periods a year and one return r a date, realised vol over n dates is V⁽ⁿ⁾ = √(A Σ r²/n). At t the
    rows s with s + T ≤ t are known, T the tenor in dates: V⁽ᵀ⁾ of the dates after s regressed on a constant
    and V⁽¹⁾, V⁽⁵⁾, V⁽²²⁾ at s, by least squares that shrinks towards the prior as if ``prior_rows`` rows had
    said so (:func:`har_coefficients`). The forecast is not let below the lowest V⁽ᵀ⁾ known, and
    iv = premium · forecast · eˣ, x an autoregression of normal innovations. The roots of mean squares take
    the place of Corsi's averages of daily vols, because one return says little about the vol of its day.

    References
    ----------
    Corsi (2009), equation (8); Bollerslev, Tauchen and Zhou (2009) on the variance risk premium.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> path = HarVolLaw().path(load_history("crypto-daily-2020-2023"), underlyings=["BTC"])
    >>> path.frame["BTC"].loc[["2020-03-11", "2020-03-12"]].round(2).tolist()
    [0.63, 1.79]
    """

    label: ClassVar[str] = "HAR law"
    references: ClassVar[tuple[str, ...]] = ("corsi2009", "bollerslev2009")

    premium_sd: float = 0.03
    premium_persistence: float = 0.95
    prior_slopes: tuple[float, float, float] = (0.03, 0.12, 0.35)
    prior_rows: float = 250.0

    def _numbers(self) -> Numbers:
        share = math.fsum(self.prior_slopes)
        if len(self.prior_slopes) != len(HAR_SPANS) or not 0.0 <= share < 1.0:
            raise ParameterError(
                f"prior_slopes are {self.prior_slopes!r}",
                "three numbers that add up to 0 or more and less than 1",
                "correct the argument",
            )
        kept = self.premium_persistence
        return {
            "premium_sd": (self.premium_sd, 0.0 <= self.premium_sd < 1.0, "[0, 1)"),
            "premium_persistence": (kept, 0.0 <= kept < 1.0, "[0, 1)"),
            "prior_rows": (self.prior_rows, 0.0 < self.prior_rows < math.inf, "a positive number"),
        }

    def _vols(
        self, given: LawInput, at: int, noise: FloatArray, seed: int
    ) -> tuple[FloatArray, FloatArray | None]:
        steps = max(1, round(self.tenor_days * given.periods / 365.0))
        prior = np.array([(1.0 - math.fsum(self.prior_slopes)) * self.prior_vol, *self.prior_slopes])
        padded = np.concatenate([np.full(_LONGEST, self.prior_vol**2), given.squares(at)])
        rows, targets = _regression(padded, steps)
        known = har_coefficients(padded, steps, prior, self.prior_vol, self.prior_rows)
        lowest = np.minimum.accumulate(np.concatenate([np.array([self.prior_vol]), targets]))
        floor = lowest[_known_rows(given.days, steps, targets.size)]
        forecast = np.maximum(np.add.reduce(rows * known, axis=1), floor)
        drift = _autoregression(self.premium_sd * noise, self.premium_persistence)
        return self.premium * forecast * np.exp(drift), None


def har_coefficients(
    padded: FloatArray, steps: int, prior: FloatArray, prior_vol: float, prior_rows: float
) -> FloatArray:
    """Return constant and slopes as known on each date, shape (dates, 4).

    Parameters
    ----------
    padded : ndarray, shape (dates + 21,)
        Annualised squared returns, 22 assumed ones before the first.
    steps : int
        Dates of the tenor.
    prior : ndarray, shape (4,)
        Constant and slopes that the fit shrinks to.
    prior_vol : float
        Scale of the regressors under the prior.
    prior_rows : float
        Weight of the prior in rows.

    Notes
    -----
    Least squares of the rows so far and four more, √m·d_j on coefficient j alone with target √m·d_j·prior_j,
    d = (1, v, v, v) and m = ``prior_rows``.
    """
    rows, targets = _regression(padded, steps)
    dates = rows.shape[0]
    known = rows[_LONGEST : _LONGEST + targets.size]
    weight = prior_rows * np.diag([1.0, *(prior_vol**2 for _ in HAR_SPANS)])
    outer = np.cumsum(known[:, :, None] * known[:, None, :], axis=0)
    inner = np.cumsum(known * targets[:, None], axis=0)
    count = _known_rows(dates, steps, targets.size)
    gram = weight + np.concatenate([np.zeros((1, 4, 4)), outer])[count]
    right = (np.diag(weight) * prior) + np.concatenate([np.zeros((1, 4)), inner])[count]
    found: FloatArray = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
    return found


def _regression(padded: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """Return the regressors of every date, and the realised vols after each row that has one."""
    sums = np.concatenate([np.zeros(1), np.cumsum(padded)])
    ends = np.arange(_LONGEST, padded.size + 1)
    columns = [np.sqrt(np.maximum(sums[ends] - sums[ends - n], 0.0) / n) for n in HAR_SPANS]
    rows = np.stack([np.ones(ends.size), *columns], axis=1)
    begins = ends[
        _LONGEST : max(_LONGEST, ends.size - steps)
    ]  # rows whose month is all data and whose target is known
    targets = np.sqrt(np.maximum(sums[begins + steps] - sums[begins], 0.0) / steps)
    return rows, targets


def _known_rows(dates: int, steps: int, rows: int) -> IntArray:
    """Return how many rows of the regression are known on each date."""
    return np.clip(np.arange(dates) - steps - _LONGEST + 1, 0, rows)


def _autoregression(shocks: FloatArray, persistence: float) -> FloatArray:
    """Return x with x_0 = 0 and x_t = persistence · x_{t-1} + shock_t."""
    path = np.zeros(shocks.size)
    for t in range(1, shocks.size):
        path[t] = persistence * path[t - 1] + shocks[t]
    return path
