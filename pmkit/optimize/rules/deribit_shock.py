"""The delta shock of Deribit's risk matrix: convex inside a region of signs, so searched region by region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pmkit.core.types import BoolArray, FloatArray
from pmkit.margin.schemas import RiskMatrixParameters
from pmkit.optimize.linear.model import Affine, Held, LinearModel, dense_block
from pmkit.optimize.linear.solver import NewRows

__all__ = ["ShockRegion", "encode_shock", "regions_at"]

#: share of a charge, and of one coin at least, by which its tangents may fall short
_SHARE = 2e-9


@dataclass(frozen=True)
class ShockRegion:
    """Signs under which the charged delta is linear in the quantities.

    Attributes
    ----------
    long : tuple of bool
        By instrument: counted as a long option (quantity of 0 or more), else not a long option.
    side : {-1, 1}
        Sign of the delta of everything but the long options.
    part : {"alone", "reduced", "none"}
        Long options add to that delta and do not count, reduce it, or outweigh it so that nothing is charged.
    capped : bool
        The rate is at its cap.
    """

    long: tuple[bool, ...]
    side: Literal[-1, 1]
    part: Literal["alone", "reduced", "none"]
    capped: bool = False


def regions_at(long: tuple[bool, ...]) -> Iterator[ShockRegion]:
    """Return the regions of given signs of the options."""
    sides: tuple[Literal[-1, 1], ...] = (-1, 1)
    for side in sides:
        yield ShockRegion(long, side, "none")
        for capped in (False, True):
            yield ShockRegion(long, side, "alone", capped)
            yield ShockRegion(long, side, "reduced", capped)


@dataclass
class _Tangents:
    """Rows ``charge >= g(m) + g'(m) (size - m)`` below the convex charge ``g(m) = m a (m - t)``."""

    size: Affine
    charge: int
    rate: float
    threshold: float

    def violated(self, point: FloatArray, n_columns: int, n_rows: int) -> NewRows | None:
        """Return the tangent at a point whose charge is too low."""
        m = self.size.value(point)
        due = self.rate * m * (m - self.threshold)
        if due - float(point[self.charge]) <= _SHARE * max(due, 1.0):
            return None
        slope = self.rate * (2.0 * m - self.threshold)
        columns, inverse = np.unique(np.append(self.size.columns, self.charge), return_inverse=True)
        values = np.zeros(columns.size)
        np.add.at(values, inverse, np.append(-slope * self.size.coefficients, 1.0))
        low = due + slope * (self.size.constant - m)
        return NewRows(rows=dense_block(values[None, :], columns, np.array([low]), np.array([np.inf])))


def encode_shock(
    model: LinearModel,
    held: Held,
    unit_delta: FloatArray,
    is_option: BoolArray,
    region: ShockRegion,
    table: RiskMatrixParameters,
    spot: float,
) -> tuple[Affine, _Tangents | None]:
    """Return the charge in coin inside a region, whose rows are added, and tangents to be asked for.

    Notes
    -----
    With the delta of long options L and of the rest R the size m is ``|R|`` less what L takes off, and the
    charge ``m min(a max(m - t, 0), cap)``: zero up to t, convex up to ``t + cap/a``, linear beyond.
    """
    long = np.array(region.long) & is_option
    sign = np.where(long, 1.0, -1.0)
    for at in np.flatnonzero(is_option):
        model.row(held.one(int(at), float(sign[at])), 0.0, np.inf)
    rest = held.weighted(region.side * np.where(long, 0.0, unit_delta))
    added = held.weighted(region.side * np.where(long, unit_delta, 0.0))
    both = Affine.total([rest, added])
    model.row(rest, 0.0, np.inf)
    if region.part == "none":
        model.row(both, -np.inf, 0.0)
        return Affine.of([]), None
    size = rest if region.part == "alone" else both
    model.row(size, 0.0, np.inf)
    model.row(added, *((0.0, np.inf) if region.part == "alone" else (-np.inf, 0.0)))
    threshold = table.delta_total_liq_shock_threshold / spot
    edge = threshold + table.max_delta_shock / table.m_inc
    if region.capped:
        model.row(size, edge, np.inf)
        return size.times(table.max_delta_shock), None
    model.row(size, -np.inf, edge)
    charge = model.column("delta shock")
    return Affine.of([(charge, 1.0)]), _Tangents(size, charge, table.m_inc, threshold)
