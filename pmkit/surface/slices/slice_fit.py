"""How well a fitted slice reprices its quotes, and the status that says whether to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.surface.inputs.slice_quotes import SliceQuotes

__all__ = ["DEGENERATE", "FitStatus", "SliceFit", "atm_error", "judge"]

FitStatus = Literal["ok", "at_bound", "not_converged", "too_few_points", "degenerate"]

#: Relative error of the vol nearest the money from which a fit is called degenerate.
DEGENERATE = 0.2


@dataclass(frozen=True, kw_only=True, repr=False)
class SliceFit(Result):
    """Quality of one slice.

    Attributes
    ----------
    status : {"ok", "at_bound", "not_converged", "too_few_points", "degenerate"}
        ``degenerate``: the vol nearest the money is off by more than a fifth.
    detail : str
        Why the status is not ``ok``.
    points : int
    parameters : int
        Numbers fitted to this slice alone.
    chi2 : float
        Sum of squared errors of total variance over their error bars; NaN without error bars.
    inside : float
        Share of the quotes repriced between bid and ask; NaN without bids and asks.
    rmse : float
        Root mean square error of iv·sqrt(tau), unweighted, decimal.
    """

    status: FitStatus
    detail: str
    points: int
    parameters: int = 5
    chi2: float
    inside: float
    rmse: float

    @property
    def chi2_per_dof(self) -> float:
        """``chi2`` over points less parameters; NaN where there are no more points than parameters."""
        spare = self.points - self.parameters
        return self.chi2 / spare if spare > 0 else math.nan

    @property
    def usable(self) -> bool:
        """True where the slice exists and is not degenerate."""
        return self.status not in ("degenerate", "too_few_points")

    def summary(self) -> pd.DataFrame:
        """Return one row: status, points, chi² per degree of freedom, share inside, RMSE, reason."""
        row = {
            "status": self.status,
            "points": self.points,
            "chi2_per_dof": self.chi2_per_dof,
            "inside": self.inside,
            "rmse": self.rmse,
            "detail": self.detail,
        }
        return pd.DataFrame([row])


def atm_error(k: FloatArray, w: FloatArray, fitted: FloatArray) -> float:
    """Return the relative error of the fitted vol at the quote nearest the money."""
    atm = int(np.argmin(np.abs(k)))
    return math.sqrt(fitted[atm] / w[atm]) - 1.0


def judge(
    quotes: SliceQuotes, fitted: npt.ArrayLike, parameters: int, *, converged: bool = True, bounds: str = ""
) -> SliceFit:
    """Return the quality of fitted total variance at the points of a slice.

    Parameters
    ----------
    quotes : SliceQuotes
    fitted : array_like, shape (points,)
        Total variance of the model at ``quotes.k``.
    parameters : int
        Numbers fitted to this slice alone.
    converged : bool
        Whether the search closed.
    bounds : str
        Which parameters ended at a bound, in words.
    """
    values = np.asarray(fitted, dtype=np.float64)
    z = (values - quotes.w) / quotes.error
    off = atm_error(quotes.k, quotes.w, values)
    status: FitStatus = "ok"
    detail = ""
    if abs(off) > DEGENERATE:
        status, detail = "degenerate", f"the vol nearest the money is off by {100.0 * off:+.0f}%"
    elif not converged:
        status, detail = "not_converged", "the search did not close"
    elif bounds:
        status, detail = "at_bound", bounds
    return SliceFit(
        status=status,
        detail=detail,
        points=quotes.k.size,
        parameters=parameters,
        chi2=math.fsum(z * z),
        inside=float(np.mean(quotes.inside(values))),
        rmse=math.sqrt(math.fsum((np.sqrt(values) - np.sqrt(quotes.w)) ** 2) / quotes.k.size),
    )
