"""What calibrations of raw SVI return: one slice with its quality, or many at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray, IntArray
from pmkit.surface.slices.slice_fit import DEGENERATE, FitStatus, SliceFit
from pmkit.surface.slices.svi import RawSvi
from pmkit.surface.slices.svi_profile import AT_FLAT_WING, AT_LEVEL, AT_SEARCH, AT_STEEP_WING, AT_ZERO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SVI_MIN_POINTS", "SviFit", "SviFits"]

#: A slice has five parameters.
SVI_MIN_POINTS = 5
_BOUNDS = {
    AT_FLAT_WING: "a wing is flat",
    AT_STEEP_WING: "a wing has the slope 2 of the moment bound",
    AT_LEVEL: "a is at its lower bound",
    AT_ZERO: "total variance touches zero",
    AT_SEARCH: "m or sigma is at the edge of the search",
}
_NAMES = ("a", "b", "rho", "m", "sigma")


@dataclass(frozen=True, kw_only=True, repr=False)
class SviFit(SliceFit):
    """Outcome of a calibration: the slice, or None where there were too few points, and its quality."""

    svi: RawSvi | None
    references = ("demarco2009", "gatheral2014", "kaufman1975")

    def summary(self) -> pd.DataFrame:
        """Return one row: parameters, then status and quality."""
        parameters = {name: getattr(self.svi, name) if self.svi else math.nan for name in _NAMES}
        return pd.concat([pd.DataFrame([parameters]), super().summary()], axis=1)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw total variance four widths about the bottom of the smile, and return the axes.

        Raises
        ------
        DataGapError
            There is no slice.
        """
        if self.svi is None:
            raise DataGapError(f"no slice: {self.detail}", "a fitted slice", "fit more points")
        axes = new_axes(ax, (6.0, 3.5))
        k = self.svi.m + self.svi.sigma * np.linspace(-4.0, 4.0, 201)
        axes.plot(k, self.svi.w(k))
        axes.set_xlabel("k = ln(K/F)")
        axes.set_ylabel("total variance")
        axes.set_title(self.status)
        return axes


@dataclass(frozen=True, kw_only=True, repr=False)
class SviFits(Result):
    """Outcomes of many calibrations at once; ``fits[i]`` is that of one slice.

    Attributes
    ----------
    parameters : ndarray, shape (slices, 5)
        a, b, rho, m, sigma; NaN where there were too few points.
    points : ndarray of int, shape (slices,)
    chi2 : ndarray, shape (slices,)
        Sum of squared errors of total variance over their error bars; NaN without error bars.
    rmse : ndarray, shape (slices,)
        Root mean square error of iv·sqrt(tau), unweighted, decimal.
    atm_error : ndarray, shape (slices,)
        Relative error of the vol nearest the money.
    converged : ndarray of bool, shape (slices,)
    bounds : ndarray of int, shape (slices,)
        The bounds that the slice lies on, one bit each.
    """

    parameters: FloatArray
    points: IntArray
    chi2: FloatArray
    rmse: FloatArray
    atm_error: FloatArray
    converged: npt.NDArray[np.bool_]
    bounds: IntArray
    references = ("demarco2009", "gatheral2014", "kaufman1975")

    def __len__(self) -> int:
        return self.points.size

    def __getitem__(self, index: int) -> SviFit:
        points = int(self.points[index])
        status, detail = self._judge(index)
        a, b, rho, m, sigma = (float(p) for p in self.parameters[index])
        return SviFit(
            svi=None if status == "too_few_points" else RawSvi(a=a, b=b, rho=rho, m=m, sigma=sigma),
            status=status, detail=detail, points=points, chi2=float(self.chi2[index]), inside=math.nan,
            rmse=float(self.rmse[index]),
        )  # fmt: skip

    def _judge(self, index: int) -> tuple[FitStatus, str]:
        """Return status and reason; the vol nearest the money is looked at first."""
        if self.points[index] < SVI_MIN_POINTS:
            return "too_few_points", f"{self.points[index]} points, {SVI_MIN_POINTS} are needed"
        off = self.atm_error[index]
        if abs(off) > DEGENERATE:
            return "degenerate", f"the vol nearest the money is off by {100.0 * off:+.0f}%"
        if not self.converged[index]:
            return "not_converged", "the search did not close"
        reasons = [text for bit, text in _BOUNDS.items() if int(self.bounds[index]) & bit]
        return ("at_bound", "; ".join(reasons)) if reasons else ("ok", "")

    @property
    def status(self) -> list[FitStatus]:
        """Status of each slice, as in :class:`SliceFit`."""
        return [self._judge(i)[0] for i in range(len(self))]

    def summary(self) -> pd.DataFrame:
        """Return one row per status: slices, median and largest RMSE."""
        frame = pd.DataFrame({"status": self.status, "rmse": self.rmse})
        grouped = frame.groupby("status")["rmse"]
        return grouped.agg(slices="size", rmse_median="median", rmse_max="max").reset_index()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per slice: parameters, status, points, chi², RMSE, error at the money."""
        frame = pd.DataFrame(self.parameters, columns=list(_NAMES))
        return frame.assign(
            status=self.status, points=self.points, chi2=self.chi2, rmse=self.rmse, atm_error=self.atm_error
        )
