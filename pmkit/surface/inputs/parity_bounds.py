"""Does any forward and discount factor fit the bids and asks of every call-put pair? A linear programme."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.arguments import pair_columns

__all__ = ["DF_RANGE", "ParityBounds", "nearest_inside", "parity_bounds"]

#: Discount factors outside are taken for an error of the data.
DF_RANGE = (0.5, 1.02)
#: Slack below this share of the median spread is rounding of the solver.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class ParityBounds:
    """What put-call parity at bid and ask leaves open for one expiry of European options.

    Attributes
    ----------
    feasible : bool
        Whether some forward and discount factor fit every pair.
    slack : float
        Least amount, in quote currency, by which every bid and ask has to give way until one fits; 0 where
        one does.
    forward_low, forward_high : float
        Range of the forward in quote currency over all that fit; NaN where none does.
    df_low, df_high : float
        Range of the discount factor; NaN where none fits.
    pairs : int
    at_fault : tuple of float
        Strikes that contradict each other; empty where some forward fits.
    """

    feasible: bool
    slack: float
    forward_low: float
    forward_high: float
    df_low: float
    df_high: float
    pairs: int
    at_fault: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.feasible == bool(self.at_fault):
            raise ParameterError(
                f"feasible is {self.feasible} with {len(self.at_fault)} strikes at fault",
                "strikes at fault exactly where no forward fits",
                "let parity_bounds make the object",
            )


def parity_bounds(
    strike: npt.ArrayLike,
    call_bid: npt.ArrayLike,
    call_ask: npt.ArrayLike,
    put_bid: npt.ArrayLike,
    put_ask: npt.ArrayLike,
    *,
    df_range: tuple[float, float] = DF_RANGE,
) -> ParityBounds:
    """Return the range of forwards (quote currency) and discount factors that parity leaves open.

    Parameters
    ----------
    strike : array_like, shape (n,)
        Positive, quote currency.
    call_bid, call_ask, put_bid, put_ask : array_like, shape (n,)
        Premiums in quote currency of European options; a pair with a NaN is left out.
    df_range : (float, float)
        Least and greatest discount factor, positive.

    Returns
    -------
    ParityBounds
        ``feasible`` False is an error of the data (stale or wrong quotes), not of a fit.

    Raises
    ------
    DataGapError
        No complete pair.
    ParameterError
        ``df_range`` is not a pair of ascending positive numbers, a strike is not positive, or the columns are
        not five rows of one length.

    Notes
    -----
    ``call_bid - put_ask <= df (F - K) <= call_ask - put_bid`` for every strike is linear in ``df F`` and
    ``df``; the least slack is one linear programme. Divided by ``df`` it is linear in ``F`` and ``1/df``,
    which gives the four ends. Cost: five programmes of two or three variables, about 1 ms each.

    References
    ----------
    Stoll (1969) (put-call parity).

    Examples
    --------
    >>> found = parity_bounds([90, 110], [17.8, 5.8], [18.2, 6.2], [8.0, 15.4], [8.2, 15.8])
    >>> found.feasible, round(found.forward_low, 1), round(found.forward_high, 1)
    (True, 99.8, 100.5)
    """
    low_df, high_df = df_range
    if not 0.0 < low_df < high_df < math.inf:
        raise ParameterError(
            f"df_range is {df_range!r}", "two ascending positive numbers", "give for example (0.5, 1.02)"
        )
    K, cb, ca, pb, pa = pair_columns(
        strike=strike, call_bid=call_bid, call_ask=call_ask, put_bid=put_bid, put_ask=put_ask
    )
    low, high = cb - pa, ca - pb
    if K.size == 0:
        raise DataGapError("no call-put pair", "a strike with both sides of both", "load a fuller chain")
    slack, at_fault = _least_slack(K, low, high, low_df, high_df)
    if at_fault:
        return ParityBounds(
            feasible=False, slack=slack, forward_low=math.nan, forward_high=math.nan,
            df_low=math.nan, df_high=math.nan, pairs=K.size, at_fault=at_fault,
        )  # fmt: skip
    forward_low, forward_high, df_low, df_high = _ends(K, low, high, low_df, high_df)
    return ParityBounds(
        feasible=True, slack=0.0, forward_low=forward_low, forward_high=forward_high,
        df_low=df_low, df_high=df_high, pairs=K.size,
    )  # fmt: skip


def _unit(low: FloatArray, high: FloatArray) -> float:
    """Return the median spread of the parity interval, the unit in which the programmes are solved."""
    wide = np.abs(high - low)
    return float(np.median(wide[wide > 0.0])) if (wide > 0.0).any() else 1.0


def _least_slack(
    K: FloatArray, low: FloatArray, high: FloatArray, low_df: float, high_df: float
) -> tuple[float, tuple[float, ...]]:
    from scipy.optimize import linprog

    unit, middle = _unit(low, high), float(np.median(K))
    distance = (K - middle) / unit
    # df (F - middle) - distance df, in units of the median spread, and the slack
    ones = np.ones(K.size)
    above = np.column_stack([ones, -distance, -ones])
    below = np.column_stack([-ones, distance, -ones])
    found = linprog(
        [0.0, 0.0, 1.0],
        A_ub=np.vstack([above, below]),
        b_ub=np.concatenate([high, -low]) / unit,
        bounds=[(None, None), (low_df, high_df), (0.0, None)],
        method="highs",
    )
    if found.x is None:
        return math.nan, tuple(sorted({float(k) for k in K}))
    slack = float(found.x[2])
    if slack <= _ROUNDING:
        return 0.0, ()
    pushing = np.abs(np.asarray(found.ineqlin.marginals)).reshape(2, -1).max(axis=0)
    at_fault = tuple(sorted({float(k) for k in K[pushing > 1e-9]}))
    return slack * unit, at_fault or tuple(sorted({float(k) for k in K}))


def nearest_inside(
    forward: float,
    df: float,
    strike: FloatArray,
    call_bid: FloatArray,
    call_ask: FloatArray,
    put_bid: FloatArray,
    put_ask: FloatArray,
) -> tuple[float, float]:
    """Return forward and discount factor that fit every pair, at least relative distance from the given ones.

    The distance is ``|F'/F - 1| + |df/df' - 1|``; the pairs must be feasible.
    """
    from scipy.optimize import linprog

    low, high = call_bid - put_ask, call_ask - put_bid
    unit, n = _unit(low, high), strike.size
    ones, none = np.ones(n), np.zeros((n, 2))
    # unknowns: F'/unit from F, 1/df' and the two distances
    rows = [
        np.column_stack([-ones, low / unit - _ROUNDING, none]),
        np.column_stack([ones, -high / unit - _ROUNDING, none]),
        np.array(
            [[1.0, 0.0, -1.0, 0.0], [-1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0], [0.0, -1.0, 0.0, -1.0]]
        ),
    ]
    bound = np.concatenate(
        [(forward - strike) / unit, (strike - forward) / unit, [0.0, 0.0, 1.0 / df, -1.0 / df]]
    )
    found = linprog(
        [0.0, 0.0, unit / forward, df],
        A_ub=np.vstack(rows),
        b_ub=bound,
        bounds=[(None, None), (1.0 / DF_RANGE[1], 1.0 / DF_RANGE[0]), (0.0, None), (0.0, None)],
        method="highs",
    )
    if found.x is None:
        raise ParameterError(
            "the pairs contradict each other", "pairs that some forward fits", "ask parity_bounds first"
        )
    return forward + unit * float(found.x[0]), 1.0 / float(found.x[1])


def _ends(
    K: FloatArray, low: FloatArray, high: FloatArray, low_df: float, high_df: float
) -> tuple[float, float, float, float]:
    from scipy.optimize import linprog

    unit, middle = _unit(low, high), float(np.median(K))
    ones = np.ones(K.size)
    # F - low/df >= K and F - high/df <= K; the rounding of the first programme is allowed for
    matrix = np.vstack(
        [np.column_stack([-ones, low / unit - _ROUNDING]), np.column_stack([ones, -high / unit - _ROUNDING])]
    )
    bound = np.concatenate([middle - K, K - middle]) / unit
    limits = [(None, None), (1.0 / high_df, 1.0 / low_df)]
    ends = []
    for cost in ((1.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (0.0, 1.0)):
        found = linprog(cost, A_ub=matrix, b_ub=bound, bounds=limits, method="highs")
        if found.x is None:
            ends.append(math.nan)
            continue
        ends.append(middle + unit * float(found.x[0]) if cost[0] else 1.0 / float(found.x[1]))
    return ends[0], ends[1], ends[2], ends[3]
