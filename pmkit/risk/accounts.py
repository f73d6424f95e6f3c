"""Requirements of many accounts from one cube, without ever holding accounts × scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.provenance import Provenance
from pmkit.core.types import FloatArray
from pmkit.risk.accounts_result import (
    AccountMeasures,
    TailOfAccounts,
    check_level,
    kept_scenarios,
    measured,
)
from pmkit.risk.accounts_table import AccountPositions, AccountTable, account_table
from pmkit.risk.cube import PnLCube
from pmkit.risk.parallel import check_count
from pmkit.risk.tail_kernel import account_tails
from pmkit.scenarios.inputs import check_kind

if TYPE_CHECKING:
    pass

__all__ = ["account_measures", "tails", "unit_rows"]

_BLOCK = 512  # accounts a thread takes at a time


def account_measures(
    cube: PnLCube,
    positions: AccountPositions,
    *,
    level: float = 0.975,
    measures: Sequence[str] = ("es", "var"),
    balances: pd.DataFrame | None = None,
    numeraire: str = "USD",
    single: bool = False,
    threads: int = 1,
) -> AccountMeasures:
    """Return ES and VaR of many accounts over the scenarios of one cube, positive losses in the numeraire.

    The accounts are rows of a sparse table that is multiplied with the cube's unit profits one account at a
    time, so that memory does not grow with accounts times scenarios.

    Parameters
    ----------
    cube : PnLCube
        Unit profits of everything that is held, from :func:`pmkit.risk.revalue`.
    positions : mapping of str to Portfolio or Account, DataFrame, or scipy.sparse matrix
        Accounts by name; or a frame with one row an account and one column an instrument name, signed
        quantities, 0 where nothing is held; or a sparse matrix whose columns are ``cube.instruments``.
    level : float
        Confidence level, from 0.5 to below 1, for example 0.975.
    measures : sequence of {"es", "var"}
    balances : DataFrame, optional
        Collateral in units of each currency, one row an account and one column a currency; accounts given by
        name bring their own.
    numeraire : str
        ``"USD"`` or a currency that the scenarios move.
    single : bool
        Whether to add up in float32: half the memory traffic, about six digits.
    threads : int
        Threads that share the accounts, 1 or more; equal bits for any number.

    Returns
    -------
    AccountMeasures

    Raises
    ------
    ParameterError
        Level, measures, threads or positions are not as said.
    DataGapError
        Something held is not in the cube, or the scenarios do not move a currency.
    ConventionError
        A currency without a price.

    Notes
    -----
    The estimators are those of :func:`pmkit.risk.value_at_risk` and :func:`pmkit.risk.expected_shortfall`,
    and the cube's scenarios bring their weights. Only the scenarios that may lie in the tail are put in
    order: the worst of k disjoint classes of scenarios bound the k-th worst of all. A few microseconds an
    account for 1,000 scenarios and 20 positions, most of it for reading the rows from memory.

    References
    ----------
    Acerbi and Tasche (2002), definition 2.6.

    Examples
    --------
    >>> from pmkit.instruments import Portfolio
    >>> from pmkit.market import MarketSnapshot
    >>> from pmkit.risk import revalue
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
    >>> cube = revalue(Portfolio.from_records([line]), snap, grid([-0.1, 0.1], dynamics="sticky_strike"))
    >>> held = pd.DataFrame({"BTC-PERPETUAL": [100.0, -200.0]}, index=["long", "short"])
    >>> account_measures(cube, held, level=0.9).values["es"].round(6).tolist()
    [100.0, 200.0]
    """
    check_kind("cube", cube, PnLCube, "pmkit.risk.revalue")
    check_count("threads", threads)
    check_level(level)
    names = [i.name for i in cube.instruments]
    table = account_table(positions, names, balances=balances, snapshot=cube.snapshot)
    matrix = unit_rows(cube, table.currencies, numeraire)
    if single:
        matrix = matrix.astype(np.float32)
    weights = cube.scenarios.weights
    found = tails(matrix, table, kept_scenarios(weights, level), threads=threads)
    return measured(
        found, table.accounts, weights, level=level, measures=measures, numeraire=numeraire,
        provenance=Provenance(
            method="risk.account_measures",
            data={"cube": cube.provenance.id},
            parameters={"level": level, "numeraire": numeraire, "single": single, "accounts": len(table)},
            seed=cube.provenance.seed,
            simulated=cube.provenance.simulated,
        ),
    )  # fmt: skip


def unit_rows(cube: PnLCube, currencies: Sequence[str], numeraire: str) -> FloatArray:
    """Return unit profits in the numeraire of the cube's instruments, then of one unit of each currency.

    Notes
    -----
    With V the USD value of a unit before the scenarios, p its profit in USD and X the USD price of the
    numeraire, the profit in it is ``(V + p)/X' - V/X``, which adds up over positions.
    """
    money = cube.money
    for currency in currencies:
        money.check(currency, "collateral")
    if money.is_dollar(numeraire):
        if not currencies:
            return cube.unit_usd
        return np.concatenate([cube.unit_usd, [_gain(cube, currency) for currency in currencies]])
    money.check(numeraire, "numeraire")
    rows = np.empty((len(cube.instruments) + len(currencies), len(cube)))
    for at, instrument in enumerate(cube.instruments):
        if instrument.is_inverse and instrument.underlying == numeraire:
            rows[at] = cube.unit_coin[at]
        else:
            rows[at] = money.in_numeraire(cube.unit_usd[at], float(cube.base_usd[at]), numeraire)
    for at, currency in enumerate(currencies, len(cube.instruments)):
        gain = _gain(cube, currency)
        same = currency == numeraire
        rows[at] = 0.0 if same else money.in_numeraire(gain, money.before(currency), numeraire)
    return rows


def _gain(cube: PnLCube, currency: str) -> FloatArray:
    """Return what one unit of a currency gains in USD, shape (scenarios,)."""
    return cube.money.add_collateral(np.zeros(len(cube)), {currency: 1.0})


def tails(
    matrix: npt.NDArray[Any],
    table: AccountTable,
    keep: int,
    *,
    base: npt.NDArray[Any] | None = None,
    first_scenario: int = 0,
    threads: int = 1,
) -> TailOfAccounts:
    """Return the ``keep`` worst scenarios of each account; equal bits for any number of threads.

    Parameters
    ----------
    matrix : ndarray of float64 or float32, shape (columns of the table, scenarios)
        Unit profits, finite.
    table : AccountTable
    keep : int
        At most the number of scenarios.
    base : ndarray, shape (scenarios,), optional
        Profit that every account has besides.
    first_scenario : int
        Number of the first column.
    threads : int
    """
    count = len(table)
    profit = np.empty((count, keep), dtype=matrix.dtype)
    scenario = np.empty((count, keep), dtype=np.int64)
    unit = np.ascontiguousarray(matrix).view()
    unit.setflags(write=False)  # as the rows of a cube are, so that the kernel has one signature a precision
    quantity = table.quantity.astype(matrix.dtype)
    ground = np.empty(0, dtype=matrix.dtype) if base is None else base.astype(matrix.dtype)

    def fill(start: int) -> None:
        stop = min(start + _BLOCK, count)
        account_tails(
            unit, table.starts[start : stop + 1], table.rows, quantity, ground, first_scenario,
            profit[start:stop], scenario[start:stop],
        )  # fmt: skip

    if threads == 1 or count <= _BLOCK:
        for start in range(0, count, _BLOCK):
            fill(start)
    else:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            list(pool.map(fill, range(0, count, _BLOCK)))
    return TailOfAccounts(profit=profit, scenario=scenario)
