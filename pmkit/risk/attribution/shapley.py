"""Shapley values: a fair split of any requirement over desks, risk classes or lines, smooth or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.progress import ProgressBar
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ShapleyAttribution", "shapley"]

#: most players whose 2^n coalitions are all valued where no method is named
_EXACT = 12
#: most players that can be asked for by name
_MOST_EXACT = 20


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ShapleyAttribution(Result):
    """The value of the grand coalition split over its players.

    Attributes
    ----------
    total : float
        Value of all players together, less the value of none.
    method : {"exact", "permutations"}
    evaluations : int
        Coalitions that were valued.
    table : pandas.DataFrame
        One row a player: ``value`` (they add up to ``total``), ``se`` (0 where exact), ``standalone`` (value
        of the player alone) and ``last`` (what the player adds to all others).
    """

    total: float
    method: str
    evaluations: int
    table: pd.DataFrame
    references: tuple[str, ...] = ("shapley1953", "castro2009")

    def check(self) -> None:
        """Raise where the values do not add up to the total to 1e-12 of their gross sum."""
        values = self.table["value"].to_numpy()
        gross = math.fsum(np.abs(values))
        if abs(math.fsum(values) - self.total) > 1e-12 * max(gross, abs(self.total)):
            raise PmkitError(
                f"values add up to {math.fsum(values)}, not {self.total}", "the total", "report this as a bug"
            )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a player with every number."""
        return self.table

    def summary(self) -> pd.DataFrame:
        """Return one row a player, and the total."""
        frame = pd.concat([self.table, self.table.sum().to_frame("sum").T])
        frame.loc["sum", "se"] = math.nan
        frame.index.name = f"Shapley values, {self.method}, {self.evaluations} coalitions"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with a bar a player and two standard errors either side, standalone values as dots."""
        axes = new_axes(ax)
        names = [str(name) for name in self.table.index]
        axes.barh(names, self.table["value"].to_numpy(), xerr=2.0 * self.table["se"].to_numpy())
        axes.plot(self.table["standalone"].to_numpy(), names, "o", color="black", label="alone")
        axes.invert_yaxis()
        axes.set(xlabel="value, unit of the requirement", title=f"Shapley values, sum {self.total:,.6g}")
        axes.legend()
        return axes


def shapley(
    players: Sequence[str],
    value: Callable[[tuple[str, ...]], float],
    *,
    method: str = "auto",
    n_permutations: int = 1000,
    seed: int = 0,
    empty: float = 0.0,
    progress: bool | None = None,
) -> ShapleyAttribution:
    """Return the Shapley value of each player, in the unit of ``value``; they add up to the whole.

    Parameters
    ----------
    players : sequence of str
        Desks, risk classes or lines.
    value : callable
        From a tuple of players, in the order of ``players``, to a number: the requirement of their positions
        alone. Called once a coalition.
    method : {"auto", "exact", "permutations"}
        ``auto`` values all coalitions of up to 12 players and samples orders above that; ``exact`` goes up to
        20.
    n_permutations : int
        Orders to sample, an even number of 4 or more: each is followed by its reverse, which halves the work
        of a given error where players substitute each other.
    seed : int
    empty : float
        Value of no players; ``value`` is not asked.
    progress : bool, optional
        Whether to show a progress bar; where left out, in a terminal, after two seconds.

    Returns
    -------
    ShapleyAttribution

    Raises
    ------
    ParameterError
        No players, a player twice, too many for ``exact``, an odd number of orders, or a value that is not
        finite.

    Notes
    -----
    ``phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S))``: the mean of what a player
    adds when all join in random order. It needs no derivative, so it splits rules with maxima, floors and
    offsets; where the rule is smooth and homogeneous, Euler components (:func:`euler_es`) cost less. Sampled
    orders add up exactly as well; their error is the spread over pairs.

    References
    ----------
    Shapley (1953); Castro, Gómez and Tejada (2009), section 3.

    Examples
    --------
    >>> worth = {("a",): 60.0, ("b",): 80.0, ("a", "b"): 100.0}
    >>> shapley(["a", "b"], lambda s: worth[s]).table["value"].tolist()
    [40.0, 60.0]
    """
    names = tuple(players)
    if not names or len(set(names)) < len(names):
        raise ParameterError(f"players {names}", "one or more distinct names", "correct the list")
    if method not in ("auto", "exact", "permutations"):
        raise ParameterError(
            f"method is {method!r}", "'auto', 'exact' or 'permutations'", "name one of the three"
        )
    if method == "exact" and len(names) > _MOST_EXACT:
        raise ParameterError(
            f"{len(names)} players are {2 ** len(names):,} coalitions",
            f"at most {_MOST_EXACT} players with method 'exact'",
            "use method 'permutations', or larger groups",
        )
    game = _Game(names, value, empty)
    if method == "exact" or (method == "auto" and len(names) <= _EXACT):
        values, errors, method = _exact(game, progress), np.zeros(len(names)), "exact"
    else:
        values, errors = _sampled(game, n_permutations, seed, progress)
        method = "permutations"
    everyone = (1 << len(names)) - 1
    table = pd.DataFrame(
        {
            "value": values,
            "se": errors,
            "standalone": [game(1 << i) for i in range(len(names))],
            "last": [game(everyone) - game(everyone & ~(1 << i)) for i in range(len(names))],
        },
        index=pd.Index(names, name="player"),
    )
    return ShapleyAttribution(
        total=game(everyone) - empty, method=method, evaluations=len(game.known) - 1, table=table
    )


class _Game:
    """Coalition values by bit mask, each asked for once."""

    def __init__(
        self, names: tuple[str, ...], value: Callable[[tuple[str, ...]], float], empty: float
    ) -> None:
        self.names, self.value = names, value
        self.known: dict[int, float] = {0: float(empty)}

    def __call__(self, mask: int) -> float:
        if mask not in self.known:
            members = tuple(name for i, name in enumerate(self.names) if mask >> i & 1)
            given = self.value(members)
            worth = float(given) if hasattr(given, "__float__") else math.nan
            if not math.isfinite(worth):
                raise ParameterError(
                    f"value of {', '.join(members)} is {given!r}",
                    "a finite number",
                    "look at their positions",
                )
            self.known[mask] = worth
        return self.known[mask]


def _exact(game: _Game, progress: bool | None) -> FloatArray:
    """Return the values from all coalitions."""
    n = len(game.names)
    worth = np.empty(1 << n)
    with ProgressBar("coalitions", 1 << n, progress) as bar:
        for mask in range(1 << n):
            worth[mask] = game(mask)
            bar.advance()
    masks = np.arange(1 << n)
    size = np.array([mask.bit_count() for mask in range(1 << n)])
    # of a coalition without the player: the share of orders in which exactly its members come first
    share = np.array([1.0 / (n * math.comb(n - 1, s)) for s in range(n)])
    values = np.empty(n)
    for i in range(n):
        without = masks[masks >> i & 1 == 0]
        values[i] = math.fsum(share[size[without]] * (worth[without | 1 << i] - worth[without]))
    return values


def _sampled(
    game: _Game, n_permutations: int, seed: int, progress: bool | None
) -> tuple[FloatArray, FloatArray]:
    """Return means over random orders and their reverses, and the errors of the means."""
    whole = isinstance(n_permutations, int) and not isinstance(n_permutations, bool)
    if not whole or n_permutations < 4 or n_permutations % 2:
        raise ParameterError(
            f"n_permutations is {n_permutations!r}", "an even number of 4 or more", "correct it"
        )
    n, pairs = len(game.names), n_permutations // 2
    draws = stream(seed, "shapley")
    gains = np.empty((pairs, n))
    with ProgressBar("orders", pairs, progress) as bar:
        for pair in range(pairs):
            order = draws.permutation(n)
            gains[pair] = 0.5 * (_joining(game, order.tolist()) + _joining(game, order[::-1].tolist()))
            bar.advance()
    mean: FloatArray = np.add.reduce(gains, axis=0) / pairs
    return mean, gains.std(axis=0, ddof=1) / math.sqrt(pairs)


def _joining(game: _Game, order: list[int]) -> FloatArray:
    """Return what each player adds when all join in the given order."""
    gains = np.empty(len(order))
    mask, before = 0, game(0)
    for i in order:
        mask |= 1 << i
        after = game(mask)
        gains[i] = after - before
        before = after
    return gains
