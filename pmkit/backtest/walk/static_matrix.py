"""A risk matrix that never changes: the worst cell of a table of price and vol moves."""

from __future__ import annotations

import itertools
import math

import numpy as np

from pmkit.backtest.walk.as_of import AsOfView
from pmkit.backtest.walk.forecast import Forecast, RandomSource
from pmkit.backtest.walk.plain_laws import Unfitted
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.scenarios.scenario_set import TermScaling

__all__ = ["StaticMatrix"]

_MOST = 2  # underlyings: cells multiply


class StaticMatrix(Unfitted):
    """``matrix``: every combination of each underlying's price moves and three vol moves; the worst counts.

    Moves do not depend on the past, the date or the horizon. Combining all cells of two underlyings adds up
    their own worst losses: there is no offset between them.

    Parameters
    ----------
    window : int
        Of the volatility that is shown beside the margin; the margin does not use it.
    price : float
        Largest relative move of price, up and down, above 0 and below 1.
    vol_up, vol_down : float
        Relative moves of the 30-day implied vol; 0 or more, ``vol_down`` below 1.
    steps : int
        Price moves on each side of no move, equally spaced.

    Raises
    ------
    ParameterError
        A range or a number of steps that makes no table.

    Notes
    -----
    Vol moves reach other tenors by ``(30/days)^0.3`` below 30 days and ``(30/days)^0.13`` beyond, on logs.
    The defaults have the shape of a venue's published table. A venue's add-ons, extended cells and
    contingencies are not in it (:func:`pmkit.margin.rule` has them).
    """

    name = "matrix"

    def __init__(
        self,
        window: int,
        *,
        price: float = 0.16,
        vol_up: float = 0.50,
        vol_down: float = 0.25,
        steps: int = 4,
    ) -> None:
        legal = {
            "price": (price, "above 0 and below 1", 0.0 < price < 1.0),
            "vol_up": (vol_up, "0 or more", 0.0 <= vol_up < math.inf),
            "vol_down": (vol_down, "0 or more and below 1", 0.0 <= vol_down < 1.0),
            "steps": (steps, "a whole number from 1 to 100", 1 <= steps <= 100 and int(steps) == steps),
        }
        for name, (value, domain, fits) in legal.items():
            if isinstance(value, bool) or not fits:
                raise ParameterError(f"{name} is {value!r}", domain, "correct it")
        self.window = window
        side = np.arange(-int(steps), int(steps) + 1) / int(steps)
        vols = (0.0, math.log1p(vol_up), math.log1p(-vol_down))
        cells = itertools.product(np.log1p(price * side), vols)
        self._cells = np.array([(move, vol) for move, vol in cells])
        self._term = TermScaling(short_power=0.30, long_power=0.13)

    def forecast(self, view: AsOfView, *, horizon: int, n_paths: int, random: RandomSource) -> Forecast:
        """Return the cells, the same on every date."""
        count = len(view.underlyings)
        if count > _MOST:
            raise ConventionError(
                f"model 'matrix' for a book on {count} underlyings",
                f"{_MOST} at most: the cells of all are combined",
                "walk each underlying by itself and add the margins up",
            )
        grids = np.meshgrid(*[np.arange(len(self._cells))] * count, indexing="ij")
        joint = np.column_stack([grid.reshape(-1) for grid in grids])
        return Forecast(
            log_returns=np.ascontiguousarray(self._cells[joint, 0]),
            sigma=np.std(view.returns(self.window), axis=0, ddof=1),
            history_days=math.inf,
            log_vols=np.ascontiguousarray(self._cells[joint, 1]),
            vol_term=self._term,
            worst=True,
        )
