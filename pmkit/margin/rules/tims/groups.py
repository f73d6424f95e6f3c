"""Sums over related underlyings: losses in full, gains by the offset of the group (TMS-5 to TMS-7)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray

__all__ = ["GroupCharge", "group_vector", "scan_group"]


class GroupCharge(NamedTuple):
    """Requirement of a group in USD, its scan and minimum, and the number of the worst point, from 1."""

    requirement: float
    scan: float
    minimum: float
    worst_point: int


def group_vector(pnl: FloatArray, offset: float) -> FloatArray:
    """Return the P&L of a group at each point: losses of its members in full, gains times the offset.

    Parameters
    ----------
    pnl : ndarray, shape (members, points)
        Gain positive, in one currency.
    offset : float
        Share of a gain that counts against losses of other members, 0 to 1.

    Returns
    -------
    ndarray, shape (points,)

    Raises
    ------
    ParameterError
        Offset outside 0 to 1, or an array that is not two-dimensional and finite.

    Notes
    -----
    ``sum_i min(x_i, 0) + offset max(x_i, 0)``. A group of one member has nothing to be offset against, so
    its gains count in full.

    References
    ----------
    Options Clearing Corporation (2021), user guide of risk-based haircuts and customer portfolio margin.

    Examples
    --------
    >>> group_vector(np.array([[40.0, -70.0], [-52.0, 47.0]]), 0.9).round(6).tolist()
    [-16.0, -27.7]
    """
    values = np.asarray(pnl, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ParameterError(
            f"pnl of shape {values.shape}", "finite numbers, members by points", "correct the vectors"
        )
    if not 0.0 <= offset <= 1.0:
        raise ParameterError(f"offset is {offset!r}", "a share from 0 to 1", "correct the offset")
    if values.shape[0] == 1:
        return np.array(values[0], dtype=np.float64)
    counted = np.where(values > 0.0, offset * values, values)
    return np.array([math.fsum(column) for column in counted.T.tolist()])


def scan_group(vector: FloatArray, minimum: float) -> GroupCharge:
    """Return the requirement of a group from its P&L at the points and the minimum of its contracts.

    Parameters
    ----------
    vector : ndarray, shape (points,)
        P&L of the group, gain positive.
    minimum : float
        Sum of the minimum charges, 0 or more.

    Examples
    --------
    >>> scan_group(np.array([120.0, -700.0, 30.0]), 750.0)
    GroupCharge(requirement=750.0, scan=700.0, minimum=750.0, worst_point=2)
    """
    worst = int(np.argmin(vector))
    scan = max(-float(vector[worst]), 0.0)
    return GroupCharge(max(scan, minimum), scan, minimum, worst + 1)
