"""Sensitivities into margin: weights, concentration, correlations in and between buckets (SIM-3 to SIM-7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import ndtri

from pmkit.core.errors import ParameterError
from pmkit.margin.schemas import SimmParameters

__all__ = ["RESIDUAL", "Sensitivity", "SimmMargin", "simm_margin", "volatility"]

#: number of the residual bucket
RESIDUAL = 13


class Sensitivity(NamedTuple):
    """One equity in its bucket, 13 being the residual one: USD per +1 % of the price, and vegas.

    ``vegas`` are pairs of days to expiry and USD per vol point.
    """

    qualifier: str
    bucket: int
    delta: float = 0.0
    vegas: tuple[tuple[float, float], ...] = ()


class SimmMargin(NamedTuple):
    """The three margins and their sum, USD."""

    delta: float
    vega: float
    curvature: float
    total: float


class _Weighted(NamedTuple):
    bucket: int
    value: float
    concentration: float


def volatility(table: SimmParameters, bucket: int) -> float:
    """Return the volatility of a bucket in per cent a year, from its risk weight.

    Notes
    -----
    ``RW sqrt(365 / vol_days) / N^-1(vol_level)``.
    """
    return table.risk_weights[bucket - 1] * math.sqrt(365.0 / table.vol_days) / float(ndtri(table.vol_level))


def simm_margin(table: SimmParameters, sensitivities: Sequence[Sensitivity]) -> SimmMargin:
    """Return delta, vega and curvature margin of equity sensitivities, USD, gain of the holder positive.

    Parameters
    ----------
    table : SimmParameters
    sensitivities : sequence of Sensitivity
        One a qualifier.

    Raises
    ------
    ParameterError
        A bucket that is not 1 to 13, a qualifier given twice, or a value that is not finite.

    References
    ----------
    International Swaps and Derivatives Association (2023), version 2.6.

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> table = load_parameter_sets("simm")[0].table("*")
    >>> found = simm_margin(table, [Sensitivity("A", 5, 100_000.0), Sensitivity("B", 5, -60_000.0),
    ...     Sensitivity("C", 11, -50_000.0)])
    >>> round(found.delta, 2)
    2726862.67
    """
    _check(sensitivities)
    deltas, vegas, curves = [], [], []
    for s in sensitivities:
        crowd = max(1.0, math.sqrt(abs(s.delta) / (1e6 * table.delta_thresholds[s.bucket - 1])))
        deltas.append(_Weighted(s.bucket, table.risk_weights[s.bucket - 1] * s.delta * crowd, crowd))
        sigma = volatility(table, s.bucket)
        risk = table.historical_vol_ratio * math.fsum(sigma * v for _, v in s.vegas)
        crowd = max(1.0, math.sqrt(abs(risk) / (1e6 * table.vega_thresholds[s.bucket - 1])))
        vegas.append(_Weighted(s.bucket, table.vega_weights[s.bucket - 1] * risk * crowd, crowd))
        if s.bucket != table.curvature_free_bucket:
            curve = math.fsum(_scale(table, days) * sigma * v for days, v in s.vegas)
            curves.append(_Weighted(s.bucket, curve, 1.0))
    parts = (_sum(table, deltas), _sum(table, vegas), _curvature(table, curves))
    return SimmMargin(*parts, math.fsum(parts))


def _check(sensitivities: Sequence[Sensitivity]) -> None:
    seen: set[str] = set()
    for s in sensitivities:
        numbers = (s.delta, *(x for pair in s.vegas for x in pair))
        if (
            s.bucket not in range(1, RESIDUAL + 1)
            or s.qualifier in seen
            or not all(map(math.isfinite, numbers))
        ):
            raise ParameterError(
                f"sensitivity of {s.qualifier!r} in bucket {s.bucket}",
                "finite values, one a qualifier, in a bucket from 1 to 13",
                "correct the sensitivities",
            )
        seen.add(s.qualifier)


def _scale(table: SimmParameters, days: float) -> float:
    """Return the scaling of a vega to a curvature: half, less for expiries beyond the days of the table."""
    return 0.5 * min(1.0, table.curvature_days / days) if days > 0.0 else 0.5


def _between(table: SimmParameters, one: int, other: int) -> float:
    low, high = sorted((one, other))
    return table.bucket_correlations[low - 1][high - low - 1]


def _bucket(table: SimmParameters, members: Sequence[_Weighted], power: int) -> float:
    """Return the margin of one bucket; ``power`` 2 squares the correlations, as curvature does."""
    rho = table.correlations[members[0].bucket - 1]
    terms = []
    for row, one in enumerate(members):
        terms.append(one.value * one.value)
        for other in members[:row]:
            pair = sorted((one.concentration, other.concentration))
            terms.append(2.0 * (rho * pair[0] / pair[1]) ** power * one.value * other.value)
    return math.sqrt(max(math.fsum(terms), 0.0))


def _across(table: SimmParameters, weighted: Sequence[_Weighted], power: int) -> tuple[float, float]:
    """Return the margin of buckets 1 to 12 together, and that of the residual one."""
    groups: dict[int, list[_Weighted]] = {}
    for one in weighted:
        groups.setdefault(one.bucket, []).append(one)
    margins = {bucket: _bucket(table, members, power) for bucket, members in sorted(groups.items())}
    residual = margins.pop(RESIDUAL, 0.0)
    nets = {b: max(min(math.fsum(m.value for m in groups[b]), k), -k) for b, k in margins.items()}
    terms = [k * k for k in margins.values()]
    names = list(margins)
    terms += [
        2.0 * _between(table, a, b) ** power * nets[a] * nets[b]
        for row, a in enumerate(names)
        for b in names[:row]
    ]
    return math.sqrt(max(math.fsum(terms), 0.0)), residual


def _sum(table: SimmParameters, weighted: Sequence[_Weighted]) -> float:
    return math.fsum(_across(table, weighted, 1))


def _curvature(table: SimmParameters, curves: Sequence[_Weighted]) -> float:
    both, residual = _across(table, curves, 2)
    total = 0.0
    for values, margin in (
        ([c.value for c in curves if c.bucket != RESIDUAL], both),
        ([c.value for c in curves if c.bucket == RESIDUAL], residual),
    ):
        gross = math.fsum(map(abs, values))
        if gross > 0.0:
            net = math.fsum(values)
            theta = min(net / gross, 0.0)
            quantile = float(ndtri(table.curvature_level))
            total += max(net + ((quantile * quantile - 1.0) * (1.0 + theta) - theta) * margin, 0.0)
    return total
