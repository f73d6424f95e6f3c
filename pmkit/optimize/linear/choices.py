"""Piecewise linear functions that are not convex, written exactly with one binary a kink."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.optimize.linear.model import Affine, LinearModel

__all__ = ["chosen", "exact_parts", "exact_smaller", "gain_at_most", "range_of", "smallest"]

#: bounds are taken a little wide, so that no point at a bound is lost to rounding
_ROOM = 1.0 + 1e-6


def range_of(model: LinearModel, expression: Affine) -> tuple[float, float]:
    """Return bounds of an expression by the bounds of its columns, minus and plus infinity for none."""
    columns, inverse = np.unique(expression.columns, return_inverse=True)
    values = np.zeros(columns.size)
    np.add.at(values, inverse, expression.coefficients)
    used = values != 0.0
    columns, values = columns[used], values[used]
    low = np.array([model.low[c] for c in columns])
    high = np.array([model.high[c] for c in columns])
    least = np.where(values > 0.0, values * low, values * high)
    most = np.where(values > 0.0, values * high, values * low)
    constant = expression.constant
    return constant + float(np.add.reduce(least)), constant + float(np.add.reduce(most))


def exact_parts(model: LinearModel, expression: Affine, what: str) -> tuple[Affine, Affine]:
    """Return the positive and the negative part of an expression, both 0 or more, exact in any direction.

    Parameters
    ----------
    model : LinearModel
    expression : Affine
    what : str
        Name for messages.

    Raises
    ------
    ParameterError
        The expression can be of either sign and has no bounds: a choice needs them.

    Notes
    -----
    With bounds ``l < 0 < h`` and a binary z: ``x <= p <= x - l (1 - z)`` and ``0 <= p <= h z``, all in units
    of the larger bound, so that the solver's tolerance is a share of it.
    """
    low, high = range_of(model, expression)
    nothing = Affine.of([])
    if low >= 0.0:
        return expression, nothing
    if high <= 0.0:
        return nothing, expression.times(-1.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise _without_bounds(what)
    model.sharp = True
    scale = max(-low, high)
    least, most = low / scale * _ROOM, high / scale * _ROOM
    part = model.column(f"positive part of {what}", 0.0, most)
    above = model.column(f"side of {what}", 0.0, 1.0, integer=True)
    negative = Affine.total([Affine.of([(part, 1.0)]), expression.times(-1.0 / scale)])
    model.row(negative, 0.0, np.inf)
    model.row(Affine.total([negative, Affine.of([(above, -least)])]), -np.inf, -least)
    model.row(Affine.of([(part, 1.0), (above, -most)]), -np.inf, 0.0)
    return Affine.of([(part, scale)]), negative.times(scale)


def exact_smaller(model: LinearModel, one: Affine, other: Affine, what: str) -> Affine:
    """Return the smaller of two expressions, exact in any direction; raises as :func:`exact_parts`."""
    above, _ = exact_parts(model, Affine.total([one, other.times(-1.0)]), what)
    return Affine.total([one, above.times(-1.0)])


def smallest(model: LinearModel, expressions: Sequence[Affine], what: str) -> Affine:
    """Return the smallest of one or more expressions, exact in any direction."""
    found = expressions[0]
    for other in expressions[1:]:
        found = exact_smaller(model, found, other, what)
    return found


def chosen(
    model: LinearModel, choice: Affine, expression: Affine, what: str, least: float | None = None
) -> None:
    """Add ``expression >= 0`` where a choice is 1; where it is 0 the row says nothing.

    Parameters
    ----------
    model : LinearModel
    choice : Affine
        0 or 1: a binary, or 1 less one.
    expression : Affine
    what : str
        Name for messages.
    least : float, optional
        Lower bound of the expression; by the bounds of its columns where it is left out.

    Raises
    ------
    ParameterError
        The expression has no lower bound.
    """
    low = range_of(model, expression)[0] if least is None else least
    if low >= 0.0:
        return
    if not np.isfinite(low):
        raise _without_bounds(what)
    model.sharp = True
    room = low * _ROOM
    model.row(Affine.total([expression.times(-1.0 / room), choice.times(-1.0)]), -1.0, np.inf)


def gain_at_most(model: LinearModel, expression: Affine, most: float, what: str) -> Affine:
    """Return an amount that reaches the positive part of an expression at most, and a limit at most.

    Raises
    ------
    ParameterError
        The expression can be of either sign and has no lower bound.

    Notes
    -----
    With a lower bound ``l`` and a binary z: ``g <= x - l (1 - z)`` and
    ``0 <= g <= most z``, the first in units of ``-l``.
    """
    low, high = range_of(model, expression)
    most = min(most, high)
    if most <= 0.0:
        return Affine.of([])
    gain = model.column(f"gain of {what}", 0.0, most)
    below = Affine.total([expression, Affine.of([(gain, -1.0)])])
    if low >= 0.0:
        model.row(below, 0.0, np.inf)
        return Affine.of([(gain, 1.0)])
    above = model.column(f"gain in {what}", 0.0, 1.0, integer=True)
    chosen(model, Affine.of([(above, 1.0)]), below, what, least=low)
    if np.isfinite(most):
        model.row(Affine.of([(gain, 1.0 / most), (above, -1.0)]), -np.inf, 0.0)
        return Affine.of([(gain, 1.0)])
    raise _without_bounds(what)


def _without_bounds(what: str) -> ParameterError:
    return ParameterError(
        f"{what} has no bounds, as a leg has no largest trade",
        "finite max_buy and max_sell: this part of the rule is a choice between two cases",
        "limit the legs, for example with legs.limited(100.0)",
    )
