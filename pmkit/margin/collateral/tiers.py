"""Haircuts that rise with the size of a balance, each tier cut by its own rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pmkit.core.errors import ParameterError
from pmkit.margin.accounts.numbers import checked_number, checked_share

__all__ = ["tiered_haircut"]


def tiered_haircut(
    amount: float, limits: Sequence[float], haircuts: Sequence[float], *, floor: float = 0.0
) -> float:
    """Return what the haircuts take off an amount, in the unit of the amount, each tier at its own rate.

    Parameters
    ----------
    amount : float
        Balance, 0 or more.
    limits : sequence of float
        Upper ends of all tiers but the last, rising, in the unit of the amount.
    haircuts : sequence of float
        Share that does not count, 0 to 1, one a tier; one more than ``limits``.
    floor : float
        Least haircut of every tier, 0 to 1: a dynamic haircut where it is larger than the table's.

    Returns
    -------
    float
        Between 0 and ``amount``.

    Raises
    ------
    ParameterError
        A negative amount, a haircut outside 0 to 1, limits that do not rise, or counts that do not fit.

    Notes
    -----
    The amount in tier i is cut by the rate of tier i alone, so that the counted value is continuous and
    concave in the balance where haircuts rise. Applied to the whole amount instead, a larger balance could
    count for less.

    Examples
    --------
    >>> tiered_haircut(22.0, [20.0, 25.0], [0.02, 0.0225, 1.0])
    0.445
    """
    checked_number("amount", amount, low=0.0)
    checked_share("floor", floor)
    rates = [checked_share(f"haircut of tier {i}", h) for i, h in enumerate(haircuts, start=1)]
    ends = [checked_number(f"limit of tier {i}", x, low=0.0) for i, x in enumerate(limits, start=1)]
    if len(rates) != len(ends) + 1 or ends != sorted(set(ends)):
        raise ParameterError(
            f"{len(rates)} haircuts for limits {ends}",
            "rising limits and one haircut more than limits",
            "correct the table of tiers",
        )
    edges = [0.0, *ends, math.inf]
    cut = [
        max(rate, floor) * max(min(amount, high) - low, 0.0)
        for rate, low, high in zip(rates, edges[:-1], edges[1:], strict=True)
    ]
    return math.fsum(cut)
