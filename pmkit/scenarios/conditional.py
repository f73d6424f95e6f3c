"""What other factors are expected to do, given moves of some: the conditional normal law."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import BoolArray, FloatArray
from pmkit.scenarios.factors import Factor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ConditionalMoves", "conditional_moves", "position_of"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ConditionalMoves(Result):
    """Expected moves of all factors, given some, and the standard deviation that is left.

    Attributes
    ----------
    factors : tuple of Factor
    shocked : ndarray of bool, shape (n,)
        True where the move was given.
    expected : ndarray, shape (n,)
        Logs, or the unit of :class:`Factor`; the given move where one was.
    sd : ndarray, shape (n,)
        Conditional standard deviation, 0 where the move was given.
    sd_before : ndarray, shape (n,)
        Without the condition.
    distance : float
        Mahalanobis distance of the given moves: how many standard deviations away they are, jointly.
    """

    factors: tuple[Factor, ...]
    shocked: BoolArray
    expected: FloatArray
    sd: FloatArray
    sd_before: FloatArray
    distance: float
    references: tuple[str, ...] = ("kupiec1998",)

    def check(self) -> None:
        """Raise where the condition left a factor more spread than it had, or spread to a given move."""
        if bool((self.sd > self.sd_before * (1.0 + 1e-9)).any()) or bool(self.sd[self.shocked].any()):
            raise PmkitError("a condition that adds spread", "less spread", "report it with the inputs")

    def to_frame(self) -> pd.DataFrame:
        """Return one row a factor: given or expected, move, what is left of its spread, and size in sd."""
        scale = np.where(self.sd_before > 0.0, self.sd_before, np.nan)
        return pd.DataFrame(
            {
                "move is": np.where(self.shocked, "given", "expected"),
                "move": self.expected,
                "conditional sd": self.sd,
                "sd before": self.sd_before,
                "move in sd": self.expected / scale,
            },
            index=pd.Index([f.label for f in self.factors], name="factor"),
        )

    def summary(self) -> pd.DataFrame:
        """Return :meth:`to_frame`, headed by the distance of the given moves."""
        frame = self.to_frame()
        frame.index.name = f"given moves lie {self.distance:.4g} standard deviations away"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with each expected move in its own standard deviations, bars of one conditional sd."""
        axes = new_axes(ax)
        scale = np.where(self.sd_before > 0.0, self.sd_before, np.nan)
        at = np.arange(len(self.factors))
        axes.errorbar(self.expected / scale, at, xerr=self.sd / scale, fmt="o", capsize=3)
        axes.set_yticks(at, [f.label for f in self.factors], fontsize=7)
        axes.axvline(0.0, color="0.7", linewidth=0.8)
        axes.set(
            xlabel="move, in standard deviations of the factor", title="expected moves, one conditional sd"
        )
        return axes


def position_of(factors: Sequence[Factor], key: str | Factor) -> int:
    """Return the column of a factor, named by itself, its label, or an underlying for its spot."""
    wanted = f"{key} spot" if isinstance(key, str) and " " not in key else key
    for column, factor in enumerate(factors):
        if factor == wanted or factor.label == wanted:
            return column
    raise DataGapError(
        f"no factor {key if isinstance(key, str) else key.label!r} to move",
        f"one of {', '.join(f.label for f in factors)}",
        "correct the name, or build the set with that factor",
    )


def conditional_moves(
    factors: Sequence[Factor], matrix: FloatArray, moves: Mapping[str | Factor, float]
) -> ConditionalMoves:
    """Return the conditional law, as :meth:`FactorCovariance.conditional` says.

    Notes
    -----
    With s the given factors and o the others: ``E[o] = C_os C_ss^-1 x_s`` and
    ``cov(o) = C_oo - C_os C_ss^-1 C_so``.
    """
    given: dict[int, float] = {}
    for key, move in moves.items():
        column = position_of(factors, key)
        if isinstance(move, bool) or not isinstance(move, (int, float)) or not math.isfinite(move):
            raise ParameterError(
                f"the move of {factors[column].label} is {move!r}", "a finite number", "correct it"
            )
        if column in given:
            raise ParameterError(f"{factors[column].label} is given twice", "one move", "drop one of them")
        given[column] = float(move)
    if not given:
        raise ParameterError("no move is given", "at least one", "name a factor and its move")
    s = np.array(sorted(given))
    x = np.array([given[i] for i in s])
    sd = np.sqrt(np.diag(matrix))
    scale = np.where(sd > 0.0, sd, 1.0)
    R = matrix / np.outer(scale, scale)
    Rss = R[np.ix_(s, s)]
    if float(np.linalg.eigvalsh(Rss)[0]) < 1e-10:
        raise ParameterError(
            f"the given factors {', '.join(factors[i].label for i in s)} are collinear or do not vary",
            "factors of which none follows from the others",
            "give fewer of them",
        )
    z = x / scale[s]
    solved = np.linalg.solve(Rss, np.column_stack([z, R[s]]))
    expected = scale * np.einsum("so,s->o", R[s], solved[:, 0])
    left = np.maximum(np.diag(R) - np.einsum("so,so->o", R[s], solved[:, 1:]), 0.0)
    # a rounding error of 1 - 1 must not look like spread
    left[left < 1e-12] = 0.0
    shocked = np.zeros(len(factors), dtype=np.bool_)
    shocked[s] = True
    expected[s], left[s] = x, 0.0
    return ConditionalMoves(
        factors=tuple(factors),
        shocked=shocked,
        expected=expected,
        sd=scale * np.sqrt(left),
        sd_before=sd,
        distance=math.sqrt(max(float(np.add.reduce(z * solved[:, 0])), 0.0)),
    )
