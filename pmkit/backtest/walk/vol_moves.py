"""How the margin model lets implied vol move over the horizon: a slope on spot, and a residual of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from pmkit.backtest.walk.forecast import RandomSource
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.scenarios.response import FactorResponse, factor_response
from pmkit.scenarios.scenario_set import TermScaling

__all__ = ["VolMoves"]


@dataclass(frozen=True, kw_only=True)
class VolMoves:
    """Law of the log move of the 30-day implied vol in the margin model, by underlying.

    Attributes
    ----------
    name : str
    beta : mapping of str to float
        Slope of d ln(iv) on d ln(spot).
    residual_sd : mapping of str to float
        Standard deviation of the daily residual, 0 or more.
    df : float
        Degrees of freedom of the residuals' Student t law, above 2; infinite for the normal law.
    correlation : float
        Between the residuals of two underlyings, in [0, 1].
    term : TermScaling
        How the move reaches other tenors.
    remark : str
        Origin of the numbers, for the notes of a result.
    last_observed : date, optional
        Last date of the sample behind the numbers.

    Raises
    ------
    ParameterError
        A number outside its domain.

    Examples
    --------
    >>> still = VolMoves(name="still", beta={"BTC": 0.0}, residual_sd={"BTC": 0.0})
    >>> still.remark
    'given by the caller'
    """

    name: str
    beta: Mapping[str, float]
    residual_sd: Mapping[str, float]
    df: float = math.inf
    correlation: float = 0.0
    term: TermScaling = field(default_factory=TermScaling)
    remark: str = "given by the caller"
    last_observed: date | None = None

    def __post_init__(self) -> None:
        for underlying, slope in self.beta.items():
            sd = self.residual_sd.get(underlying, math.nan)
            if not (math.isfinite(slope) and 0.0 <= sd < 1.0):
                raise ParameterError(
                    f"vol response of {underlying}: slope {slope!r}, residual sd {sd!r}",
                    "a finite slope, and a daily sd in [0, 1) as a decimal",
                    "correct the response",
                )
        if not self.df > 2.0 or not 0.0 <= self.correlation <= 1.0:
            raise ParameterError(
                f"vol response with df {self.df!r} and correlation {self.correlation!r}",
                "more than 2 degrees of freedom, and a correlation in [0, 1]",
                "correct the response",
            )

    @classmethod
    def of(cls, response: VolMoves | FactorResponse | str | None = None) -> VolMoves:
        """Return the law of a response set, by object or id; of the shipped one where None.

        Examples
        --------
        >>> VolMoves.of("deribit-btc-eth-2026-04").beta["BTC"]
        -1.08
        """
        if isinstance(response, VolMoves):
            return response
        if response is None:
            response = factor_response()
        elif isinstance(response, str):
            response = factor_response(response)
        if not isinstance(response, FactorResponse):
            raise ParameterError(
                f"response is a {type(response).__name__}",
                "the id of a response set, a FactorResponse or VolMoves",
                "use pm.scenarios.factor_response",
            )
        known = response.underlyings
        return cls(
            name=response.id,
            beta={coin: known[coin].vol_slope for coin in known},
            residual_sd={coin: known[coin].vol_residual_sd for coin in known},
            df=response.vol_residual_df,
            correlation=response.vol_residual_correlation,
            term=response.vol_term,
            remark=f"observed {response.first_observed} to {response.last_observed}",
            last_observed=response.last_observed,
        )

    def draw(
        self,
        log_returns: FloatArray,
        underlyings: Sequence[str],
        horizon: int,
        random: RandomSource,
        *,
        needed: Sequence[str] | None = None,
    ) -> FloatArray:
        """Return log moves of the 30-day vol over the horizon, shape (n, underlyings).

        Parameters
        ----------
        log_returns : ndarray, shape (n, underlyings)
            Log returns of the index over the horizon.
        underlyings : sequence of str
            Names of the columns.
        horizon : int
            Days whose residuals add up.
        random : callable
            Source of the residuals, by purpose and underlying.
        needed : sequence of str, optional
            Underlyings that have options; the others get zeros. All where None.

        Raises
        ------
        DataGapError
            A needed underlying that the response does not cover.

        Notes
        -----
        Move = slope × return + sd × Σ over days of multivariate t variables of variance 1.
        """
        moves = np.zeros(log_returns.shape)
        shape = (horizon, log_returns.shape[0])
        common = random("vol residual", "common").standard_normal(shape)
        mixing = np.ones(shape)
        if math.isfinite(self.df):
            chi2 = random("vol residual", "mixing").chisquare(self.df, shape)
            mixing = np.sqrt((self.df - 2.0) / chi2)
        for at, name in enumerate(underlyings):
            if needed is not None and name not in needed:
                continue
            if name not in self.beta:
                raise DataGapError(
                    f"no vol response of {name} in {self.name}",
                    f"one of {', '.join(self.beta)}",
                    "pass response= with numbers for all underlyings that have options",
                )
            own = random("vol residual", name).standard_normal(shape)
            normal = math.sqrt(self.correlation) * common + math.sqrt(1.0 - self.correlation) * own
            noise = np.add.reduce(mixing * normal, axis=0)
            moves[:, at] = self.beta[name] * log_returns[:, at] + self.residual_sd[name] * noise
        return moves
