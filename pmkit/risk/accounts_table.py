"""Positions of many accounts as one sparse table: accounts by what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.types import FloatArray, IntArray
from pmkit.instruments import Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.collateral import CollateralAccount
from pmkit.risk.inputs import check_held

__all__ = ["AccountPositions", "AccountTable", "account_table"]

#: accounts by name, a frame (accounts, instrument names) or a scipy.sparse matrix (accounts, instruments)
AccountPositions: TypeAlias = "Mapping[str, Portfolio | CollateralAccount] | pd.DataFrame | Any"


@dataclass(frozen=True, kw_only=True, eq=False)
class AccountTable:
    """Quantities of many accounts, row after row, only those that are not 0.

    Attributes
    ----------
    accounts : pandas.Index
        Names.
    columns : tuple of str
        Names of what is held: instruments, then currencies.
    instruments : int
        How many of the columns are instruments.
    starts : ndarray of int64, shape (accounts + 1,)
        Where the lines of each account begin.
    rows : ndarray of int64, shape (lines,)
        Column of each line, ascending within an account.
    quantity : ndarray, shape (lines,)
        Signed number of contracts, or balance in units of the currency.
    """

    accounts: pd.Index[Any]
    columns: tuple[str, ...]
    instruments: int
    starts: IntArray
    rows: IntArray
    quantity: FloatArray

    def __len__(self) -> int:
        return len(self.accounts)

    @property
    def currencies(self) -> tuple[str, ...]:
        """Currencies of the balances."""
        return self.columns[self.instruments :]


def account_table(
    positions: AccountPositions,
    names: Sequence[str],
    *,
    balances: pd.DataFrame | None = None,
    snapshot: MarketSnapshot | None = None,
) -> AccountTable:
    """Return the sparse table of positions and balances of many accounts.

    Parameters
    ----------
    positions : mapping of str to Portfolio or Account, DataFrame, or scipy.sparse matrix
        A frame has one row an account and one column an instrument name (0 where nothing is held); a sparse
        matrix has the columns ``names``. Accounts bring their balances along.
    names : sequence of str
        Instruments that can be held.
    balances : DataFrame, optional
        One row an account of ``positions`` and one column a currency; not for accounts.
    snapshot : MarketSnapshot, optional
        Marks the futures of accounts.

    Returns
    -------
    AccountTable

    Raises
    ------
    ParameterError
        Positions of another kind or shape, a quantity that is not finite, no account, or balances of other
        accounts.
    DataGapError
        An instrument is not among ``names``, or accounts are given and no snapshot.

    Examples
    --------
    >>> frame = pd.DataFrame({"A": [1.0, 0.0], "B": [0.0, -2.0]}, index=["one", "two"])
    >>> account_table(frame, ["A", "B"]).quantity.tolist()
    [1.0, -2.0]
    """
    if isinstance(positions, Mapping):
        if balances is not None:
            raise ParameterError(
                "balances besides accounts by name", "balances for a frame or matrix", "pass accounts alone"
            )
        return _from_accounts(positions, names, snapshot)
    if isinstance(positions, pd.DataFrame):
        accounts, found = _from_frame(positions, names, "positions")
    else:
        accounts, found = _from_matrix(positions, names)
    columns = tuple(names)
    if balances is not None:
        if not balances.index.equals(accounts):
            raise ParameterError(
                f"balances of {len(balances)} accounts for positions of {len(accounts)}",
                "the same accounts in the same order",
                "balances.reindex(positions.index)",
            )
        currencies = tuple(str(c) for c in balances.columns)
        found = _beside(found, _from_frame(balances, currencies, "balances")[1])
        columns += currencies
    return _checked(accounts, columns, len(names), found)


def _sparse() -> Any:
    """Return scipy.sparse, whose types cannot tell a table's dimensions."""
    from scipy import sparse

    return sparse


def _from_frame(frame: pd.DataFrame, names: Sequence[str], what: str) -> tuple[pd.Index[Any], Any]:
    """Return the accounts and the table of a frame, its columns put in the order of ``names``."""
    sparse = _sparse()
    place = {name: at for at, name in enumerate(names)}
    unknown = [str(c) for c in frame.columns if c not in place]
    if unknown:
        raise _not_valued(unknown[0], len(names))
    try:
        values = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(
            f"{what} are not numeric", "one number a cell", "convert them to float"
        ) from None
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated()][0]
        raise ParameterError(f"{what} name account {twice!r} twice", "one row an account", "add the rows up")
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        row, column = bad[0]
        raise ParameterError(
            f"{what} of account {frame.index[row]!r} in {frame.columns[column]} is {values[row, column]}",
            "a finite number",
            "write 0 for what is not held",
        )
    if not frame.columns.is_unique:
        raise ParameterError(f"{what} name a column twice", "one column a name", "add the columns up")
    kept = sparse.csr_array(values)
    at = np.array([place[c] for c in frame.columns], dtype=np.int64)
    columns = at[kept.indices] if at.size else kept.indices
    shape = (len(frame), len(names))
    return frame.index, sparse.csr_array((kept.data, columns, kept.indptr), shape=shape)


def _from_matrix(positions: Any, names: Sequence[str]) -> tuple[pd.Index[Any], Any]:
    """Return numbered accounts and the table of a sparse matrix."""
    sparse = _sparse()
    if not sparse.issparse(positions) or positions.ndim != 2 or positions.shape[1] != len(names):
        raise ParameterError(
            f"positions are a {type(positions).__name__} of shape {getattr(positions, 'shape', None)}",
            f"accounts by name, a frame, or a scipy.sparse matrix (accounts, {len(names)} instruments)",
            "put the quantities into a pandas.DataFrame with one row an account",
        )
    return pd.RangeIndex(positions.shape[0], name="account"), sparse.csr_array(positions, dtype=np.float64)


def _from_accounts(
    positions: Mapping[str, Portfolio | CollateralAccount],
    names: Sequence[str],
    snapshot: MarketSnapshot | None,
) -> AccountTable:
    """Return the table of portfolios and accounts by name."""
    sparse = _sparse()
    place = {name: at for at, name in enumerate(names)}
    lines: list[tuple[int, str, float]] = []
    cash: list[tuple[int, str, float]] = []
    for at, (name, held) in enumerate(positions.items()):
        check_held(held)
        portfolio = held if isinstance(held, Portfolio) else held.portfolio
        if not isinstance(held, Portfolio):
            if snapshot is None:
                raise DataGapError(
                    f"account {name!r} has balances and there is no snapshot to mark its futures",
                    "a cube with its snapshot",
                    "revalue again, or pass portfolios",
                )
            cash += [(at, c, x) for c, x in held.balances(snapshot).items() if x != 0.0]
        lines += [(at, p.instrument.name, p.qty) for p in portfolio]
    for _, name, _ in lines:
        if name not in place:
            raise _not_valued(name, len(names))
    currencies = tuple(dict.fromkeys(c for _, c, _ in cash))
    purse = {name: len(names) + at for at, name in enumerate(currencies)}
    columns = [place[n] for _, n, _ in lines] + [purse[c] for _, c, _ in cash]
    data = [x for _, _, x in lines + cash]
    row = [at for at, _, _ in lines + cash]
    shape = (len(positions), len(names) + len(currencies))
    table = sparse.coo_array((np.array(data, dtype=np.float64), (row, columns)), shape=shape).tocsr()
    accounts = pd.Index(list(positions), name="account")
    return _checked(accounts, (*names, *currencies), len(names), table)


def _beside(left: Any, right: Any) -> Any:
    """Return two tables side by side."""
    sparse = _sparse()
    return sparse.hstack([left, right], format="csr")


def _checked(accounts: pd.Index[Any], columns: tuple[str, ...], instruments: int, table: Any) -> AccountTable:
    """Return the table without zeros, columns ascending, after a look for what is not finite."""
    if len(accounts) == 0:
        raise ParameterError("there is no account", "at least one", "add a row")
    table = table.copy()
    table.sum_duplicates()
    table.eliminate_zeros()
    bad = np.flatnonzero(~np.isfinite(table.data))
    if bad.size:
        account = int(np.searchsorted(table.indptr, bad[0], side="right")) - 1
        raise ParameterError(
            f"account {accounts[account]!r} holds {table.data[bad[0]]} of {columns[table.indices[bad[0]]]}",
            "a finite number",
            "correct the quantity",
        )
    return AccountTable(
        accounts=accounts,
        columns=columns,
        instruments=instruments,
        starts=table.indptr.astype(np.int64),
        rows=table.indices.astype(np.int64),
        quantity=np.ascontiguousarray(table.data, dtype=np.float64),
    )


def _not_valued(name: str, count: int) -> DataGapError:
    return DataGapError(
        f"{name} was not revalued", f"one of the cube's {count} instruments", "revalue a book that holds it"
    )
