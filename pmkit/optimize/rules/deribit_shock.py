"""The delta shock of Deribit's risk matrix, exact: signs of options, the side, and the cap as choices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmkit.core.types import BoolArray, FloatArray
from pmkit.margin.schemas import RiskMatrixParameters
from pmkit.optimize.linear.choices import chosen, exact_parts, range_of
from pmkit.optimize.linear.model import Affine, Held, dense_block
from pmkit.optimize.linear.solver import NewRows
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_shock"]

#: share of a charge, and of one coin at least, by which its tangents may fall short
_SHARE = 2e-9
#: tangents that are there from the start
_SEEDS = 9
#: largest delta in a programme, in its unit
_MOST = 1e5


@dataclass(frozen=True)
class _Curve:
    """The charge ``m min(a max(m - t, 0), cap)`` of a delta m of 0 or more, coins; a is above 0."""

    rate: float
    threshold: float
    cap: float

    @property
    def edge(self) -> float:
        """Delta from which the rate is at its cap."""
        return self.threshold + self.cap / self.rate

    def rising(self, m: float) -> float:
        """Return the charge as if there were no cap."""
        return self.rate * m * (m - self.threshold)

    def tangent(self, m: float) -> tuple[float, float]:
        """Return slope and constant of the tangent of :meth:`rising`."""
        slope = self.rate * (2.0 * m - self.threshold)
        return slope, self.rising(m) - slope * m


@dataclass(frozen=True)
class _Tangents:
    """Rows ``charge >= tangent(size)``, which say nothing where the rate is at its cap."""

    curve: _Curve
    size: int
    charge: int
    capped: int  # -1 for a rate that cannot be at its cap
    room: float  # most by which the rising charge is above the capped one

    def row(self, m: float) -> NewRows:
        """Return the tangent at a delta."""
        slope, constant = self.curve.tangent(m)
        columns, values = [self.size, self.charge], [-slope, 1.0]
        if self.capped >= 0:
            columns, values = [*columns, self.capped], [*values, self.room]
        matrix = np.array([values])
        block = dense_block(matrix, np.array(columns), np.array([constant]), np.array([np.inf]))
        return NewRows(rows=block)

    def violated(self, point: FloatArray, n_columns: int, n_rows: int) -> NewRows | None:
        """Return the tangent at a point whose charge is too low."""
        m = float(point[self.size])
        if self.capped >= 0 and point[self.capped] > 0.5:
            return None
        due = self.curve.rising(m)
        return None if due - float(point[self.charge]) <= _SHARE * max(due, 1.0) else self.row(m)


def encode_shock(
    work: Workspace,
    held: Held,
    unit_delta: FloatArray,
    is_option: BoolArray,
    table: RiskMatrixParameters,
    spot: float,
) -> Affine:
    """Return the charge in coin, exact where it is pushed down.

    Parameters
    ----------
    work : Workspace
    held : Held
        Quantities of the coin's contracts.
    unit_delta : ndarray, shape (instruments,)
        Coins per contract.
    is_option : ndarray of bool, shape (instruments,)
    table : RiskMatrixParameters
    spot : float
        USD.

    Raises
    ------
    ParameterError
        A leg without a largest trade where the charge is a choice.

    Notes
    -----
    With the delta of long options L, that of the rest R and ``B = L + R`` the size is
    ``m = max(min(B, R), min(-B, -R), 0)``, pushed down onto the smaller of two by one binary a side, and the
    charge ``m min(a max(m - t, 0), cap)``. Which options are long is one binary for every option that can be
    either; the charge is convex up to ``t + cap/a`` and linear beyond, which is one binary more. Where no
    trade within the limits reaches the threshold, nothing is added.
    """
    most, threshold = _largest(held, unit_delta, is_option), table.delta_total_liq_shock_threshold / spot
    if table.m_inc == 0.0 or table.max_delta_shock == 0.0 or most <= threshold:
        return Affine.of([])
    # the solver's tolerance is an absolute one
    unit = max(most / _MOST, 1.0) if np.isfinite(most) else 1.0
    curve = _Curve(table.m_inc * unit, threshold / unit, table.max_delta_shock)
    model = work.model
    rest = [held.weighted(np.where(is_option, 0.0, unit_delta))]
    for at in np.flatnonzero(is_option & (unit_delta != 0.0)):
        name = f"options {at + 1}"
        _, short = exact_parts(model, held.one(int(at)), f"delta shock: {name}")
        rest.append(short.times(-float(unit_delta[at])))
    both, other = held.weighted(unit_delta), Affine.total(rest)
    size = model.column("one-sided delta", 0.0, most / unit)
    for sign in (1.0, -1.0):
        _at_least_smaller(work, size, both.times(sign / unit), other.times(sign / unit))
    return _charge(work, curve, size, most / unit).times(unit)


def _largest(held: Held, unit_delta: FloatArray, is_option: BoolArray) -> float:
    """Return the largest one-sided delta within the bounds of the quantities, by intervals."""
    used = unit_delta != 0.0
    delta, low, high = unit_delta[used], held.low[used], held.high[used]
    option = is_option[used]
    ends = np.stack([delta * low, delta * high])
    # of an option only what is short belongs to the rest
    short = np.stack([delta * np.minimum(low, 0.0), delta * np.minimum(high, 0.0)])
    rest = np.where(option[None, :], short, ends)
    least, most = (
        np.array([np.add.reduce(pick(x, axis=0)) for x in (ends, rest)]) for pick in (np.min, np.max)
    )
    return float(max(np.min(most), np.min(-least), 0.0))


def _at_least_smaller(work: Workspace, size: int, one: Affine, other: Affine) -> None:
    """Add that a size is at least the smaller of two deltas."""
    highs = [range_of(work.model, x)[1] for x in (one, other)]
    if min(highs) <= 0.0:
        return
    first = work.model.column("side of the delta", 0.0, 1.0, integer=True)
    choices = (Affine.of([(first, 1.0)]), Affine.of([(first, -1.0)], 1.0))
    for choice, delta, high in zip(choices, (one, other), highs, strict=True):
        above = Affine.total([Affine.of([(size, 1.0)]), delta.times(-1.0)])
        chosen(work.model, choice, above, "delta of the book", least=-high)


def _charge(work: Workspace, curve: _Curve, size: int, most: float) -> Affine:
    """Return the charge of a size as a column above its tangents, or above the capped line."""
    model = work.model
    charge = model.column("delta shock")
    capped, room = -1, 0.0
    if most > curve.edge:
        capped = model.column("delta shock at its cap", 0.0, 1.0, integer=True)
        room = curve.rising(most) - curve.cap * most
        line = Affine.of([(charge, 1.0), (size, -curve.cap)])
        chosen(model, Affine.of([(capped, 1.0)]), line, "delta shock", least=-curve.cap * most)
    tangents = _Tangents(curve, size, charge, capped, room)
    for m in np.linspace(curve.threshold, min(curve.edge, most), _SEEDS):
        model.add(tangents.row(float(m)).rows)
    work.lazy.append(tangents)
    return Affine.of([(charge, 1.0)])
