"""The worst scenarios of many books of options, valued in full where it counts and nowhere else.

Every scenario is valued in single precision first. An error bound tells which scenarios may belong to the
tail; only these few are valued in doubles. The answer has the bits of valuing all of them in doubles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import BoolArray, FloatArray, IntArray
from pmkit.pricing import option_matrix
from pmkit.pricing.numeric import GROUP
from pmkit.risk.accounts import tails
from pmkit.risk.accounts_result import TailOfAccounts
from pmkit.risk.accounts_table import AccountPositions, AccountTable, account_table

__all__ = ["option_tails"]

_SPARE = 12  # scenarios looked at beyond twice the tail before more are asked for
_UNIT = 2.0**-24  # half the distance of 1 to the next single
_VALUE = 1e-6  # error of a single value against the larger of forward and strike, twice what is documented
_LARGE = 1e30  # beyond it singles overflow


def option_tails(
    forward: FloatArray,
    iv: npt.ArrayLike,
    strike: npt.ArrayLike,
    tau: npt.ArrayLike,
    is_call: bool | npt.ArrayLike,
    inverse: bool | npt.ArrayLike,
    positions: AccountPositions | AccountTable,
    keep: int,
    *,
    level: FloatArray | None = None,
    curve: IntArray | None = None,
    out: npt.NDArray[np.float32] | None = None,
) -> TailOfAccounts:
    """Return the worst values of each book of options over scenarios, worst first, with their scenarios.

    For walk-forwards over books that consist of options, where valuing is what takes the time. Books of any
    contracts go through :func:`pmkit.risk.revalue` and :func:`pmkit.risk.account_measures`.

    Parameters
    ----------
    forward, iv, strike, tau, is_call, inverse, level, curve
        As in :func:`pmkit.pricing.option_matrix`, all finite.
    positions : AccountTable, DataFrame, array or scipy.sparse matrix, shape (books, m)
        Signed quantities; columns are the options, named ``"0"`` to ``"m-1"`` in a frame.
    keep : int
        Number of worst scenarios wanted, from 1 to the number of scenarios.
    out : ndarray of float32, shape (m, n), optional
        Contiguous room to work in; its contents are lost.

    Returns
    -------
    TailOfAccounts
        ``profit`` holds values of the books (undiscounted, USD or coin), shape (books, keep), ascending, and
        ``scenario`` their numbers; ties go to the smaller number.

    Raises
    ------
    ParameterError
        ``keep`` or an argument is out of range, a value is not finite, or shapes do not fit.

    Notes
    -----
    With x the values of a book in singles, y in doubles and ``abs(x - y) <= e``, the k-th smallest y is at
    most ``x_(k) + e``, so each of the k smallest has ``x <= x_(k) + 2 e``. The bound e adds the errors of the
    single values, ``1e-6 max(F, K)`` each, to that of a sum of m terms, ``(m + 2) 2**-24`` of the sum of
    their sizes. That the tails found agree within e is checked; all scenarios are valued in doubles if not.

    References
    ----------
    Higham (2002), section 4.2, for the error of a sum.

    Examples
    --------
    >>> forward = np.linspace(50_000.0, 70_000.0, 201)
    >>> straddle = np.array([[-1.0, -1.0]])
    >>> strike, tau = [60_000.0] * 2, [0.1] * 2
    >>> found = option_tails(forward, [0.6, 0.6], strike, tau, [True, False], False, straddle, 3)
    >>> found.scenario.tolist(), found.profit.round(2).tolist()
    ([[200, 199, 198]], [[-12884.22, -12820.85, -12757.87]])
    """
    terms = {
        "iv": np.atleast_1d(np.asarray(iv, dtype=np.float64)),
        "strike": np.atleast_1d(np.asarray(strike, dtype=np.float64)),
        "tau": np.atleast_1d(np.asarray(tau, dtype=np.float64)),
    }
    ahead = np.asarray(forward, dtype=np.float64)
    levels = None if level is None else np.asarray(level, dtype=np.float64)
    for name, column in {"forward": ahead, "level": levels, **terms}.items():
        if column is not None and not np.isfinite(column).all():
            raise ParameterError(
                f"{name} holds a value that is not finite", "finite numbers", "leave those options out"
            )
    count, size = terms["strike"].size, ahead.shape[-1] if ahead.ndim else 0
    if isinstance(keep, bool) or not isinstance(keep, int) or not 1 <= keep <= size:
        raise ParameterError(
            f"keep is {keep!r}", f"a whole number from 1 to {size}", "ask for fewer scenarios"
        )
    table = _table(positions, count)

    def values(chosen: Any, single: bool, room: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        moved = None if levels is None else levels[..., chosen]
        return option_matrix(
            ahead[..., chosen], terms["iv"], terms["strike"], terms["tau"], is_call, inverse,
            level=moved, curve=curve, single=single, out=room,
        )  # fmt: skip

    everything = slice(None)
    error = _error_of(table, *_bounds(ahead, levels, inverse, **terms))
    if not error.max(initial=0.0) < _LARGE:
        return tails(values(everything, False), table, keep)
    rough, bound = _candidates(values(everything, True, out), table, keep, error)
    chosen = np.unique(rough.scenario[rough.profit <= bound[:, None]])
    if 2 * chosen.size > size:
        return tails(values(everything, False), table, keep)
    whole = np.resize(chosen, -(-chosen.size // GROUP) * GROUP)  # the kernel works in whole groups
    found = tails(values(whole, False)[:, : chosen.size], table, keep)
    if not (np.abs(found.profit - rough.profit[:, :keep]) <= error[:, None]).all():
        return tails(values(everything, False), table, keep)
    return TailOfAccounts(profit=found.profit, scenario=chosen[found.scenario])


def _table(positions: AccountPositions | AccountTable, count: int) -> AccountTable:
    """Return the books as a table whose columns are the options."""
    if not isinstance(positions, AccountTable):
        from scipy import sparse

        rows = sparse.csr_array(positions) if isinstance(positions, np.ndarray) else positions
        return account_table(rows, [str(j) for j in range(count)])
    if len(positions.columns) != count or positions.instruments != count:
        raise ParameterError(
            f"the table has {len(positions.columns)} columns", f"{count}, one an option", "build it for them"
        )
    return positions


def _bounds(
    forward: FloatArray,
    level: FloatArray | None,
    inverse: bool | npt.ArrayLike,
    *,
    iv: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return for each option what its value and the error of its single value do not exceed.

    The value is at most the larger intrinsic value and ``min(F, K) (2 N(s/2) - 1)``, and that is at most
    ``0.4 s min(F, K)``, with s the total volatility.
    """
    most, least = float(forward.max()), float(forward.min())
    total = iv * np.sqrt(tau) * (1.0 if level is None else float(level.max()))
    value = np.maximum(most - strike, strike - least)
    value = np.maximum(value, 0.0) + np.minimum(most, strike) * np.minimum(0.4 * total, 1.0)
    error = _VALUE * np.maximum(most, strike)
    coins: BoolArray = np.broadcast_to(np.asarray(inverse, dtype=bool), strike.shape)
    if not coins.any():
        return value, error
    per_coin = 1.0 / least if least > 0.0 else np.inf
    return np.where(coins, value * per_coin, value), np.where(coins, error * per_coin, error)


def _error_of(table: AccountTable, value: FloatArray, error: FloatArray) -> FloatArray:
    """Return the bound on the error of each book's value in singles."""
    size, lines = np.abs(table.quantity), np.diff(table.starts)
    book = np.repeat(np.arange(len(table)), lines)
    wrong = np.bincount(book, size * error[table.rows], minlength=len(table))
    added = np.bincount(book, size * value[table.rows], minlength=len(table))
    return np.asarray(wrong + (lines + 2) * _UNIT * (added + wrong), dtype=np.float64)


def _candidates(
    matrix: npt.NDArray[Any], table: AccountTable, keep: int, error: FloatArray
) -> tuple[TailOfAccounts, FloatArray]:
    """Return the worst of each book in singles, enough of them, and up to where they may be in the tail."""
    size, wide = matrix.shape[1], min(matrix.shape[1], 2 * keep + _SPARE)
    while True:
        rough = tails(matrix, table, wide)
        bound = rough.profit[:, keep - 1] + 2.0 * error
        if wide == size or bool((rough.profit[:, -1] > bound).all()):
            return rough, bound
        wide = min(size, 2 * wide)
