"""The answer of a margin model to volatility that steps up and stays: how fast, how far, how far beyond."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.backtest.series.checks import check_count
from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ImpulseResponse", "impulse_response"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ImpulseResponse(Result):
    """Margin of one model before and after volatility steps up and stays up.

    Attributes
    ----------
    path : Series, shape (before + after,)
        Mean margin over the simulated histories; index is days from the step, 0 the first day with it.
    step : float
        Volatility after the step over volatility before.
    standard_error : ndarray
        Of each mean.
    """

    path: pd.Series
    step: float
    standard_error: FloatArray
    provenance: Provenance = field(
        default_factory=lambda: Provenance(method="backtest.impulse_response", simulated=True)
    )
    references: tuple[str, ...] = ("gurrola2015",)

    @property
    def before(self) -> float:
        """Mean margin on the last ten days before the step."""
        return float(self.path.loc[-10:-1].mean())

    @property
    def after(self) -> float:
        """Mean margin on the last tenth of the days after the step: the new level."""
        late = self.path.loc[0:]
        return float(late.iloc[-max(len(late) // 10, 1) :].mean())

    @property
    def overshoot(self) -> float:
        """How far the largest margin exceeds the new level, as a share of that level; 0 where it does not."""
        return max(0.0, float(self.path.loc[0:].max()) / self.after - 1.0)

    @property
    def half_time(self) -> float:
        """Days until half the way to the new level is done; NaN where it never is."""
        half = 0.5 * (self.before + self.after)
        reached = self.path.loc[0:] >= half if self.after >= self.before else self.path.loc[0:] <= half
        return float(np.argmax(reached.to_numpy())) if bool(reached.any()) else math.nan

    def summary(self) -> pd.DataFrame:
        """Return one row: level before and after, their ratio beside the step, overshoot and half time."""
        row = {
            "step": self.step,
            "before": self.before,
            "after": self.after,
            "ratio": self.after / self.before,
            "overshoot": self.overshoot,
            "half_time": self.half_time,
        }
        return pd.DataFrame(row, index=pd.Index([str(self.path.name)], name="model"))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a day: mean margin and its standard error."""
        return pd.DataFrame({"margin": self.path, "standard_error": self.standard_error})

    def check(self) -> None:
        """Raise unless every margin is positive and finite."""
        if not (np.isfinite(self.path).all() and (self.path > 0.0).all()):
            raise ParameterError("a margin is not positive", "positive numbers", "check the model")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the mean margin over its level before the step, and the step itself."""
        axes = new_axes(ax)
        axes.plot(self.path.index, self.path / self.before, color="#4477aa", label=str(self.path.name))
        axes.step(
            [self.path.index[0], 0, self.path.index[-1]],
            [1.0, 1.0, self.step],
            "--",
            where="pre",
            color="#888888",
        )
        axes.set(
            xlabel="days from the step",
            ylabel="margin / margin before",
            title="Response to a volatility step",
        )
        axes.legend(frameon=False)
        return axes


def impulse_response(
    margin: Callable[[FloatArray], float],
    *,
    step: float = 2.0,
    window: int = 500,
    before: int = 20,
    after: int = 250,
    vol: float = 0.01,
    histories: int = 50,
    name: str = "model",
    seed: int = 0,
) -> ImpulseResponse:
    """Return how a margin model answers a step in volatility, in the money of the model.

    Parameters
    ----------
    margin : callable
        From the last ``window`` daily returns (oldest first) to a positive requirement.
    step : float
        Volatility after the step over volatility before; positive, not 1.
    window, before, after : int
        Days that the model sees, days shown before the step (10 or more) and after it (20 or more).
    vol : float
        Daily volatility before the step, decimal.
    histories : int
        Simulated normal histories that are averaged, 2 or more.
    name : str
        Name of the model.
    seed : int
        Root seed.

    Returns
    -------
    ImpulseResponse

    Raises
    ------
    ParameterError
        A setting outside its domain, or a model that returns anything but a positive number.

    Notes
    -----
    Filtered historical simulation answers beyond the new level, because the days of the step are divided by a
    volatility that has not risen yet and stay in the window as large residuals: the overshoot.

    References
    ----------
    Gurrola-Perez and Murphy (2015), filtered historical simulation and the step in volatility.

    Examples
    --------
    >>> import numpy as np
    >>> response = impulse_response(lambda r: 2.33 * np.std(r[-60:]), histories=60)
    >>> round(response.after / response.before, 1), response.overshoot < 0.2
    (2.0, True)
    """
    for label, value, least in (
        ("window", window, 1),
        ("before", before, 10),
        ("after", after, 20),
        ("histories", histories, 2),
    ):
        if check_count(value, label) < least:
            raise ParameterError(f"{label} is {value}", f"{least} or more", "raise it")
    if not (math.isfinite(step) and step > 0.0 and step != 1.0 and math.isfinite(vol) and vol > 0.0):
        raise ParameterError(
            f"step is {step!r} and vol {vol!r}", "positive numbers, the step other than 1", "correct them"
        )
    rng = stream(seed, "impulse-response")
    found = np.empty((histories, before + after))
    scale = np.full(window + before + after, vol)
    scale[window + before :] *= step
    for row in range(histories):
        returns = scale * rng.standard_normal(scale.size)
        for day in range(before + after):
            found[row, day] = margin(returns[day : day + window])
    if not (np.isfinite(found).all() and (found > 0.0).all()):
        raise ParameterError(
            f"{name} returns {found[~(np.isfinite(found) & (found > 0.0))][0]!r}",
            "a positive requirement",
            "return the requirement of one unit, as a positive number",
        )
    days = pd.RangeIndex(-before, after, name="day")
    return ImpulseResponse(
        path=pd.Series(np.add.reduce(found, axis=0) / histories, index=days, name=name),
        step=float(step),
        standard_error=np.std(found, axis=0, ddof=1) / math.sqrt(histories),
        provenance=Provenance(
            method="backtest.impulse_response",
            parameters={"step": step, "window": window, "vol": vol, "histories": histories, "model": name},
            seed=seed,
            simulated=True,
        ),
    )
